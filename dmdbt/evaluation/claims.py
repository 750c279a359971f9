"""The paper's claims, each a comparison on the same pairs that may come out either way."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from dmdbt.evaluation import paper
from dmdbt.evaluation.comparison import BOOTSTRAP, DELONG, Comparison, bootstrap_test, delong_test, holm
from dmdbt.evaluation.intervals import Bootstrap, metric_draws
from dmdbt.evaluation.metrics import classifier_metrics
from dmdbt.evaluation.predictions import CLASSIFIERS, ENSEMBLE, is_complete, is_measured, targets
from dmdbt.evaluation.weighted import Floats
from dmdbt.terms import Head, Label

BEST_HEAD = "best head"
LEVEL = 0.05  # of all claims together
_PAPERS_BACKBONE = "alexnet"  # of the paper's baselines
# The head with a baseline's input, for those that the paper has; every other comparison is with both images.
_SAME_INPUT = {"2d_t3_alex": Head.DM, "3d_t2_alex": Head.DBT}

Scores = pd.DataFrame | str  # what `read_scores` gives, or why there is nothing


@dataclass(frozen=True)
class Claim:
    """One row: `first` is said to be better than `second`. Names are those of tables.json."""

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

    Parameters
    ----------
    predictions
        By backbone, see `read_predictions`; left out are pairs that are not `is_measured`.
    baselines
        By name, the scores of the same pairs, or the reason why there are none. They are compared with AlexNet's heads.
    bootstrap
        Of the claims about the best head, which is chosen anew in every draw.
    """
    compared = {backbone: table[is_measured(table)] for backbone, table in predictions.items()}
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
    if p_holm >= LEVEL:
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


def shown(classifier: str) -> str:
    """Return how a text names a head: DM, DBT, DM-DBT; every other name as it is."""
    return classifier.upper().replace("_", "-") if classifier in list(Head) else classifier


def _of_backbone(backbone: str, rows: pd.DataFrame, bootstrap: Bootstrap) -> Iterator[Claim]:
    printed = paper.HEADS.get(backbone, {})
    for single in (Head.DM, Head.DBT):
        both = rows[rows[[f"p_{Head.DM_DBT}", f"p_{single}"]].notna().all(axis=1)]
        yield Claim(
            id=f"{backbone}-{Head.DM_DBT}-over-{single}-auc",
            sentence=f"{backbone}: {shown(Head.DM_DBT)} is better than {shown(single)}",
            metric="auc",
            first=f"{backbone} {Head.DM_DBT}",
            second=f"{backbone} {single}",
            comparison=_delong(both, both[f"p_{Head.DM_DBT}"], both[f"p_{single}"]),
            **_size(both),
            paper_first=printed.get(Head.DM_DBT, {}).get("auc"),
            paper_second=printed.get(single, {}).get("auc"),
        )
    complete = rows[is_complete(rows)]
    draws = {name: _draws(complete, name, bootstrap) for name in CLASSIFIERS} if len(complete) else {}
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
            comparison=_over_best_head(complete, metric, draws),
            **_size(complete),
            paper_first=paper.ENSEMBLES.get(backbone) if metric == "auc" else None,
            paper_second=max((row[metric] for row in printed.values()), default=None),
        )


def _over_baseline(name: str, scores: Scores, rows: pd.DataFrame) -> Iterator[Claim]:
    found = aligned_scores(scores, rows)
    same_input = [_SAME_INPUT[name]] if name in _SAME_INPUT else []
    for classifier in (*same_input, Head.DM_DBT, ENSEMBLE):
        seen = rows[f"p_{classifier}"].notna()
        called = f"the {ENSEMBLE}" if classifier == ENSEMBLE else shown(classifier)
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
            paper_first=(
                paper.ENSEMBLES[_PAPERS_BACKBONE]
                if classifier == ENSEMBLE
                else paper.HEADS[_PAPERS_BACKBONE][classifier]["auc"]
            ),
            paper_second=paper.BASELINES.get(name),
        )


def _delong(rows: pd.DataFrame, first: Any, second: Any) -> Comparison:
    return delong_test(targets(rows), first, second, patients=rows["patient_id"].tolist())


def _over_best_head(rows: pd.DataFrame, metric: str, draws: Mapping[str, Mapping[str, Floats]]) -> Comparison:
    """Compare the ensemble with the largest of the heads' metrics, on all pairs and in each draw."""
    if not len(rows):
        return Comparison(BOOTSTRAP, reason="no pair has a probability of every head")
    values = {name: _measured(rows, name)[metric] for name in CLASSIFIERS}
    heads = [values[head] for head in Head if values[head] is not None]
    largest = np.max([draws[head][metric] for head in Head], axis=0)
    return bootstrap_test(values[ENSEMBLE], max(heads, default=None), draws[ENSEMBLE][metric], largest)


def _arguments(rows: pd.DataFrame, classifier: str) -> dict[str, Any]:
    return {
        "targets": targets(rows).to_numpy(dtype=np.float64),
        "probs": rows[f"p_{classifier}"].to_numpy(dtype=np.float64),
        "decisions": (rows[f"decision_{classifier}"] == Label.MALIGNANT).to_numpy(),
        "patients": rows["patient_id"].tolist(),
    }


def _measured(rows: pd.DataFrame, classifier: str) -> dict[str, Any]:
    return classifier_metrics(**_arguments(rows, classifier))


def _draws(rows: pd.DataFrame, classifier: str, bootstrap: Bootstrap) -> dict[str, Floats]:
    return metric_draws(**_arguments(rows, classifier), bootstrap=bootstrap)


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
