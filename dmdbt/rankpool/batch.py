"""Rank pooling of many volumes on one device: the Gram matrices, one solver for all, the images.

A volume is sent to the device once and stays there for both passes over its pixels. The solver sees T x T matrices
alone, those of all volumes at once. torch is imported when it is needed: workers on a CPU do without it.
"""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from dmdbt.rankpool.gram import EXACT_PIXELS, shifted
from dmdbt.rankpool.interior_point import solve
from dmdbt.rankpool.objective import minimize
from dmdbt.rankpool.ranksvm import RankPooling, check, precision

if TYPE_CHECKING:
    import torch

_CHUNK = 2**10 * EXACT_PIXELS  # pixels whose slices are float32 at a time: 344 MB of 82 slices


def rank_pool_batch(
    volumes: Sequence[np.ndarray], rho: float = 1.0, device: str = "cpu", *, names: Sequence[str] = ()
) -> list[RankPooling]:
    """Pool the slices of several volumes, which may differ in size; what `rank_pool` gives for each.

    The Gram matrices are those of `rank_pool`, so the closed forms give equal bits; below a rho of 1 the weights agree
    as far as the gap allows.

    Parameters
    ----------
    volumes
        Each uint8, shape (T, H, W) or (T, H, W, C). All are on the device together.
    rho
        Parameter of `rank_pool`.
    device
        One of torch's that has float64: ``cpu``, ``cuda``, ``cuda:1``.
    names
        What the volumes are called in errors: their indices by default.

    Raises
    ------
    ValueError, InputDataError
        As of `rank_pool`, for the first volume that has one.
    """
    import torch

    for index, slices in enumerate(volumes):
        check(slices, rho, f"rank_pool_batch: volume {index}")
    sent = [torch.tensor(slices, device=device) for slices in volumes]
    grams = [_slice_gram(slices) for slices in sent]
    minimizers = minimize(grams, rho, partial(_solve, device=device), names=names)
    return [
        RankPooling(**vars(minimizer), image=_combine(slices, minimizer.weights, rho))
        for slices, minimizer in zip(sent, minimizers, strict=True)
    ]


def _solve(grams: np.ndarray, n_slices: np.ndarray, rho: float, *, device: str) -> tuple[np.ndarray, np.ndarray]:
    import torch

    pairs, iterations = solve(torch.tensor(grams, device=device), torch.tensor(n_slices, device=device), rho, torch)
    return pairs.cpu().numpy(), iterations.cpu().numpy()


def _slice_gram(slices: "torch.Tensor") -> np.ndarray:
    """Return the Gram matrix of `dmdbt.rankpool.gram.slice_gram`.

    Its bound holds on a card too: float32 holds the sum of 1,024 products of pixels less 128 in whatever order they
    are added, and TF32, with which cards may multiply float32, holds such pixels.
    """
    import torch

    pixels = slices.flatten(start_dim=1)
    sums = torch.zeros(len(slices), len(slices), dtype=torch.float64, device=slices.device)
    for start in range(0, pixels.shape[1], _CHUNK):
        chunk = pixels[:, start : start + _CHUNK].float() - 128
        padded = torch.nn.functional.pad(chunk, (0, -chunk.shape[1] % EXACT_PIXELS))
        blocks = padded.reshape(len(slices), -1, EXACT_PIXELS).transpose(0, 1)
        sums += (blocks @ blocks.mT).double().sum(dim=0)
    return shifted(sums.cpu().numpy())


def _combine(slices: "torch.Tensor", weights: np.ndarray, rho: float) -> np.ndarray:
    """Return the sums of `rank_pool`, added in the same order and precision: no operation multiplies and adds."""
    import torch

    dtype = precision(rho)
    first = slices[0].to(getattr(torch, dtype.__name__))
    total = torch.zeros_like(first)
    for weight, current in zip(weights[1:].astype(dtype).tolist(), slices[1:], strict=True):
        total += (current - first) * weight
    return total.float().cpu().numpy()
