import numpy as np
import pytest
from PIL import Image

from dmdbt.errors import InputDataError
from dmdbt.imaging import read_gray, resize, square, write_gray


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_png_keeps_every_gray_level(tmp_path, dtype):
    image = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (20, 30)).astype(dtype)
    write_gray(tmp_path / "a.png", image)
    np.testing.assert_array_equal(read_gray(tmp_path / "a.png"), image)


def test_an_image_that_is_damaged_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    with pytest.raises(InputDataError, match="E-IMAGE-UNREADABLE .*file=a.png"):
        read_gray(tmp_path / "a.png")


def test_resizing_keeps_the_mean_and_does_not_alias():
    stripes = np.tile(np.array([0, 200], np.uint8), (64, 32))
    small = resize(stripes, 16, 16)
    assert small.shape == (16, 16)
    np.testing.assert_allclose(small[:, 2:-2], 100, atol=2)


def test_an_image_with_colors_is_refused(tmp_path):
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(InputDataError, match="E-IMAGE-NOT-GRAY .*found mode RGB"):
        read_gray(tmp_path / "a.png")


@pytest.mark.parametrize(("rows", "columns"), [(64, 48), (48, 64), (61, 40)])
def test_a_padded_square_keeps_the_aspect_between_borders_of_black(rows, columns):
    image = np.full((rows, columns), 4000, np.uint16)
    padded = square(image, 64, pad=True)
    longest = max(rows, columns)
    np.testing.assert_allclose((padded > 2000).sum(), 64 * 64 * rows * columns / longest**2, rtol=0.06)
    assert (square(image, 64, pad=False) == 4000).all()
    assert (padded[32, 32], padded.dtype, padded.shape) == (4000, np.uint16, (64, 64))
