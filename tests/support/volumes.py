"""Volumes that rank pooling must cope with, and equation (1) written down once more, from pixels and explicit pairs."""

import numpy as np


def smooth_volume(n_slices=21, rows=24, columns=20, seed=0):
    """Blobs that come and go at different depths before a static background."""
    rng = np.random.default_rng(seed)
    t, h, w = np.mgrid[:n_slices, :rows, :columns]
    volume = np.full((n_slices, rows, columns), 60.0)
    for _ in range(6):
        at = rng.uniform(0, 1, 3) * (n_slices, rows, columns)
        volume += 120 * np.exp(-(((t - at[0]) / 4) ** 2) - (((h - at[1]) / 3) ** 2) - (((w - at[2]) / 3) ** 2))
    volume[:, :3] = 60
    return np.clip(volume, 0, 255).astype(np.uint8)


def edge_cases(n_slices, seed=0):
    """Name and volume; all have pixels that change."""
    rng = np.random.default_rng(seed)
    smooth, middle = smooth_volume(n_slices, 16, 12, seed), n_slices // 2
    t = np.arange(n_slices)[:, None, None]
    noise = rng.integers(0, 256, (n_slices, 12, 12))
    one_change = np.full((n_slices, 4, 4), 77)
    one_change[middle, 2, 2] += 1
    volumes = {
        "smooth": smooth,
        "noise": noise,
        "reversed": smooth[::-1],
        "one pixel": rng.permutation(2 * n_slices)[:n_slices, None, None],
        "fewer pixels than slices": noise[:, :1, :3],
        "every slice twice": np.repeat(noise, 2, axis=0)[:n_slices],
        "static start": np.where(t < middle, smooth[middle], smooth),
        "static end": np.where(t > middle, smooth[middle], smooth),
        "black start": np.where(t < 1, 0, smooth),
        "white end": np.where(t > n_slices - 2, 255, smooth),
        "alternating": np.where(t % 2, 200, 50) + rng.integers(0, 9, smooth.shape),
        "there and back": 2 * np.minimum(t, n_slices - 1 - t) + np.arange(4) * (t == n_slices - 1),
        "one change": one_change,
        "ramp": np.minimum(2 * t, 255) + np.zeros((3, 3), int),
    }
    return {name: volume.astype(np.uint8) for name, volume in volumes.items()}


def pair_differences(slices):
    """V_q - V_t of every pair q > t, in float64, shape (T (T - 1) / 2, pixels)."""
    n_slices = len(slices)
    steps = np.arange(1, n_slices + 1)[:, None]
    means = np.cumsum(slices.reshape(n_slices, -1).astype(np.float64) - slices[0].ravel(), axis=0) / steps
    later, earlier = np.tril_indices(n_slices, -1)
    return means[later] - means[earlier]


def objective(image, slices, lam):
    """Equation (1) in float64."""
    image = image.ravel().astype(np.float64)
    return lam / 2 * float(image @ image) + float(np.maximum(0, 1 - pair_differences(slices) @ image).mean())


def exact_image(pooling, slices):
    """The minimizer in float64, from its weights and the slices."""
    return np.tensordot(pooling.weights, slices.astype(np.float64) - slices[0], axes=1)
