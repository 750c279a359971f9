r"""Interior point solver of the dual of equation (1), for one volume or for many at once.

With V scaled so that :math:`\lambda_{max} = 1`, :math:`L L^\top` the Gram matrix of the running means, :math:`B` the
matrix that subtracts the earlier from the later slice of a pair, and :math:`C = 2 / (T (T - 1) \rho)`:

.. math:: \min_v \tfrac12 |L^\top B^\top v|^2 - \sum_p v_p, \quad 0 \le v_p \le C

Predictor and corrector are Mehrotra's, "On the implementation of a primal-dual interior point method" (SIAM J. Optim.
2, 1992). The pairs drop out of every Newton system, which leaves T unknowns: Ferris and Munson, "Interior-point
methods for massive support vector machines" (SIAM J. Optim. 13, 2002). :math:`x = L^\top B^\top v` is a variable of its
own, so that rounding in it is corrected in the next step.

The pairs of a volume are the lower triangle of a T x T matrix: [q, t] is the pair of the later slice q and the
earlier slice t. The same text runs on NumPy arrays and on torch tensors.
"""

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

Array = Any  # of NumPy or of torch

ACCEPTED_GAP = 1e-6
_AIM = 1e-11
# Below the accepted gap rounding may stop all progress: so many steps without a better gap end the search.
_PATIENCE = 8
_BETTER = 0.9
_MOST_ITERATIONS = 500
_TO_THE_BOUNDARY = 0.995  # share of the way that a step goes
# A pair on the margin would enter the Newton system with a weight without bound, whose rounding swamps the others.
_LARGEST_WEIGHT = 1e10
_FIRST_MULTIPLIER = 30.0  # 1 took twice as many steps at a small rho, and 1000 a fifth more
_SMALLEST = 1e-100  # of v, s, z and y: a search that does not get anywhere must not underflow


@dataclass(frozen=True)
class _Problem:
    """`factor` is L, (N, T, T); `mask` is 1 at pairs, (N, T, T); `count` (pairs) and `box` (C) are (N, 1, 1)."""

    factor: Array
    mask: Array
    count: Array
    box: Array
    identity: Array
    xp: ModuleType


@dataclass(frozen=True)
class _Point:
    """An iterate: x (N, T); v, its slacks s = C - v, and the multipliers z of v >= 0 and y of s >= 0 (N, T, T).

    v, s, z and y are 1 where there is no pair.
    """

    x: Array
    v: Array
    s: Array
    z: Array
    y: Array


def solve(grams: Array, n_slices: Array, rho: float, xp: ModuleType = np) -> tuple[Array, Array]:
    """Solve the dual of equation (1).

    Parameters
    ----------
    grams
        float64, shape (N, T, T): Gram matrices of the running means of N volumes, each divided by its lambda_max;
        zero from a volume's number of slices on.
    n_slices
        float64, shape (N, 1, 1): how many slices each volume has, at least 2.
    rho
        lambda / lambda_max, positive.
    xp
        ``numpy`` or ``torch``: whose arrays these are.

    Returns
    -------
    pairs : float64, shape (N, T, T)
        The best dual variables found, from 0 to 2 / (T (T - 1)), at [later, earlier]. How good they are is for the
        caller to certify.
    iterations : shape (N,)
        After how many steps they were found.
    """
    problem = _problem(grams, n_slices, rho, xp)
    point = _start(problem)
    best = point.v * problem.mask
    best_gap = _gap(problem, best)
    best_at = xp.zeros_like(best_gap)
    for iteration in range(1, _MOST_ITERATIONS + 1):
        searching = (best_gap > ACCEPTED_GAP) | (best_gap > _AIM) & (iteration - best_at <= _PATIENCE)
        if not searching.any():
            break
        point = _step(problem, point, searching[:, None, None])
        gap = _gap(problem, point.v * problem.mask)
        better = gap < _BETTER * best_gap
        best = xp.where(better[:, None, None], point.v * problem.mask, best)
        best_gap = xp.where(better, gap, best_gap)
        best_at = xp.where(better, iteration, best_at)
    return xp.minimum(best * rho, problem.box * rho), best_at


def _problem(grams: Array, n_slices: Array, rho: float, xp: ModuleType) -> _Problem:
    values, vectors = xp.linalg.eigh(grams)
    index = xp.arange(grams.shape[-1], device=grams.device)
    ones = xp.ones_like(grams)
    count = n_slices * (n_slices - 1) / 2
    return _Problem(
        factor=vectors * xp.sqrt(xp.clip(values, 0, None))[:, None, :],
        mask=ones * ((index[:, None] > index) & (index[:, None] < n_slices)),
        count=count,
        box=1 / (count * rho),
        identity=ones * (index[:, None] == index),
        xp=xp,
    )


def _start(problem: _Problem) -> _Point:
    """Far from every bound: x = 0, v in the middle of the box."""
    ones = problem.xp.ones_like(problem.mask)
    middle = problem.xp.where(problem.mask > 0, problem.box / 2, ones)
    multipliers = problem.xp.where(problem.mask > 0, _FIRST_MULTIPLIER, ones)
    return _Point(x=problem.factor[:, 0] * 0, v=middle, s=middle, z=multipliers, y=multipliers)


