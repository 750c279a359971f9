"""Every metric of one classifier under many weightings of its items at once. NaN stands for undefined, here alone."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BINS = 15  # of the calibration, of equal width, closed below; the last one holds 1 too
_MAX_FALSE_POSITIVE_RATE = 0.1


def weighted_metrics(
    targets: Floats, probs: Floats, decisions: NDArray[np.bool_], weights: Floats, *, balanced: bool = False
) -> dict[str, Floats]:
    """Measure one classifier under D weightings of N items.

    Parameters
    ----------
    targets, probs, decisions
        Shape (N,): 1 malignant and 0 benign; probability of malignant; whether it is called malignant.
    weights
        Shape (D, N), at least 0: how often an item counts.
    balanced
        Whether each class is given half of the weight; without both classes every metric is undefined then.

    Returns
    -------
    dict of ndarray, shape (D,)
        The metrics of `dmdbt.evaluation.classifier_metrics`; NaN where one is undefined.
    """
    malignant = targets == 1
    positives, negatives = weights[:, malignant].sum(axis=1), weights[:, ~malignant].sum(axis=1)
    scale, scaled = np.ones((2, len(weights))), weights
    if balanced:
        both = np.where(positives * negatives > 0, 0.5, np.nan)
        scale = _ratio(np.stack([both, both]), np.stack([negatives, positives]))
        scaled = weights * np.where(malignant, scale[1][:, None], scale[0][:, None])
    hard = _decision_metrics(malignant, decisions, scaled)
    soft = _probability_metrics(targets, probs, decisions == malignant, scaled)
    return hard | _ranking_metrics(malignant, probs, weights, scale) | soft


def weighted_auc(malignant: NDArray[np.bool_], scores: Floats, weights: Floats) -> Floats:
    """Area under the ROC curve under each weighting, ties counting one half; shapes as in `weighted_metrics`."""
    true_positives, false_positives = _cumulated(malignant, scores, weights)
    area = (np.diff(false_positives) * (true_positives[:, 1:] + true_positives[:, :-1])).sum(axis=1) / 2
    return _ratio(area, true_positives[:, -1] * false_positives[:, -1])


def calibration_bins(probs: Floats) -> NDArray[np.int64]:
    """Return the bin of each probability, from 0."""
    return np.minimum((probs * BINS).astype(np.int64), BINS - 1)


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    return np.divide(numerator, denominator, out=np.full(numerator.shape, np.nan), where=denominator > 0)


def _decision_metrics(malignant: NDArray[np.bool_], decisions: NDArray[np.bool_], weights: Floats) -> dict[str, Floats]:
    kinds = np.stack([malignant & decisions, malignant, decisions, malignant == decisions], axis=1)
    hits, positives, called, correct = (weights @ kinds.astype(np.float64)).T
    total = weights.sum(axis=1)
    precision, recall = _ratio(hits, called), _ratio(hits, positives)
    f1 = np.where(called > 0, _ratio(2 * hits, called + positives), np.nan)
    # Where nothing is called malignant there is one threshold left, at which everything is.
    ap_hard = np.nan_to_num(precision) * recall + (1 - recall) * _ratio(positives, total)
    return {
        "acc": _ratio(correct, total),
        "precision": precision,
        "recall": recall,
        "f1": np.where(positives > 0, f1, np.nan),
        "ap_hard": np.where(total > positives, ap_hard, np.nan),
    }


def _ranking_metrics(malignant: NDArray[np.bool_], probs: Floats, weights: Floats, scale: Floats) -> dict[str, Floats]:
    true_positives, false_positives = _cumulated(malignant, probs, weights)
    positives, negatives = true_positives[:, -1], false_positives[:, -1]
    area = (np.diff(false_positives) * (true_positives[:, 1:] + true_positives[:, :-1])).sum(axis=1) / 2
    # Unscaled: a false positive rate of exactly one tenth must stay one.
    specific = _ratio(false_positives, np.broadcast_to(negatives[:, None], false_positives.shape))
    reached = np.where(specific <= _MAX_FALSE_POSITIVE_RATE, true_positives, 0).max(axis=1)
    hits = true_positives * scale[1][:, None]
    precision = np.nan_to_num(_ratio(hits, hits + false_positives * scale[0][:, None]))[:, 1:]
    both = (positives > 0) & (negatives > 0)
    found = {
        "auc": _ratio(area, positives * negatives),
        "ap": _ratio((np.diff(true_positives) * precision).sum(axis=1), positives),
        "sensitivity_at_90_specificity": _ratio(reached, positives),
    }
    return {name: np.where(both, values, np.nan) for name, values in found.items()}


def _cumulated(malignant: NDArray[np.bool_], scores: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Weight of the malignant and of the benign items from each distinct score upwards, highest first, behind a 0."""
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True)) if len(order) else np.array([], dtype=np.int64)
    ordered = weights[:, order]
    every = np.cumsum(ordered, axis=1)[:, ends]
    hits = np.cumsum(ordered * malignant[order], axis=1)[:, ends]
    start = np.zeros((len(weights), 1))
    return np.hstack([start, hits]), np.hstack([start, every - hits])


def _probability_metrics(
    targets: Floats, probs: Floats, correct: NDArray[np.bool_], weights: Floats
) -> dict[str, Floats]:
    total = weights.sum(axis=1)
    inside = calibration_bins(probs)[:, None] == np.arange(BINS)
    gaps = weights @ (inside * (probs - targets)[:, None])
    confident = np.maximum(probs, 1 - probs) * correct
    return {
        "confidence": _ratio(weights @ confident, weights @ correct.astype(np.float64)),
        "brier": _ratio(weights @ (probs - targets) ** 2, total),
        "ece": _ratio(np.abs(gaps).sum(axis=1), total),
    }
