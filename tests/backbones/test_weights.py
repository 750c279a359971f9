import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from dmdbt.backbones.architectures import build_backbone, create_classifier
from dmdbt.backbones.weights import Weights, imagenet_weights, local_weights, write_weights
from dmdbt.errors import IntegrityError, ParameterError, SystemResourceError
from dmdbt.files import sha256
from tests.support.weights import classifier_file, publish


def test_imagenet_weights_come_from_the_folder_of_torch_hub(
    tmp_path: Path, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = publish(classifier_file(tmp_path / "new.pth"), hub, monkeypatch)
    weights = imagenet_weights("squeezenet")
    expected = create_classifier("squeezenet", seed=4).state_dict()
    assert weights.state_dict
    assert all(torch.equal(tensor, expected[key]) for key, tensor in weights.state_dict.items())
    assert weights.origin == {
        "source": "imagenet",
        "weights": "SqueezeNet1_1_Weights.IMAGENET1K_V1",
        "checkpoint": checkpoint.name,
        "checkpoint_sha256": sha256(checkpoint),
        "found_in": "torch hub folder",
        "licence": "BSD-3-Clause",
    }


def test_a_checkpoint_that_contradicts_its_name_is_refused(
    tmp_path: Path, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = publish(classifier_file(tmp_path / "new.pth"), hub, monkeypatch)
    classifier_file(checkpoint, **{"features.0.bias": torch.ones(64)})
    with pytest.raises(IntegrityError, match=r"expected a SHA-256 that starts with .*Delete .*pth and run `python"):
        imagenet_weights("squeezenet")


def test_without_network_the_error_names_the_file_and_the_ways_out(hub: Path) -> None:
    with pytest.raises(SystemResourceError) as caught:
        imagenet_weights("alexnet")
    message = str(caught.value)
    assert "<torch hub folder>/checkpoints/alexnet-owt-7be5be79.pth" in message
    assert str(hub / "alexnet-owt-7be5be79.pth") in message
    assert "set backbones.weights.alexnet to a local file or to procedural" in message
    assert not any(hub.iterdir())


@pytest.mark.parametrize("name", ["alexnet", "resnet", "densenet", "squeezenet"])
def test_a_file_of_a_whole_classifier_gives_its_backbone(name: str, tmp_path: Path) -> None:
    classifier_file(tmp_path / f"{name}.pth", name)
    weights = local_weights(str(tmp_path / "{backbone}.pth"), name, 18)
    expected = create_classifier(name, 18, seed=4).state_dict()
    assert all(torch.equal(tensor, expected[key]) for key, tensor in weights.state_dict.items())
    assert not any(key.startswith(("classifier", "fc")) for key in weights.state_dict)
    assert weights.origin["source"] == "file"
    assert weights.origin["file"] == f"{name}.pth"


def test_a_classifier_of_two_classes_is_a_source_too(tmp_path: Path) -> None:
    classes = {"classifier.1.weight": torch.zeros(2, 512, 1, 1), "classifier.1.bias": torch.zeros(2)}
    classifier_file(tmp_path / "two.pth", **classes)
    assert local_weights(str(tmp_path / "two.pth"), "squeezenet").state_dict


def test_old_names_of_densenet_and_missing_counters_are_understood(tmp_path: Path) -> None:
    now = create_classifier("densenet", seed=4).state_dict()
    old = {}
    for key, tensor in now.items():
        if not key.endswith("num_batches_tracked"):
            for layer in ("norm1", "norm2", "conv1", "conv2"):
                key = key.replace(f".{layer}.", f".{layer[:-1]}.{layer[-1]}.") if "denselayer" in key else key
            old[key] = tensor
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, tmp_path / "old.pth")
    found = local_weights(str(tmp_path / "old.pth"), "densenet").state_dict
    assert all(torch.equal(tensor, now[key]) for key, tensor in found.items())


def test_a_missing_file_is_an_error_of_the_parameter(tmp_path: Path) -> None:
    with pytest.raises(
        ParameterError, match=r"backbones.weights.alexnet: expected .* an existing file, got .*alexnet.pth"
    ):
        local_weights(str(tmp_path / "{backbone}.pth"), "alexnet")


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("size", [0, 7, 5000])
def test_a_truncated_file_is_refused(tmp_path: Path, suffix: str, size: int) -> None:
    file = tmp_path / f"weights.{suffix}"
    content = create_classifier("squeezenet").state_dict()
    if suffix == "pth":
        torch.save(content, file)
    else:
        save_file(content, file)
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(IntegrityError, match=rf"file=weights.{suffix} cause=expected a whole file of tensors alone"):
        local_weights(str(file), "squeezenet")


class Executed:
    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("executed"),)


