"""Points of the curves that DVC plots, as long tables: one row per point, in drawing order."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from dmdbt.evaluation.weighted import BINS, calibration_bins


def roc_points(targets: ArrayLike, probs: ArrayLike) -> pd.DataFrame:
    """Return the corners of the ROC curve, from (0, 0) to (1, 1); no row when only one class is there.

    Columns: ``point`` (from 0), ``false_positive_rate``, ``true_positive_rate``.
    """
    from sklearn.metrics import roc_curve  # here, for importing it takes a third of a second

    if len(np.unique(np.asarray(targets))) < 2:
        return pd.DataFrame({"point": [], "false_positive_rate": [], "true_positive_rate": []})
    false_positive_rate, true_positive_rate, _ = roc_curve(targets, probs)
    return pd.DataFrame(
        {
            "point": range(len(true_positive_rate)),
            "false_positive_rate": false_positive_rate,
            "true_positive_rate": true_positive_rate,
        }
    )


def precision_recall_points(targets: ArrayLike, probs: ArrayLike) -> pd.DataFrame:
    """Return the corners of the precision-recall curve, recall ascending; no row when only one class is there.

    Columns: ``point`` (from 0), ``recall``, ``precision``. The first point, recall 0 and precision 1, is a convention.
    """
    from sklearn.metrics import precision_recall_curve

    if len(np.unique(np.asarray(targets))) < 2:
        return pd.DataFrame({"point": [], "recall": [], "precision": []})
    precision, recall, _ = precision_recall_curve(targets, probs, drop_intermediate=True)
    return pd.DataFrame({"point": range(len(recall)), "recall": recall[::-1], "precision": precision[::-1]})


def calibration_points(targets: ArrayLike, probs: ArrayLike) -> pd.DataFrame:
    """Return the calibration in 15 bins of equal width, those of the metric ``ece``; no row for an empty bin.

    Columns: ``bin`` (from 0), ``mean_probability``, ``malignant`` (share of the pairs) and ``pairs``.
    """
    targets, probs = np.asarray(targets, dtype=np.float64), np.asarray(probs, dtype=np.float64)
    counts, sums, hits = (
        np.bincount(calibration_bins(probs), weights=weights, minlength=BINS) for weights in (None, probs, targets)
    )
    filled = np.flatnonzero(counts)
    return pd.DataFrame(
        {
            "bin": filled,
            "mean_probability": sums[filled] / counts[filled],
            "malignant": hits[filled] / counts[filled],
            "pairs": counts[filled].astype(int),
        }
    )
