"""Which slices of a volume a baseline sees, and how their breast fills its input."""

import numpy as np
from numpy.typing import NDArray

from dmdbt.imaging import breast_box, resize


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


def framed(images: np.ndarray, *, rows: int, columns: int, crop: bool) -> np.ndarray:
    """Stretch images of one breast to the input of a network; all of them are cropped by the same box.

    Parameters
    ----------
    images
        uint8 or uint16, shape (K, H, W): a mammogram (K = 1) or slices.
    rows, columns
        Of the result.
    crop
        Whether to crop to the breast: to where the maximum of the K images differs from the background.

    Returns
    -------
    ndarray of float32, shape (K, rows, columns)
        Gray levels from 0 to 1.
    """
    box = breast_box(images.max(axis=0)) if crop else (slice(None), slice(None))
    stretched = [resize(image[box], rows, columns) for image in images]
    return np.stack(stretched) / np.float32(np.iinfo(images.dtype).max)
