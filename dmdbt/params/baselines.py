"""The section of the baselines."""

from dataclasses import dataclass
from typing import Annotated, Literal

from dmdbt.baselines.registry import BASELINES
from dmdbt.errors import ParameterError
from dmdbt.params.kinds import (
    AlexnetSize,
    Copy,
    Grid,
    ImageSize,
    Positive,
    Rate,
    Schedule,
    Seed,
    SliceChoice,
    Widths,
    Within,
    check_copies,
    check_even,
)


@dataclass(frozen=True)
class AlexnetMaps:
    """Feature maps of a mammogram: size of AlexNet's input, rows and columns of the pooled map, augmented copies."""

    size: AlexnetSize
    grid: Grid
    copies: list[Copy]

    def __post_init__(self) -> None:
        check_copies("baselines.alexnet_2d.maps.copies", self.copies)


@dataclass(frozen=True)
class SliceMaps:
    """Feature maps of slices: how many and which, and of each as `AlexnetMaps`."""

    slices: Annotated[int, Within(1, 1000)]
    choice: SliceChoice
    size: AlexnetSize
    grid: Grid
    copies: list[Copy]

    def __post_init__(self) -> None:
        check_copies("baselines.alexnet_3d.maps.copies", self.copies)


@dataclass(frozen=True)
class GapMaps:
    """Size of VGG19's input."""

    size: ImageSize


@dataclass(frozen=True)
class VolumeMaps:
    """A volume of fewer slices, rows and columns; no copy that would make columns of rows."""

    slices: Annotated[int, Within(1, 1000)]
    choice: SliceChoice
    rows: Annotated[int, Within(16, 4096)]
    columns: Annotated[int, Within(16, 4096)]
    copies: list[Literal["original", "flip", "rot180"]]

    def __post_init__(self) -> None:
        check_copies("baselines.resnet3d.maps.copies", self.copies)


@dataclass(frozen=True)
class Optimization:
    """Optimization of a network; half of every batch is benign, half malignant."""

    epochs: Annotated[int, Within(1, 10_000)]
    batch_size: Annotated[int, Within(2, 4096)]
    learning_rate: Annotated[float, Within(1e-8, 1.0)]
    schedule: Schedule
    seed: Seed

    def __post_init__(self) -> None:
        check_even("baselines.*.train.batch_size", self.batch_size)


@dataclass(frozen=True)
class AlexnetTrain(Optimization):
    """Fully connected layers, and dropout before each."""

    hidden: Widths
    dropout: Rate


@dataclass(frozen=True)
class SliceTrain(AlexnetTrain):
    """Filters of the 3-D convolution before the fully connected layers."""

    filters: Annotated[int, Within(1, 8192)]


@dataclass(frozen=True)
class SvmTrain:
    """What the inner cross-validation chooses from; `gamma` in units of 1 / number of features."""

    folds: Annotated[int, Within(2, 100)]
    c: list[Positive]
    gamma: list[Positive]
    seed: Seed

    def __post_init__(self) -> None:
        for name, values in (("c", self.c), ("gamma", self.gamma)):
            if not values:
                key = f"baselines.svm_gap.train.{name}"
                raise ParameterError(key, expected="at least one number", found=values, remedy="Restore the list.")


@dataclass(frozen=True)
class Alexnet2d:
    """2D-T3-Alex of Zhang et al. 2018."""

    maps: AlexnetMaps
    train: AlexnetTrain


@dataclass(frozen=True)
class Alexnet3d:
    """3D-T2-Alex of Zhang et al. 2018."""

    maps: SliceMaps
    train: SliceTrain


@dataclass(frozen=True)
class SvmGap:
    """SVMs on pooled features of VGG19, after Mendel et al. 2019."""

    maps: GapMaps
    train: SvmTrain


@dataclass(frozen=True)
class Resnet3d:
    """3-D ResNet-18."""

    maps: VolumeMaps
    train: Optimization


@dataclass(frozen=True)
class Baselines:
    """Which baselines run, and the settings of each: what it sees (`maps`) and how it is trained.

    ``2d_t3_alex`` and ``3d_t2_alex`` have theirs under names that ``dvc exp run -S`` takes for keys: no digit first.
    """

    names: list[Literal["2d_t3_alex", "3d_t2_alex", "svm_gap", "resnet3d"]]
    alexnet_2d: Alexnet2d
    alexnet_3d: Alexnet3d
    svm_gap: SvmGap
    resnet3d: Resnet3d

    @property
    def backbones(self) -> list[str]:
        """Names under ``backbones.weights`` whose weights the named baselines use."""
        return list(dict.fromkeys(BASELINES[name].weights for name in self.names))

    def __post_init__(self) -> None:
        if len(set(self.names)) < len(self.names):
            raise ParameterError(
                "baselines.names", expected="each name once", found=self.names, remedy="Correct the list."
            )
