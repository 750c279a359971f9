"""RankSVM rank pooling (equation (1) of the paper) of the slices of a volume, and its mapping to 8 bits.

The pixels are read twice: once for the Gram matrix of the slices, once to add the slices up. Beside the volume itself
there is never more in memory than a few images and, if most of the volume is air, a copy of what is not.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from dmdbt.rankpool.gram import slice_gram
from dmdbt.rankpool.objective import Minimizer, minimize

_GRAY = 128  # of a pixel that is the same in every slice
_BLOCK = 32_768  # pixels whose slices stay in the cache while they are added up
_WORTH_A_COPY = 0.75  # share of pixels that change, below which a copy of them is quicker than all


@dataclass(frozen=True)
class RankPooling(Minimizer):
    """The dynamic image of one volume, beside the weights and the certificate of `Minimizer`.

    Attributes
    ----------
    image
        The minimizer d: float32, shape (H, W) or (H, W, C); exactly 0 where a pixel is the same in every slice.
    """

    image: np.ndarray


def rank_pool(slices: np.ndarray, rho: float = 1.0) -> RankPooling:
    """Pool the slices of a volume into its dynamic image.

    Parameters
    ----------
    slices
        uint8, shape (T, H, W) or (T, H, W, C), in slice order: reversed slices give another image.
    rho
        lambda / lambda_max, positive. From 1 on the minimizer is the closed form; close to 0 it is the hard margin.

    Raises
    ------
    ValueError
        `slices` is not uint8, has another number of axes, no pixel or fewer than two slices; `rho` is not positive or
        not finite.
    InputDataError
        The relative duality gap is above 1e-6. It was at most 2e-8 on every volume tried, down to a rho of 1e-8.
    """
    check(slices, rho)
    pixels = slices.reshape(len(slices), -1)
    changing = _changing(pixels)
    if changing.mean() < _WORTH_A_COPY:
        pixels = np.compress(changing, pixels, axis=1)
    else:
        changing[:] = True
    (minimizer,) = minimize([slice_gram(pixels)], rho)
    image = np.zeros(changing.shape, np.float32)
    image[changing] = _combine(pixels, minimizer.weights, precision(rho))
    return RankPooling(**vars(minimizer), image=image.reshape(slices.shape[1:]))


def to_uint8(
    image: np.ndarray, mapping: Literal["symmetric", "minmax"] = "symmetric", *, quantile: float = 0.995
) -> np.ndarray:
    """Map a dynamic image to 8 bits.

    Parameters
    ----------
    image
        Real, any shape.
    mapping
        ``symmetric``: 0 becomes 128, and the `quantile` of the absolute values that are not 0 becomes 1 or 255.
        ``minmax``: the smallest value becomes 0, the largest 255, as published code does; the gray level of 0 then
        differs from image to image.
    quantile
        From 0 to 1; 1 is the maximum.

    Returns
    -------
    ndarray of uint8, shape of `image`
        All 128 for an image that is constant.
    """
    if image.size == 0 or image.min() == image.max():
        return np.full(image.shape, _GRAY, np.uint8)
    if mapping == "minmax":
        low, high = float(image.min()), float(image.max())
        return np.rint((image - low) * (255 / (high - low))).astype(np.uint8)
    # A value of the image, not one between two: an RGB copy of a gray image then maps as the gray one does.
    scale = float(np.quantile(np.abs(image[image != 0]), quantile, method="inverted_cdf"))
    return np.clip(np.rint(_GRAY + (_GRAY - 1) * (image / scale)), 0, 255).astype(np.uint8)


def check(slices: np.ndarray, rho: float, name: str = "rank_pool") -> None:
    """Raise the `ValueError` of `rank_pool`, which begins with `name`."""
    if slices.dtype != np.uint8 or slices.ndim not in (3, 4) or 0 in slices.shape[1:]:
        raise ValueError(f"{name}: expected uint8 (T, H, W[, C]), got {slices.dtype} {slices.shape}")
    if len(slices) < 2:
        raise ValueError(f"{name}: expected at least 2 slices, got {len(slices)}")
    if not 0 < rho < np.inf:
        raise ValueError(f"{name}: expected a finite rho above 0, got {rho}")


def precision(rho: float) -> type[np.floating]:
    """Type to add slices up in: the solver's weights may cancel to many digits, those of the closed form do not."""
    return np.float32 if rho >= 1 else np.float64


def _changing(pixels: np.ndarray) -> np.ndarray:
    """Whether a pixel is not the same in every slice, shape (N,) of (T, N)."""
    changing = np.zeros(pixels.shape[1], bool)
    for current in pixels[1:]:
        changing |= current != pixels[0]
    return changing


def _combine(pixels: np.ndarray, weights: np.ndarray, dtype: type[np.floating]) -> np.ndarray:
    """Weighted sum of slices (T, N); the first is subtracted from each, so that static pixels are exactly 0."""
    image = np.empty(pixels.shape[1], np.float32)
    for start in range(0, len(image), _BLOCK):
        block = pixels[:, start : start + _BLOCK]
        first = block[0].astype(dtype)
        total, term = np.zeros_like(first), np.empty_like(first)
        for weight, current in zip(weights[1:].astype(dtype), block[1:], strict=True):
            np.subtract(current, first, out=term)
            term *= weight
            total += term
        image[start : start + _BLOCK] = total
    return image
