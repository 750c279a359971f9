"""The paper's tables with our numbers beside its own, and the claims: the content of tables.json."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from dmdbt.baselines.registry import BASELINES
from dmdbt.evaluation.intervals import Bootstrap
from dmdbt.evaluation.metrics import Metrics, classifier_metrics
from dmdbt.evaluation.predictions import (
    CLASSIFIERS,
    ENSEMBLE,
    best_head,
    comparable_pairs,
    metrics_by_classifier,
    targets,
)
from dmdbt.results import published
from dmdbt.results.claims import Scores, aligned_scores, all_claims, claim_rows
from dmdbt.results.consistency import consistency_groups
from dmdbt.terms import Head

FORMAT = {"format": "dmdbt tables", "version": 2}
_PAPERS_BACKBONE = "alexnet"
_INPUTS = {"dm": "DM", "dbt": "DBT", "dm_dbt": "DM and DBT", ENSEMBLE: "DM and DBT"}
_CONSISTENCY = (
    "The spread over the backbones is the largest AUC less the smallest. Chance alone makes it positive, also between "
    "equal backbones, and drawing patients adds to it: an interval above 0 does not show that backbones differ. Where "
    "weights come from several sources, the spread is that of backbones and weights together."
)

Cell = dict[str, float | str | None]


def tables_content(
    predictions: Mapping[str, pd.DataFrame],
    baselines: Mapping[str, Scores],
    weights: Mapping[str, Mapping[str, Any]],
    bootstrap: Bootstrap,
) -> dict[str, Any]:
    """Measure everything that the tables show.

    Parameters
    ----------
    predictions, baselines
        See `all_claims`.
    weights
        By backbone, the provenance of its weights, with their ``source``.
    bootstrap
        Of all intervals.

    Returns
    -------
    dict
        ``format``, ``version``; ``folds``, ``n_pairs``, ``n_patients``, ``n_malignant``, ``incomplete_pairs`` (left
        out), ``bootstrap`` and ``weights``; ``claims``; ``consistency``, see `consistency_groups`; ``models`` (the
        paper's Table II), ``ensembles`` (III) and ``heads`` (IV), whose cells have ``value``, ``low`` and ``high``, or
        ``value`` None and ``reason``; ``footnotes``.
    """
    compared = {backbone: table[comparable_pairs(table)] for backbone, table in predictions.items()}
    measured = {backbone: metrics_by_classifier(rows, bootstrap) for backbone, rows in compared.items()}
    first, every = next(iter(compared.values())), next(iter(predictions.values()))
    claims = claim_rows(all_claims(predictions, baselines, bootstrap))
    sources = {backbone: str(weights[backbone].get("source", "not stated")) for backbone in compared}
    return {
        **FORMAT,
        "folds": sorted({int(fold) for fold in every["fold"]}),
        "n_pairs": len(first),
        "n_patients": int(first["patient_id"].nunique()),
        "n_malignant": int(targets(first).sum()),
        "incomplete_pairs": len(every) - len(first),
        "bootstrap": vars(bootstrap),
        "weights": weights,
        "claims": claims,
        "consistency": consistency_groups(compared, sources, bootstrap),
        "models": [
            *(_baseline_row(name, scores, first, bootstrap) for name, scores in baselines.items()),
            *(_model_row(name, of) for name in CLASSIFIERS if (of := measured.get(_PAPERS_BACKBONE))),
        ],
        "ensembles": [_ensemble_row(backbone, of) for backbone, of in measured.items()],
        "heads": [_head_row(backbone, head, of[head]) for backbone, of in measured.items() for head in Head],
        "footnotes": [*published.FOOTNOTES, _CONSISTENCY, _smallest_p_value(len(claims), bootstrap.draws)],
    }


def cell(metrics: Metrics, name: str) -> Cell:
    """Return a metric with its interval, or with the reason why it or the interval is undefined."""
    low, high, undefined = metrics.get(f"{name}_low"), metrics.get(f"{name}_high"), metrics.get("undefined", {})
    if metrics[name] is None:
        return {"value": None, "reason": undefined[name]}
    reason = {"reason": undefined[f"{name}_low"]} if f"{name}_low" in undefined else {}
    return {"value": metrics[name], "low": low, "high": high} | reason


def _baseline_row(name: str, scores: Scores, rows: pd.DataFrame, bootstrap: Bootstrap) -> dict[str, Any]:
    found = aligned_scores(scores, rows)
    if isinstance(found, str):
        ours: Cell = {"value": None, "reason": found}
    else:
        patients = rows["patient_id"].tolist()
        ours = cell(classifier_metrics(targets(rows), found, patients=patients, bootstrap=bootstrap), "auc")
    baseline = BASELINES[name]
    seen = " and ".join(modality.upper() for modality in baseline.modalities)
    names = {"model": name, "input": seen, "backbone": baseline.weights}
    return names | {"ours": ours, "paper": baseline.published_auc}


def _model_row(classifier: str, measured: Mapping[str, Metrics]) -> dict[str, Any]:
    names = {"model": classifier, "input": _INPUTS[classifier], "backbone": _PAPERS_BACKBONE}
    return names | {"ours": cell(measured[classifier], "auc"), "paper": published.printed(_PAPERS_BACKBONE, classifier)}


def _ensemble_row(backbone: str, measured: Mapping[str, Metrics]) -> dict[str, Any]:
    best = best_head(measured).get("name")
    return {
        "model": ENSEMBLE,
        "input": _INPUTS[ENSEMBLE],
        "backbone": backbone,
        "ours": cell(measured[ENSEMBLE], "auc"),
        "paper": published.printed(backbone, ENSEMBLE),
        "best_head": {"name": best} | cell(measured[str(best)], "auc") if best else None,
    }


def _head_row(backbone: str, head: str, measured: Metrics) -> dict[str, Any]:
    return {
        "backbone": backbone,
        "head": str(head),
        "ours": {name: cell(measured, name) for name in published.COLUMNS},
        "paper": published.HEADS.get(backbone, {}).get(head),
        "note": published.NOTES.get((backbone, str(head))),
    }


def _smallest_p_value(n_claims: int, draws: int) -> str:
    return (
        f"With {draws} draws no p-value of the patient bootstrap is below {2 / (draws + 1):.2g}, and Holm's correction "
        f"multiplies the smallest of {n_claims} p-values by {n_claims}: more claims need more draws."
    )
