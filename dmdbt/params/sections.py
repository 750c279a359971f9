"""The sections of the pipeline itself, and of what is tried beside it."""

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from dmdbt.errors import ParameterError
from dmdbt.params import kinds
from dmdbt.terms import Label

Pooler = Literal["ranksvm", "approximate", "mean", "max", "std", "central", "svr"]
Rho = Annotated[float, Field(gt=0.0, le=1e8)]


@dataclass(frozen=True)
class Phantom:
    """The simulated cohort; see `dmdbt.phantom.PhantomSettings`, which has the same fields."""

    patients: kinds.Count
    seed: kinds.Seed
    views_per_patient: Annotated[float, Field(ge=1.0, le=2.0)]
    dm_rows: Annotated[int, Field(ge=64, le=8192)]
    dm_columns: Annotated[int, Field(ge=64, le=8192)]
    dbt_size: Annotated[int, Field(ge=32, le=4096)]
    slice_spacing_mm: Annotated[float, Field(ge=0.25, le=10.0)]
    scan_angle_deg: Annotated[float, Field(ge=1.0, le=60.0)]
    projections: Annotated[int, Field(ge=3, le=99)]
    dose: Annotated[float, Field(ge=0.01, le=100.0)]
    contrast: Annotated[float, Field(ge=0.0, le=2.0)]
    label_ambiguity: Annotated[float, Field(ge=0.0, le=0.5)]
    density: Annotated[float, Field(ge=0.05, le=0.45)]
    codec: Literal["mjpeg", "ffv1", "raw"]


@dataclass(frozen=True)
class Labels:
    """Spellings of the label in a cohort's table, next to ``benign`` and ``malignant``."""

    benign: list[kinds.Spelling]
    malignant: list[kinds.Spelling]

    def __post_init__(self) -> None:
        texts = [str(spelling).casefold() for spelling in (*self.benign, *self.malignant)]
        if not kinds.once([*Label, *texts]):
            raise ParameterError(
                "labels",
                expected="each spelling once, without regard to case, and benign and malignant not at all",
                found={"benign": self.benign, "malignant": self.malignant},
                remedy="Remove the spelling that is there twice.",
            )

    def meaning(self) -> dict[str, Label]:
        """Return what each spelling means, in lower case."""
        spellings = {Label.BENIGN: self.benign, Label.MALIGNANT: self.malignant}
        return {str(text).casefold(): label for label, texts in spellings.items() for text in texts}


@dataclass(frozen=True)
class Split:
    """Patient-grouped folds, and which of them are tested."""

    folds: Annotated[int, Field(ge=2, le=100)]
    test_folds: list[Annotated[int, Field(ge=0, le=99)]]
    seed: kinds.Seed

    def __post_init__(self) -> None:
        expected = f"at least one fold, each once, from 0 to {self.folds - 1}"
        folds = self.test_folds
        if not folds or len(set(folds)) < len(folds) or max(folds) >= self.folds:
            raise ParameterError(
                "split.test_folds", expected=expected, found=folds, remedy="[0] alone is the paper's 4:1 split."
            )


@dataclass(frozen=True)
class Reading:
    """Limits of what is read; see `dmdbt.readers.Limits`, which has the same fields."""

    empty_frames: Literal["error", "repeat", "skip"]
    slice_order: Literal["as_stored", "from_paddle", "from_detector"]
    dm_megapixels: Annotated[float, Field(ge=0.01, le=1e4)]
    slice_megapixels: Annotated[float, Field(ge=0.01, le=1e4)]
    slices: Annotated[int, Field(ge=2, le=100_000)]
    volume_gigapixels: Annotated[float, Field(ge=0.001, le=1e4)]
    file_gib: Annotated[float, Field(ge=0.001, le=1e4)]
    seconds: Annotated[float, Field(ge=1, le=1e5)]
    memory_gib: Annotated[float, Field(ge=0.5, le=1e4)]


@dataclass(frozen=True)
class Quarantine:
    """How many damaged cases may be left out."""

    max_cases: Annotated[int, Field(ge=0, le=1_000_000)]


@dataclass(frozen=True)
class Mammogram:
    """Size of the stored mammogram, and how it becomes a square."""

    size: kinds.ImageSize
    resize: Literal["stretch", "pad"]


@dataclass(frozen=True)
class Decode:
    """Quality of the JPEG slices."""

    quality: Annotated[int, Field(ge=1, le=100)]


@dataclass(frozen=True)
class Rankpool:
    """The pooler of the slices, equation (1) of `ranksvm`, and the mapping of images without gray levels to 8 bits."""

    pooler: Pooler
    rho: Rho
    mapping: Literal["symmetric", "minmax"]
    quantile: Annotated[float, Field(ge=0.5, le=1.0)]


