"""The metrics of a baseline."""

from pathlib import Path
from typing import Any

import pandas as pd

from dmdbt import params
from dmdbt.baselines.record import read_record
from dmdbt.cohort import read_quarantined
from dmdbt.evaluation import Bootstrap, classifier_metrics
from dmdbt.terms import Label


def baseline_metrics(
    table: pd.DataFrame, record: Path, quarantine: Path, evaluation: params.Evaluation
) -> dict[str, Any]:
    """Measure the probabilities of a baseline; the record and the number of cases in quarantine are added."""
    measured = classifier_metrics(
        [Label(label).target for label in table["label"]],
        table["p"],
        patients=table["patient_id"].tolist(),
        bootstrap=Bootstrap(**vars(evaluation)),
    )
    return {**read_record(record), **measured, "quarantined": read_quarantined(quarantine)}
