"""The heads of the paper's table I.

References
----------
Liang et al., "Joint 2D-3D Breast Cancer Classification", BIBM 2019, section III.B and table I.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from dmdbt.terms import Head

N_CLASSES = 2  # benign, malignant
# Of one modality, in training the joint head, in float32: both images; outputs of both convolutions and their sum, and
# of the batch norm; maximum and its 64-bit index; three gradients.
_MAPS_IN_TRAINING = 12
ACTIVATIONS = ("none", "relu", "batch_norm_relu")


@dataclass(frozen=True)
class HeadSettings:
    """Table I.

    Attributes
    ----------
    filters
        Output channels of the convolution; None for as many as a feature map has.
    hidden
        Widths of the fully connected layers before the last.
    dropout
        Rate, before every fully connected layer but the first.
    activation
        Behind every fully connected layer but the last, of which the paper does not speak: ``none``, so that they are
        one affine map in eval mode; ``relu``; or ``batch_norm_relu``, batch norm and ReLU.
    """

    filters: int | None = None
    hidden: tuple[int, ...] = (256, 128)
    dropout: float = 0.5
    activation: str = "none"


class SingleModalityHead(nn.Module):
    """Classifier of the feature maps of one modality (DM or DBT).

    A 1 x 1 convolution, batch norm, leaky ReLU and max-pool 2 x 2 with stride 1; then fully connected layers with
    dropout. `channels`, `rows` and `columns` are those of a feature map.
    """

    n_modalities = 1

    def __init__(self, channels: int, rows: int, columns: int, settings: HeadSettings) -> None:
        super().__init__()
        filters = settings.filters or channels
        self.convolution = nn.Sequential(
            nn.Conv2d(self.n_modalities * channels, filters, kernel_size=1),
            nn.BatchNorm2d(filters),
            nn.LeakyReLU(0.01, inplace=True),
            nn.MaxPool2d(kernel_size=2, stride=1),
            nn.Flatten(),
        )
        layers: list[nn.Module] = []
        inputs = filters * (rows - 1) * (columns - 1)
        for width in settings.hidden:
            layers += [nn.Linear(inputs, width), *_activation(settings.activation, width), nn.Dropout(settings.dropout)]
            inputs = width
        self.classifier = nn.Sequential(*layers, nn.Linear(inputs, N_CLASSES))

    def forward(self, maps: Tensor) -> Tensor:
        """Return logits (N, K) of feature maps (N, C, H, W)."""
        logits: Tensor = self.classifier(self.convolution(_channels_last(maps)))
        return logits


class JointHead(SingleModalityHead):
    """Classifier of the feature maps of both modalities, stacked on a modality axis.

    The 1 x 1 x 2 convolution over rows, columns and modalities, without padding, leaves one value on the modality
    axis. It equals the sum of a 1 x 1 convolution of each modality, which is what is computed: on a CPU it takes half
    the time, and the maps are not copied side by side. `channels` are those of one modality.
    """

    n_modalities = 2

    def forward(self, maps: Tensor) -> Tensor:
        """Return logits (N, K) of feature maps (N, C, H, W, M = 2)."""
        convolution = cast(nn.Conv2d, self.convolution[0])
        dm_weight, dbt_weight = convolution.weight.chunk(2, dim=1)
        dm, dbt = (_channels_last(modality) for modality in maps.unbind(-1))
        summed = nn.functional.conv2d(dm, dm_weight, convolution.bias) + nn.functional.conv2d(dbt, dbt_weight)
        logits: Tensor = self.classifier(self.convolution[1:](summed))
        return logits


def build_head(head: Head, shape: tuple[int, int, int], settings: HeadSettings) -> nn.Module:
    """Return the untrained network of a head, for feature maps of shape (C, H, W)."""
    kind = SingleModalityHead if len(head.modalities) == 1 else JointHead
    return kind(*shape, settings)


def training_bytes(shape: tuple[int, int, int], settings: HeadSettings, batch_size: int, *, mixed: bool) -> int:
    """Return the bytes that training the three heads takes at its peak, but for the features of the cohort.

    Weights and both moments of Adam of all three, and the gradients of the largest, for they train in turns; what is
    made of a batch; and with `mixed` the weights of the largest in bfloat16. Measured on a CPU it is at most 15 % off.
    """
    with torch.device("meta"):
        heads = [build_head(head, shape, settings) for head in Head]
    numbers = [sum(weight.numel() for weight in network.parameters()) for network in heads]
    channels, rows, columns = shape
    maps = _MAPS_IN_TRAINING * batch_size * max(channels, settings.filters or channels) * rows * columns
    return 4 * (3 * sum(numbers) + max(numbers) + maps) + 2 * mixed * max(numbers)


def _channels_last(maps: Tensor) -> Tensor:
    """Reorder maps in memory: on a CPU, max-pooling then takes a fifth of the time and convolution half."""
    return maps.contiguous(memory_format=torch.channels_last)


def _activation(name: str, width: int) -> list[nn.Module]:
    if name not in ACTIVATIONS:
        raise ValueError(f"activation: expected one of {', '.join(ACTIVATIONS)}, got {name!r}")
    norm = [nn.BatchNorm1d(width)] if name == "batch_norm_relu" else []
    return [] if name == "none" else [*norm, nn.ReLU(inplace=True)]


def malignant_probability(logits: Tensor) -> Tensor:
    """Probability of class 1 (malignant), shape (N,), from logits (N, K)."""
    return torch.softmax(logits.float(), dim=1)[:, 1]
