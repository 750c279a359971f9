"""Where the breast is in an image."""

import numpy as np
from scipy.ndimage import label

_CONTRAST = 0.02  # of the range of gray levels, by which a pixel of the breast differs from the background
_GAP = 2  # pixels on either side over which the breast may look like the background


def breast_box(image: np.ndarray) -> tuple[slice, slice]:
    """Find the smallest box around the breast: the largest connected area that is not background.

    Background is the most frequent gray level: 0 in a mammogram, 128 in a dynamic image, where it means no change. A
    marker beside the breast, such as the letters of its side, is left out.

    Parameters
    ----------
    image
        uint8 or uint16, shape (H, W).

    Returns
    -------
    tuple of slice
        Rows and columns; the whole image if all of it is background.
    """
    background = int(np.bincount(image.ravel()).argmax())
    differs = np.abs(image.astype(np.int32) - background) > _CONTRAST * np.iinfo(image.dtype).max
    areas, count = label(_grown(differs))
    if count == 0:
        return slice(0, image.shape[0]), slice(0, image.shape[1])
    largest = areas == int(np.bincount(areas.ravel())[1:].argmax()) + 1 if count > 1 else areas > 0
    return _extent(largest.any(axis=1)), _extent(largest.any(axis=0))


def _grown(mask: np.ndarray) -> np.ndarray:
    """Add the neighbors above, below, left and right, `_GAP` times: scipy's `binary_dilation`, ten times as fast."""
    grown = mask
    for _ in range(_GAP):
        mask, grown = grown, grown.copy()
        grown[1:] |= mask[:-1]
        grown[:-1] |= mask[1:]
        grown[:, 1:] |= mask[:, :-1]
        grown[:, :-1] |= mask[:, 1:]
    return grown


def _extent(line: np.ndarray) -> slice:
    """From the first to the last True."""
    found = np.flatnonzero(line)
    return slice(int(found[0]), int(found[-1]) + 1)
