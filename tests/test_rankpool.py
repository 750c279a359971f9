import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dmdbt.rankpool import approximate_weights, rank_pool, to_uint8
from dmdbt.rankpool.gram import running_mean_gram, slice_gram

volumes = st.tuples(st.integers(2, 9), st.integers(1, 7), st.integers(1, 7)).flatmap(lambda s: arrays(np.uint8, s))


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


def objective(image, slices, lam):
    """Equation (1) in float64, from pixels and explicit pairs."""
    n = len(slices)
    means = np.cumsum(slices.reshape(n, -1).astype(np.float64), axis=0) / np.arange(1, n + 1)[:, None]
    scores = means @ image.ravel().astype(np.float64)
    hinges = [max(0.0, 1 - scores[q] + scores[t]) for q in range(n) for t in range(q)]
    return lam / 2 * float(np.sum(image.astype(np.float64) ** 2)) + 2 / (n * (n - 1)) * sum(hinges)


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


@given(volumes, st.floats(1, 10))
@settings(deadline=None)
def test_the_certificate_holds_when_recomputed_from_pixels(slices, rho):
    pooling = rank_pool(slices, rho)
    if not pooling.lam:
        return
    image = np.tensordot(pooling.weights, slices.astype(np.float64), axes=1)
    primal = objective(image, slices, pooling.lam)
    assert primal == pytest.approx(pooling.primal, rel=1e-9)
    assert (primal - pooling.dual) / primal <= 1e-6


def test_no_small_step_away_from_the_image_lowers_the_objective():
    slices, rng = smooth_volume(), np.random.default_rng(3)
    pooling = rank_pool(slices)
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


def test_a_static_volume_has_a_blank_dynamic_image():
    pooling = rank_pool(np.full((5, 4, 3), 77, np.uint8))
    assert not pooling.image.any()
    assert (to_uint8(pooling.image) == 128).all()
    assert (pooling.lam, pooling.gap) == (0, 0)


def test_static_pixels_are_exactly_gray():
    pooling = rank_pool(smooth_volume())
    assert not pooling.image[:3].any()
    assert (to_uint8(pooling.image)[:3] == 128).all()


def test_color_channels_are_pooled_like_gray_ones():
    gray = smooth_volume()
    color = rank_pool(np.repeat(gray[..., None], 3, axis=3))
    np.testing.assert_array_equal(to_uint8(color.image), np.repeat(to_uint8(rank_pool(gray).image)[..., None], 3, 2))


@pytest.mark.parametrize("turn", [np.rot90, np.flipud, np.fliplr])
def test_turning_the_slices_turns_the_image(turn):
    slices = smooth_volume()
    turned = np.stack([turn(image) for image in slices])
    np.testing.assert_array_equal(to_uint8(rank_pool(turned).image), turn(to_uint8(rank_pool(slices).image)))


def test_an_added_constant_changes_nothing():
    slices = smooth_volume() // 2
    np.testing.assert_array_equal(rank_pool(slices).weights, rank_pool(slices + np.uint8(100)).weights)


def test_the_slice_order_matters():
    slices = smooth_volume()
    assert np.corrcoef(rank_pool(slices).image.ravel(), rank_pool(slices[::-1]).image.ravel())[0, 1] < 0.9


def test_minmax_uses_the_whole_range():
    image = to_uint8(rank_pool(smooth_volume()).image, "minmax")
    assert (image.min(), image.max()) == (0, 255)


@pytest.mark.parametrize(
    ("slices", "rho", "message"),
    [
        (np.zeros((1, 4, 4), np.uint8), 1.0, "at least 2 slices, got 1"),
        (np.zeros((3, 4, 4), np.float32), 1.0, r"expected uint8 \(T, H, W\[, C\]\), got float32 \(3, 4, 4\)"),
        (np.zeros((3, 4), np.uint8), 1.0, r"got uint8 \(3, 4\)"),
        (np.zeros((3, 4, 4), np.uint8), 0.0, "rho of at least 1 .*got 0.0"),
        (np.zeros((3, 4, 4), np.uint8), float("nan"), "rho of at least 1 .*got nan"),
    ],
)
def test_what_cannot_be_pooled_is_refused(slices, rho, message):
    with pytest.raises(ValueError, match=message):
        rank_pool(slices, rho)


def test_one_slice_has_no_weights():
    with pytest.raises(ValueError, match="at least 2 slices, got 1"):
        approximate_weights(1)
