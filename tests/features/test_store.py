import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest

from dmdbt.errors import IntegrityError
from dmdbt.features import Provenance, read_copy, read_features, write_features
from dmdbt.files import TEMPORARY, sha256

ORIGIN = Provenance(
    "alexnet", "features.11", "a" * 64, "b" * 64, 160, "breast", ("original", "flip"), "cuda", "float16"
)


def maps(seed=0):
    return np.random.default_rng(seed).normal(size=(2, 4, 3, 3)).astype(np.float16)


def stored(folder, name="a.h5", values=None, **changes):
    """Write a small file of features."""
    path = folder / name
    write_features(path, maps() if values is None else values, dataclasses.replace(ORIGIN, **changes))
    return path


def test_features_are_read_as_they_were_written(tmp_path):
    found, origin = read_features(stored(tmp_path))
    np.testing.assert_array_equal(found, maps())
    assert origin == ORIGIN


def test_one_copy_is_read_by_its_index(tmp_path):
    for copy in range(2):
        np.testing.assert_array_equal(read_copy(stored(tmp_path), copy), maps()[copy])


@pytest.mark.slow
def test_equal_features_give_equal_bytes_whatever_the_number_of_threads(tmp_path):
    values = np.maximum(np.random.default_rng(0).normal(size=(2, 64, 40, 40)), 0).astype(np.float16)
    here = stored(tmp_path, "here.h5", values)
    np.save(tmp_path / "values.npy", values)
    code = (
        "import sys, numpy as np; from pathlib import Path; from tests.features.test_store import stored; "
        "folder = Path(sys.argv[1]); stored(folder, 'there.h5', np.load(folder / 'values.npy'))"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path], env=os.environ | {"BLOSC_NTHREADS": "4"}, check=True)
    assert sha256(here) == sha256(tmp_path / "there.h5")


def test_maps_that_are_mostly_zeros_take_less_than_half_of_their_bytes(tmp_path):
    values = np.maximum(np.random.default_rng(0).normal(-2, size=(2, 64, 20, 20)), 0).astype(np.float16)
    assert stored(tmp_path, values=values).stat().st_size < values.nbytes / 2


@pytest.mark.mutation
def test_a_flipped_byte_is_noticed_or_changes_nothing(tmp_path):
    path = stored(tmp_path)
    whole = path.read_bytes()
    noticed = 0
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 0x10
        path.write_bytes(damaged)
        try:
            found, origin = read_features(path)
        except IntegrityError:
            noticed += 1
        else:
            np.testing.assert_array_equal(found, maps())
            assert origin == ORIGIN
    assert noticed > maps().nbytes


@pytest.mark.parametrize("part", [0, 0.01, 0.2, 0.5, 0.9, 0.999])
def test_a_file_that_is_cut_off_is_refused(tmp_path, part):
    path = stored(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(IntegrityError, match=r"E-FEATURES .*expected an intact HDF5 file .*found OSError"):
        read_features(path)


@pytest.mark.parametrize("content", [None, b"no HDF5"])
def test_what_is_no_feature_file_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "a.h5").write_bytes(content)
    with pytest.raises(IntegrityError, match=r"E-FEATURES .*a.h5 .*run the stage features again"):
        read_features(tmp_path / "a.h5")


def test_a_file_of_another_version_is_refused(tmp_path):
    path = stored(tmp_path)
    with h5py.File(path, "a") as file:
        file.attrs["version"] = 1
    with pytest.raises(IntegrityError, match="expected format dmdbt features 3, found dmdbt features 1"):
        read_features(path)


WRONG = {
    "backbone": "../alexnet",
    "layer": "",
    "weights_sha256": "a" * 63,
    "input_sha256": 12,
    "size": "160",
    "crop": "all",
    "copies": "original original",
    "device": "",
    "precision": "double",
}


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Provenance)])
def test_an_attribute_that_is_missing_or_wrong_is_named(tmp_path, name):
    path = stored(tmp_path)
    for wrong in (WRONG[name], np.zeros(2), h5py.Empty("f"), -1):
        with h5py.File(path, "a") as file:
            file.attrs[name] = wrong
        with pytest.raises(IntegrityError, match=f"E-FEATURES .*expected an attribute {name} that matches"):
            read_features(path)
    with h5py.File(path, "a") as file:
        del file.attrs[name]
    with pytest.raises(IntegrityError, match=f"expected an attribute {name} that matches .* found None"):
        read_features(path)


