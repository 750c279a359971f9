"""Facts of an image by its pixels alone: where the breast is, what it resembles, whether it is blank."""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import uniform_filter

from dmdbt.imaging import breast_box, resize
from dmdbt.terms import Laterality

_CELLS = 16
_LOPSIDED = 0.05  # of the image's content: by so much one half must exceed the other to tell the side
_SAMPLED_ROWS, _SAMPLED_COLUMNS = 64, 4  # so many rows, and every fourth column
_OUTLIERS, _SPAN, _SATURATED, _GRAYS = 0.001, 0.5, 0.05, 0.01  # shares, see `gray_flags`
_HASH_BITS = 256  # of `texture_hash`
# Of these bits simulated patients differ in 83 or more; copies with noise, half the size or as JPEG of quality 75 in
# 0 to 65, nine of ten in less than 40.
_NEAR = 48
_BLANK = 1 / 64  # of white: a slice whose gray levels differ by less shows nothing


def chest_wall_side(image: np.ndarray) -> str:
    """Tell at which side the breast lies, by sums over both halves.

    An image for presentation shows the chest wall of a left breast at its left.

    Parameters
    ----------
    image
        uint8 or uint16, shape (H, W). Background is the most frequent gray level.

    Returns
    -------
    str
        ``L`` or ``R``; empty if the halves are too alike to tell.
    """
    background = int(np.bincount(image.ravel()).argmax())
    columns = np.abs(image.astype(np.int32) - background).sum(axis=0, dtype=np.int64)
    left, right = int(columns[: len(columns) // 2].sum()), int(columns[-(len(columns) // 2) :].sum())
    if abs(left - right) <= _LOPSIDED * (left + right):
        return ""
    return str(Laterality.LEFT if left > right else Laterality.RIGHT)


def texture_hash(image: np.ndarray, side: str) -> str:
    """Hash the texture inside the breast: copies in another size, window or compression differ in few of 256 bits.

    A bit tells whether a cell of a 16 x 16 grid is brighter than the mean of its eight neighbors. A hash of the whole
    image would tell the outline of the breast, in which patients are alike.

    Parameters
    ----------
    image
        uint8 or uint16, shape (H, W).
    side
        Of the chest wall, from `chest_wall_side`: a right breast is flipped.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    breast = image[breast_box(image)]
    if side == Laterality.RIGHT:
        breast = breast[:, ::-1]
    rows, columns = breast.shape
    inner = breast[rows // 5 : rows - rows // 5, columns // 10 : columns - 2 * columns // 5]  # no skin line, no air
    grid = resize(inner if inner.size else breast, _CELLS + 2, _CELLS + 2)
    around = (uniform_filter(grid, 3) * 9 - grid) / 8
    return np.packbits((grid > around)[1:-1, 1:-1]).tobytes().hex()


def hash_bits(hashes: Sequence[str]) -> np.ndarray:
    """Return texture hashes as uint64, shape (N, 4)."""
    return np.frombuffer(bytes.fromhex("".join(hashes)), np.uint64).reshape(-1, _HASH_BITS // 64)


def near(bits: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return which of N images may be a copy of one: bool, shape (N,), of uint64 of shapes (4,) and (N, 4)."""
    return np.asarray(np.bitwise_count(others ^ bits).sum(axis=1) <= _NEAR)


def is_blank(image: np.ndarray) -> bool:
    """Whether a slice, uint8 of shape (H, W), shows nothing."""
    return int(image.max()) - int(image.min()) < _BLANK * np.iinfo(image.dtype).max


def gray_counts(image: np.ndarray) -> np.ndarray:
    """Count the gray levels of a sample of an image, uint8 or uint16 of shape (H, W), from black to white."""
    pixels = image[:: max(1, len(image) // _SAMPLED_ROWS), ::_SAMPLED_COLUMNS]
    return np.bincount(pixels.ravel(), minlength=np.iinfo(image.dtype).max + 1)


def gray_flags(counts: np.ndarray) -> list[str]:
    """Tell whether an image, or a volume, uses the range from black to white.

    Black is left out, for padding and the air around a breast are black.

    Parameters
    ----------
    counts
        Pixels of each gray level, from `gray_counts`, of which at least one is not black.

    Returns
    -------
    list of str
        ``low-range``: but for one pixel in a thousand at either end they span less than half of it, as of 12 bits in
        16; ``saturated``: over 5 % are white; ``few-grays``: less than 1 % of all pixels, with the black ones, are
        neither black nor white, as under a window that the pixels do not meet.
    """
    shown = np.cumsum(counts[1:])
    low, high = np.searchsorted(shown, [_OUTLIERS * shown[-1], (1 - _OUTLIERS) * shown[-1]])
    found = {
        "low-range": high - low < _SPAN * (len(counts) - 1),
        "saturated": counts[-1] > _SATURATED * shown[-1],
        "few-grays": counts[1:-1].sum() < _GRAYS * counts.sum(),
    }
    return [flag for flag, holds in found.items() if holds]
