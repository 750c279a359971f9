"""Slices that do not continue their neighbors, such as those of a damaged codestream that still decodes."""

from typing import NamedTuple

import numpy as np
from PIL import Image

_BLOCK = 8  # pixels, as of JPEG and MPEG
_LEAST_BLOCKS = 4  # rows and columns of blocks; smaller slices are not compared
_BLANK_LEVELS = 4  # by which blank slices at one end may differ
_SPREAD = 4  # times the distance from the median of a volume's scores to their 80 % quantile
_FADING = 8  # times the change beyond the next slice: what is in focus at an end of the volume fades as fast as that
_BAR, _BAR_ROWS = (
    0.25,
    1 / 8,
)  # of a row's blocks, of the rows: the edge of a paddle, not seen where the breast is white


class _Rule(NamedTuple):
    share: float  # of the blocks of a slice that stand out
    slack: int  # the neighbors' values divided by it, beyond which a value lies outside; 0: none
    least: int  # gray levels, of which a slice stands out by more
    at_ends: bool  # whether the first and the last slice are compared


_MEAN = _Rule(share=0.005, slack=0, least=5, at_ends=True)
# Under noise the mean of eight differences is itself uncertain by a quarter, and the largest of many by half.
_TEXTURE = _Rule(share=0.02, slack=2, least=1, at_ends=False)


class SliceComparison:
    """Compare every slice of a volume with its neighbors, in blocks of 8 x 8 pixels.

    Two maps of each slice are kept, together a 32nd of its pixels: the mean of each block, and its texture, which is
    the mean difference of neighboring pixels in the middle of it. A block stands out by as many gray levels as its
    value lies outside those of both neighboring slices, there and one block around; a texture by what it is above one
    and a half times, or below half of them. A slice stands out by what at least
    0.5 % of its blocks reach by their mean, or 2 % by their texture: half and twice the area of grave damage.

    A slice is odd if it stands out by over 5 (mean) or 1 (texture) gray levels more than the volume's slices do: more
    than their median and four times the distance from there to their 80 % quantile. The median absolute deviation is
    no measure of it, for it is 0 where most slices do not stand out at all. So is a blank slice
    between others. Blank slices at the ends are left out. The first and the last slice have one neighbor, and may show
    what is in focus beyond it. They are compared by their means only, which may differ by 8 times what the neighbor's
    differ from the next slice's, and by bars along the image, which paddles show.
    """

    def __init__(self) -> None:
        self._means: list[np.ndarray] = []
        self._textures: list[np.ndarray] = []
        self._blank: list[bool] = []

    def add(self, image: np.ndarray, *, is_blank: bool) -> None:
        """Take the next slice, uint8 of shape (H, W); see `dmdbt.ingest.appearance.is_blank`."""
        self._means.append(np.asarray(Image.fromarray(image).reduce(_BLOCK)))
        self._textures.append(_texture(image))
        self._blank.append(is_blank)

    def odd_slices(self) -> list[int]:
        """Return the numbers of the slices that are odd, from 1; none of fewer than three, or of small ones."""
        first, last = self._border(1), len(self._blank) - self._border(-1)
        if last - first < 3 or min(self._means[0].shape) < _LEAST_BLOCKS:
            return []
        odd = np.array(self._blank[first:last])
        for maps, rule in ((self._means, _MEAN), (self._textures, _TEXTURE)):
            scores = _scores(np.stack(maps[first:last]), rule)
            median, high = np.quantile(scores, [0.5, 0.8])
            odd |= scores > median + _SPREAD * (high - median) + rule.least
        return [first + int(index) + 1 for index in np.flatnonzero(odd)]

    def _border(self, step: int) -> int:
        """Count the blank slices of one gray level at the beginning (`step` 1) or the end (-1)."""
        levels = [int(means[0, 0]) for means in self._means[::step]]
        same = [
            is_blank and abs(level - levels[0]) < _BLANK_LEVELS
            for is_blank, level in zip(self._blank[::step], levels, strict=True)
        ]
        return same.index(False) if False in same else len(same)


def _texture(image: np.ndarray) -> np.ndarray:
    """Return the mean difference of neighboring pixels in the fifth row of each block, uint8."""
    lower = image[4::_BLOCK]
    upper = image[3::_BLOCK][: len(lower)]
    changes = np.maximum(_difference(lower[:, 1:], lower[:, :-1]), _difference(lower, upper)[:, 1:])
    return np.asarray(Image.fromarray(changes).reduce((_BLOCK, 1))) if changes.size else changes


def _difference(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.maximum(one, other) - np.minimum(one, other)


def _scores(maps: np.ndarray, rule: _Rule) -> np.ndarray:
    """By how many gray levels each slice stands out; `maps` is uint8 of shape (T, rows, columns)."""
    low, high = _around(maps, np.minimum), _around(maps, np.maximum)
    if rule.slack:
        low, high = low - low // rule.slack, high + np.minimum(high // rule.slack, 255 - high)
    inner = _outside(maps[1:-1], np.minimum(low[:-2], low[2:]), np.maximum(high[:-2], high[2:]))
    ends = [_end(maps[::step], low[::step], high[::step]) for step in (1, -1)]
    ends = ends if rule.at_ends else [np.zeros_like(inner[0])] * 2
    return np.array([_reached(blocks, rule.share) for blocks in (ends[0], *inner, ends[1])])


def _around(maps: np.ndarray, extreme: np.ufunc) -> np.ndarray:
    """Lowest or highest value of each block and those around it."""
    wide = np.pad(maps, ((0, 0), (1, 1), (1, 1)), mode="edge")
    lines = extreme(extreme(wide[:, :-2], wide[:, 1:-1]), wide[:, 2:])
    return np.asarray(extreme(extreme(lines[..., :-2], lines[..., 1:-1]), lines[..., 2:]))


def _outside(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """By how much values lie below `low` or above `high`, uint8."""
    return np.maximum(np.maximum(values, high) - high, low - np.minimum(values, low))


def _end(maps: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """By how much the blocks of the first slice stand out."""
    fading = _FADING * _difference(maps[1], maps[2]).astype(np.int16)
    blocks = np.maximum(_outside(maps[0], low[1], high[1]) - fading, 0)
    for view in (blocks, blocks.T):
        bars = (view > 0).mean(axis=1) > _BAR
        if np.count_nonzero(bars) <= max(2, _BAR_ROWS * len(bars)):
            view[bars] = 0
    return blocks


def _reached(blocks: np.ndarray, share: float) -> int:
    """Return what that share of the blocks reaches, and at least two of them."""
    count, found = max(2, int(share * blocks.size)), blocks[blocks > 0]
    return int(np.partition(found, -count)[-count]) if count <= found.size else 0
