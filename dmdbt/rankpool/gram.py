"""Exact inner products of slices, and of their running means."""

import numpy as np

# A product of two centered pixels is at most 2**14, so 1,024 of them sum to at most 2**24: every partial sum is a
# whole number that float32 holds exactly, in whatever order it is formed.
EXACT_PIXELS = 1024


def slice_gram(slices: np.ndarray) -> np.ndarray:
    """Inner products of the slices after the first is subtracted from each.

    Parameters
    ----------
    slices
        uint8, shape (T, ...).

    Returns
    -------
    ndarray of int64, shape (T, T)
        Exact: independent of chunks, threads and the order of pixels. All zero means a constant volume.
    """
    n_slices = len(slices)
    pixels = slices.reshape(n_slices, -1)
    sums = np.zeros((n_slices, n_slices))  # of whole numbers below 2**53, which float64 holds
    for start in range(0, pixels.shape[1], EXACT_PIXELS):
        block = np.subtract(pixels[:, start : start + EXACT_PIXELS], np.float32(128))
        sums += block @ block.T
    return shifted(sums)


def shifted(sums: np.ndarray) -> np.ndarray:
    """Return inner products of vectors less the first of them, int64, from those of the vectors: whole, (T, T)."""
    whole = sums.astype(np.int64)
    return whole - whole[:1] - whole[:, :1] + whole[0, 0]


def running_mean_gram(gram: np.ndarray) -> np.ndarray:
    """Inner products of the running means V_t = (1/t) sum_{tau <= t} I_tau, up to a common shift of all V.

    Parameters
    ----------
    gram
        Result of `slice_gram`, shape (T, T).

    Returns
    -------
    ndarray of float64, shape (T, T)
        Positive semidefinite. Only differences of running means enter equation (1), and the shift cancels in them.
    """
    steps = np.arange(1, len(gram) + 1)
    sums = np.cumsum(np.cumsum(gram, axis=0), axis=1)  # exact in int64
    return np.asarray(sums / np.outer(steps, steps))
