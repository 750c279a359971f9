"""Frozen backbones, their weights, and the feature maps they give."""

from dmdbt.features.augment import COPIES, augmented
from dmdbt.features.backbones import architecture, build_backbone, feature_shape, last_layer, normalize
from dmdbt.features.checkpoints import checkpoint_of, published
from dmdbt.features.extraction import EXTRACTION_CODE, batch_images, extract
from dmdbt.features.procedural import pretrain
from dmdbt.features.store import Origin, read_copy, read_features, read_origin, write_features
from dmdbt.features.weights import (
    Weights,
    imagenet_weights,
    is_written,
    kinetics_weights,
    local_file,
    local_weights,
    write_weights,
)

__all__ = [
    "COPIES",
    "EXTRACTION_CODE",
    "Origin",
    "Weights",
    "architecture",
    "augmented",
    "batch_images",
    "build_backbone",
    "checkpoint_of",
    "extract",
    "feature_shape",
    "imagenet_weights",
    "is_written",
    "kinetics_weights",
    "last_layer",
    "local_file",
    "local_weights",
    "normalize",
    "pretrain",
    "published",
    "read_copy",
    "read_features",
    "read_origin",
    "write_features",
    "write_weights",
]
