"""Flags of volumes that can be pooled and may still be wrong."""

import numpy as np

_FEW = 8  # slices: a tomosynthesis volume has 20 to 120

FLAGS = ("blank_border", "constant", "few_slices")


def volume_flags(slices: np.ndarray) -> list[str]:
    """Say what a reader of the dynamic image of a volume should know.

    Parameters
    ----------
    slices
        uint8, shape (T, H, W).

    Returns
    -------
    list of str
        Some of ``blank_border`` (the first or last slice is a single gray level: at the start, it changes the dynamic
        image most), ``constant`` (all slices are equal: the dynamic image is blank) and ``few_slices`` (below 8).
    """
    found = {
        "blank_border": any(border.min() == border.max() for border in (slices[0], slices[-1])),
        "constant": all(np.array_equal(current, slices[0]) for current in slices[1:]),
        "few_slices": len(slices) < _FEW,
    }
    return [flag for flag in FLAGS if found[flag]]
