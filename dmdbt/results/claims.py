"""The paper's claims, each a comparison on the same pairs that may come out either way."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from dmdbt.evaluation.comparison import BOOTSTRAP, DELONG, Comparison, bootstrap_test, delong_test, holm
from dmdbt.evaluation.intervals import Bootstrap, metric_draws
from dmdbt.evaluation.metrics import classifier_metrics
from dmdbt.evaluation.predictions import CLASSIFIERS, ENSEMBLE, comparable_pairs, complete_pairs, targets
from dmdbt.evaluation.weighted import Floats
from dmdbt.results import published
from dmdbt.terms import Head, Label

BEST_HEAD = "best head"
ALPHA = 0.05  # of all claims together
_PAIRS = ((Head.DM_DBT, Head.DM), (Head.DM_DBT, Head.DBT), (Head.DBT, Head.DM))
_PAPERS_BACKBONE = "alexnet"  # of the paper's baselines
# The head with a baseline's input, for those that the paper has; every other comparison is with both images.
_SAME_INPUT = {"2d_t3_alex": Head.DM, "3d_t2_alex": Head.DBT}

Scores = pd.DataFrame | str  # what `read_scores` gives, or why there is nothing


class _Sample(NamedTuple):
    """A metric on all pairs, None where undefined, and in every draw."""

    value: float | None
    draws: Floats


@dataclass(frozen=True)
class Claim:
    """One row: `first` is said to have the larger `metric` than `second`. Names are those of tables.json."""

    id: str
    sentence: str
    metric: str
    first: str
    second: str
    comparison: Comparison
    n_pairs: int
    n_patients: int
    paper_first: float | None = None
    paper_second: float | None = None


def all_claims(
    predictions: Mapping[str, pd.DataFrame], baselines: Mapping[str, Scores], bootstrap: Bootstrap
) -> list[Claim]:
    """Test every claim.

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


def claim_rows(claims: list[Claim]) -> list[dict[str, Any]]:
    """Return the rows of tables.json: numbers, Holm's correction over all of them, and the verdicts."""
    corrected = holm([claim.comparison.p_value for claim in claims])
    return [_row(claim, p_holm) for claim, p_holm in zip(claims, corrected, strict=True)]


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


def display_name(classifier: str) -> str:
    """Return how a text names a head: DM, DBT, DM-DBT; every other name as it is."""
    return classifier.upper().replace("_", "-") if classifier in list(Head) else classifier


def _of_backbone(backbone: str, rows: pd.DataFrame, bootstrap: Bootstrap) -> Iterator[Claim]:
    complete = rows[complete_pairs(rows)]
    samples = _samples(complete, bootstrap)
    for first, second in _PAIRS:
        both = rows[rows[[f"p_{first}", f"p_{second}"]].notna().all(axis=1)]
        comparison = _delong(both, both[f"p_{first}"], both[f"p_{second}"])
        yield _of_heads(backbone, first, second, "auc", both, comparison)
    for first, second in _PAIRS:
        comparison = _bootstrapped(samples, "confidence", first, second)
        yield _of_heads(backbone, first, second, "confidence", complete, comparison)
    for metric, sentence in (
        ("auc", "the ensemble is better than the best single head"),
        ("acc", "the vote is more accurate than the most accurate single head"),
    ):
        yield Claim(
            id=f"{backbone}-{ENSEMBLE}-over-best_head-{metric}",
            sentence=f"{backbone}: {sentence}",
            metric=metric,
            first=f"{backbone} {ENSEMBLE}",
            second=f"{backbone} {BEST_HEAD}",
            comparison=_bootstrapped(samples, metric, ENSEMBLE, BEST_HEAD),
            **_size(complete),
            paper_first=published.printed(backbone, ENSEMBLE, metric),
            paper_second=max((row[metric] for row in published.HEADS.get(backbone, {}).values()), default=None),
        )


