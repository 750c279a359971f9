"""The batched path, on tensors of the CPU: it must give what one volume after the other gives."""

import numpy as np
import pytest
import torch

from dmdbt.errors import InputDataError
from dmdbt.rankpool import batch, rank_pool, rank_pool_batch, to_uint8
from dmdbt.rankpool import interior_point as solver
from dmdbt.rankpool.gram import slice_gram
from tests.support.volumes import edge_cases, smooth_volume

VOLUMES = [*edge_cases(12).values(), np.full((5, 4, 3), 9, np.uint8), *edge_cases(2).values(), smooth_volume(31)]


@pytest.mark.parametrize("rho", [1.0, 0.1, 1e-3, 1e-6, 1e-8])
def test_volumes_of_different_sizes_in_one_batch_are_pooled_as_one_by_one(rho):
    for slices, together in zip(VOLUMES, rank_pool_batch(VOLUMES, rho), strict=True):
        alone = rank_pool(slices, rho)
        assert together.primal == pytest.approx(alone.primal, rel=1e-6)
        assert 0 <= together.gap <= 1e-6
        levels = to_uint8(together.image).astype(int) - to_uint8(alone.image)
        assert np.abs(levels).max() <= 1
        assert together.image.dtype == np.float32


def test_the_closed_form_has_the_same_bits():
    for slices, together in zip(VOLUMES, rank_pool_batch(VOLUMES, 2.0), strict=True):
        alone = rank_pool(slices, 2.0)
        np.testing.assert_array_equal(together.weights, alone.weights)
        np.testing.assert_array_equal(together.image, alone.image)


def test_the_gram_matrix_is_as_exact(monkeypatch):
    monkeypatch.setattr(batch, "_CHUNK", 2048)
    for slices in VOLUMES:
        np.testing.assert_array_equal(batch._slice_gram(torch.tensor(slices)), slice_gram(slices))


def test_the_gram_matrix_is_exact_at_the_extremes_of_size_and_contrast():
    """Black and white in all combinations, at the size of the largest detector: every product is the largest."""
    rows, columns = 2457, 1996
    index = np.arange(rows * columns)
    white = np.array([index % 2 == 0, index % 2 == 1, index >= 0, index < 0, index % 3 == 0])
    slices = torch.from_numpy((255 * white.astype(np.uint8)).reshape(-1, rows, columns))
    changed = [np.logical_xor(one, white[0]) for one in white]
    expected = [
        [255**2 * (int((a & b & ~white[0]).sum()) + int((a & b & white[0]).sum())) for a in changed] for b in changed
    ]
    assert batch._slice_gram(slices).tolist() == expected
    assert slice_gram(slices.numpy()).tolist() == expected


def test_color_and_views_of_arrays_are_taken():
    slices = smooth_volume()
    color = np.repeat(slices[::-1, :, :, None], 3, axis=3)
    (together,) = rank_pool_batch([color], 0.1)
    np.testing.assert_allclose(together.image, rank_pool(color, 0.1).image, rtol=1e-5, atol=1e-12)


def test_no_volume_gives_no_image():
    assert rank_pool_batch([], 0.1) == []


def test_the_volume_that_cannot_be_pooled_is_named(monkeypatch):
    good = smooth_volume()
    with pytest.raises(ValueError, match="rank_pool_batch: volume 1: expected at least 2 slices, got 1"):
        rank_pool_batch([good, good[:1]])
    with pytest.raises(ValueError, match="rank_pool_batch: volume 0: expected a finite rho above 0, got -1"):
        rank_pool_batch([good], -1)
    monkeypatch.setattr(solver, "_MOST_ITERATIONS", 2)
    with pytest.raises(InputDataError, match="E-RANKPOOL-UNCERTIFIED case=volume 1 "):
        rank_pool_batch([good[:2], good], 0.1)
    with pytest.raises(InputDataError, match="E-RANKPOOL-UNCERTIFIED case=p2 "):
        rank_pool_batch([good[:2], good], 0.1, names=["p1", "p2"])
