import dataclasses

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dmdbt.errors import IntegrityError
from dmdbt.features import COPIES, Origin, augmented, extract, normalize, read_features, write_features
from dmdbt.files import sha256

ORIGIN = Origin("alexnet", "a" * 64, "b" * 64, 160, "breast", ("original", "flip"))


def maps(seed=0):
    return np.random.default_rng(seed).normal(size=(2, 4, 3, 3)).astype(np.float16)


@given(st.integers(1, 9), st.randoms(use_true_random=False))
def test_a_rotation_is_a_quarter_turn_counterclockwise(size, random):
    image = torch.tensor([[random.random() for _ in range(size)] for _ in range(size)])
    names = ["rot90", "rot180", "rot270"]
    for quarters, turned in enumerate(augmented(image, names), start=1):
        np.testing.assert_array_equal(turned, np.rot90(image.numpy(), quarters))


def test_the_flip_exchanges_left_and_right():
    image = torch.arange(4.0).reshape(2, 2)
    assert augmented(image, ["original", "flip"]).tolist() == [[[0, 1], [2, 3]], [[1, 0], [3, 2]]]


def test_the_five_copies_of_an_image_are_five_different_images():
    copies = augmented(torch.arange(9.0).reshape(3, 3), list(COPIES))
    assert len({tuple(copy.flatten().tolist()) for copy in copies}) == len(COPIES) == 5


def backbone():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.ReLU()).eval().requires_grad_(False)


def test_features_of_a_copy_are_those_of_the_turned_image():
    image = np.random.default_rng(0).random((32, 32))
    turned = extract(backbone(), np.rot90(image).copy(), ["original"])
    np.testing.assert_allclose(extract(backbone(), image, ["original", "rot90"])[1], turned[0], rtol=2e-3)


def test_features_are_those_of_the_normalized_gray_image():
    image = np.random.default_rng(0).random((32, 32)).astype(np.float32)
    expected = backbone()(normalize(torch.from_numpy(image)[None, None]))[0]
    np.testing.assert_array_equal(extract(backbone(), image, ["original"])[0], expected.half().numpy())


def test_features_that_float16_cannot_hold_are_refused():
    network = backbone()
    network[0].weight *= 1e6
    with pytest.raises(ValueError, match="finite features below 65504"):
        extract(network, np.ones((32, 32)), ["original"])


def test_features_are_read_as_they_were_written(tmp_path):
    write_features(tmp_path / "a.h5", maps(), ORIGIN)
    found, origin = read_features(tmp_path / "a.h5")
    np.testing.assert_array_equal(found, maps())
    assert origin == ORIGIN


def test_equal_features_give_equal_bytes(tmp_path):
    for name in ("a.h5", "b.h5"):
        write_features(tmp_path / name, maps(), ORIGIN)
    assert sha256(tmp_path / "a.h5") == sha256(tmp_path / "b.h5")


def test_every_flipped_byte_of_the_maps_is_noticed(tmp_path):
    path = tmp_path / "a.h5"
    write_features(path, maps(), ORIGIN)
    whole = path.read_bytes()
    at = whole.index(maps().tobytes()[:16])
    for offset in range(0, maps().nbytes, 7):
        damaged = bytearray(whole)
        damaged[at + offset] ^= 0x10
        path.write_bytes(damaged)
        with pytest.raises(IntegrityError, match=r"E-FEATURES .*expected an intact HDF5 file"):
            read_features(path)


@pytest.mark.parametrize("content", [None, b"", b"no HDF5"])
def test_what_is_no_feature_file_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "a.h5").write_bytes(content)
    with pytest.raises(IntegrityError, match=r"E-FEATURES .*a.h5 .*run the stage features again"):
        read_features(tmp_path / "a.h5")


def test_a_file_of_another_version_or_without_maps_is_refused(tmp_path):
    path = tmp_path / "a.h5"
    write_features(path, maps(), ORIGIN)
    with h5py.File(path, "a") as file:
        del file["maps"]
    with pytest.raises(IntegrityError, match="found KeyError"):
        read_features(path)
    with h5py.File(path, "a") as file:
        file.attrs["version"] = 2
    with pytest.raises(IntegrityError, match="expected format dmdbt features 1, found dmdbt features 2"):
        read_features(path)


def test_a_map_without_a_copy_is_not_written(tmp_path):
    one_name = dataclasses.replace(ORIGIN, copies=("original",))
    with pytest.raises(ValueError, match=r"expected float16 \(1, C, H, W\), got float16 \(2, 4, 3, 3\)"):
        write_features(tmp_path / "a.h5", maps(), one_name)
    assert not list(tmp_path.iterdir())