def _of_heads(
    backbone: str, first: Head, second: Head, metric: str, rows: pd.DataFrame, comparison: Comparison
) -> Claim:
    relation = "more confident" if metric == "confidence" else "better"
    return Claim(
        id=f"{backbone}-{first}-over-{second}-{metric}",
        sentence=f"{backbone}: {display_name(first)} is {relation} than {display_name(second)}",
        metric=metric,
        first=f"{backbone} {first}",
        second=f"{backbone} {second}",
        comparison=comparison,
        **_size(rows),
        paper_first=published.printed(backbone, first, metric),
        paper_second=published.printed(backbone, second, metric),
    )


def _over_baseline(name: str, scores: Scores, rows: pd.DataFrame) -> Iterator[Claim]:
    found = aligned_scores(scores, rows)
    same_input = [_SAME_INPUT[name]] if name in _SAME_INPUT else []
    for classifier in (*same_input, Head.DM_DBT, ENSEMBLE):
        seen = rows[f"p_{classifier}"].notna()
        called = f"the {ENSEMBLE}" if classifier == ENSEMBLE else display_name(classifier)
        comparison = (
            Comparison(DELONG, reason=found)
            if isinstance(found, str)
            else _delong(rows[seen], rows.loc[seen, f"p_{classifier}"], found[seen.to_numpy()])
        )
        yield Claim(
            id=f"{_PAPERS_BACKBONE}-{classifier}-over-{name}-auc",
            sentence=f"{_PAPERS_BACKBONE}: {called} is better than the baseline {name}",
            metric="auc",
            first=f"{_PAPERS_BACKBONE} {classifier}",
            second=f"baseline {name}",
            comparison=comparison,
            **_size(rows[seen]),
            paper_first=published.printed(_PAPERS_BACKBONE, classifier),
            paper_second=published.BASELINES.get(name),
        )


def _delong(rows: pd.DataFrame, first: Any, second: Any) -> Comparison:
    return delong_test(targets(rows), first, second, patients=rows["patient_id"].tolist())


def _samples(rows: pd.DataFrame, bootstrap: Bootstrap) -> dict[str, dict[str, _Sample]]:
    """Measure every classifier and the best head, by metric; empty without a pair.

    The best head has the largest of the heads' metrics, on all pairs and again in each draw.
    """
    if not len(rows):
        return {}
    samples = {}
    for classifier in CLASSIFIERS:
        arguments = _arguments(rows, classifier)
        values, draws = classifier_metrics(**arguments), metric_draws(**arguments, bootstrap=bootstrap)
        samples[classifier] = {metric: _Sample(values[metric], draws[metric]) for metric in draws}
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


def _arguments(rows: pd.DataFrame, classifier: str) -> dict[str, Any]:
    return {
        "targets": targets(rows).to_numpy(dtype=np.float64),
        "probs": rows[f"p_{classifier}"].to_numpy(dtype=np.float64),
        "decisions": (rows[f"decision_{classifier}"] == Label.MALIGNANT).to_numpy(),
        "patients": rows["patient_id"].tolist(),
    }


def _size(rows: pd.DataFrame) -> dict[str, int]:
    return {"n_pairs": len(rows), "n_patients": int(rows["patient_id"].nunique())}


def _row(claim: Claim, p_holm: float | None) -> dict[str, Any]:
    found = claim.comparison
    return {
        "id": claim.id,
        "claim": claim.sentence,
        "metric": claim.metric,
        "first": claim.first,
        "second": claim.second,
        "first_value": found.first,
        "second_value": found.second,
        "difference": found.difference,
        "low": found.low,
        "high": found.high,
        "p_value": found.p_value,
        "p_holm": p_holm,
        "test": found.test,
        "n_pairs": claim.n_pairs,
        "n_patients": claim.n_patients,
        "paper_first": claim.paper_first,
        "paper_second": claim.paper_second,
        "verdict": verdict(found.difference, p_holm),
        "reason": found.reason,
    }
