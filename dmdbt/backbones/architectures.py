"""Frozen backbones: a torchvision classifier up to its last convolutional block."""

from collections import OrderedDict
from itertools import takewhile
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.func import functional_call

from dmdbt.backbones.torchvision_operators import models
from dmdbt.errors import IntegrityError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

RESNET_DEPTHS = (18, 34, 50, 101, 152)
_PAPER_ARCHITECTURES = {"alexnet": "alexnet", "densenet": "densenet121", "squeezenet": "squeezenet1_1"}
# Their children are no chain that ends in one feature map of rows and columns.
_WITHOUT_FEATURE_MAP = ("googlenet", "inception", "vit", "maxvit")
# What follows the last convolutional block, by torchvision's attribute names.
_AFTER_FEATURES = ("avgpool", "classifier", "fc")


def architecture(name: str, resnet_depth: int = 50) -> str:
    """Return torchvision's name of a backbone, such as ``densenet121`` for ``densenet``.

    Parameters
    ----------
    name
        ``alexnet``, ``resnet``, ``densenet`` or ``squeezenet``, the backbones of the paper, or the name of another
        classifier of torchvision.
    resnet_depth
        18, 34, 50, 101 or 152; used for ``resnet`` only.

    Raises
    ------
    ValueError
        If there is no such backbone.
    """
    if name == "resnet":
        if resnet_depth not in RESNET_DEPTHS:
            raise ValueError(f"resnet_depth: expected one of {RESNET_DEPTHS}, got {resnet_depth}. Choose one of these.")
        return f"resnet{resnet_depth}"
    known = [other for other in models.list_models(module=models) if not other.startswith(_WITHOUT_FEATURE_MAP)]
    found = _PAPER_ARCHITECTURES.get(name, name)
    if found not in known:
        choices = ", ".join(["alexnet", "resnet", "densenet", "squeezenet", *known])
        raise ValueError(f"backbone: expected a known name, got {name!r}. Choose one of {choices}.")
    return found


def create_classifier(name: str, resnet_depth: int = 50, *, seed: int = 0) -> nn.Module:
    """Return the whole torchvision classifier, randomly initialized from `seed`."""
    with torch.random.fork_rng(devices=[]):  # torchvision initializes from torch's global generator
        torch.default_generator.manual_seed(seed)
        classifier: nn.Module = models.get_model(architecture(name, resnet_depth), weights=None)
    return classifier


def feature_extractor(classifier: nn.Module) -> nn.Module:
    """Return the part of a classifier that ends with its last convolutional block.

    Its parameters are those of `classifier`, not copies, and keep their names in a state dict. What stands between
    the last block and the first fully connected layer is left out: average pooling, and the last max-pool of AlexNet
    and VGG. DenseNet applies its final ReLU outside its layers, so it is added.
    """
    children = OrderedDict(takewhile(lambda child: child[0] not in _AFTER_FEATURES, classifier.named_children()))
    features = children.get("features")
    if isinstance(features, nn.Sequential) and isinstance(features[-1], nn.MaxPool2d):
        children["features"] = features[:-1]
    if isinstance(classifier, models.DenseNet):
        children["relu"] = nn.ReLU(inplace=True)
    return nn.Sequential(children)


def build_backbone(name: str, weights: Path, *, resnet_depth: int = 50) -> nn.Module:
    """Return a frozen backbone in eval mode, on the CPU.

    Its weights are ``channels_last``, in which torch convolves faster on every device. They come from a file of the
    stage ``weights``: the state dict of `feature_extractor`, under torchvision's names.

    Returns
    -------
    Module
        Maps float images (N, 3, H, W), see `normalize`, to feature maps (N, C, h, w).

    Raises
    ------
    IntegrityError
        If the file is missing, damaged, or belongs to another architecture.
    """
    backbone = feature_extractor(create_classifier(name, resnet_depth))
    try:
        backbone.load_state_dict(load_file(weights), strict=True)
    except (OSError, SafetensorError, RuntimeError) as exc:
        found = " ".join(str(exc).split())[:300]
        raise IntegrityError(
            "WEIGHTS",
            file=weights.name,
            cause=f"expected the weights of {architecture(name, resnet_depth)}, got: {found}",
            remedy=f"Run the stage weights again: dvc repro --force data/weights/dvc.yaml:weights@{name}.",
        ) from exc
    frozen = backbone.requires_grad_(False).eval()
    return nn.utils.convert_conv2d_weight_memory_format(frozen, torch.channels_last)


def last_layer(backbone: nn.Module) -> str:
    """Return the name of the module whose output the feature maps are, such as ``features.11``."""
    name, module = "", backbone
    while isinstance(module, nn.Sequential):
        child, module = list(module.named_children())[-1]
        name = f"{name}.{child}".removeprefix(".")
    return name


def feature_shape(backbone: nn.Module, size: int) -> tuple[int, int, int]:
    """Return the shape (C, h, w) of the feature map of a square image, without computing the map."""
    state = {key: tensor.to("meta") for key, tensor in backbone.state_dict().items()}
    features = functional_call(backbone, state, torch.empty(1, 3, size, size, device="meta"))
    channels, rows, columns = features.shape[1:]
    return channels, rows, columns


def normalize(images: Tensor) -> Tensor:
    """Turn gray images (N, 1, H, W) in 0..1 into the input (N, 3, H, W) of a backbone.

    The gray channel is repeated, and ImageNet's mean is subtracted and its standard deviation divided by, per channel.
    """
    mean = images.new_tensor(IMAGENET_MEAN).view(1, 3, 1, 1)
    std = images.new_tensor(IMAGENET_STD).view(1, 3, 1, 1)
    return (images - mean) / std
