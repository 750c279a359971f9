import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmdbt.attention import cell_edges, original_box, stretched
from dmdbt.imaging import square

LENGTH = st.integers(1, 5000)


@given(shape=st.tuples(LENGTH, LENGTH), size=st.integers(1, 1000))
def test_the_stretched_square_is_the_whole_image(shape, size):
    assert original_box((0, size, 0, size), shape, size, pad=False) == (0, shape[0], 0, shape[1])


@given(shape=st.tuples(LENGTH, LENGTH), size=st.integers(1, 1000), pad=st.booleans())
def test_the_padded_square_is_as_long_as_the_longer_side(shape, size, pad):
    first_row, end_row, first_column, end_column = original_box((0, size, 0, size), shape, size, pad=pad)
    sides = end_row - first_row, end_column - first_column
    assert sides == ((max(shape),) * 2 if pad else shape)


@pytest.mark.parametrize(
    ("box", "shape", "expected"),
    [
        ((0, 50, 10, 40), (100, 60), (0, 100, 0, 60)),  # 20 black columns on either side, 10 in the square
        ((5, 25, 9, 41), (100, 60), (10, 50, -2, 62)),
        ((10, 40, 0, 50), (60, 100), (0, 60, 0, 100)),
        ((0, 50, 10, 40), (100, 61), (0, 100, 1, 61)),  # an odd border has 19 columns before the image, 20 behind it
    ],
)
def test_padding_is_taken_off_as_by_hand(box, shape, expected):
    assert original_box(box, shape, 50, pad=True) == expected


def test_edges_are_rounded_to_the_nearest_pixel():
    # 3 pixels become 10: an edge of the square lies at .3 pixels per step.
    assert original_box((1, 2, 4, 9), (3, 3), 10, pad=False) == (0, 1, 1, 3)
    assert original_box((9, 10, 0, 1), (3, 3), 10, pad=False) == (2, 3, 0, 1)


@given(st.integers(1, 300), st.integers(1, 300), st.booleans(), st.data())
def test_boxes_side_by_side_stay_so(length, size, pad, data):
    start, middle, stop = sorted(data.draw(st.lists(st.integers(0, size), min_size=3, max_size=3)))
    shape = (length, 2 * length)
    left, right = (
        original_box((0, size, *columns), shape, size, pad=pad) for columns in ((start, middle), (middle, stop))
    )
    if left[2] + 1 < left[3] and right[2] + 1 < right[3]:
        assert left[3] == right[2]


@pytest.mark.parametrize("pad", [False, True])
def test_a_bright_box_is_found_where_it_was(pad):
    box = (40, 131, 22, 75)
    image = np.zeros((200, 110), np.uint16)
    image[box[0] : box[1], box[2] : box[3]] = 60_000
    bright = square(image, 400, pad=pad) > 30_000
    rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    found = original_box((rows[0], rows[-1] + 1, columns[0], columns[-1] + 1), image.shape, 400, pad=pad)
    assert found == box


def test_cells_tile_their_box():
    rows, columns = cell_edges((10, 20, -5, 20), (4, 5))
    assert rows.tolist() == [10, 12.5, 15, 17.5, 20]
    assert columns.tolist() == [-5, 0, 5, 10, 15, 20]


def test_stretching_repeats_every_cell():
    values = np.arange(6).reshape(2, 3)
    np.testing.assert_array_equal(stretched(values, (4, 9)), np.kron(values, np.ones((2, 3), int)))


@given(st.integers(1, 40), st.integers(1, 12))
def test_a_pixel_has_the_cell_of_its_center(pixels, cells):
    edges, _ = cell_edges((0, pixels, 0, 1), (cells, 1))
    of_pixel = stretched(np.arange(cells)[:, None], (pixels, 1))[:, 0]
    center = np.arange(pixels) + 0.5
    assert (edges[of_pixel] <= center + 1e-9).all()
    assert (center <= edges[of_pixel + 1] + 1e-9).all()
