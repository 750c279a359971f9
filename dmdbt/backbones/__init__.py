"""Frozen backbones and their weights."""

from dmdbt.backbones.architectures import (
    architecture,
    build_backbone,
    create_classifier,
    feature_extractor,
    feature_shape,
    last_layer,
)
from dmdbt.backbones.checkpoints import checkpoint_of, published
from dmdbt.backbones.procedural import pretrain
from dmdbt.backbones.weights import (
    Weights,
    imagenet_weights,
    is_written,
    kinetics_weights,
    local_file,
    local_weights,
    write_weights,
)

__all__ = [
    "Weights",
    "architecture",
    "build_backbone",
    "checkpoint_of",
    "create_classifier",
    "feature_extractor",
    "feature_shape",
    "imagenet_weights",
    "is_written",
    "kinetics_weights",
    "last_layer",
    "local_file",
    "local_weights",
    "pretrain",
    "published",
    "write_weights",
]
