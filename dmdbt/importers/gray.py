"""Detector values of a simulated mammogram to gray levels, tissue bright."""

import numpy as np

_WHITE = 65535


def gray_of_ratio(ratio: np.ndarray) -> np.ndarray:
    r"""Map flat field over projection, I0 / I, to gray levels by its logarithm.

    .. math:: g = 65535 \cdot \ln(\max(I_0 / I, 1)) / \ln(\max I_0 / I)

    The logarithm is the attenuation along the ray (Beer-Lambert). A ratio of 1 or less, and a value that is not finite
    (a pixel outside the field), is air with noise: black.

    Parameters
    ----------
    ratio
        shape (H, W), any real type.

    Returns
    -------
    ndarray of uint16, shape (H, W)

    Raises
    ------
    ValueError
        If no pixel is above 1: there is no tissue.
    """
    clean = np.where(np.isfinite(ratio), ratio, 1).astype(np.float64)
    return _stretched(np.log(np.maximum(clean, 1)), low=0.0)


def gray_of_counts(counts: np.ndarray) -> np.ndarray:
    r"""Map detector counts, fewer behind tissue, to gray levels by their negative logarithm and its full range.

    .. math:: g = 65535 \cdot (\ln \max I - \ln I) / (\ln \max I - \ln \min I), \quad I \ge 1

    Parameters
    ----------
    counts
        shape (H, W), integers.

    Returns
    -------
    ndarray of uint16, shape (H, W)

    Raises
    ------
    ValueError
        If all counts are equal.
    """
    negative = -np.log(np.maximum(counts.astype(np.float64), 1))
    return _stretched(negative, low=float(negative.min()))


def _stretched(values: np.ndarray, *, low: float) -> np.ndarray:
    high = float(values.max())
    if high <= low:
        raise ValueError("expected tissue in the image, found one gray level")
    return np.rint((values - low) * (_WHITE / (high - low))).astype(np.uint16)
