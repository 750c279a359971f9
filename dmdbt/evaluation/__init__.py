"""Votes, metrics, intervals and comparisons: the statistics."""

from dmdbt.evaluation.comparison import bootstrap_test, delong_test, holm
from dmdbt.evaluation.curves import calibration_points, precision_recall_points, roc_points
from dmdbt.evaluation.intervals import Bootstrap
from dmdbt.evaluation.metrics import classifier_metrics
from dmdbt.evaluation.prediction_files import (
    read_all_predictions,
    read_predictions,
    read_probabilities,
    read_scores,
    write_metrics,
    write_points,
    write_table,
    write_tables,
)
from dmdbt.evaluation.predictions import (
    CLASSIFIERS,
    add_votes,
    aggregate_by,
    best_head,
    classifier_name,
    comparable_pairs,
    complete_pairs,
    metrics_by_classifier,
)
from dmdbt.evaluation.voting import decide, majority_vote

__all__ = [
    "CLASSIFIERS",
    "Bootstrap",
    "add_votes",
    "aggregate_by",
    "best_head",
    "bootstrap_test",
    "calibration_points",
    "classifier_metrics",
    "classifier_name",
    "comparable_pairs",
    "complete_pairs",
    "decide",
    "delong_test",
    "holm",
    "majority_vote",
    "metrics_by_classifier",
    "precision_recall_points",
    "read_all_predictions",
    "read_predictions",
    "read_probabilities",
    "read_scores",
    "roc_points",
    "write_metrics",
    "write_points",
    "write_table",
    "write_tables",
]
