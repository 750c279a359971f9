"""Folds, votes, metrics and curves."""

from dmdbt.evaluation.curves import precision_recall_points, roc_points
from dmdbt.evaluation.files import (
    read_predictions,
    read_probabilities,
    write_metrics,
    write_points,
    write_table,
)
from dmdbt.evaluation.intervals import Bootstrap
from dmdbt.evaluation.metrics import classifier_metrics, expected_calibration_error
from dmdbt.evaluation.predictions import (
    CLASSIFIERS,
    add_votes,
    best_head,
    is_complete,
    is_measured,
    metrics_by_classifier,
    units,
)
from dmdbt.evaluation.splits import assign_folds
from dmdbt.evaluation.summary import plot_tables, summary_numbers, summary_text
from dmdbt.evaluation.voting import Vote, decide, majority_vote

__all__ = [
    "CLASSIFIERS",
    "Bootstrap",
    "Vote",
    "add_votes",
    "assign_folds",
    "best_head",
    "classifier_metrics",
    "decide",
    "expected_calibration_error",
    "is_complete",
    "is_measured",
    "majority_vote",
    "metrics_by_classifier",
    "plot_tables",
    "precision_recall_points",
    "read_predictions",
    "read_probabilities",
    "roc_points",
    "summary_numbers",
    "summary_text",
    "units",
    "write_metrics",
    "write_points",
    "write_table",
]
