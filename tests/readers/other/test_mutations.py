"""Damage at random: a volume is read whole, as what its header then says, or refused. --mutations sets how often."""

import numpy as np
import pytest
from PIL import Image

from dmdbt.errors import InputDataError
from dmdbt.readers import container, open_volume, volume_files
from tests.support.clinic import write_mhd

pytestmark = pytest.mark.mutation

SLICES = np.random.default_rng(0).integers(0, 256, (3, 16, 20)).astype(np.uint8)


@pytest.fixture
def mutations(pytestconfig):
    return pytestconfig.getoption("--mutations")


def mutated(content, rng):
    """Change, remove or insert a few bytes."""
    damaged = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        place = int(rng.integers(0, max(1, len(damaged))))
        kind = rng.integers(0, 4)
        if kind == 0 and damaged:
            damaged[place] = rng.integers(0, 256)
        elif kind == 1:
            del damaged[place : place + int(rng.integers(1, 30))]
        elif kind == 2:
            damaged[place:place] = rng.bytes(int(rng.integers(1, 30)))
        else:
            del damaged[place:]
    return bytes(damaged)


def read_or_refuse(path):
    """Slices of a volume, None if it was refused; a wrong number of slices or any other error fails the test."""
    try:
        with open_volume(path) as volume:
            pixels = list(volume)
            assert [image.shape for image in pixels] == [(volume.rows, volume.columns)] * volume.n_slices
            return pixels
    except InputDataError as error:
        assert str(path.parent) not in str(error)  # noqa: PT017
        return None
    finally:
        assert all(file.is_file() for file in volume_files(path))


@pytest.mark.parametrize("part", ["header", "pixels"])
def test_a_damaged_metaimage_is_read_whole_or_refused(tmp_path, mutations, part):
    rng = np.random.default_rng(1)
    path = write_mhd(tmp_path / "a.mhd", SLICES, "MET_UCHAR")
    target = path if part == "header" else path.with_suffix(".raw")
    content = target.read_bytes()
    for _ in range(mutations):
        target.write_bytes(damaged := mutated(content, rng))
        pixels = read_or_refuse(path)
        if part == "pixels":
            assert (pixels is not None) == (len(damaged) == len(content))


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_a_damaged_folder_of_slices_is_read_whole_or_refused(tmp_path, mutations, suffix):
    rng = np.random.default_rng(2)
    folder = tmp_path / "slices"
    folder.mkdir()
    for number, image in enumerate(SLICES):
        Image.fromarray(image).save(folder / f"{number}.{suffix}")
    target = folder / f"1.{suffix}"
    content = target.read_bytes()
    read = 0
    for _ in range(mutations):
        target.write_bytes(mutated(content, rng))
        pixels = read_or_refuse(folder)
        read += pixels is not None
        if suffix == "png" and pixels is not None:
            np.testing.assert_array_equal(pixels, SLICES)  # what has a checksum is exact
        container(target)
    assert read < mutations
