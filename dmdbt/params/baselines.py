"""The section of the baselines."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from dmdbt.baselines.registry import BASELINES
from dmdbt.params import kinds


@dataclass(frozen=True)
class AlexnetMaps:
    """Feature maps of a mammogram: size of AlexNet's input, rows and columns of the pooled map, augmented copies."""

    size: kinds.AlexnetSize
    grid: kinds.Grid
    augmentations: kinds.Copies


@dataclass(frozen=True)
class SliceMaps:
    """Feature maps of slices: how many and which, and of each as `AlexnetMaps`."""

    slices: Annotated[int, Field(ge=1, le=1000)]
    choice: kinds.SliceChoice
    size: kinds.AlexnetSize
    grid: kinds.Grid
    augmentations: kinds.Copies


@dataclass(frozen=True)
class GapMaps:
    """Size of VGG19's input."""

    size: kinds.ImageSize


@dataclass(frozen=True)
class VolumeMaps:
    """A volume of fewer slices, rows and columns; no copy that would make columns of rows."""

    slices: Annotated[int, Field(ge=1, le=1000)]
    choice: kinds.SliceChoice
    rows: Annotated[int, Field(ge=16, le=4096)]
    columns: Annotated[int, Field(ge=16, le=4096)]
    augmentations: Annotated[list[Literal["original", "flip", "rot180"]], kinds.WITH_ORIGINAL]


@dataclass(frozen=True)
class Optimization:
    """Optimization of a network; half of every batch is benign, half malignant."""

    epochs: Annotated[int, Field(ge=1, le=10_000)]
    batch_size: kinds.BatchSize
    learning_rate: Annotated[float, Field(ge=1e-8, le=1.0)]
    schedule: kinds.Schedule
    seed: kinds.Seed


@dataclass(frozen=True)
class AlexnetTrain(Optimization):
    """Fully connected layers, and dropout before each."""

    hidden: kinds.Widths
    dropout: kinds.Rate


@dataclass(frozen=True)
class SliceTrain(AlexnetTrain):
    """Filters of the 3-D convolution before the fully connected layers."""

    filters: Annotated[int, Field(ge=1, le=8192)]


@dataclass(frozen=True)
class SvmTrain:
    """Grid of the inner cross-validation; `gamma` in units of 1 / number of features."""

    folds: Annotated[int, Field(ge=2, le=100)]
    c: kinds.Positives
    gamma: kinds.Positives
    seed: kinds.Seed


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

    names: Annotated[
        list[Literal["2d_t3_alex", "3d_t2_alex", "svm_gap", "resnet3d"]], kinds.expect(kinds.once, "each name once")
    ]
    alexnet_2d: Alexnet2d
    alexnet_3d: Alexnet3d
    svm_gap: SvmGap
    resnet3d: Resnet3d

    def of(self, baseline: str) -> Any:
        """Return the settings of a baseline: its `maps` and its `train`."""
        return getattr(self, BASELINES[baseline].section)

    @property
    def backbones(self) -> list[str]:
        """Names under ``backbones.weights`` whose weights the named baselines use."""
        return list(dict.fromkeys(BASELINES[name].weights for name in self.names))
