"""Put the heads that were trained on fewer patients beside those of the pipeline."""

from pathlib import Path

import pandas as pd

from dmdbt import params
from dmdbt.cohort import read_stated
from dmdbt.entry import run
from dmdbt.evaluation import write_metrics, write_points
from dmdbt.files import write_text
from dmdbt.steps.learning_curve import POINT, learning_curve, learning_curve_text
from dmdbt.terms import kind_of_cohort


def main(
    counts: Path,
    cases: Path,
    split: Path,
    probabilities: Path,
    parts: Path,
    metrics: Path,
    points: Path,
    table: Path,
    settings: params.Ablation,
    folds: params.Split,
    evaluation: params.Evaluation,
) -> None:
    """Write the metrics of all fractions, the points of a plot, and a table."""
    rows = learning_curve(cases, split, probabilities, parts, settings, folds, evaluation)
    simulated = read_stated(counts).simulated
    content = {"format": "dmdbt learning curve", "version": 1, "backbone": settings.backbone, "points": rows}
    write_metrics(metrics, content | {"folds": sorted(folds.test_folds), "simulated": simulated})
    write_points(points, pd.DataFrame([{name: row[name] for name in POINT} for row in rows]))
    write_text(table, text := learning_curve_text(rows, backbone=settings.backbone, kind=kind_of_cohort(simulated)))
    print(text)


if __name__ == "__main__":
    run(main)
