r"""RankSVM rank pooling (equation (1) of the paper) of the slices of a volume.

.. math:: E(d) = \frac{\lambda}{2} |d|^2 + \frac{2}{T(T-1)} \sum_{q>t} \max(0, 1 - \langle d, V_q - V_t \rangle)

Its dual has one variable :math:`0 \le u_p \le c = 2/(T(T-1))` per pair of slices, and :math:`d` is a weighted sum of
slices. From :math:`\lambda_{max} = c \max_{q>t} (g_q - g_t)`, :math:`g = G \beta`, :math:`\beta_t = 2t - T - 1` on
(G the Gram matrix of the running means), every hinge is active and the minimizer is the closed form of Bilen et al.,
"Dynamic image networks for action recognition" (CVPR 2016). `rho` is :math:`\lambda / \lambda_{max}`, which means the
same for every size, number of slices and pixel scale.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from dmdbt.rankpool.gram import running_mean_gram, slice_gram

_GRAY = 128  # of a pixel that is the same in every slice


@dataclass(frozen=True)
class RankPooling:
    """The minimizer of equation (1) for one volume, and the proof that it is one.

    Attributes
    ----------
    image
        The minimizer d: float32, shape (H, W) or (H, W, C); exactly 0 where a pixel is the same in every slice.
    weights
        float64, shape (T,): d is the sum of the slices with these weights, which sum to 0.
    rho, lam, lam_max
        ``lam = rho * lam_max`` is the lambda of equation (1), in squared gray levels; all 0 for a constant volume.
    primal, dual, gap
        Objective at `image`, lower bound, and ``(primal - dual) / primal``.
    iterations
        Of the solver; 0 for the closed form.
    misranked
        Share of the slice pairs whose order the scores <d, V_t> do not reproduce.
    """

    image: np.ndarray
    weights: np.ndarray
    rho: float
    lam: float
    lam_max: float
    primal: float
    dual: float
    gap: float
    iterations: int
    misranked: float


def rank_pool(slices: np.ndarray, rho: float = 1.0) -> RankPooling:
    """Pool the slices of a volume into its dynamic image.

    Parameters
    ----------
    slices
        uint8, shape (T, H, W) or (T, H, W, C), in slice order: reversed slices give another image.
    rho
        lambda / lambda_max. Only the closed form (``rho >= 1``) is available.

    Raises
    ------
    ValueError
        `slices` is not uint8, has another number of axes or fewer than two slices; `rho` is below 1 or not finite.
    """
    _check(slices, rho)
    gram = running_mean_gram(slice_gram(slices))
    if not gram.any():
        weights = np.zeros(len(slices))
        image = np.zeros(slices.shape[1:], np.float32)
        return RankPooling(image, weights, rho, 0.0, 0.0, 1.0, 1.0, 0.0, 0, 1.0)
    return _closed_form(slices, gram, rho)


def approximate_weights(n_slices: int) -> np.ndarray:
    r"""Weight of each slice in approximate rank pooling.

    .. math:: \alpha_\tau = \sum_{k \ge \tau} \frac{2k - T - 1}{k}, \quad \tau = 1, \dots, T

    Returns
    -------
    ndarray of float64, shape (T,)
        Dimensionless, in slice order. They sum to zero, so what does not change from slice to slice is absent from
        the dynamic image.

    Raises
    ------
    ValueError
        If ``n_slices < 2``: a single slice has no order to encode.
    """
    if n_slices < 2:
        raise ValueError(f"approximate_weights: expected at least 2 slices, got {n_slices}")
    return _slice_weights(_pair_balance(n_slices))


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


def _check(slices: np.ndarray, rho: float) -> None:
    if slices.dtype != np.uint8 or slices.ndim not in (3, 4):
        raise ValueError(f"rank_pool: expected uint8 (T, H, W[, C]), got {slices.dtype} {slices.shape}")
    if len(slices) < 2:
        raise ValueError(f"rank_pool: expected at least 2 slices, got {len(slices)}")
    if not 1 <= rho < np.inf:
        raise ValueError(f"rank_pool: expected a finite rho of at least 1 (the closed form), got {rho}")


def _closed_form(slices: np.ndarray, gram: np.ndarray, rho: float) -> RankPooling:
    n_slices = len(slices)
    later, earlier = np.tril_indices(n_slices, -1)
    cost = 2 / (n_slices * (n_slices - 1))
    balance = _pair_balance(n_slices)
    pull = gram @ balance
    lam_max = float(cost * (pull[later] - pull[earlier]).max())
    lam = rho * lam_max
    margins = cost / lam * (pull[later] - pull[earlier])
    quadratic = float(cost**2 / (2 * lam) * (balance @ pull))  # lam / 2 |d|^2
    primal = quadratic + cost * float(np.maximum(0, 1 - margins).sum())
    dual = 1 - quadratic
    weights = _slice_weights(balance) * (cost / lam)
    return RankPooling(
        image=_combine(slices, weights),
        weights=weights,
        rho=rho,
        lam=lam,
        lam_max=lam_max,
        primal=primal,
        dual=dual,
        gap=max(0.0, (primal - dual) / primal),
        iterations=0,
        misranked=float((margins <= 0).mean()),
    )


def _pair_balance(n_slices: int) -> np.ndarray:
    """beta_t = 2t - T - 1: how many pairs slice t ends, less how many it begins."""
    return 2.0 * np.arange(1, n_slices + 1) - n_slices - 1


def _slice_weights(mean_weights: np.ndarray) -> np.ndarray:
    """Weights of the slices, from those of the running means: sum_{k >= tau} w_k / k."""
    steps = np.arange(1, len(mean_weights) + 1)
    return np.cumsum((mean_weights / steps)[::-1])[::-1].copy()


def _combine(slices: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted sum of the slices; the first is subtracted from each, so that static pixels are exactly 0."""
    image = np.zeros(slices.shape[1:], np.float32)
    first = slices[0].astype(np.float32)
    for weight, current in zip(weights[1:], slices[1:], strict=True):
        image += np.float32(weight) * (current - first)
    return image
