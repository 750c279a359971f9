import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import binary_dilation, find_objects, label

from dmdbt.imaging import breast_box


@pytest.mark.parametrize(("dtype", "background"), [(np.uint16, 0), (np.uint8, 128)])
def test_the_box_of_the_breast_leaves_out_background_and_marker(dtype, background):
    image = np.full((60, 50), background, dtype)
    image[20:45, 0:30] = background + np.iinfo(dtype).max // 3
    image[30, 10] = background  # a pixel of the breast that looks like the background
    image[3:6, 40:46] = np.iinfo(dtype).max  # the letters of the side
    rows, columns = breast_box(image)
    assert (rows.start, rows.stop) == (18, 47)
    assert (columns.start, columns.stop) == (0, 32)


def test_the_box_of_an_empty_image_is_all_of_it():
    assert breast_box(np.full((7, 9), 128, np.uint8)) == (slice(0, 7), slice(0, 9))


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_the_box_is_that_of_the_largest_area_after_dilation(rows, columns, seed):
    image = np.random.default_rng(seed).choice(np.array([0, 0, 0, 0, 200], np.uint8), (rows, columns))
    areas, count = label(binary_dilation(image != np.bincount(image.ravel()).argmax(), iterations=2))
    largest = np.bincount(areas.ravel())[1:].argmax() if count else None
    expected = find_objects(areas)[largest] if count else (slice(0, rows), slice(0, columns))
    assert breast_box(image) == expected
