"""A head that is written and read again is the same head; a damaged file is refused."""

import json
from dataclasses import replace

import pytest
import torch

from dmdbt.errors import IntegrityError
from dmdbt.heads import HeadSettings, ModelInput, build_head, read_head, write_head
from dmdbt.terms import Head

TRAINED_ON = ModelInput((6, 5, 4), "alexnet", "0" * 64, 96)


def write(folder, head, settings):
    torch.manual_seed(1)
    network = build_head(head, TRAINED_ON.feature_shape, settings)
    shape = (3, *TRAINED_ON.feature_shape) + ((2,) if head is Head.DM_DBT else ())
    images = torch.randn(shape)
    network(images)  # the running means of the batch norm are no longer those of a new network
    write_head(folder, head, network, settings, TRAINED_ON)
    return network.eval()(images), images


@pytest.mark.parametrize("head", Head)
@pytest.mark.parametrize(
    "settings", [HeadSettings(None, (8,), 0.5), HeadSettings(3, (7, 5), 0.0, "batch_norm_relu")], ids=["default", "own"]
)
def test_a_head_that_is_read_gives_the_same_probabilities_to_the_bit(tmp_path, head, settings):
    expected, images = write(tmp_path, head, settings)
    network, trained_on = read_head(tmp_path, head)
    assert torch.equal(network(images), expected)
    assert trained_on == TRAINED_ON
    assert not network.training


@pytest.mark.parametrize(
    "change",
    [{"version": 2}, {"classes": ["malignant", "benign"]}, {"head": "dbt"}, {"filters": 4}, {"feature_shape": [6, 5]}],
)
def test_a_description_that_does_not_fit_is_refused(tmp_path, change):
    write(tmp_path, Head.DM, HeadSettings(None, (8,), 0.5))
    path = tmp_path / "dm.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(IntegrityError, match=r"E-MODEL case=- file=dm\.json cause=expected the dm head in"):
        read_head(tmp_path, Head.DM)


@pytest.mark.parametrize("name", ["dm.json", "dm.safetensors"])
@pytest.mark.parametrize("content", [None, b"", b"\xff{}"])
def test_a_missing_or_damaged_file_is_refused(tmp_path, name, content):
    write(tmp_path, Head.DM, HeadSettings(None, (8,), 0.5))
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(IntegrityError, match="E-MODEL"):
        read_head(tmp_path, Head.DM)


def test_the_shape_of_the_input_is_part_of_the_file(tmp_path):
    other = replace(TRAINED_ON, feature_shape=(6, 3, 3))
    network = build_head(Head.DBT, other.feature_shape, HeadSettings(None, (8,), 0.5))
    write_head(tmp_path, Head.DBT, network, HeadSettings(None, (8,), 0.5), other)
    assert read_head(tmp_path, Head.DBT)[1].feature_shape == (6, 3, 3)
