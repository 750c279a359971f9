"""Measure a baseline."""

from pathlib import Path

import pandas as pd

from dmdbt.baselines import read_record
from dmdbt.cohort import read_quarantined
from dmdbt.evaluation import classifier_metrics, write_metrics
from dmdbt.terms import Label
from stages._entry import run


def main(predictions: Path, record: Path, quarantine: Path, metrics: Path) -> None:
    """Write the metrics of the probabilities in a table, and what the record says of the baseline.

    Parameters
    ----------
    predictions
        CSV file with the columns case_id, patient_id, label, fold and p.
    record
        JSON file that was written beside it.
    quarantine
        The table of cases that were left out; the metrics have their number, ``quarantined``.
    metrics
        JSON file to write.
    """
    table = pd.read_csv(predictions, dtype={"case_id": str, "patient_id": str, "label": str}, keep_default_na=False)
    targets = [Label(label).target for label in table["label"]]
    measured = classifier_metrics(targets, table["p"].astype(float), patients=table["patient_id"].tolist())
    write_metrics(metrics, {**read_record(record), **measured, "quarantined": read_quarantined(quarantine)})


if __name__ == "__main__":
    run(main)
