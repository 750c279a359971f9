"""Measure a baseline."""

from pathlib import Path

from dmdbt import params
from dmdbt.baselines import read_record
from dmdbt.cohort import read_quarantined
from dmdbt.evaluation import Bootstrap, classifier_metrics, read_scores, write_metrics, write_table
from dmdbt.terms import Label
from stages._entry import run


def main(
    predictions: Path, record: Path, quarantine: Path, tested: Path, metrics: Path, evaluation: params.Evaluation
) -> None:
    """Write the metrics of the probabilities in a table, and what the record says of the baseline.

    Parameters
    ----------
    predictions
        CSV file with the columns case_id, patient_id, label, fold and p.
    record
        JSON file that was written beside it.
    quarantine
        The table of cases that were left out; the metrics have their number, ``quarantined``.
    tested
        A copy of `predictions` to write, in a folder that only the configured baselines write to.
    metrics
        JSON file to write.
    evaluation
        The bootstrap of the intervals.
    """
    table = read_scores(predictions)
    measured = classifier_metrics(
        [Label(label).target for label in table["label"]],
        table["p"],
        patients=table["patient_id"].tolist(),
        bootstrap=Bootstrap(**vars(evaluation)),
    )
    write_table(tested, table)
    write_metrics(metrics, {**read_record(record), **measured, "quarantined": read_quarantined(quarantine)})


if __name__ == "__main__":
    run(main)