def _gap(problem: _Problem, v: Array) -> Array:
    """Relative duality gap of each volume, shape (N,), at the better of d(v) and d(v) stretched to margins of 1."""
    xp = problem.xp
    x = _times(problem.factor.mT, _balance(v))
    margins = _differences(_times(problem.factor, x))
    quadratic = (x * x).sum(-1) / 2
    dual = v.sum((-2, -1)) - quadratic
    primal = quadratic + (problem.box * xp.clip(1 - margins, 0, None) * problem.mask).sum((-2, -1))
    smallest = xp.amin(xp.where(problem.mask > 0, margins, np.inf), (-2, -1))
    stretched = xp.where(smallest > 0, quadratic / xp.clip(smallest, 1e-100, None) ** 2, primal)
    primal = xp.minimum(primal, stretched)
    return (primal - dual) / primal


def _step(problem: _Problem, point: _Point, searching: Array) -> _Point:
    """One predictor and corrector step; a volume whose entry of `searching` is False stays where it is."""
    xp, v, s, z, y = problem.xp, point.v, point.s, point.z, point.y
    mu = _complementarity(problem, point)
    newton = _Newton(problem, point)
    predictor = newton.direction(-v * z, -s * y)
    length = 1 / xp.clip(_reach(problem, point, predictor), 1, None)
    target = mu * xp.clip(_complementarity(problem, _moved(point, predictor, length)) / mu, 0, 1) ** 3
    # With all of its second order term the corrector was seen to run in circles. Cartis, "Some disadvantages of a
    # Mehrotra-type primal-dual corrector interior point algorithm for linear programming", Appl. Numer. Math. 59, 2009.
    damping = length**2
    corrector = newton.direction(
        target - v * z - damping * predictor.v * predictor.z, target - s * y - damping * predictor.s * predictor.y
    )
    reach = _reach(problem, point, corrector)
    return _moved(point, corrector, _TO_THE_BOUNDARY / xp.clip(reach, _TO_THE_BOUNDARY, None) * searching)


class _Newton:
    """The linearized optimality conditions at a point, reduced to one T x T system for x."""

    def __init__(self, problem: _Problem, point: _Point) -> None:
        self.problem, self.point = problem, point
        xp, factor = problem.xp, problem.factor
        self.stationarity = _differences(_times(factor, point.x)) - 1 - point.z + point.y
        self.consistency = _times(factor.mT, _balance(point.v * problem.mask)) - point.x
        self.weights = problem.mask * xp.clip(1 / (point.z / point.v + point.y / point.s), None, _LARGEST_WEIGHT)
        degrees = self.weights.sum(-1) + self.weights.sum(-2)
        laplacian = problem.identity * degrees[:, None, :] - self.weights - self.weights.mT
        self.matrix = problem.identity + factor.mT @ laplacian @ factor

    def direction(self, lower: Array, upper: Array) -> _Point:
        """Direction in which v z changes by `lower` and s y by `upper`, to first order; 0 where there is no pair."""
        problem, point = self.problem, self.point
        factor, mask = problem.factor, problem.mask
        right = lower / point.v - upper / point.s - self.stationarity
        pull = self.consistency + _times(factor.mT, _balance(self.weights * right))
        x = problem.xp.linalg.solve(self.matrix, pull[..., None])[..., 0]
        v = self.weights * (right - _differences(_times(factor, x)))
        z = mask * (lower - point.z * v) / point.v
        y = mask * (upper + point.y * v) / point.s
        return _Point(x=x, v=v, s=-v, z=z, y=y)


def _reach(problem: _Problem, point: _Point, direction: _Point) -> Array:
    """Reciprocal of the longest step that keeps v, s, z and y from falling below 0, shape (N, 1, 1)."""
    xp = problem.xp
    ratios = [-getattr(direction, name) / getattr(point, name) for name in "vszy"]
    return xp.amax(xp.stack(ratios), (0, -2, -1))[:, None, None]


def _moved(point: _Point, direction: _Point, length: Array) -> _Point:
    moved = {name: getattr(point, name) + length * getattr(direction, name) for name in "vszy"}
    moved = {name: value.clip(_SMALLEST) for name, value in moved.items()}
    return _Point(x=point.x + length[:, 0] * direction.x, **moved)


def _complementarity(problem: _Problem, point: _Point) -> Array:
    """Mean of the products v z and s y, shape (N, 1, 1)."""
    products = (point.v * point.z + point.s * point.y) * problem.mask
    return products.sum((-2, -1))[:, None, None] / (2 * problem.count)


def _times(matrix: Array, vector: Array) -> Array:
    return (matrix @ vector[..., None])[..., 0]


def _differences(scores: Array) -> Array:
    """B: the score of the later less that of the earlier slice, shape (N, T, T)."""
    return scores[..., :, None] - scores[..., None, :]


def _balance(pairs: Array) -> Array:
    """B': of each slice, the sum over pairs that end less that over pairs that begin with it, shape (N, T)."""
    return pairs.sum(-1) - pairs.sum(-2)
