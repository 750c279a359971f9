import numpy as np
import pytest

from dmdbt.ingest.appearance import is_blank
from dmdbt.ingest.odd_slices import SliceComparison
from tests.support.volumes import smooth_volume

T, SIZE = 12, 128  # 16 x 16 blocks, of which two have to stand out by their mean


def odd_slices(volume):
    comparison = SliceComparison()
    for image in volume:
        comparison.add(image, is_blank=is_blank(image))
    return comparison.odd_slices()


def level(size=SIZE):
    """A volume without any change, which has two gray levels, so that no slice is blank."""
    volume = np.full((T, size, size), 100, np.uint8)
    volume[:, -8:] = 200
    return volume


def breast(n_slices=20):
    return smooth_volume(n_slices, SIZE, SIZE)


@pytest.mark.parametrize(("by", "odd"), [(5, []), (6, [6]), (-5, []), (-6, [6])])
def test_two_blocks_that_are_brighter_or_darker_by_more_than_five_gray_levels_make_a_slice_odd(by, odd):
    volume = level()
    volume[5, 64:72, 32:48] += np.int8(by).view(np.uint8)
    assert odd_slices(volume) == odd


@pytest.mark.parametrize(("blocks", "odd"), [(19, []), (20, [6])])
def test_half_a_percent_of_the_blocks_have_to_stand_out(blocks, odd):
    volume = level(512)  # 4096 blocks
    volume[5, 64:72, : 8 * blocks] += 50
    assert odd_slices(volume) == odd


@pytest.mark.parametrize("number", [1, 2, 10, 19, 20])
def test_garbage_in_any_slice_is_found(number):
    volume = breast()
    volume[number - 1, 40:96, 40:104] = np.random.default_rng(0).integers(0, 256, (56, 64))
    assert odd_slices(volume) == [number]


def test_a_texture_that_leaves_the_mean_of_each_block_is_found():
    volume = breast()
    rows, columns = np.indices((64, 64))
    volume[8, 32:96, 32:96] = np.clip(volume[8, 32:96, 32:96].astype(int) + 12 * (-1) ** (rows + columns), 0, 255)
    assert odd_slices(volume) == [9]


def test_a_sound_volume_has_no_odd_slice():
    for seed in range(5):
        assert odd_slices(smooth_volume(20, SIZE, SIZE, seed)) == []


@pytest.mark.parametrize("sigma", [1, 5, 25])
def test_noise_makes_no_slice_odd(sigma):
    volume = breast()
    for seed in range(10):
        noise = np.random.default_rng(seed).normal(0, sigma, volume.shape)
        assert odd_slices(np.clip(volume + noise, 0, 255).astype(np.uint8)) == []


def test_blank_slices_at_the_ends_are_not_odd_and_one_between_others_is():
    volume = breast()
    volume[[0, 1, -1]] = 0
    assert odd_slices(volume) == []
    volume[7] = 0
    assert odd_slices(volume) == [8]


def test_a_lost_slice_of_one_gray_level_behind_black_ones_is_odd():
    volume = breast()
    volume[:3] = 0
    volume[2] = 128
    assert odd_slices(volume) == [3]


@pytest.mark.parametrize("reach", [0.1, 1, 4])
@pytest.mark.parametrize("end", [1, -1])
def test_the_edge_of_a_paddle_that_fades_from_one_end_is_not_odd(reach, end):
    volume = breast()[::end]
    for number, image in enumerate(volume):
        image[20:26] = np.clip(image[20:26] + 200 * np.exp(-number / reach), 0, 255)
    assert odd_slices(volume[::end]) == []


def test_a_calcification_in_one_slice_is_not_odd():
    volume = breast()
    volume[9, 50:54, 50:54] = 255
    assert odd_slices(volume) == []


def test_slices_that_have_nothing_to_do_with_each_other_are_not_told_apart():
    assert odd_slices(np.random.default_rng(0).integers(0, 256, (20, SIZE, SIZE)).astype(np.uint8)) == []


@pytest.mark.parametrize("shape", [(1, 40, 40), (2, 40, 40), (5, 3, 3), (5, 4, 1), (5, 1, 40), (9, 9, 24)])
def test_few_or_small_slices_are_not_compared(shape):
    volume = np.random.default_rng(0).integers(90, 110, shape).astype(np.uint8)
    assert odd_slices(volume) == []


def test_a_volume_of_blank_slices_has_no_odd_one():
    assert odd_slices(np.zeros((5, 40, 40), np.uint8)) == []
