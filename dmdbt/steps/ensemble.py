"""The vote of the three heads of one backbone, and the metrics of each of them and of the vote."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from dmdbt import params
from dmdbt.cohort import Case, read_quarantined
from dmdbt.evaluation import (
    Bootstrap,
    add_votes,
    aggregate_by,
    best_head,
    comparable_pairs,
    metrics_by_classifier,
    read_probabilities,
)
from dmdbt.terms import Head


def votes(probabilities: Path, settings: params.Ensemble, *, copies: bool = False) -> pd.DataFrame:
    """Read the heads' probabilities of every pair (or of every augmented copy), and add their vote."""
    weight_of = {Head(name): weight for name, weight in settings.weights.items()}
    return add_votes(read_probabilities(probabilities, copies=copies), weight_of)


def read_origin(weights: Path, training: Path) -> dict[str, Any]:
    """Return the provenance of a backbone's weights; as ``computed`` on which devices and in which precision it ran."""
    found: dict[str, Any] = json.loads(weights.read_text(encoding="utf-8"))
    return found | {"computed": json.loads(training.read_text(encoding="utf-8"))}


def backbone_metrics(
    table: pd.DataFrame,
    copies: pd.DataFrame,
    cases: list[Case],
    quarantine: Path,
    origin: Mapping[str, Any],
    bootstrap: Bootstrap,
) -> dict[str, Any]:
    """Measure the classifiers of one backbone.

    They are compared on the pairs that all heads have seen; pairs that lack an image or a head are measured apart, as
    ``incomplete_pairs``. If no pair is complete, all are measured together (`comparable_pairs`).

    ``paper_protocol`` measures the compared pairs as the paper does, to compare like with like: each augmented copy is
    an item of its own, and each class counts one half. The copies of a pair are no independent items; its intervals
    are of whole patients, and so do not shrink by the copies.

    Parameters
    ----------
    table, copies
        Results of `votes`, of the pairs and of their copies.
    cases
        The pairs, whose laterality counts.
    quarantine
        The table of cases that were left out; the metrics have their number, ``quarantined``.
    origin
        Result of `read_origin`; the metrics have it as ``weights`` and ``computed``.
    bootstrap
        The bootstrap of the intervals.
    """
    side_of = {case.case_id: case.laterality.value for case in cases}
    pairs = table.assign(laterality=[side_of[case] for case in table["case_id"]])
    compared, apart, copied = (
        pairs[comparable_pairs(pairs)],
        pairs[~comparable_pairs(pairs)],
        copies[comparable_pairs(copies)],
    )
    measured = metrics_by_classifier(compared, bootstrap)
    as_in_paper = metrics_by_classifier(copied, bootstrap, balanced=True)
    content = measured | {
        "best_head": best_head(measured),
        "units": {
            "breast": metrics_by_classifier(aggregate_by(compared, ["patient_id", "laterality"]), bootstrap),
            "patient": metrics_by_classifier(aggregate_by(compared, ["patient_id"]), bootstrap),
        },
        "paper_protocol": as_in_paper | {"copies": list(dict.fromkeys(copies["copy"]))},
        "folds": sorted({int(fold) for fold in table["fold"]}),
        "quarantined": read_quarantined(quarantine),
        "weights": {key: value for key, value in origin.items() if key != "computed"},
        "computed": origin["computed"],
    }
    return content | ({"incomplete_pairs": metrics_by_classifier(apart, bootstrap)} if len(apart) else {})
