"""Which slices of a volume a baseline sees."""

import numpy as np
from numpy.typing import NDArray


def choose_slices(n_slices: int, number: int, choice: str) -> NDArray[np.int64]:
    """Choose slices of a volume.

    Parameters
    ----------
    n_slices
        T, of the volume.
    number
        K, of the slices to choose.
    choice
        ``even``: of K equal parts of the volume the slice in the middle of each; ``central``: the K slices in the
        middle of the volume.

    Returns
    -------
    ndarray of int, shape (K,)
        Indices from 0 to T - 1, never falling. Where K > T every slice is there, and some are repeated, evenly spread
        over the volume: no two slices differ by more than one in how often they are there.

    Raises
    ------
    ValueError
        A number is below 1, or the choice has another name.
    """
    if n_slices < 1 or number < 1 or choice not in ("even", "central"):
        raise ValueError(
            f"choose_slices: expected 1 or more slices, even or central, got {number} {choice} of {n_slices}"
        )
    if choice == "central" and number <= n_slices:
        return np.arange(number) + (n_slices - number) // 2
    return (2 * np.arange(number) + 1) * n_slices // (2 * number)
