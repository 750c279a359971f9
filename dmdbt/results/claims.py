"""The paper's claims, each a comparison on the same pairs that may come out either way."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from dmdbt.baselines.registry import BASELINES
from dmdbt.evaluation.comparison import BOOTSTRAP, DELONG, Comparison, bootstrap_test, delong_test, holm
from dmdbt.evaluation.intervals import Bootstrap, metric_draws
from dmdbt.evaluation.predictions import (
    CLASSIFIERS,
    ENSEMBLE,
    classifier_name,
    comparable_pairs,
    complete_pairs,
    metrics_by_classifier,
    targets,
)
from dmdbt.evaluation.weighted import Floats
from dmdbt.results import published
from dmdbt.terms import Head, Label

BEST_HEAD = "best head"
ALPHA = 0.05  # of all claims together
_PAIRS = ((Head.DM_DBT, Head.DM), (Head.DM_DBT, Head.DBT), (Head.DBT, Head.DM))
_PAPERS_BACKBONE = "alexnet"  # of the paper's baselines

Row = dict[str, Any]
Scores = pd.DataFrame | str  # what `read_scores` gives, or why there is nothing


class _Sample(NamedTuple):
    """A metric on all pairs, None where undefined, and in every draw."""

    value: float | None
    draws: Floats


def all_claims(
    predictions: Mapping[str, pd.DataFrame], baselines: Mapping[str, Scores], bootstrap: Bootstrap
) -> list[Row]:
    """Test every claim: ``first`` is said to have the larger ``metric`` than ``second``. Keys are those of tables.json.

    The claims about two heads come from section IV-D of the paper and its conclusion, which speak of the averages of
    Table IV. Here each backbone is tested.

    - AUC: "The DM-DBT Classifier achieves a 0.95 AUC on average", DM and DBT 0.88 and 0.89; so DM-DBT is better than
      DM and than DBT, and DBT is better than DM.
    - Confidence (its AC): "when using DBT data, the model prediction confidence can be improved, especially when using
      DM and DBT in combination"; so DBT is more confident than DM, and DM-DBT than both. With the combination "the
      single model performance can be improved [...] 23% on the prediction confidence". The confidence of a head is its
      mean over its own correct decisions.

    Parameters
    ----------
    predictions
        By backbone, see `read_predictions`; left out are pairs that are not `comparable_pairs`.
    baselines
        By name, the scores of the same pairs, or the reason why there are none. They are compared with AlexNet's heads.
    bootstrap
        For the claims about the confidence and about the best head, which is chosen again in every draw.
    """
    compared = {backbone: table[comparable_pairs(table)] for backbone, table in predictions.items()}
    claims = [claim for backbone, rows in compared.items() for claim in _of_backbone(backbone, rows, bootstrap)]
    if _PAPERS_BACKBONE in compared:
        for name, scores in baselines.items():
            claims += _over_baseline(name, scores, compared[_PAPERS_BACKBONE])
    return claims


def claim_rows(claims: list[Row]) -> list[Row]:
    """Add Holm's correction over all claims, ``p_holm``, and the verdicts: the rows of tables.json."""
    corrected = holm([claim["p_value"] for claim in claims])
    return [
        claim | {"p_holm": p_holm, "verdict": verdict(claim["difference"], p_holm)}
        for claim, p_holm in zip(claims, corrected, strict=True)
    ]


def verdict(difference: float | None, p_holm: float | None) -> str:
    """Say what the data say of a claim: ``supported``, ``contradicted``, ``not supported`` or ``undefined``."""
    if difference is None or p_holm is None:
        return "undefined"
    if p_holm >= ALPHA:
        return "not supported"
    return "supported" if difference > 0 else "contradicted"


def aligned_scores(scores: Scores, rows: pd.DataFrame) -> Floats | str:
    """Return a baseline's probabilities of the same pairs, in their order, or why they cannot be had."""
    if isinstance(scores, str):
        return scores
    found = rows[["case_id", "label"]].merge(scores[["case_id", "label", "p"]], "left", "case_id", suffixes=("", "_of"))
    missing = int(found["p"].isna().sum())
    if missing:
        return f"the baseline has no probability of {missing} of the {len(rows)} compared pairs"
    if (found["label"] != found["label_of"]).any():
        return "the baseline was tested with other labels"
    return found["p"].to_numpy(dtype=np.float64)


