"""Thresholds and recalibration of a classifier, from the tests of a cross-validation."""

from collections.abc import Callable

import numpy as np

from dmdbt.bundle.model import OperatingPoints

_LEAST_SENSITIVITY = 0.9
_EDGE = 1e-6  # probabilities nearer to 0 or 1 count as this far from it


def operating_points(targets: np.ndarray, probs: np.ndarray, folds: np.ndarray) -> OperatingPoints:
    """Choose thresholds and recalibrate.

    A model of fold k was trained on the patients of all other folds, and the probabilities of those come from the
    models of their own folds: no pair counts that its model was trained on, and the threshold of fold k comes from
    patients of its training alone.

    Parameters
    ----------
    targets
        int, shape (N,): 1 is malignant.
    probs
        Shape (N,), of the tested pairs.
    folds
        int, shape (N,): which fold a pair was tested in.
    """
    several = len(np.unique(folds)) > 1
    thresholds, of_fold, sensitivity, specificity = {}, {}, {}, {}
    for rule, choose in _RULES.items():
        thresholds[rule] = choose(targets, probs)
        of_fold[rule] = (
            {int(k): choose(targets[folds != k], probs[folds != k]) for k in np.unique(folds)} if several else {}
        )
        limits = np.array([_number(of_fold[rule].get(int(fold))) for fold in folds])
        sensitivity[rule] = _share(probs >= limits, (targets == 1) & ~np.isnan(limits))
        specificity[rule] = _share(probs < limits, (targets == 0) & ~np.isnan(limits))
    intercept, slope = _recalibration(targets, probs)
    return OperatingPoints(thresholds, of_fold, sensitivity, specificity, intercept, slope)


def calibrated(p: float, points: OperatingPoints) -> float:
    """Return a probability after recalibration."""
    odds = points.intercept + points.slope * _log_odds(np.array([p]))[0]
    return float(1 / (1 + np.exp(-odds)))


def _youden(targets: np.ndarray, probs: np.ndarray) -> float | None:
    """Return the threshold of the largest sensitivity + specificity, the highest of several."""
    from sklearn.metrics import roc_curve  # here, for a prediction needs no scikit-learn

    if len(np.unique(targets)) < 2:
        return None
    false_rate, true_rate, thresholds = roc_curve(targets, probs, drop_intermediate=False)
    return float(thresholds[1:][np.argmax((true_rate - false_rate)[1:])])  # the first is infinite


def _sensitive(targets: np.ndarray, probs: np.ndarray) -> float | None:
    """Return the highest threshold that keeps the sensitivity."""
    malignant = np.sort(probs[targets == 1])[::-1]
    needed = int(np.ceil(_LEAST_SENSITIVITY * len(malignant)))
    return float(malignant[needed - 1]) if len(malignant) else None


_RULES: dict[str, Callable[[np.ndarray, np.ndarray], float | None]] = {
    "youden": _youden,
    "sensitivity_90": _sensitive,
}


def _recalibration(targets: np.ndarray, probs: np.ndarray) -> tuple[float, float]:
    """Return intercept and slope; 0 and 1, which change nothing, where a class is missing."""
    from sklearn.linear_model import LogisticRegression

    if len(np.unique(targets)) < 2:
        return 0.0, 1.0
    fitted = LogisticRegression(C=np.inf).fit(_log_odds(probs)[:, None], targets)
    return float(fitted.intercept_[0]), float(fitted.coef_[0, 0])


def _log_odds(probs: np.ndarray) -> np.ndarray:
    inside = np.clip(probs, _EDGE, 1 - _EDGE)
    return np.log(inside / (1 - inside))


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def _share(holds: np.ndarray, among: np.ndarray) -> float | None:
    return float(holds[among].mean()) if among.any() else None
