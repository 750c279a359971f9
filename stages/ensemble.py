"""Let the three heads of a backbone vote, and measure each of them and the vote."""

from pathlib import Path

from dmdbt import params
from dmdbt.cohort import read_table
from dmdbt.evaluation import Bootstrap, write_metrics, write_table
from dmdbt.files import write_text
from dmdbt.steps.ensemble import backbone_metrics, votes
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
    """Write predictions and metrics of one backbone, and beside the predictions a copy of its weights' provenance."""
    table, copied = votes(probabilities, settings), votes(copies, settings, copies=True)
    write_table(predictions, table)
    write_text(provenance, weights.read_text(encoding="utf-8"))
    bootstrap = Bootstrap(**vars(evaluation))
    write_metrics(metrics, backbone_metrics(table, copied, read_table(cases), quarantine, weights, bootstrap))


if __name__ == "__main__":
    run(main)
