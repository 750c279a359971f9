"""Frozen backbones, their weights, and the feature maps they give."""

from dmdbt.features.augment import COPIES, augmented
from dmdbt.features.backbones import architecture, build_backbone, feature_shape, normalize
from dmdbt.features.extraction import extract
from dmdbt.features.store import Origin, read_features, write_features

__all__ = [
    "COPIES",
    "Origin",
    "architecture",
    "augmented",
    "build_backbone",
    "extract",
    "feature_shape",
    "normalize",
    "read_features",
    "write_features",
]
