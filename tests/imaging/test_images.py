import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import binary_dilation, find_objects, label

from dmdbt.errors import InputDataError, IntegrityError
from dmdbt.imaging import breast_box, read_gray, read_slices, resize, square, write_gray, write_slices
from dmdbt.readers import open_volume
from tests.support.clinic import write_avi


def slices(n_slices=5, rows=48, columns=64):
    return np.random.default_rng(n_slices).integers(0, 256, (n_slices, rows, columns)).astype(np.uint8)


# Volumes; those of AVI files in test_avi.py


@pytest.mark.parametrize(
    ("name", "content", "message"), [("a.avi", None, "E-DBT-MISSING"), ("a.mov", b"", "E-DBT-KIND .*found .mov")]
)
def test_what_is_no_volume_is_refused(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputDataError, match=message):
        open_volume(path)


# Slices and images


def test_slices_are_read_as_they_were_written_but_for_the_jpeg(tmp_path):
    smooth = np.add.outer(np.arange(4) * 9, np.add.outer(np.arange(40), np.arange(50))).astype(np.uint8)
    with open_volume(write_avi(tmp_path / "a.avi", smooth)) as volume:
        write_slices(volume, tmp_path / "slices", quality=95)
    assert sorted(path.name for path in (tmp_path / "slices").iterdir())[:2] == ["0001.jpg", "0002.jpg"]
    assert np.abs(read_slices(tmp_path / "slices").astype(int) - smooth).max() <= 3


def test_a_changed_or_missing_slice_is_refused(tmp_path):
    with open_volume(write_avi(tmp_path / "a.avi", slices())) as volume:
        write_slices(volume, tmp_path / "slices", quality=95)
    write_gray(tmp_path / "slices" / "0003.jpg", slices()[0])
    with pytest.raises(IntegrityError, match="E-SLICES-CHANGED .*file=0003.jpg .*SHA-256"):
        read_slices(tmp_path / "slices")
    (tmp_path / "slices" / "0003.jpg").unlink()
    with pytest.raises(IntegrityError, match="E-SLICES-CHANGED .*file=0003.jpg"):
        read_slices(tmp_path / "slices")


def test_a_folder_without_our_manifest_is_no_volume(tmp_path):
    with pytest.raises(IntegrityError, match="E-SLICES-MISSING"):
        read_slices(tmp_path)
    (tmp_path / "manifest.json").write_text('{"format": "other", "version": 1}')
    with pytest.raises(IntegrityError, match="E-SLICES-FORMAT .*found other 1"):
        read_slices(tmp_path)


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


def test_an_image_with_colors_is_refused(tmp_path):
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(InputDataError, match="E-IMAGE-NOT-GRAY .*found mode RGB"):
        read_gray(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": 7}, "E-SLICES-SIZE .*expected uint8 .7, 64. as in the manifest, found uint8 .48, 64."),
        ({"slices": []}, "E-SLICES-FEW .*expected at least 2 slices, found 0"),
    ],
)
def test_slices_that_contradict_their_manifest_are_refused(tmp_path, change, message):
    with open_volume(write_avi(tmp_path / "a.avi", slices())) as volume:
        write_slices(volume, tmp_path / "slices", quality=95)
    manifest = tmp_path / "slices" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | change))
    with pytest.raises(IntegrityError, match=message):
        read_slices(tmp_path / "slices")


@pytest.mark.parametrize(("rows", "columns"), [(64, 48), (48, 64), (61, 40)])
def test_a_padded_square_keeps_the_aspect_between_borders_of_black(rows, columns):
    image = np.full((rows, columns), 4000, np.uint16)
    padded = square(image, 64, pad=True)
    longest = max(rows, columns)
    np.testing.assert_allclose((padded > 2000).sum(), 64 * 64 * rows * columns / longest**2, rtol=0.06)
    assert (square(image, 64, pad=False) == 4000).all()
    assert (padded[32, 32], padded.dtype, padded.shape) == (4000, np.uint16, (64, 64))
