"""Crop to the breast, resize, and scale to gray levels from 0 to 1: how every image enters a network."""

import numpy as np

from dmdbt.imaging.breast import breast_box
from dmdbt.imaging.images import resize


def framed(images: np.ndarray, *, rows: int, columns: int, crop: bool) -> np.ndarray:
    """Stretch images of one breast to the input of a network; all of them are cropped by the same box.

    Parameters
    ----------
    images
        uint8 or uint16, shape (K, H, W): a mammogram or a dynamic image (K = 1), or slices.
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
