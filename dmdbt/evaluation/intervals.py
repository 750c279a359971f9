"""Patient-level bootstrap: whole patients are drawn with replacement, so that the pairs of one move together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dmdbt.evaluation.weighted import Floats, weighted_metrics

CONFIDENCE = 0.95
_MAX_UNDEFINED = 0.05  # of the draws; beyond, what is left is not a sample of the same thing any more
_CHUNK = 2**17  # weights at a time: one megabyte stays in a core's cache


@dataclass(frozen=True)
class Bootstrap:
    """How often patients are drawn, and the seed of the drawing."""

    draws: int
    seed: int


def drawn_weights(patients: Sequence[str], bootstrap: Bootstrap) -> Iterator[Floats]:
    """Yield how often each of N items is drawn, in chunks of shape (d, N) whose d sum to the number of draws.

    As many patients are drawn as there are, with replacement, and all items of a patient with it. Which patients the
    draws hold depends on the sorted names alone: classifiers that are measured on the same patients share them.
    """
    names, owner = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
    if not len(names):  # nobody can be drawn
        yield np.empty((bootstrap.draws, 0))
        return
    rng = np.random.default_rng(bootstrap.seed)
    size = max(1, _CHUNK // len(owner))
    for start in range(0, bootstrap.draws, size):
        d = min(size, bootstrap.draws - start)
        drawn = rng.integers(len(names), size=(d, len(names))) + len(names) * np.arange(d)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=d * len(names)).reshape(d, len(names))
        yield counts[:, owner].astype(np.float64)


def metric_draws(
    targets: Floats,
    probs: Floats,
    decisions: NDArray[np.bool_],
    patients: Sequence[str],
    bootstrap: Bootstrap,
    *,
    balanced: bool = False,
) -> dict[str, Floats]:
    """Return every metric of `weighted_metrics` in every draw, shape (D,); NaN in a draw where it is undefined."""
    parts = [
        weighted_metrics(targets, probs, decisions, weights, balanced=balanced)
        for weights in drawn_weights(patients, bootstrap)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def percentile_interval(draws: Floats) -> tuple[float, float] | str:
    """Return the central 95 % of the draws, or why there is no interval.

    Draws in which the metric is undefined (NaN) are left out; if they are more than 5 %, there is no interval.

    References
    ----------
    Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3.
    """
    undefined = int(np.isnan(draws).sum())
    if undefined > _MAX_UNDEFINED * len(draws):
        return f"undefined in {undefined} of {len(draws)} draws"
    low, high = np.nanquantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
