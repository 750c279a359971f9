"""The other ways to pool the slices of a volume, which rank pooling is compared with."""

from typing import Literal

import numpy as np

Pooler = Literal["mean", "max", "std", "central", "svr"]


def pool_slices(slices: np.ndarray, pooler: Pooler) -> np.ndarray:
    """Pool the slices of a volume without equation (1).

    Parameters
    ----------
    slices
        uint8, shape (T, H, W) or (T, H, W, C), in slice order, T at least 2.
    pooler
        ``mean``, ``max`` (maximum intensity projection) and ``std`` over the slices of every pixel; ``central``, the
        middle slice, the later one of two; ``svr``, see `regression_weights`.

    Returns
    -------
    ndarray of float32, shape (H, W) or (H, W, C)
        In gray levels, 0 to 255, but for ``svr``, whose sign says whether a pixel grows with the slice number.
    """
    if pooler == "svr":
        return regression_weights(slices)
    if pooler == "central":
        return slices[len(slices) // 2].astype(np.float32)
    if pooler == "max":
        return slices.max(axis=0).astype(np.float32)
    mean = slices.mean(axis=0, dtype=np.float64)
    if pooler == "mean":
        return mean.astype(np.float32)
    squares = sum(np.square(current - mean) for current in slices)
    return np.sqrt(squares / len(slices)).astype(np.float32)


def regression_weights(slices: np.ndarray) -> np.ndarray:
    r"""Dynamic image by regression on the slice number, which published code computes in place of equation (1).

    .. math:: \min_d \tfrac12 |d|^2 + \sum_t \max(0, |t - \langle d, U_t \rangle| - 0.1)^2

    U_t is the running mean up to slice t, square-rooted and divided by its norm: Fernando et al., "Modeling video
    evolution for action recognition" (CVPR 2015), with LIBLINEAR's solver 11. Slow, and of every pixel it takes some
    40 bytes a slice.

    Parameters
    ----------
    slices
        uint8, shape (T, ...).

    Returns
    -------
    ndarray of float32, shape (...)
    """
    from sklearn.svm import LinearSVR  # takes a second to import, which the other poolers need not wait for

    steps = np.arange(1, len(slices) + 1)
    features = np.cumsum(slices.reshape(len(slices), -1), axis=0, dtype=np.float64)
    np.sqrt(features / steps[:, None], out=features)
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    features /= np.where(norms > 0, norms, 1)  # black slices stay 0
    machine = LinearSVR(
        loss="squared_epsilon_insensitive", epsilon=0.1, C=1.0, fit_intercept=False, dual=False, max_iter=10_000
    )
    return machine.fit(features, steps).coef_.astype(np.float32).reshape(slices.shape[1:])
