"""How many bytes the stages write and hold, from shapes alone: upper bounds that are no larger than they must be."""

import math
from collections.abc import Sequence

import torch

from dmdbt.backbones import feature_shape
from dmdbt.backbones.architectures import create_classifier, feature_extractor
from dmdbt.heads import HeadSettings, build_head
from dmdbt.terms import Head

FLOAT16, FLOAT32 = 2, 4
_PNG, _HDF5, _JSON = 1024, 16_384, 4096  # bytes of a file that are not its pixels or maps
_SAFETENSORS = 65_536
_WEIGHT_AS_TEXT = 32  # of a slice, in the JSON file of a dynamic image
_BOOKS = 1024  # of one item in a manifest
_ROW, _COPY_ROW = 512, 192  # of a pair in all tables of one backbone, and of one of its copies


def mammogram_bytes(size: int) -> int:
    """Bound of a 16-bit PNG of `size` rows and columns: incompressible pixels."""
    return _png_bytes(size, size, 2) + _BOOKS


def dynamic_bytes(n_slices: int, rows: int, columns: int) -> int:
    """Bound of an 8-bit PNG and of the weights and certificate beside it."""
    return _png_bytes(rows, columns, 1) + _JSON + n_slices * _WEIGHT_AS_TEXT + _BOOKS


def slices_bytes(n_slices: int, rows: int, columns: int, *, bytes_per_pixel: float) -> int:
    """JPEG files of a volume, and their manifest. `bytes_per_pixel` is no bound but from cases that were decoded."""
    return math.ceil(n_slices * (rows * columns * bytes_per_pixel + 256)) + _JSON + _BOOKS


def features_bytes(shape: tuple[int, int, int], n_copies: int) -> int:
    """Bound of the feature maps (C, H, W) of an image: not compressed."""
    return n_copies * math.prod(shape) * FLOAT16 + _HDF5 + _BOOKS


def tables_bytes(n_pairs: int, n_copies: int) -> int:
    """Bound of the probabilities and predictions of one backbone."""
    return n_pairs * (_ROW + n_copies * _COPY_ROW) + _JSON


def backbone_sizes(name: str, resnet_depth: int, size: int) -> tuple[tuple[int, int, int], int]:
    """Shape (C, H, W) of a feature map of a square image, and bytes of the weights file."""
    backbone = feature_extractor(create_classifier(name, resnet_depth))
    state = backbone.state_dict().values()
    return feature_shape(backbone, size), sum(t.numel() * t.element_size() for t in state) + _SAFETENSORS


def head_parameters(head: Head, shape: tuple[int, int, int], settings: HeadSettings) -> int:
    """Number of parameters of a head for feature maps (C, H, W). None of them is made."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build_head(head, shape, settings).parameters())


def models_bytes(shape: tuple[int, int, int], settings: HeadSettings) -> int:
    """Bound of the three heads of one fold, as stored."""
    return sum(FLOAT32 * head_parameters(head, shape, settings) + _SAFETENSORS for head in Head)


def training_steps(targets: Sequence[int], *, n_folds: int, n_copies: int, batch_size: int) -> int:
    """Batches of one epoch, half of one class: every copy of every training pair of the larger class is drawn once."""
    larger = max(targets.count(0), targets.count(1))
    return math.ceil(larger * (n_folds - 1) / n_folds * n_copies / (batch_size // 2))


def _png_bytes(rows: int, columns: int, depth: int) -> int:
    pixels = rows * (columns * depth + 1)  # and the filter of every row
    return pixels + pixels // 1000 + _PNG
