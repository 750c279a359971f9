"""Folds, votes, metrics and curves."""

from dmdbt.evaluation.claims import Claim, Scores, all_claims
from dmdbt.evaluation.comparison import Comparison, bootstrap_test, delong_test, holm
from dmdbt.evaluation.curves import precision_recall_points, roc_points
from dmdbt.evaluation.exports import latex_tables, markdown_tables
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
from dmdbt.evaluation.splits import assign_folds
from dmdbt.evaluation.summary import plot_tables, summary_numbers, summary_text
from dmdbt.evaluation.tables import tables_content
from dmdbt.evaluation.voting import Vote, decide, majority_vote

__all__ = [
    "CLASSIFIERS",
    "Bootstrap",
    "Claim",
    "Comparison",
    "Scores",
    "Vote",
    "add_votes",
    "all_claims",
    "assign_folds",
    "best_head",
    "bootstrap_test",
    "classifier_metrics",
    "decide",
    "delong_test",
    "expected_calibration_error",
    "holm",
    "is_complete",
    "is_measured",
    "latex_tables",
    "majority_vote",
    "markdown_tables",
    "metrics_by_classifier",
    "plot_tables",
    "precision_recall_points",
    "read_all_predictions",
    "read_predictions",
    "read_probabilities",
    "read_scores",
    "roc_points",
    "summary_numbers",
    "summary_text",
    "tables_content",
    "units",
    "write_metrics",
    "write_points",
    "write_table",
    "write_tables",
]
