"""Metrics of one classifier with their uncertainty; the positive class is malignant."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dmdbt.evaluation.intervals import Bootstrap, metric_draws, percentile_interval
from dmdbt.evaluation.voting import decide
from dmdbt.evaluation.weighted import Floats, weighted_metrics

Metrics = dict[str, Any]


def classifier_metrics(
    targets: ArrayLike,
    probs: ArrayLike,
    *,
    patients: Sequence[str] | None = None,
    decisions: ArrayLike | None = None,
    bootstrap: Bootstrap | None = None,
    balanced: bool = False,
) -> Metrics:
    """Measure a classifier on N pairs.

    Parameters
    ----------
    targets
        Shape (N,), 1 malignant and 0 benign.
    probs
        Shape (N,), probability of malignant.
    patients
        N pseudonyms, to count the patients and to draw them.
    decisions
        Shape (N,), true for malignant, where they are not those of the probabilities (the vote of an ensemble).
    bootstrap
        For intervals; needs `patients`.
    balanced
        Whether each class counts one half, however many pairs it has. Counts stay those of the pairs.

    Returns
    -------
    dict
        Counts: ``n``, ``n_malignant``, ``n_patients`` (if given), ``tp``, ``fp``, ``tn``, ``fn``. Of the decisions:
        ``acc``, ``precision``, ``recall``, ``f1``, ``ap_hard`` (the paper's AP: average precision of the decisions).
        Of the probabilities: ``auc``, ``ap``, ``sensitivity_at_90_specificity``, ``confidence`` (mean max-softmax of
        the correctly classified pairs, the paper's AC), ``brier``, ``ece`` (Naeini,
        Cooper and Hauskrecht, AAAI 2015: in 15 bins of equal width, closed below; the last one holds 1 too).
        With `bootstrap` for each metric ``<metric>_low`` and ``<metric>_high``, the ends of its 95 % interval.
        An undefined number is None: there are no pairs, one class only, nothing is called malignant (precision,
        f1), or nothing is correct (confidence). If there is one, ``undefined`` has the reason for each.

    Raises
    ------
    ValueError
        Lengths differ, a target is not 0 or 1, a probability is NaN or outside 0 to 1, or patients are missing.
    """
    targets, probs = np.asarray(targets, dtype=np.float64), np.asarray(probs, dtype=np.float64)
    decisions = decide(probs) if decisions is None else np.asarray(decisions, dtype=bool)
    _check(targets, probs, decisions, patients, bootstrap)
    once = weighted_metrics(targets, probs, decisions, np.ones((1, len(targets))), balanced=balanced)
    values = {name: float(value[0]) for name, value in once.items()}
    undefined = {name: _reason(name, targets, decisions) for name, value in values.items() if np.isnan(value)}
    metrics: Metrics = _counts(targets, decisions) | {
        name: None if name in undefined else value for name, value in values.items()
    }
    if patients is not None:
        metrics["n_patients"] = len(set(patients))
    if bootstrap is not None and patients is not None:
        draws = metric_draws(targets, probs, decisions, patients, bootstrap, balanced=balanced)
        ends, reasons = _intervals(draws, undefined)
        metrics, undefined = metrics | ends, undefined | reasons
    return metrics | ({"undefined": undefined} if undefined else {})


def renamed_metric(metrics: Metrics, name: str, *, called: str) -> Metrics:
    """Return one metric with its interval and reasons under another name."""
    old = [name, f"{name}_low", f"{name}_high"]
    new = {key: called + key.removeprefix(name) for key in old if key in metrics}
    undefined = {new[key]: reason for key, reason in metrics.get("undefined", {}).items() if key in new}
    return {new[key]: metrics[key] for key in new} | ({"undefined": undefined} if undefined else {})


def _check(
    targets: Floats,
    probs: Floats,
    decisions: NDArray[np.bool_],
    patients: Sequence[str] | None,
    bootstrap: Bootstrap | None,
) -> None:
    if probs.ndim != 1 or not targets.shape == probs.shape == decisions.shape:
        raise ValueError(
            "targets, probs and decisions: expected one shape (N,), "
            f"got {targets.shape}, {probs.shape} and {decisions.shape}"
        )
    if patients is None and bootstrap is not None:
        raise ValueError("patients: expected N names to draw from, got None. Give them, or no bootstrap.")
    if patients is not None and len(patients) != len(targets):
        raise ValueError(f"patients: expected {len(targets)} names, got {len(patients)}")
    if not np.isin(targets, (0, 1)).all():
        raise ValueError(f"targets: expected 0 or 1, got {np.unique(targets).tolist()}")
    if np.isnan(probs).any():
        raise ValueError(
            f"probs: expected 0 to 1, got NaN in {np.isnan(probs).sum()} of {len(probs)}. "
            "Leave out the pairs that the classifier has not seen."
        )
    if not ((probs >= 0) & (probs <= 1)).all():
        raise ValueError(f"probs: expected 0 to 1, got {probs.min()} to {probs.max()}")


def _counts(targets: Floats, decisions: NDArray[np.bool_]) -> Metrics:
    malignant = targets == 1
    pairs = {"tp": malignant & decisions, "fp": ~malignant & decisions}
    pairs |= {"tn": ~malignant & ~decisions, "fn": malignant & ~decisions, "n_malignant": malignant}
    return {"n": len(targets), **{name: int(which.sum()) for name, which in pairs.items()}}


def _reason(name: str, targets: Floats, decisions: NDArray[np.bool_]) -> str:
    """Why a metric is undefined."""
    if not len(targets):
        return "no pairs"
    if name == "confidence" and not (decisions == (targets == 1)).any():
        return "nothing is correct"
    if name == "precision" and not decisions.any():
        return "nothing is called malignant"
    if not targets.any():
        return "no malignant pairs"
    return "nothing is called malignant" if name == "f1" and not decisions.any() else "no benign pairs"


def _intervals(draws: Mapping[str, Floats], undefined: Mapping[str, str]) -> tuple[Metrics, dict[str, str]]:
    """Both ends of the interval of each metric, and why some are missing."""
    ends: Metrics = {}
    reasons: dict[str, str] = {}
    for name, of_metric in draws.items():
        found = undefined[name] if name in undefined else percentile_interval(of_metric)
        for place, end in enumerate(("low", "high")):
            key = f"{name}_{end}"
            ends[key] = None if isinstance(found, str) else found[place]
            if isinstance(found, str):
                reasons[key] = found
    return ends, reasons
