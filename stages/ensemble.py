"""Let the three heads of a backbone vote, and measure each of them and the vote."""

import json
from pathlib import Path
from typing import Any

from dmdbt import params
from dmdbt.cohort import read_quarantined, read_table
from dmdbt.evaluation import (
    Bootstrap,
    add_votes,
    best_head,
    is_measured,
    metrics_by_classifier,
    read_probabilities,
    units,
    write_metrics,
    write_table,
)
from dmdbt.files import write_json
from dmdbt.terms import Head
from stages._entry import run


def main(
    probabilities: Path,
    copies: Path,
    cases: Path,
    quarantine: Path,
    weights: Path,
    predictions: Path,
    provenance: Path,
    metrics: Path,
    settings: params.Ensemble,
    evaluation: params.Evaluation,
) -> None:
    """Read the heads' probabilities, write predictions and metrics of one backbone.

    The metrics compare the classifiers on the pairs that all heads have seen; pairs that lack an image or a head are
    measured apart, as ``incomplete_pairs``. If no pair is complete, all are measured together (`is_measured`).

    ``paper_protocol`` measures the compared pairs as the paper does, to compare like with like: each augmented copy is
    an item of its own, and each class counts one half. The copies of a pair are no independent items; its intervals
    are of whole patients, and so do not shrink by the copies.

    Parameters
    ----------
    probabilities
        CSV file, see `dmdbt.evaluation.read_probabilities`.
    copies
        The same of all augmented copies.
    cases
        The cohort's table, which knows the laterality of a pair.
    quarantine
        The table of cases that were left out; the metrics have their number, ``quarantined``.
    weights
        JSON file with the provenance of the backbone's weights.
    predictions, metrics
        Files to write.
    provenance
        A copy of `weights` to write beside the predictions, for what reads only those; the metrics have one too.
    settings
        Weights of the votes.
    evaluation
        The bootstrap of the intervals.
    """
    bootstrap = Bootstrap(**vars(evaluation))
    weight_of = {Head(name): weight for name, weight in settings.weights.items()}
    table = add_votes(read_probabilities(probabilities), weight_of)
    write_table(predictions, table)
    side_of = {case.case_id: case.laterality.value for case in read_table(cases)}
    pairs = table.assign(laterality=[side_of[case] for case in table["case_id"]])
    compared, apart = pairs[is_measured(pairs)], pairs[~is_measured(pairs)]
    measured = metrics_by_classifier(compared, bootstrap)
    made_with = json.loads(weights.read_text(encoding="utf-8"))
    write_json(provenance, made_with)
    content = measured | {
        "best_head": best_head(measured),
        "units": {
            "breast": metrics_by_classifier(units(compared, ["patient_id", "laterality"]), bootstrap),
            "patient": metrics_by_classifier(units(compared, ["patient_id"]), bootstrap),
        },
        "paper_protocol": _paper_protocol(copies, weight_of, bootstrap),
        "folds": sorted({int(fold) for fold in table["fold"]}),
        "quarantined": read_quarantined(quarantine),
        "weights": made_with,
    }
    if len(apart):
        content["incomplete_pairs"] = metrics_by_classifier(apart, bootstrap)
    write_metrics(metrics, content)


def _paper_protocol(copies: Path, weight_of: dict[Head, float], bootstrap: Bootstrap) -> dict[str, Any]:
    items = add_votes(read_probabilities(copies, copies=True), weight_of)
    compared = items[is_measured(items)]
    measured = metrics_by_classifier(compared, bootstrap, balanced=True)
    return measured | {"copies": list(dict.fromkeys(items["copy"]))}


if __name__ == "__main__":
    run(main)