def test_a_pickle_of_code_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"features.0.weight": Executed()}, tmp_path / "bad.pth")
    with pytest.raises(IntegrityError, match="expected a whole file of tensors alone"):
        local_weights(str(tmp_path / "bad.pth"), "squeezenet")
    assert not Path("executed").exists()


def test_a_training_checkpoint_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {}, "epoch": 3}, tmp_path / "run.pth")
    with pytest.raises(IntegrityError, match=r"expected a state dict, that is tensors by name.*Save model.state_dict"):
        local_weights(str(tmp_path / "run.pth"), "squeezenet")


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"features.0.weight": torch.zeros(64, 1, 3, 3)}, r"1 of another shape \(features.0.weight\)"),
        ({"module.x": torch.zeros(1)}, r"1 unknown \(module.x\)"),
        ({"features.0.bias": torch.full((64,), torch.nan)}, r"1 not finite \(features.0.bias\)"),
        ({"features.0.bias": torch.zeros(64, dtype=torch.int32)}, r"1 not of floats \(features.0.bias\)"),
        ({"features.0.bias": torch.zeros(64, dtype=torch.float8_e5m2)}, r"1 not of floats \(features.0.bias\)"),
        ({"features.0.bias": torch.zeros(1).expand(10**6, 10**6)}, r"1 of another shape \(features.0.bias\)"),
        ({"bomb": torch.zeros(1).expand(10**6, 10**6)}, r"1 unknown \(bomb\)"),
    ],
)
def test_a_wrong_tensor_is_named(tmp_path: Path, changes: dict[str, Tensor], fault: str) -> None:
    classifier_file(tmp_path / "bad.pth", **changes)
    with pytest.raises(IntegrityError, match=f"expected the tensors of squeezenet1_1, got {fault}"):
        local_weights(str(tmp_path / "bad.pth"), "squeezenet")


def test_a_foreign_architecture_is_refused(tmp_path: Path) -> None:
    classifier_file(tmp_path / "resnet.pth", "resnet")
    with pytest.raises(IntegrityError, match=r"expected the tensors of alexnet, got 10 missing"):
        local_weights(str(tmp_path / "resnet.pth"), "alexnet")


def test_what_is_written_is_what_a_backbone_loads(tmp_path: Path) -> None:
    output, provenance = tmp_path / "b.safetensors", tmp_path / "b.json"
    state_dict = local_weights(str(classifier_file(tmp_path / "s.pth")), "squeezenet").state_dict
    write_weights(Weights(state_dict, {"source": "file"}), "squeezenet1_1", output=output, provenance=provenance)
    assert all(torch.equal(tensor, state_dict[key]) for key, tensor in load_file(output).items())
    assert build_backbone("squeezenet", output).state_dict().keys() == state_dict.keys()
    assert json.loads(provenance.read_text()) == {
        "source": "file",
        "architecture": "squeezenet1_1",
        "sha256": sha256(output),
    }


@pytest.mark.parametrize("content", [b"junk\n", b"hello\n", b"", b"<html></html>", b"version https://git-lfs"])
def test_a_file_that_holds_no_tensors_is_refused_without_the_advice_of_torch(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "net.pth").write_bytes(content)
    with pytest.raises(IntegrityError, match="expected a whole file of tensors alone") as caught:
        local_weights(str(tmp_path / "net.pth"), "squeezenet")
    assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {1: torch.ones(2)},
        {"a": torch.ones(2, 2).to_sparse()},
        {"features.0.bias": torch.zeros(64, dtype=torch.complex64)},
        {"features.0.bias": torch.zeros(64, device="meta")},
    ],
)
def test_what_is_no_plain_tensor_under_a_name_is_refused(tmp_path: Path, changes: dict[object, Tensor]) -> None:
    torch.save(create_classifier("squeezenet").state_dict() | changes, tmp_path / "net.pth")
    with pytest.raises(IntegrityError, match="expected a state dict, that is tensors by name"):
        local_weights(str(tmp_path / "net.pth"), "squeezenet")


@pytest.mark.filterwarnings("ignore::UserWarning")  # torch may give them up
def test_nested_and_quantized_tensors_are_refused(tmp_path: Path) -> None:
    nested = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])
    for tensor in (nested, torch.quantize_per_tensor(torch.zeros(64), 0.1, 0, torch.quint8)):
        classifier_file(tmp_path / "net.pth", **{"features.0.bias": tensor})
        with pytest.raises(IntegrityError, match="E-WEIGHTS .*expected a (state dict|whole file of tensors)"):
            local_weights(str(tmp_path / "net.pth"), "squeezenet")
