"""Let the three heads of a backbone vote, and measure each of them and the vote."""

import json
from pathlib import Path

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
from dmdbt.terms import Head
from stages._entry import run


def main(
    probabilities: Path,
    cases: Path,
    quarantine: Path,
    weights: Path,
    predictions: Path,
    metrics: Path,
    settings: params.Ensemble,
    evaluation: params.Evaluation,
) -> None:
    """Read the heads' probabilities, write predictions and metrics of one backbone.

    The metrics compare the classifiers on the pairs that all heads have seen; pairs that lack an image or a head are
    measured apart, as ``incomplete_pairs``. If no pair is complete, all are measured together (`is_measured`).

    Parameters
    ----------
    probabilities
        CSV file, see `dmdbt.evaluation.read_probabilities`.
    cases
        The cohort's table, which knows the laterality of a pair.
    quarantine
        The table of cases that were left out; the metrics have their number, ``quarantined``.
    weights
        JSON file with the provenance of the backbone's weights; copied into the metrics.
    predictions, metrics
        Files to write.
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
    content = measured | {
        "best_head": best_head(measured),
        "units": {
            "breast": metrics_by_classifier(units(compared, ["patient_id", "laterality"]), bootstrap),
            "patient": metrics_by_classifier(units(compared, ["patient_id"]), bootstrap),
        },
        "folds": sorted({int(fold) for fold in table["fold"]}),
        "quarantined": read_quarantined(quarantine),
        "weights": json.loads(weights.read_text(encoding="utf-8")),
    }
    if len(apart):
        content["incomplete_pairs"] = metrics_by_classifier(apart, bootstrap)
    write_metrics(metrics, content)


if __name__ == "__main__":
    run(main)
