"""What is measured of one classifier; the positive class is malignant. Confidence intervals: not here."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from dmdbt.evaluation.voting import decide

_BINS = 15
_MAX_FALSE_POSITIVE_RATE = 0.1

Metrics = dict[str, int | float]


def classifier_metrics(
    targets: ArrayLike,
    probs: ArrayLike,
    *,
    patients: Sequence[str] | None = None,
    decisions: ArrayLike | None = None,
) -> Metrics:
    """Measure a classifier on N pairs.

    Parameters
    ----------
    targets
        Shape (N,), 1 malignant and 0 benign.
    probs
        Shape (N,), probability of malignant.
    patients
        N pseudonyms, to count the patients.
    decisions
        Shape (N,), true for malignant, where they are not those of the probabilities (the vote of an ensemble).

    Returns
    -------
    dict
        Counts: ``n``, ``n_malignant``, ``n_patients`` (if given), ``tp``, ``fp``, ``tn``, ``fn``. Of the decisions:
        ``acc``, ``precision``, ``recall``, ``f1``, ``ap_hard`` (the paper's AP: average precision of the decisions).
        Of the probabilities: ``auc``, ``ap``, ``sensitivity_at_90_specificity``, ``confidence`` (mean max-softmax of
        the correctly classified pairs, the paper's AC), ``brier``, ``ece``.
        An undefined metric is left out: there are no pairs, one class only, nothing is called malignant (precision,
        f1), or nothing is correct (confidence).

    Raises
    ------
    ValueError
        Lengths differ, a target is not 0 or 1, or a probability is NaN or outside 0 to 1.
    """
    targets, probs = np.asarray(targets, dtype=np.float64), np.asarray(probs, dtype=np.float64)
    decisions = decide(probs) if decisions is None else np.asarray(decisions, dtype=bool)
    _check(targets, probs, decisions)
    metrics = _counts(targets, decisions) | _decision_metrics(targets, decisions)
    metrics |= _ranking_metrics(targets, probs) | _probability_metrics(targets, probs, decisions)
    if patients is not None:
        metrics["n_patients"] = len(set(patients))
    return metrics


def ranking_auc(targets: ArrayLike, scores: ArrayLike) -> float | None:
    """Area under the ROC curve of scores of shape (N,); None when only one class is there."""
    return float(roc_auc_score(targets, scores)) if _both_classes(np.asarray(targets, dtype=np.float64)) else None


def expected_calibration_error(targets: ArrayLike, probs: ArrayLike) -> float:
    """Return the mean distance, over the pairs, of a bin's mean probability from its share of malignant pairs.

    The probabilities of malignant fall into 15 bins of equal width, closed below; the last one holds 1 too.

    References
    ----------
    Naeini, Cooper and Hauskrecht, AAAI 2015.
    """
    targets, probs = np.asarray(targets, dtype=np.float64), np.asarray(probs, dtype=np.float64)
    bins = np.minimum((probs * _BINS).astype(int), _BINS - 1)
    return float(np.abs(np.bincount(bins, weights=probs - targets)).sum() / len(probs))


def _check(targets: NDArray[np.float64], probs: NDArray[np.float64], decisions: NDArray[np.bool_]) -> None:
    if probs.ndim != 1 or not targets.shape == probs.shape == decisions.shape:
        raise ValueError(
            "targets, probs and decisions: expected one shape (N,), "
            f"got {targets.shape}, {probs.shape} and {decisions.shape}"
        )
    if not np.isin(targets, (0, 1)).all():
        raise ValueError(f"targets: expected 0 or 1, got {np.unique(targets).tolist()}")
    if not ((probs >= 0) & (probs <= 1)).all():
        raise ValueError(f"probs: expected 0 to 1, got {probs.min()} to {probs.max()}")


def _both_classes(targets: NDArray[np.float64]) -> bool:
    return len(np.unique(targets)) == 2


def _counts(targets: NDArray[np.float64], decisions: NDArray[np.bool_]) -> Metrics:
    malignant = targets == 1
    pairs = {"tp": malignant & decisions, "fp": ~malignant & decisions}
    pairs |= {"tn": ~malignant & ~decisions, "fn": malignant & ~decisions, "n_malignant": malignant}
    return {"n": len(targets), **{name: int(which.sum()) for name, which in pairs.items()}}


def _decision_metrics(targets: NDArray[np.float64], decisions: NDArray[np.bool_]) -> Metrics:
    counts = _counts(targets, decisions)
    tp, called, malignant = counts["tp"], counts["tp"] + counts["fp"], counts["n_malignant"]
    metrics: Metrics = {}
    if len(targets):
        metrics["acc"] = (tp + counts["tn"]) / len(targets)
    if called:
        metrics["precision"] = tp / called
    if malignant:
        metrics["recall"] = tp / malignant
    if called and malignant:
        metrics["f1"] = 2 * tp / (called + malignant)
    if _both_classes(targets):
        metrics["ap_hard"] = float(average_precision_score(targets, decisions))
    return metrics


def _ranking_metrics(targets: NDArray[np.float64], probs: NDArray[np.float64]) -> Metrics:
    if not _both_classes(targets):
        return {}
    false_positive_rate, sensitivity, _ = roc_curve(targets, probs, drop_intermediate=False)
    return {
        "auc": float(roc_auc_score(targets, probs)),
        "ap": float(average_precision_score(targets, probs)),
        "sensitivity_at_90_specificity": float(sensitivity[false_positive_rate <= _MAX_FALSE_POSITIVE_RATE].max()),
    }


def _probability_metrics(
    targets: NDArray[np.float64], probs: NDArray[np.float64], decisions: NDArray[np.bool_]
) -> Metrics:
    if not len(targets):
        return {}
    correct = decisions == (targets == 1)
    metrics: Metrics = {
        "brier": float(np.mean((probs - targets) ** 2)),
        "ece": expected_calibration_error(targets, probs),
    }
    if correct.any():
        metrics["confidence"] = float(np.maximum(probs, 1 - probs)[correct].mean())
    return metrics
