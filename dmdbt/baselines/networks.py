"""The trained parts of the baselines. All map (N, C, K * h, w), the K maps of a pair below each other, to logits."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from dmdbt.backbones.torchvision_operators import models

_N_CLASSES = 2  # benign, malignant
_SLOPE = 0.01
_POOL = 2  # of the 3-D max-pool, where an axis is long enough
# Of Kinetics-400, as torchvision normalizes the videos that its networks were trained on.
_VIDEO_MEAN, _VIDEO_STD = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)


class FullyConnected(nn.Module):
    """Fully connected layers of the form of AlexNet's: dropout, linear, ReLU, ..., linear.

    Parameters
    ----------
    inputs
        Features of a pair.
    hidden
        Widths before the last layer.
    dropout
        Rate, before every layer.
    """

    def __init__(self, inputs: int, *, hidden: Sequence[int], dropout: float) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Flatten()]
        for width in hidden:
            layers += [nn.Dropout(dropout), nn.Linear(inputs, width), nn.ReLU(inplace=True)]
            inputs = width
        self.layers = nn.Sequential(*layers, nn.Dropout(dropout), nn.Linear(inputs, _N_CLASSES))

    def forward(self, maps: Tensor) -> Tensor:
        """Return logits (N, 2) of maps (N, ...)."""
        logits: Tensor = self.layers(maps)
        return logits


class SliceConvolution(nn.Module):
    """One 3-D convolution over slices, rows and columns of the maps of K slices, then fully connected layers.

    The convolution is 3 x 3 x 3 with zeros beyond the border; behind it batch norm, leaky ReLU and max-pool 2 x 2 x 2.

    Parameters
    ----------
    shape
        (C, K * h, w) of the maps of a pair; they are square, h = w.
    filters
        Output channels of the convolution.
    hidden, dropout
        See `FullyConnected`.
    """

    def __init__(self, shape: tuple[int, int, int], *, filters: int, hidden: Sequence[int], dropout: float) -> None:
        super().__init__()
        channels, _, self.grid = shape
        axes = (shape[1] // self.grid, self.grid, self.grid)
        pool = tuple(min(_POOL, length) for length in axes)
        self.convolution = nn.Sequential(
            nn.Conv3d(channels, filters, kernel_size=3, padding=1),
            nn.BatchNorm3d(filters),
            nn.LeakyReLU(_SLOPE, inplace=True),
            nn.MaxPool3d(pool),
        )
        pooled = [length // by for length, by in zip(axes, pool, strict=True)]
        self.classifier = FullyConnected(filters * math.prod(pooled), hidden=hidden, dropout=dropout)

    def forward(self, maps: Tensor) -> Tensor:
        """Return logits (N, 2) of maps (N, C, K * h, w)."""
        logits: Tensor = self.classifier(self.convolution(_slices(maps, self.grid)))
        return logits


class VideoResnet(nn.Module):
    """torchvision's 3-D ResNet-18 on a volume, gray repeated to its three channels.

    Parameters
    ----------
    rows
        Of a slice.
    state_dict
        Of a classifier of videos, whose last layer is left out; a random start without it.

    References
    ----------
    Tran et al., "A Closer Look at Spatiotemporal Convolutions for Action Recognition", CVPR 2018: R3D.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, rows: int, state_dict: Mapping[str, Tensor] | None = None) -> None:
        super().__init__()
        self.rows = rows
        self.network = models.get_model("r3d_18", weights=None)
        if state_dict is not None:
            self.network.load_state_dict(state_dict, strict=True)
        self.network.fc = nn.Linear(self.network.fc.in_features, _N_CLASSES)
        self.register_buffer("mean", torch.tensor(_VIDEO_MEAN).view(1, 3, 1, 1, 1))
        self.register_buffer("std", torch.tensor(_VIDEO_STD).view(1, 3, 1, 1, 1))

    def forward(self, volumes: Tensor) -> Tensor:
        """Return logits (N, 2) of gray levels from 0 to 1, shape (N, 1, K * H, W)."""
        slices = _slices(volumes, self.rows)
        logits: Tensor = self.network((slices - self.mean) / self.std)
        return logits


def _slices(maps: Tensor, rows: int) -> Tensor:
    """Turn (N, C, K * h, w) into (N, C, K, h, w)."""
    n, channels, stacked, columns = maps.shape
    return maps.reshape(n, channels, stacked // rows, rows, columns)
