import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmdbt.imaging import resize
from dmdbt.ingest.appearance import chest_wall_side, gray_counts, gray_flags, is_blank, texture_hash
from dmdbt.readers import read_mammogram
from dmdbt.terms import Laterality
from tests.support.breasts import breast, volume
from tests.support.clinic import write_dicom


@given(st.sampled_from(Laterality), st.integers(0, 1000), st.sampled_from([np.uint8, np.uint16]))
def test_the_chest_wall_is_where_the_breast_is_and_an_even_image_does_not_tell(side, seed, dtype):
    image = (breast(seed, side=side) // 16).astype(dtype)
    assert chest_wall_side(image) == side
    assert chest_wall_side(np.hstack([image, image[:, ::-1]])) == ""


@given(st.integers(0, 1000))
def test_the_texture_hash_of_a_flipped_breast_is_that_of_the_other_side(seed):
    image = breast(seed)
    assert texture_hash(image, Laterality.LEFT) == texture_hash(image[:, ::-1], Laterality.RIGHT)


@given(st.integers(0, 1000))
def test_a_texture_hash_outlives_size_window_and_noise_and_tells_patients_apart(seed):
    def distance(one, other):
        left, right = (int(texture_hash(image, Laterality.LEFT), 16) for image in (one, other))
        return (left ^ right).bit_count()

    image = breast(seed, rows=256, columns=192)
    half = resize(image, 128, 96).astype(np.uint16)
    noisy = np.clip(image + np.random.default_rng(0).normal(0, 15, image.shape), 0, 4095).astype(np.uint16)
    for copy in (half, noisy, image // 2):
        assert distance(image * 16, copy * 16) <= 48
    assert distance(image * 16, breast(seed + 1, rows=256, columns=192) * 16) > 48


def test_a_slice_without_contrast_is_blank():
    assert is_blank(np.full((4, 4), 9, np.uint8))
    assert not is_blank(volume(0)[0])


WIDE = np.linspace(0, 65535, 200 * 100).astype(np.uint16).reshape(200, 100)


@pytest.mark.parametrize(
    ("image", "flags"),
    [
        (WIDE, []),
        (WIDE // 2 + 32767, ["low-range"]),
        (np.where(WIDE < 30000, 0, WIDE // 2), ["low-range"]),  # the black of padding does not widen the range
        (WIDE >> 4, ["low-range"]),  # 12 bits in 16
        ((WIDE >> 8).astype(np.uint8), []),
        (np.where(WIDE < 60000, WIDE, 65535), ["saturated"]),
        (np.where(WIDE < 60000, 0, WIDE | 65535), ["low-range", "saturated", "few-grays"]),
        (np.where(WIDE < 65000, 0, WIDE), ["low-range", "few-grays"]),
    ],
)
def test_an_image_that_does_not_use_black_to_white_is_flagged(image, flags):
    assert gray_flags(gray_counts(image)) == flags


@pytest.mark.parametrize(
    ("window", "flags"),
    [
        ((32768, 65536), ["low-range"]),
        ((8191.5, 16383), ["low-range"]),
        ((40, 80), ["low-range", "saturated", "few-grays"]),
        ((4000, 10), ["low-range", "saturated", "few-grays"]),
        ((2048, 4096), []),
    ],
)
def test_a_window_of_dicom_that_the_pixels_do_not_meet_is_flagged(tmp_path, window, flags):
    image = np.minimum(breast(0) * 1.1, 4095).astype(np.uint16)
    path = write_dicom(tmp_path / "a.dcm", image, WindowCenter=window[0], WindowWidth=window[1])
    assert gray_flags(gray_counts(read_mammogram(path).pixels)) == flags


def test_a_white_marker_does_not_hide_a_low_range():
    image = WIDE >> 4
    image[90:92, :4] = 65535
    assert gray_flags(gray_counts(image)) == ["low-range"]


def test_the_counts_of_a_large_image_are_of_a_sample():
    rows = np.repeat(np.arange(1024)[:, None] % 4, 12, axis=1).astype(np.uint8)
    assert gray_counts(rows).sum() == 64 * 3
