"""Rank pooling of many volumes on one device: the Gram matrices, one solver for all, the images.

One volume is on the device at a time, but for the solver, which sees T x T matrices alone. torch is imported when it
is needed: the workers of the stage do without it.
"""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from dmdbt.rankpool.interior_point import solve
from dmdbt.rankpool.objective import minimize
from dmdbt.rankpool.ranksvm import RankPooling, check, precision

if TYPE_CHECKING:
    import torch

_BLOCK = 65_536  # pixels; 40 MB of 82 slices in float64


def rank_pool_batch(volumes: Sequence[np.ndarray], rho: float = 1.0, device: str = "cpu") -> list[RankPooling]:
    """Pool the slices of several volumes, which may differ in size; what `rank_pool` gives for each.

    The Gram matrices are as exact as those of `rank_pool`, so the closed forms give equal bits; below a rho of 1 the
    weights agree as far as the gap allows. On a CPU a batch gains nothing. `device` is one of
    torch's with float64: ``cpu`` or ``cuda``.

    Raises
    ------
    ValueError, InputDataError
        As of `rank_pool`; the volume is named by its index.
    """
    for index, slices in enumerate(volumes):
        check(slices, rho, f"rank_pool_batch: volume {index}")
    grams = [_slice_gram(slices, device) for slices in volumes]
    minimizers = minimize(grams, rho, partial(_solve, device=device))
    return [
        RankPooling(**vars(minimizer), image=_combine(slices, minimizer.weights, rho, device))
        for slices, minimizer in zip(volumes, minimizers, strict=True)
    ]


def _solve(grams: np.ndarray, n_slices: np.ndarray, rho: float, *, device: str) -> tuple[np.ndarray, np.ndarray]:
    import torch

    pairs, iterations = solve(_tensor(grams, device), _tensor(n_slices, device), rho, torch)
    return pairs.cpu().numpy(), iterations.cpu().numpy()


def _slice_gram(slices: np.ndarray, device: str) -> np.ndarray:
    """Return the Gram matrix as `dmdbt.rankpool.gram.slice_gram` does: float64 holds every sum of products exactly."""
    import torch

    pixels = _tensor(slices, device).reshape(len(slices), -1)
    gram = torch.zeros(len(slices), len(slices), dtype=torch.float64, device=device)
    for start in range(0, pixels.shape[1], _BLOCK):
        block = pixels[:, start : start + _BLOCK].double()
        centered = block - block[0]
        gram += centered @ centered.mT
    return gram.long().cpu().numpy()


def _combine(slices: np.ndarray, weights: np.ndarray, rho: float, device: str) -> np.ndarray:
    """Return the sums of `rank_pool`, added in the same order and precision."""
    dtype = precision(rho)
    volume, first = _tensor(slices, device), _tensor(slices[0].astype(dtype), device)
    total = first * 0
    for weight, current in zip(weights[1:].astype(dtype).tolist(), volume[1:], strict=True):
        total += weight * (current - first)
    return total.float().cpu().numpy()


def _tensor(array: np.ndarray, device: str) -> "torch.Tensor":
    import torch

    return torch.tensor(np.ascontiguousarray(array), device=device)