def _of_backbone(backbone: str, rows: pd.DataFrame, bootstrap: Bootstrap) -> Iterator[Row]:
    complete = rows[complete_pairs(rows)]
    samples = _samples(complete, bootstrap)
    for metric, relation in (("auc", "better"), ("confidence", "more confident")):
        for first, second in _PAIRS:
            if metric == "auc":
                seen = rows[rows[[f"p_{first}", f"p_{second}"]].notna().all(axis=1)]
                comparison = _delong(seen, seen[f"p_{first}"], seen[f"p_{second}"])
            else:
                seen, comparison = complete, _bootstrapped(samples, metric, first, second)
            sentence = f"{classifier_name(first)} is {relation} than {classifier_name(second)}"
            paper = published.printed(backbone, second, metric)
            yield _claim(backbone, first, f"{backbone} {second}", metric, sentence, seen, comparison, paper)
    for metric, sentence in (
        ("auc", f"the {ENSEMBLE} is better than the best single head"),
        ("acc", "the vote is more accurate than the most accurate single head"),
    ):
        comparison = _bootstrapped(samples, metric, ENSEMBLE, BEST_HEAD)
        paper = max((row[metric] for row in published.HEADS.get(backbone, {}).values()), default=None)
        yield _claim(backbone, ENSEMBLE, f"{backbone} {BEST_HEAD}", metric, sentence, complete, comparison, paper)


def _over_baseline(name: str, scores: Scores, rows: pd.DataFrame) -> Iterator[Row]:
    """Compare a baseline of the paper with the head of its one modality, and every one with both images."""
    found, baseline = aligned_scores(scores, rows), BASELINES[name]
    same_input = [head for head in Head if baseline.published_auc and head.modalities == baseline.modalities]
    for classifier in (*same_input, Head.DM_DBT, ENSEMBLE):
        seen = rows[f"p_{classifier}"].notna()
        if isinstance(found, str):
            comparison = Comparison(DELONG, reason=found)
        else:
            comparison = _delong(rows[seen], rows.loc[seen, f"p_{classifier}"], found[seen.to_numpy()])
        called = f"the {ENSEMBLE}" if classifier == ENSEMBLE else classifier_name(classifier)
        sentence, paper = f"{called} is better than the baseline {name}", baseline.published_auc
        yield _claim(_PAPERS_BACKBONE, classifier, f"baseline {name}", "auc", sentence, rows[seen], comparison, paper)


def _claim(
    backbone: str,
    first: str,
    second: str,
    metric: str,
    sentence: str,
    rows: pd.DataFrame,
    comparison: Comparison,
    paper_second: float | None,
) -> Row:
    """Return the row of one claim; `first` is a classifier of the backbone, `second` has its whole name."""
    return comparison._asdict() | {
        "id": f"{backbone}-{first}-over-{second.partition(' ')[2].replace(' ', '_')}-{metric}",
        "claim": f"{backbone}: {sentence}",
        "metric": metric,
        "first": f"{backbone} {first}",
        "second": second,
        "first_value": comparison.first,
        "second_value": comparison.second,
        "n_pairs": len(rows),
        "n_patients": int(rows["patient_id"].nunique()),
        "paper_first": published.printed(backbone, first, metric),
        "paper_second": paper_second,
    }


def _delong(rows: pd.DataFrame, first: Any, second: Any) -> Comparison:
    return delong_test(targets(rows), first, second, patients=rows["patient_id"].tolist())


def _samples(rows: pd.DataFrame, bootstrap: Bootstrap) -> dict[str, dict[str, _Sample]]:
    """Measure every classifier and the best head, by metric; empty without a pair.

    The best head has the largest of the heads' metrics, on all pairs and again in each draw.
    """
    if not len(rows):
        return {}
    measured, samples = metrics_by_classifier(rows), {}
    for classifier in CLASSIFIERS:
        draws = metric_draws(
            targets(rows).to_numpy(dtype=np.float64),
            rows[f"p_{classifier}"].to_numpy(dtype=np.float64),
            (rows[f"decision_{classifier}"] == Label.MALIGNANT).to_numpy(),
            rows["patient_id"].tolist(),
            bootstrap,
        )
        samples[classifier] = {metric: _Sample(measured[classifier][metric], draws[metric]) for metric in draws}
    samples[BEST_HEAD] = {metric: _largest([samples[head][metric] for head in Head]) for metric in samples[ENSEMBLE]}
    return samples


def _largest(heads: Sequence[_Sample]) -> _Sample:
    defined = [head.value for head in heads if head.value is not None]
    return _Sample(max(defined, default=None), np.max([head.draws for head in heads], axis=0))


def _bootstrapped(samples: Mapping[str, Mapping[str, _Sample]], metric: str, first: str, second: str) -> Comparison:
    if not samples:
        return Comparison(BOOTSTRAP, reason="no pair has a probability of every head")
    one, other = samples[first][metric], samples[second][metric]
    return bootstrap_test(one.value, other.value, one.draws, other.draws)
