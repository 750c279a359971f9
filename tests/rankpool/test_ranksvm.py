import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dmdbt.rankpool import approximate_weights, gram, rank_pool, to_uint8
from dmdbt.rankpool import ranksvm as pooling
from dmdbt.rankpool.gram import running_mean_gram, slice_gram
from tests.support.volumes import exact_image, objective, smooth_volume

volumes = st.tuples(st.integers(2, 9), st.integers(1, 7), st.integers(1, 7)).flatmap(lambda s: arrays(np.uint8, s))


@given(volumes)
def test_the_gram_matrix_is_exact(slices):
    pixels = slices.reshape(len(slices), -1).astype(object)
    shifted = pixels - pixels[:1]
    assert (slice_gram(slices) == (shifted @ shifted.T).astype(np.int64)).all()


def test_the_gram_matrix_does_not_depend_on_the_order_of_pixels():
    slices = np.random.default_rng(1).integers(0, 256, (12, 80, 70)).astype(np.uint8)
    shuffled = np.random.default_rng(2).permutation(slices.reshape(12, -1), axis=1)
    assert (slice_gram(slices) == slice_gram(shuffled)).all()


def test_the_gram_matrix_of_running_means_equals_that_of_the_pixels():
    slices = smooth_volume()
    shifted = slices.reshape(len(slices), -1).astype(np.float64) - slices[0].ravel()
    means = np.cumsum(shifted, axis=0) / np.arange(1, len(slices) + 1)[:, None]
    np.testing.assert_allclose(running_mean_gram(slice_gram(slices)), means @ means.T, rtol=1e-12)


@given(volumes, st.floats(-6, 1).map(lambda exponent: 10**exponent))
def test_the_certificate_holds_when_recomputed_from_pixels(slices, rho):
    pooling = rank_pool(slices, rho)
    primal = objective(exact_image(pooling, slices), slices, pooling.lam)
    assert (primal - pooling.dual) / primal <= 1e-6
    assert abs(primal - pooling.primal) <= 1e-6 * primal


@pytest.mark.parametrize("rho", [1.0, 0.1, 1e-3])
def test_no_small_step_away_from_the_image_lowers_the_objective(rho):
    slices, rng = smooth_volume(), np.random.default_rng(3)
    pooling = rank_pool(slices, rho)
    best = objective(pooling.image, slices, pooling.lam)
    for _ in range(20):
        step = rng.normal(size=pooling.image.shape) * np.abs(pooling.image).max() * 0.01
        assert objective(pooling.image + step, slices, pooling.lam) > best


@given(st.integers(2, 200))
def test_the_weights_follow_the_closed_form_and_sum_to_zero(n_slices):
    weights = approximate_weights(n_slices)
    harmonic = np.concatenate([[0], np.cumsum(1 / np.arange(1, n_slices + 1))])
    t = np.arange(1, n_slices + 1)
    expected = 2 * (n_slices - t + 1) - (n_slices + 1) * (harmonic[-1] - harmonic[t - 1])
    np.testing.assert_allclose(weights, expected, rtol=1e-9, atol=1e-9)
    assert abs(weights.sum()) <= 1e-12 * np.abs(weights).sum()


def test_rank_pooling_of_a_volume_has_the_weights_of_the_closed_form():
    pooling = rank_pool(smooth_volume())
    expected = approximate_weights(21)
    np.testing.assert_allclose(pooling.weights / pooling.weights[0], expected / expected[0], rtol=1e-12)


def test_two_slices_have_the_hand_computed_solution():
    slices = np.array([[[10, 10]], [[10, 14]]], np.uint8)
    pooling = rank_pool(slices)
    difference = np.array([[0.0, 2.0]])  # (I_2 - I_1) / 2
    assert pooling.lam == pytest.approx(np.sum(difference**2))
    np.testing.assert_allclose(pooling.image, difference / pooling.lam, rtol=1e-6)


@pytest.mark.parametrize("rho", [1.0, 1e-3])
def test_a_static_volume_has_a_blank_dynamic_image(rho):
    pooling = rank_pool(np.full((5, 4, 3), 77, np.uint8), rho)
    assert not pooling.image.any()
    assert (to_uint8(pooling.image) == 128).all()
    assert (pooling.lam, pooling.gap) == (0, 0)


@pytest.mark.parametrize("rho", [1.0, 1e-3])
def test_static_pixels_are_exactly_gray(rho):
    pooling = rank_pool(smooth_volume(), rho)
    assert not pooling.image[:3].any()
    assert (to_uint8(pooling.image)[:3] == 128).all()