@dataclass(frozen=True)
class Backbones:
    """The frozen networks, and where their weights come from."""

    names: Annotated[
        list[kinds.Backbone],
        kinds.expect(lambda names: bool(names) and kinds.once(names), "at least one name, each once"),
    ]
    resnet_depth: Literal[18, 34, 50, 101, 152]
    weights: str | dict[str, str]

    def __post_init__(self) -> None:
        for name in self.names:
            self.source(name)

    def source(self, name: str) -> str:
        """Return ``imagenet``, ``procedural`` or a path for a backbone; ParameterError if `weights` has none.

        The baseline ``resnet3d`` starts at random if a mapping does not have it.
        """
        if isinstance(self.weights, str):
            return self.weights
        if name == "resnet3d":  # a baseline that can start at random
            return self.weights.get(name, "random")
        if name not in self.weights:
            raise ParameterError(
                f"backbones.weights.{name}",
                expected="imagenet, procedural or a path",
                found=None,
                remedy="Every backbone that is used needs a source.",
            )
        return self.weights[name]


@dataclass(frozen=True)
class Weights:
    """Budget of the procedural pre-training; `steps` per backbone."""

    seed: kinds.Seed
    image_size: kinds.ImageSize
    batch_size: Annotated[int, Field(ge=2, le=4096)]
    steps: dict[kinds.Backbone, kinds.Count]


@dataclass(frozen=True)
class Features:
    """Crop and augmented copies of an image, the input size of each backbone, and in what precision it computes."""

    crop: Literal["breast", "none"]
    augmentations: kinds.Copies
    size: dict[kinds.Backbone, kinds.ImageSize]
    precision: Literal["float32", "float16"]


@dataclass(frozen=True)
class Heads:
    """Table I of the paper, and what stands between its fully connected layers."""

    filters: Literal["backbone"] | Annotated[int, Field(ge=1, le=8192)]
    hidden: kinds.Widths
    activation: Literal["none", "relu", "batch_norm_relu"]
    dropout: kinds.Rate


@dataclass(frozen=True)
class Train:
    """Optimization of the three heads."""

    epochs: Annotated[int, Field(ge=1, le=10_000)]
    batch_size: kinds.BatchSize
    learning_rate: Annotated[float, Field(ge=1e-8, le=1.0)]
    schedule: kinds.Schedule
    precision: Literal["float32", "mixed"]
    seed: kinds.Seed


@dataclass(frozen=True)
class Ensemble:
    """Weights of the votes of the heads, relative to each other."""

    weights: Annotated[
        dict[Literal["dm", "dbt", "dm_dbt"], Annotated[float, Field(ge=0.0, le=1e6)]],
        kinds.expect(
            lambda weights: set(weights) == {"dm", "dbt", "dm_dbt"} and sum(weights.values()) > 0,
            "one weight each for dm, dbt and dm_dbt, not all 0",
            "{dm: 1, dbt: 1, dm_dbt: 1} is the paper's vote.",
        ),
    ]


@dataclass(frozen=True)
class Evaluation:
    """The bootstrap of patients, behind every interval."""

    draws: Annotated[int, Field(ge=100, le=1_000_000)]
    seed: kinds.Seed


@dataclass(frozen=True)
class Variant:
    """A pooling of the slices: these keys in place of those of ``rankpool``. Only ranksvm looks at rho."""

    pooler: Pooler
    rho: Rho

    @property
    def pooling(self) -> tuple[str, float | None]:
        """Pooler, and rho where the pooler has one: they tell two variants apart."""
        return self.pooler, self.rho if self.pooler == "ranksvm" else None


_MAPPING = kinds.expect(
    lambda variants: not isinstance(variants, list),
    "a mapping of names to poolings",
    "Write each as name: {pooler, rho}, such as mean: {pooler: mean, rho: 1.0}.",
)
_ONCE = kinds.expect(
    lambda variants: variants and kinds.once([variant.pooling for variant in variants.values()]),
    "at least one, and each pooling once",
    "Correct the mapping.",
)
_NAMED = kinds.expect(
    lambda variants: all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) for name in variants),
    "names of letters, digits, dots, dashes and underscores",
    "Rename the variant: it is the name of a file.",
)


@dataclass(frozen=True)
class Ablation:
    """Variants that are tried beside the pipeline: poolings of the slices by name, and fewer training patients."""

    backbone: kinds.Backbone
    variants: Annotated[dict[str, Variant], BeforeValidator(_MAPPING.func), _ONCE, _NAMED]
    fractions: list[Annotated[float, Field(gt=0.0, le=0.99)]]
    seed: kinds.Seed