@pytest.mark.parametrize("name", [name for name in WRONG if name != "copies"])
def test_an_attribute_that_would_be_refused_is_not_written(tmp_path, name):
    with pytest.raises(ValueError, match=f"expected {name} to match"):
        stored(tmp_path, **{name: WRONG[name]})
    assert not list(tmp_path.iterdir())


def replaced(path, write):
    """Put something else in the place of the maps."""
    with h5py.File(path, "a") as file:
        del file["maps"]
        write(file)
    return path


def with_data(*name, **options):
    return lambda file: file.create_dataset(*name or ("maps",), **options)


def test_maps_that_lie_elsewhere_are_refused(tmp_path):
    other = stored(tmp_path, "other.h5")
    layout = h5py.VirtualLayout((2, 4, 3, 3), np.float16)
    layout[...] = h5py.VirtualSource(other, "maps", (2, 4, 3, 3))
    (tmp_path / "raw").write_bytes(maps().tobytes())
    elsewhere = {
        r"found \['maps'\] or a link": lambda file: file.__setitem__("maps", h5py.ExternalLink(other, "maps")),
        r"found \['other'\] or a link": with_data("other", data=maps()),
        "external or virtual storage": lambda file: file.create_virtual_dataset("maps", layout),
        "storage, found": with_data(data=maps(), external=[(str(tmp_path / "raw"), 0, maps().nbytes)]),
        "a dataset of maps": lambda file: file.create_group("maps"),
    }
    for message, write in elsewhere.items():
        with pytest.raises(IntegrityError, match=message):
            read_features(replaced(stored(tmp_path), write))


def test_maps_that_are_stored_otherwise_are_refused(tmp_path):
    checked = {"chunks": (1, 4, 3, 3), "fletcher32": True} | dict(hdf5plugin.Blosc())
    otherwise = {
        "expected one chunk per copy .* found chunks None": with_data(data=maps()),
        r"found chunks \(1, 4, 3, 3\) with \[3\]": with_data(data=maps(), chunks=(1, 4, 3, 3), fletcher32=True),
        r"found chunks \(2, 4, 3, 3\)": with_data(data=maps(), **checked | {"chunks": (2, 4, 3, 3)}),
        r"expected float16 \(2, C, H, W\), found float32": with_data(data=maps().astype(np.float32)),
        r"expected float16 \(2, C, H, W\), found float16 \(1": with_data(data=maps()[:1]),
        "expected 2 chunks with a checksum, found 0": with_data(shape=maps().shape, dtype=np.float16, **checked),
    }
    for message, write in otherwise.items():
        with pytest.raises(IntegrityError, match=message):
            read_features(replaced(stored(tmp_path), write))


def test_a_chunk_that_skipped_its_checksum_is_refused(tmp_path):
    def unchecked(file):
        checked = dict(hdf5plugin.Blosc()) | {"chunks": (1, 4, 3, 3), "fletcher32": True}
        dataset = file.create_dataset("maps", maps().shape, np.float16, **checked)
        for copy in range(2):
            dataset.id.write_direct_chunk((copy, 0, 0, 0), maps()[copy].tobytes(), filter_mask=3)

    with pytest.raises(IntegrityError, match="expected 2 chunks with a checksum, found 2, or one without"):
        read_features(replaced(stored(tmp_path), unchecked))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_full_disk_is_an_ordinary_error(tmp_path):
    full = tmp_path / f".a.{os.getpid()}{TEMPORARY}.h5"  # where the file is written before it is renamed
    full.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device"):
        stored(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_map_without_a_copy_is_not_written(tmp_path):
    one_name = dataclasses.replace(ORIGIN, copies=("original",))
    with pytest.raises(ValueError, match=r"expected float16 \(1, C, H, W\), got float16 \(2, 4, 3, 3\)"):
        write_features(tmp_path / "a.h5", maps(), one_name)
    assert not list(tmp_path.iterdir())
