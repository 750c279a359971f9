"""Equation (2) of the paper: the weighted majority vote."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

_SUM_TOLERANCE = 1e-6
# Sums of the same weights in another order differ in the last digits; rounded, a tie stays a tie.
_DIGITS = 12


class Vote(NamedTuple):
    """Joint decision of K heads on each of N pairs; three arrays of shape (N,)."""

    decisions: NDArray[np.bool_]
    fraction: NDArray[np.float64]
    mean: NDArray[np.float64]


def decide(probs: ArrayLike) -> NDArray[np.bool_]:
    """Return whether a probability of malignant means malignant: from one half upwards, doubt counts as malignant."""
    return np.asarray(probs, dtype=np.float64) >= 0.5


def majority_vote(probs: ArrayLike, weights: ArrayLike) -> Vote:
    r"""Let K heads vote on N pairs.

    .. math:: \hat y = \arg\max_c \sum_{k=1}^{K} w_k [\hat y_k = c], \quad \sum_k w_k = 1

    Parameters
    ----------
    probs
        Shape (N, K), probability of malignant by each head; NaN where a head cannot run because the pair lacks a
        modality. Such a head has no vote, and the weights of the others are scaled to sum to 1.
    weights
        Shape (K,), at least 0, sum 1.

    Returns
    -------
    Vote
        `fraction` is the weighted share of malignant votes, `mean` the weighted mean probability of malignant.
        `decisions` is the side with the larger share; in a tie the mean decides.

    Raises
    ------
    ValueError
        A shape, weight or probability is not as above, or nobody who can run has a weight.

    References
    ----------
    Liang et al., BIBM 2019, arXiv 2002.12392, equation (2).
    """
    probs, weights = np.asarray(probs, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    _check(probs, weights)
    present = np.where(np.isnan(probs), 0.0, weights)
    total = present.sum(axis=1, keepdims=True)
    if not (total > 0).all():
        raise ValueError(
            f"probs: expected a head with a positive weight in every row, got none in row {total.argmin()}"
        )
    shares = present / total
    fraction = np.round((shares * decide(probs)).sum(axis=1), _DIGITS)
    mean = np.round((shares * np.nan_to_num(probs)).sum(axis=1), _DIGITS)
    return Vote(np.where(fraction == 0.5, decide(mean), fraction > 0.5), fraction, mean)


def _check(probs: NDArray[np.float64], weights: NDArray[np.float64]) -> None:
    if probs.ndim != 2 or weights.shape != probs.shape[1:]:
        raise ValueError(f"probs and weights: expected shapes (N, K) and (K,), got {probs.shape} and {weights.shape}")
    if not (weights >= 0).all() or abs(weights.sum() - 1) > _SUM_TOLERANCE:
        raise ValueError(f"weights: expected numbers of at least 0 that sum to 1, got {weights.tolist()}")
    if (probs < 0).any() or (probs > 1).any():
        raise ValueError(f"probs: expected 0 to 1, got {np.nanmin(probs)} to {np.nanmax(probs)}")
