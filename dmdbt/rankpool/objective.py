r"""The minimizer of equation (1) as weights of the slices, from their Gram matrix, with its certificate.

.. math:: E(d) = \frac{\lambda}{2} |d|^2 + \frac{2}{T(T-1)} \sum_{q>t} \max(0, 1 - \langle d, V_q - V_t \rangle)

Its dual has one variable :math:`0 \le u_p \le c = 2/(T(T-1))` per pair of slices, and :math:`d` is a weighted sum of
slices. From :math:`\lambda_{max} = c \max_{q>t} (g_q - g_t)`, :math:`g = G \beta`, :math:`\beta_t = 2t - T - 1` on
(G the Gram matrix of the running means), every hinge is active and the minimizer is the closed form of Bilen et al.,
"Dynamic image networks for action recognition" (CVPR 2016). `rho` is :math:`\lambda / \lambda_{max}`, which means the
same for every size, number of slices and pixel scale.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dmdbt.errors import InputDataError, error_context
from dmdbt.rankpool.gram import running_mean_gram
from dmdbt.rankpool.interior_point import ACCEPTED_GAP, solve

Solver = Callable[[np.ndarray, np.ndarray, float], tuple[np.ndarray, np.ndarray]]

# Margins a little above 1 stay there when somebody recomputes them; it costs twice as much of the relative gap.
_STRETCH = 1 + 1e-10


@dataclass(frozen=True)
class Minimizer:
    """The minimizer d of equation (1) for one volume, and the proof that it is one.

    Attributes
    ----------
    weights
        float64, shape (T,): d is the sum of the slices with these weights, which sum to 0.
    rho, lam, lam_max
        ``lam = rho * lam_max`` is the lambda of equation (1), in squared gray levels; all but rho are 0 for a volume
        without trend, such as a constant one.
    primal, dual, gap
        Objective at d, lower bound, and ``(primal - dual) / primal``, at most 1e-6.
    iterations
        Of the solver; 0 for a closed form.
    misranked
        Share of the slice pairs whose order the scores <d, V_t> do not reproduce.
    """

    weights: np.ndarray
    rho: float
    lam: float
    lam_max: float
    primal: float
    dual: float
    gap: float
    iterations: int
    misranked: float


def minimize(
    grams: Sequence[np.ndarray], rho: float, solver: Solver = solve, *, names: Sequence[str] = ()
) -> list[Minimizer]:
    """Minimize equation (1) for several volumes.

    Parameters
    ----------
    grams
        Of each volume the result of `slice_gram`: int64, shape (T, T), T at least 2.
    rho
        lambda / lambda_max, positive.
    solver
        Takes and returns what `solve` does. It is asked once, and only if a volume has no closed form.
    names
        What the volumes are called in errors: their indices by default.

    Raises
    ------
    InputDataError
        The relative duality gap of a volume is above 1e-6. Its name is the case of the error.
    """
    closed = [rho >= 1 or len(gram) == 2 or _has_no_trend(gram) for gram in grams]
    solutions = iter(_solved([gram for gram, known in zip(grams, closed, strict=True) if not known], rho, solver))
    minimizers = []
    for index, (gram, known) in enumerate(zip(grams, closed, strict=True)):
        with error_context(case=names[index] if names else f"volume {index}", file="-"):
            minimizers.append(_closed_form(gram, rho) if known else _certified(gram, rho, *next(solutions)))
    return minimizers


def approximate_weights(n_slices: int) -> np.ndarray:
    r"""Weight of each slice in approximate rank pooling.

    .. math:: \alpha_\tau = \sum_{k \ge \tau} \frac{2k - T - 1}{k}, \quad \tau = 1, \dots, T

    Returns
    -------
    ndarray of float64, shape (T,)
        Dimensionless, in slice order. They sum to zero, so what does not change from slice to slice is absent from
        the dynamic image.

    Raises
    ------
    ValueError
        If ``n_slices < 2``: a single slice has no order to encode.
    """
    if n_slices < 2:
        raise ValueError(f"approximate_weights: expected at least 2 slices, got {n_slices}")
    return _slice_weights(_trend(n_slices))


def _closed_form(gram: np.ndarray, rho: float) -> Minimizer:
    if _has_no_trend(gram):
        return Minimizer(np.zeros(len(gram)), rho, 0.0, 0.0, 1.0, 1.0, 0.0, 0, 1.0)
    if rho >= 1:
        return _with_every_hinge_active(gram, rho)
    return _certified(gram, rho, np.array([[0.0, 0.0], [rho, 0.0]]), 0)  # T = 2: d = D / |D|^2, D = V_2 - V_1


def _has_no_trend(gram: np.ndarray) -> bool:
    """Whether sum_t beta_t V_t is exactly 0, in whole numbers: then d = 0 minimizes equation (1) for every lambda."""
    n_slices = len(gram)
    multiple = math.lcm(*range(1, n_slices + 1))
    trend = np.array([(2 * t - n_slices - 1) * (multiple // t) for t in range(1, n_slices + 1)], dtype=object)
    sums = np.cumsum(np.cumsum(gram, axis=0), axis=1)
    return not (sums.astype(object) @ trend).any()


def _with_every_hinge_active(gram: np.ndarray, rho: float) -> Minimizer:
    means = running_mean_gram(gram)
    n_slices = len(gram)
    cost = 2 / (n_slices * (n_slices - 1))
    trend = _trend(n_slices)
    pull = means @ trend
    lam_max = _lam_max(means)
    lam = rho * lam_max
    margins = cost / lam * _differences(pull)
    quadratic = float(cost**2 / (2 * lam) * (trend @ pull))  # lam / 2 |d|^2
    primal = quadratic + cost * float(np.maximum(0, 1 - margins).sum())
    dual = 1 - quadratic
    return Minimizer(
        weights=_slice_weights(trend) * (cost / lam),
        rho=rho,
        lam=lam,
        lam_max=lam_max,
        primal=primal,
        dual=dual,
        gap=max(0.0, (primal - dual) / primal),
        iterations=0,
        misranked=float((margins <= 0).mean()),
    )


def _solved(grams: list[np.ndarray], rho: float, solver: Solver) -> list[tuple[np.ndarray, int]]:
    """Dual variables (T, T) and number of iterations of each volume."""
    if not grams:
        return []
    longest = max(len(gram) for gram in grams)
    scaled = np.zeros((len(grams), longest, longest))
    for one, gram in zip(scaled, grams, strict=True):
        means = running_mean_gram(gram)
        one[: len(gram), : len(gram)] = means / _lam_max(means)
    n_slices = np.array([float(len(gram)) for gram in grams])[:, None, None]
    pairs, iterations = solver(scaled, n_slices, rho)
    return [(one[: len(gram), : len(gram)], int(i)) for one, i, gram in zip(pairs, iterations, grams, strict=True)]


def _certified(gram: np.ndarray, rho: float, pairs: np.ndarray, iterations: int) -> Minimizer:
    """Minimizer of dual variables `pairs` (T, T), if its gap, from the exact Gram matrix of the slices, is small."""
    lam_max = _lam_max(running_mean_gram(gram))
    lam = rho * lam_max
    weights = _slice_weights(pairs.sum(axis=1) - pairs.sum(axis=0)) / lam
    dual = float(pairs.sum() - lam / 2 * (weights @ gram @ weights))
    smallest = _margins(gram, weights).min()
    candidates = [weights, weights * (_STRETCH / smallest)] if smallest > 0 else [weights]
    primal, weights = min(((_objective(gram, one, lam), one) for one in candidates), key=lambda pair: pair[0])
    gap = (primal - dual) / primal
    if not abs(gap) <= ACCEPTED_GAP:
        cause = f"expected a relative duality gap of at most {ACCEPTED_GAP:g}, found {gap:.1e} at rho {rho:g}"
        raise InputDataError("RANKPOOL-UNCERTIFIED", cause=cause, remedy="Raise rankpool.rho.")
    misranked = float((_margins(gram, weights) <= 0).mean())
    return Minimizer(weights, rho, lam, lam_max, primal, dual, max(0.0, gap), iterations, misranked)


def _objective(gram: np.ndarray, weights: np.ndarray, lam: float) -> float:
    """Equation (1) at the image that has these weights."""
    return float(lam / 2 * (weights @ gram @ weights) + np.maximum(0, 1 - _margins(gram, weights)).mean())


def _margins(gram: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """<d, V_q - V_t> of every pair q > t, shape (T (T - 1) / 2,)."""
    return _differences(np.cumsum(gram @ weights) / np.arange(1, len(gram) + 1))


def _differences(scores: np.ndarray) -> np.ndarray:
    later, earlier = np.tril_indices(len(scores), -1)
    return scores[later] - scores[earlier]


def _lam_max(means: np.ndarray) -> float:
    cost = 2 / (len(means) * (len(means) - 1))
    return float(cost * _differences(means @ _trend(len(means))).max())


def _trend(n_slices: int) -> np.ndarray:
    """beta_t = 2t - T - 1: how many pairs slice t ends, less how many it begins."""
    return 2.0 * np.arange(1, n_slices + 1) - n_slices - 1


def _slice_weights(mean_weights: np.ndarray) -> np.ndarray:
    """Weights of the slices, from those of the running means: sum_{k >= tau} w_k / k."""
    steps = np.arange(1, len(mean_weights) + 1)
    return np.cumsum((mean_weights / steps)[::-1])[::-1].copy()
