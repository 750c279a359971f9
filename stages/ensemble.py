"""Let the three heads of a backbone vote, and measure each of them and the vote."""

from pathlib import Path

from dmdbt import params
from dmdbt.cohort import read_table
from dmdbt.entry import run
from dmdbt.evaluation import Bootstrap, write_metrics, write_table
from dmdbt.files import write_json
from dmdbt.steps.ensemble import backbone_metrics, read_origin, votes


def main(
    probabilities: Path,
    copies: Path,
    cases: Path,
    quarantine: Path,
    weights: Path,
    training: Path,
    predictions: Path,
    provenance: Path,
    metrics: Path,
    settings: params.Ensemble,
    evaluation: params.Evaluation,
) -> None:
    """Write predictions and metrics of one backbone, and beside the predictions where they come from: `provenance`."""
    table, copied = votes(probabilities, settings), votes(copies, settings, copies=True)
    write_table(predictions, table)
    origin = read_origin(weights, training)
    write_json(provenance, origin)
    bootstrap = Bootstrap(**vars(evaluation))
    write_metrics(metrics, backbone_metrics(table, copied, read_table(cases), quarantine, origin, bootstrap))


if __name__ == "__main__":
    run(main)