@pytest.mark.parametrize("rho", [1.0, 1e-2])
def test_color_channels_are_pooled_like_gray_ones(rho):
    gray = smooth_volume()
    color = to_uint8(rank_pool(np.repeat(gray[..., None], 3, axis=3), rho).image)
    np.testing.assert_array_equal(color, np.repeat(to_uint8(rank_pool(gray, rho).image)[..., None], 3, 2))


@pytest.mark.parametrize("rho", [1.0, 1e-2])
@pytest.mark.parametrize("turn", [np.rot90, np.flipud, np.fliplr])
def test_turning_the_slices_turns_the_image(turn, rho):
    slices = smooth_volume()
    turned = np.stack([turn(image) for image in slices])
    np.testing.assert_array_equal(to_uint8(rank_pool(turned, rho).image), turn(to_uint8(rank_pool(slices, rho).image)))


@pytest.mark.parametrize("rho", [1.0, 1e-2])
def test_an_added_constant_or_another_order_of_pixels_leaves_every_bit_of_the_weights(rho):
    slices = smooth_volume() // 2
    weights = rank_pool(slices, rho).weights
    shuffled = np.random.default_rng(2).permutation(slices.reshape(21, -1, 1), axis=1)
    np.testing.assert_array_equal(rank_pool(slices + np.uint8(100), rho).weights, weights)
    np.testing.assert_array_equal(rank_pool(shuffled, rho).weights, weights)


@pytest.mark.parametrize("rho", [1.0, 1e-2])
@pytest.mark.parametrize("block", [1, 7, 100])
def test_the_size_of_a_block_of_pixels_changes_no_bit(monkeypatch, rho, block):
    slices = smooth_volume()
    expected = rank_pool(slices, rho)
    monkeypatch.setattr(gram, "EXACT_PIXELS", block)
    monkeypatch.setattr(pooling, "_BLOCK", block)
    blocked = rank_pool(slices, rho)
    np.testing.assert_array_equal(blocked.weights, expected.weights)
    np.testing.assert_array_equal(blocked.image, expected.image)


def test_only_a_few_images_are_held_beside_the_volume():
    slices = np.random.default_rng(0).integers(0, 256, (82, 256, 256), np.uint8)
    rank_pool(slices, 0.1)  # what is imported or allocated once
    tracemalloc.start()
    rank_pool(slices, 0.1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < slices.nbytes  # a volume in float32 would take four times as much, one pixel of every pair 40 times


def test_the_slice_order_matters():
    slices = smooth_volume()
    assert np.corrcoef(rank_pool(slices).image.ravel(), rank_pool(slices[::-1]).image.ravel())[0, 1] < 0.9


@pytest.mark.parametrize("first", [[1, 0, 2], [1, 2, 0]])
@pytest.mark.parametrize("rho", [1.0, 0.1])
def test_a_volume_that_changes_without_a_trend_has_a_blank_dynamic_image(first, rho):
    # V_3 = V_1: the differences of all pairs cancel, and no d is better than 0, whatever lambda.
    slices = np.array(first, np.uint8)[:, None, None] + np.arange(4, dtype=np.uint8)
    pooling = rank_pool(slices, rho)
    assert not pooling.image.any()
    assert (pooling.lam_max, pooling.primal, pooling.gap) == (0, 1, 0)
    for step in (-1e-3, 1e-3):
        assert objective(np.full(4, step), slices, 1e-9) > 1


def test_minmax_uses_the_whole_range():
    image = to_uint8(rank_pool(smooth_volume()).image, "minmax")
    assert (image.min(), image.max()) == (0, 255)


@pytest.mark.parametrize(
    ("slices", "rho", "message"),
    [
        (np.zeros((1, 4, 4), np.uint8), 1.0, "at least 2 slices, got 1"),
        (np.zeros((3, 4, 4), np.float32), 1.0, r"expected uint8 \(T, H, W\[, C\]\), got float32 \(3, 4, 4\)"),
        (np.zeros((3, 4), np.uint8), 1.0, r"got uint8 \(3, 4\)"),
        (np.zeros((3, 0, 4), np.uint8), 1.0, r"got uint8 \(3, 0, 4\)"),
        (np.zeros((3, 4, 4), np.uint8), 0.0, "a finite rho above 0, got 0.0"),
        (np.zeros((3, 4, 4), np.uint8), -0.5, "a finite rho above 0, got -0.5"),
        (np.zeros((3, 4, 4), np.uint8), float("nan"), "a finite rho above 0, got nan"),
        (np.zeros((3, 4, 4), np.uint8), float("inf"), "a finite rho above 0, got inf"),
    ],
)
def test_what_cannot_be_pooled_is_refused(slices, rho, message):
    with pytest.raises(ValueError, match=message):
        rank_pool(slices, rho)


def test_one_slice_has_no_weights():
    with pytest.raises(ValueError, match="at least 2 slices, got 1"):
        approximate_weights(1)
