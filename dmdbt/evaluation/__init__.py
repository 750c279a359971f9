"""Votes, metrics, intervals and comparisons: the statistics."""

from dmdbt.evaluation.comparison import Comparison, bootstrap_test, delong_test, holm
from dmdbt.evaluation.curves import calibration_points, precision_recall_points, roc_points
from dmdbt.evaluation.files import (
    read_all_predictions,
    read_predictions,
    read_probabilities,
    read_scores,
    write_metrics,
    write_points,
    write_table,
    write_tables,
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
from dmdbt.evaluation.voting import Vote, decide, majority_vote

__all__ = [
    "CLASSIFIERS",
    "Bootstrap",
    "Comparison",
    "Vote",
    "add_votes",
    "best_head",
    "bootstrap_test",
    "calibration_points",
    "classifier_metrics",
    "decide",
    "delong_test",
    "expected_calibration_error",
    "holm",
    "is_complete",
    "is_measured",
    "majority_vote",
    "metrics_by_classifier",
    "precision_recall_points",
    "read_all_predictions",
    "read_predictions",
    "read_probabilities",
    "read_scores",
    "roc_points",
    "units",
    "write_metrics",
    "write_points",
    "write_table",
    "write_tables",
]
