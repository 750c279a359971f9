import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmdbt.attention import pooling_weights, relative_evidence, slice_evidence, top_slices
from dmdbt.rankpool import rank_pool

RNG = np.random.default_rng(0)
WHOLE = (0, 8, 0, 8)
HEAT = np.ones((2, 2), np.float32)


def flat(*grays, side=8):
    """Slices of one gray level each."""
    return np.repeat(np.array(grays, np.uint8), side * side).reshape(-1, side, side)


def test_the_evidence_is_weight_times_distance_from_the_mean():
    # The mean is 30: 2 * 20, 1 * 10 and 1 * 30, divided by 80.
    evidence = slice_evidence(flat(10, 20, 60), np.array([-2.0, 1, 1]), HEAT, WHOLE)
    np.testing.assert_allclose(evidence, [0.5, 0.125, 0.375])


def test_without_weights_every_slice_counts_alike():
    slices = flat(10, 20, 60)
    np.testing.assert_allclose(slice_evidence(slices, None, HEAT, WHOLE), np.array([20, 10, 30]) / 60)
    np.testing.assert_allclose(slice_evidence(slices, np.full(3, 1 / 3), HEAT, WHOLE), np.array([20, 10, 30]) / 60)


def test_only_pixels_under_the_heat_count():
    # Each slice differs in one quarter, by which heat tells them apart; the mean of a quarter is 20 / 4 or 40 / 4.
    slices = np.zeros((4, 8, 8), np.uint8)
    quarters = [np.s_[:4, :4], np.s_[:4, 4:], np.s_[4:, :4], np.s_[4:, 4:]]
    for t, (quarter, gray) in enumerate(zip(quarters, (20, 20, 40, 40), strict=True)):
        slices[t][quarter] = gray
    one = slice_evidence(slices, np.ones(4), np.array([[0, 3], [0, -1]]), WHOLE)
    np.testing.assert_allclose(one, np.array([5, 15, 5, 5]) / 30)
    two = slice_evidence(slices, np.array([1, 1, -2, 0]), np.array([[1, 0], [1, 0]]), WHOLE)
    np.testing.assert_allclose(two, np.array([15 + 10, 5 + 10, 2 * (5 + 30), 0]) / 110)


def test_pixels_outside_the_box_do_not_count():
    slices = flat(10, 20, 60)
    slices[1, 4:] = 255
    slices[2, :, :2] = 0
    evidence = slice_evidence(slices, np.array([-2.0, 1, 1]), HEAT, (0, 4, 2, 8))
    np.testing.assert_allclose(evidence, [0.5, 0.125, 0.375])


def test_without_evidence_no_slice_has_a_share():
    for slices, weights, heat in [
        (flat(7, 7, 7, 7), np.arange(4.0), HEAT),
        (flat(1, 2, 3, 4), np.zeros(4), HEAT),
        (flat(1, 2, 3, 4), np.arange(4.0), -HEAT),
    ]:
        assert slice_evidence(slices, weights, heat, WHOLE).tolist() == [0] * 4


def test_relative_evidence_is_what_the_heat_adds_to_that_of_an_even_map():
    even = np.array([0.5, 0.3, 0.2])
    np.testing.assert_allclose(relative_evidence(even, even), [1 / 3] * 3)
    np.testing.assert_allclose(relative_evidence(np.array([0.5, 0.5, 0]), even), np.array([3, 5, 0]) / 8)
    # As heat of 0 gives it, or slices that are all alike.
    assert relative_evidence(np.zeros(3), even).tolist() == [0, 0, 0]
    assert relative_evidence(np.zeros(3), np.zeros(3)).tolist() == [0, 0, 0]


def test_a_slice_with_next_to_nothing_under_an_even_map_cannot_stand_out():
    even = np.array([0.5, 0.49, 0.01, 0])
    np.testing.assert_allclose(relative_evidence(np.array([0.3, 0.1, 0.6, 0]), even)[2:], 0)


@given(st.integers(2, 9), st.floats(1e-9, 1e9))
def test_evidence_is_a_share_of_any_scale(n_slices, scale):
    slices = RNG.integers(0, 256, (n_slices, 9, 7), np.uint8)
    weights, heat = RNG.normal(size=n_slices), RNG.random((3, 2))
    evidence = slice_evidence(slices, weights, heat, (1, 8, 0, 7))
    assert evidence.sum() == pytest.approx(1)
    assert evidence.min() >= 0
    np.testing.assert_allclose(slice_evidence(slices, -scale * weights, scale * heat, (1, 8, 0, 7)), evidence)


def test_the_parts_of_the_slices_add_up_to_the_dynamic_image():
    slices = RNG.integers(0, 256, (6, 8, 8), np.uint8)
    pooling = rank_pool(slices)
    weights = pooling_weights({"pooler": "ranksvm", "slices": 6, "weights": pooling.weights.tolist()})
    parts = weights[:, None, None] * (slices - slices.mean(axis=0))
    np.testing.assert_allclose(parts.sum(axis=0), pooling.image, atol=1e-5 * abs(pooling.image).max())
    # The same parts, pixel by pixel, under a heat map with one cell per pixel.
    heat = RNG.random((8, 8))
    expected = (heat * abs(parts)).sum(axis=(1, 2))
    np.testing.assert_allclose(slice_evidence(slices, weights, heat, WHOLE), expected / expected.sum(), rtol=1e-5)


def test_the_slices_with_most_evidence_come_first_and_of_equal_ones_the_first():
    assert top_slices(np.array([0.1, 0.3, 0.2, 0.3, 0.1])) == [1, 3, 2]
    assert top_slices(np.array([0.5, 0.5])) == [0, 1]
    assert top_slices(np.array([0, 0.2, 0, 0.8])) == [3, 1]
    assert top_slices(np.zeros(4)) == []


def test_slices_with_most_evidence_are_a_tenth_of_the_volume_apart():
    assert top_slices(np.arange(40.0)) == [39, 35, 31]
    assert top_slices(np.arange(19.0)) == [18, 17, 16]


def test_poolers_without_a_weighted_sum_have_no_weights():
    assert pooling_weights({"pooler": "mean", "slices": 4}).tolist() == [0.25] * 4
    assert pooling_weights({"pooler": "central", "slices": 4}).tolist() == [0, 0, 1, 0]
    assert [pooling_weights({"pooler": pooler, "slices": 4}) for pooler in ("max", "std", "svr")] == [None] * 3


@pytest.mark.parametrize("box", [(0, 9, 0, 8), (-1, 8, 0, 8), (3, 3, 0, 8), (0, 8, 5, 4)])
def test_a_box_beyond_the_slices_is_refused(box):
    with pytest.raises(ValueError, match=r"slice_evidence: expected a box within 8 x 8 pixels, got \("):
        slice_evidence(flat(1, 2), np.ones(2), HEAT, box)


def test_one_weight_per_slice_is_needed():
    with pytest.raises(ValueError, match=r"slice_evidence: expected 2 weights, got an array of shape \(3,\)"):
        slice_evidence(flat(1, 2), np.ones(3), HEAT, WHOLE)
