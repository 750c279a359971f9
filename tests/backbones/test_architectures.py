from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from dmdbt.backbones.architectures import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    architecture,
    build_backbone,
    create_classifier,
    feature_extractor,
    feature_shape,
    last_layer,
    normalize,
)
from dmdbt.errors import IntegrityError
from dmdbt.params.backbones import BACKBONES


@pytest.fixture
def squeezenet_file(tmp_path: Path) -> Path:
    path = tmp_path / "squeezenet.safetensors"
    save_file(feature_extractor(create_classifier("squeezenet", seed=3)).state_dict(), path)
    return path


@pytest.mark.parametrize(
    ("name", "resnet_depth", "expected"),
    [
        ("alexnet", 50, "alexnet"),
        ("resnet", 18, "resnet18"),
        ("resnet", 152, "resnet152"),
        ("densenet", 18, "densenet121"),
        ("squeezenet", 18, "squeezenet1_1"),
        ("mobilenet_v2", 18, "mobilenet_v2"),
    ],
)
def test_a_backbone_has_a_torchvision_name(name: str, resnet_depth: int, expected: str) -> None:
    assert architecture(name, resnet_depth) == expected


def test_an_unknown_backbone_is_refused_with_the_choices() -> None:
    with pytest.raises(
        ValueError, match="got 'alexnett'. Choose one of alexnet, resnet, densenet, squeezenet"
    ) as found:
        architecture("alexnett")
    assert set(str(found.value).partition("Choose one of ")[2].rstrip(".").split(", ")) == set(BACKBONES)
    with pytest.raises(ValueError, match="'vit_b_16'"):
        architecture("vit_b_16")
    with pytest.raises(ValueError, match="got 20"):
        architecture("resnet", 20)


@pytest.mark.parametrize(
    ("name", "depth", "channels", "rows"),
    [
        ("alexnet", 18, 256, 51),
        ("resnet", 18, 512, 26),
        ("resnet", 50, 2048, 26),
        ("densenet", 18, 1024, 26),
        ("squeezenet", 18, 512, 51),
    ],
)
def test_feature_maps_of_the_paper_have_its_shapes(name: str, depth: int, channels: int, rows: int) -> None:
    backbone = feature_extractor(create_classifier(name, depth))
    assert feature_shape(backbone, 832) == (channels, rows, rows)


@pytest.mark.parametrize(
    ("name", "layer"),
    [("alexnet", "features.11"), ("resnet", "layer4.1"), ("densenet", "relu"), ("squeezenet", "features.12")],
)
def test_the_last_layer_is_the_one_whose_output_the_features_are(name: str, layer: str) -> None:
    backbone = feature_extractor(create_classifier(name, 18)).eval()
    outputs: list[torch.Tensor] = []
    backbone.get_submodule(layer).register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    with torch.no_grad():
        features = backbone(torch.rand(1, 3, 64, 64))
    assert last_layer(backbone) == layer
    assert torch.equal(features, outputs[0])


@pytest.mark.parametrize(
    "name", ["mobilenet_v3_small", "shufflenet_v2_x0_5", "efficientnet_b0", "swin_t", "regnet_y_400mf"]
)
def test_other_classifiers_give_feature_maps_of_the_predicted_shape(name: str) -> None:
    backbone = feature_extractor(create_classifier(name)).eval()
    channels, rows, columns = feature_shape(backbone, 64)
    assert (rows, columns) == (2, 2)
    with torch.no_grad():
        assert backbone(torch.rand(2, 3, 64, 64)).shape == (2, channels, rows, columns)


@pytest.mark.parametrize("name", ["alexnet", "resnet", "densenet", "squeezenet"])
def test_the_rest_of_the_classifier_turns_features_into_its_logits(name: str) -> None:
    classifier = create_classifier(name, 18).eval()
    images = torch.rand(2, 3, 96, 96)
    with torch.no_grad():
        features = feature_extractor(classifier).eval()(images)
        pooled = nn.functional.adaptive_avg_pool2d(features, 1).flatten(1)
        logits = {
            "alexnet": lambda: classifier.classifier(
                classifier.avgpool(nn.functional.max_pool2d(features, 3, 2)).flatten(1)
            ),
            "resnet": lambda: classifier.fc(pooled),
            "densenet": lambda: classifier.classifier(pooled),
            "squeezenet": lambda: classifier.classifier(features).flatten(1),
        }[name]()
        torch.testing.assert_close(logits, classifier(images))


def test_a_backbone_is_frozen_and_in_eval_mode(squeezenet_file: Path) -> None:
    backbone = build_backbone("squeezenet", squeezenet_file)
    assert not any(module.training for module in backbone.modules())
    assert not any(parameter.requires_grad for parameter in backbone.parameters())


def test_a_backbone_has_the_weights_of_its_file(squeezenet_file: Path) -> None:
    images = torch.rand(1, 3, 64, 64)
    expected = feature_extractor(create_classifier("squeezenet", seed=3)).eval()(images)
    # Another memory format: float32 sums in another order.
    torch.testing.assert_close(build_backbone("squeezenet", squeezenet_file)(images), expected)


def test_weights_of_another_architecture_are_refused(squeezenet_file: Path) -> None:
    with pytest.raises(
        IntegrityError, match=r"squeezenet.safetensors cause=expected the weights of alexnet.*Missing key"
    ):
        build_backbone("alexnet", squeezenet_file)


def test_truncated_weights_are_refused(squeezenet_file: Path) -> None:
    squeezenet_file.write_bytes(squeezenet_file.read_bytes()[:-100])
    with pytest.raises(IntegrityError, match="dvc repro --force data/weights/dvc.yaml:weights@squeezenet"):
        build_backbone("squeezenet", squeezenet_file)


def test_missing_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=r"alexnet.safetensors.*No such file"):
        build_backbone("alexnet", tmp_path / "alexnet.safetensors")


def test_initialization_depends_on_the_seed_and_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    first, again, other = (create_classifier("squeezenet", seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["features.0.weight"], other["features.0.weight"])


@given(gray=st.floats(0, 1))
def test_normalization_is_per_channel(gray: float) -> None:
    pixel = normalize(torch.full((1, 1, 1, 1), gray)).flatten()
    expected = [(gray - mean) / std for mean, std in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)]
    assert pixel.tolist() == pytest.approx(expected, abs=1e-5)
