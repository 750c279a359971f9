"""The metrics of a baseline."""

from pathlib import Path

from dmdbt import params
from dmdbt.baselines.record import read_record
from dmdbt.cohort import read_quarantined
from dmdbt.evaluation import Bootstrap, classifier_metrics, read_scores, write_metrics, write_table
from dmdbt.terms import Label


def measure_baseline(
    predictions: Path, record: Path, quarantine: Path, tested: Path, metrics: Path, evaluation: params.Evaluation
) -> None:
    """Write the metrics of the probabilities in a table, what the record says, and the number of cases in quarantine.

    `tested` is a copy of `predictions`, in a folder that only the configured baselines write to.
    """
    table = read_scores(predictions)
    write_table(tested, table)
    measured = classifier_metrics(
        [Label(label).target for label in table["label"]],
        table["p"],
        patients=table["patient_id"].tolist(),
        bootstrap=Bootstrap(**vars(evaluation)),
    )
    write_metrics(metrics, {**read_record(record), **measured, "quarantined": read_quarantined(quarantine)})
