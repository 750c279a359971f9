"""Measure a baseline."""

from pathlib import Path

from dmdbt import params
from dmdbt.entry import run
from dmdbt.evaluation import read_scores, write_metrics, write_table
from dmdbt.steps.baseline_metrics import baseline_metrics


def main(
    predictions: Path, record: Path, quarantine: Path, tested: Path, metrics: Path, evaluation: params.Evaluation
) -> None:
    """Write the metrics of the probabilities in a table, and what the record says of the baseline.

    `tested` is a copy of `predictions`, in a folder that only the configured baselines write to.
    """
    table = read_scores(predictions)
    write_table(tested, table)
    write_metrics(metrics, baseline_metrics(table, record, quarantine, evaluation))


if __name__ == "__main__":
    run(main)
