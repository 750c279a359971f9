"""What rank pooling is compared with, and what is flagged."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dmdbt.rankpool import pool_slices, volume_flags
from tests.support.volumes import edge_cases, smooth_volume

volumes = st.tuples(st.integers(2, 9), st.integers(1, 5), st.integers(1, 5)).flatmap(lambda s: arrays(np.uint8, s))


@given(volumes)
def test_mean_maximum_and_standard_deviation_are_those_of_every_pixel(slices):
    for pixel in np.ndindex(slices.shape[1:]):
        levels = [int(current[pixel]) for current in slices]
        mean = sum(levels) / len(levels)
        spread = (sum((level - mean) ** 2 for level in levels) / len(levels)) ** 0.5
        assert pool_slices(slices, "mean")[pixel] == pytest.approx(mean, rel=1e-6)
        assert pool_slices(slices, "max")[pixel] == max(levels)
        assert pool_slices(slices, "std")[pixel] == pytest.approx(spread, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(("n_slices", "index"), [(2, 1), (3, 1), (4, 2), (5, 2)])
def test_the_central_slice_is_the_middle_one(n_slices, index):
    slices = edge_cases(n_slices)["noise"]
    np.testing.assert_array_equal(pool_slices(slices, "central"), slices[index])


@pytest.mark.parametrize("pooler", ["mean", "max", "std", "central", "svr"])
def test_every_pooler_keeps_the_shape_and_pools_color_by_channel(pooler):
    gray = smooth_volume(9)
    color = pool_slices(np.repeat(gray[..., None], 3, axis=3), pooler)
    assert (color.shape, color.dtype) == ((24, 20, 3), np.float32)
    np.testing.assert_array_equal(color[..., 0], color[..., 2])


@pytest.mark.parametrize("name", edge_cases(12))
def test_the_regression_is_the_minimizer_of_its_objective(name):
    slices = edge_cases(12)[name]
    steps = np.arange(1, 13)
    features = np.sqrt(np.cumsum(slices.reshape(12, -1), axis=0, dtype=np.float64) / steps[:, None])
    norms = np.linalg.norm(features, axis=1)
    features = features[norms > 0] / norms[norms > 0, None]
    targets = steps[norms > 0]
    # Newton's method on the T coefficients of the slices: the minimizer is in their span.
    gram, coefficients = features @ features.T, np.zeros(len(features))
    for _ in range(50):
        residuals = gram @ coefficients - targets
        active = np.abs(residuals) > 0.1
        right = np.where(active, targets + 0.1 * np.sign(residuals), 0)
        coefficients = np.linalg.solve(np.eye(len(gram)) + 2 * active[:, None] * gram, 2 * right)
    expected = features.T @ coefficients
    image = pool_slices(slices, "svr").ravel()
    assert np.linalg.norm(image - expected) <= 2e-3 * np.linalg.norm(expected)


def test_black_slices_do_not_spoil_the_regression():
    assert not pool_slices(np.zeros((4, 3, 3), np.uint8), "svr").any()


@pytest.mark.parametrize(
    ("slices", "flags"),
    [
        (smooth_volume(12), []),
        (smooth_volume(7), ["few_slices"]),
        (edge_cases(12)["black start"], ["blank_border"]),
        (edge_cases(12)["white end"], ["blank_border"]),
        (np.repeat(smooth_volume(2)[:1], 12, axis=0), ["constant"]),
        (np.zeros((2, 3, 3), np.uint8), ["blank_border", "constant", "few_slices"]),
    ],
)
def test_a_volume_that_deserves_a_look_is_flagged(slices, flags):
    assert volume_flags(slices) == flags
