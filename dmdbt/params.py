"""The typed sections of ``params.yaml``: every name, type and range is checked when a section is read."""

import math
import re
import types
from collections.abc import Sequence
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from dmdbt.errors import ParameterError

Section = TypeVar("Section")
DEFAULT_PATH = Path("params.yaml")


@dataclass(frozen=True)
class Within:
    """An interval that holds its ends, or all but the low one."""

    low: float
    high: float
    above_low: bool = False

    def __contains__(self, value: float) -> bool:
        return (self.low < value if self.above_low else self.low <= value) and value <= self.high

    def __str__(self) -> str:
        return f"{'above' if self.above_low else 'from'} {self.low:g} {'up ' * self.above_low}to {self.high:g}"


Copy = Literal["original", "flip", "rot90", "rot180", "rot270"]
Fraction = Annotated[float, Within(0.0, 1.0)]
Seed = Annotated[int, Within(0, 2**31 - 1)]
ImageSize = Annotated[int, Within(32, 4096)]
Count = Annotated[int, Within(1, 1_000_000)]
Grid = Annotated[int, Within(1, 128)]
AlexnetSize = Annotated[int, Within(64, 4096)]  # of smaller images its last max-pool leaves nothing
Widths = list[Annotated[int, Within(1, 65536)]]
Rate = Annotated[float, Within(0.0, 0.99)]
Positive = Annotated[float, Within(1e-6, 1e6)]
SliceChoice = Literal["even", "central"]


@dataclass(frozen=True)
class Phantom:
    """The simulated cohort; see `dmdbt.phantom.PhantomSettings`, which has the same fields."""

    patients: Count
    seed: Seed
    views_per_patient: Annotated[float, Within(1.0, 2.0)]
    dm_rows: Annotated[int, Within(64, 8192)]
    dm_columns: Annotated[int, Within(64, 8192)]
    dbt_size: Annotated[int, Within(32, 4096)]
    slice_spacing_mm: Annotated[float, Within(0.25, 10.0)]
    scan_angle_deg: Annotated[float, Within(1.0, 60.0)]
    projections: Annotated[int, Within(3, 99)]
    dose: Annotated[float, Within(0.01, 100.0)]
    contrast: Annotated[float, Within(0.0, 2.0)]
    ambiguous: Annotated[float, Within(0.0, 0.5)]
    density: Annotated[float, Within(0.05, 0.45)]
    codec: Literal["mjpeg", "ffv1", "raw"]


@dataclass(frozen=True)
class Split:
    """Patient-grouped folds, and which of them are tested."""

    folds: Annotated[int, Within(2, 100)]
    test_folds: list[Annotated[int, Within(0, 99)]]
    seed: Seed

    def __post_init__(self) -> None:
        expected = f"at least one fold, each once, from 0 to {self.folds - 1}"
        folds = self.test_folds
        if not folds or len(set(folds)) < len(folds) or max(folds) >= self.folds:
            raise ParameterError(
                "split.test_folds", expected=expected, found=folds, remedy="[0] alone is the paper's 4:1 split."
            )


@dataclass(frozen=True)
class Reading:
    """What is read and what is refused; see `dmdbt.readers.Limits`, which has the same fields."""

    empty_frames: Literal["error", "repeat", "skip"]
    dm_megapixels: Annotated[float, Within(0.01, 1e4)]
    slice_megapixels: Annotated[float, Within(0.01, 1e4)]
    slices: Annotated[int, Within(2, 100_000)]
    volume_gigapixels: Annotated[float, Within(0.001, 1e4)]
    file_gib: Annotated[float, Within(0.001, 1e4)]
    seconds: Annotated[float, Within(1, 1e5)]
    memory_gib: Annotated[float, Within(0.5, 1e4)]


@dataclass(frozen=True)
class Quarantine:
    """How many damaged cases may be left out."""

    allow: Annotated[int, Within(0, 1_000_000)]


@dataclass(frozen=True)
class Mammogram:
    """Size of the stored mammogram, and how it becomes a square."""

    size: ImageSize
    resize: Literal["stretch", "pad"]


@dataclass(frozen=True)
class Decode:
    """Quality of the JPEG slices."""

    quality: Annotated[int, Within(1, 100)]


@dataclass(frozen=True)
class Rankpool:
    """The pooler of the slices, equation (1) of `ranksvm`, and the mapping of images without gray levels to 8 bits."""

    pooler: Literal["ranksvm", "approximate", "mean", "max", "std", "central", "svr"]
    rho: Annotated[float, Within(0.0, 1e8, above_low=True)]
    mapping: Literal["symmetric", "minmax"]
    quantile: Annotated[float, Within(0.5, 1.0)]


@dataclass(frozen=True)
class Backbones:
    """The frozen networks, and where their weights come from."""

    names: list[str]
    resnet_depth: Literal[18, 34, 50, 101, 152]
    weights: str

    def __post_init__(self) -> None:
        if not self.names or len(set(self.names)) < len(self.names):
            raise ParameterError(
                "backbones.names", expected="at least one name, each once", found=self.names, remedy="Correct the list."
            )


@dataclass(frozen=True)
class Weights:
    """Budget of the procedural pre-training; `steps` per backbone."""

    seed: Seed
    image_size: ImageSize
    batch_size: Annotated[int, Within(2, 4096)]
    steps: dict[str, Count]


@dataclass(frozen=True)
class Features:
    """What of an image a backbone sees, its augmented copies, and the input size of each backbone."""

    crop: Literal["breast", "none"]
    copies: list[Copy]
    size: dict[str, ImageSize]

    def __post_init__(self) -> None:
        _check_copies("features.copies", self.copies)


@dataclass(frozen=True)
class Heads:
    """Table I of the paper."""

    filters: Literal["backbone"] | Annotated[int, Within(1, 8192)]
    hidden: Widths
    dropout: Rate


@dataclass(frozen=True)
class Train:
    """Optimization of the three heads."""

    epochs: Annotated[int, Within(1, 10_000)]
    batch_size: Annotated[int, Within(2, 4096)]
    learning_rate: Annotated[float, Within(1e-8, 1.0)]
    precision: Literal["float32", "mixed"]
    seed: Seed

    def __post_init__(self) -> None:
        _check_even("train.batch_size", self.batch_size)


@dataclass(frozen=True)
class Ensemble:
    """Weights of the votes of the heads, relative to each other."""

    weights: dict[Literal["dm", "dbt", "dm_dbt"], Annotated[float, Within(0.0, 1e6)]]

    def __post_init__(self) -> None:
        if set(self.weights) != {"dm", "dbt", "dm_dbt"} or sum(self.weights.values()) <= 0:
            raise ParameterError(
                "ensemble.weights",
                expected="one weight each for dm, dbt and dm_dbt, not all 0",
                found=self.weights,
                remedy="{dm: 1, dbt: 1, dm_dbt: 1} is the paper's vote.",
            )


@dataclass(frozen=True)
class Evaluation:
    """The bootstrap of patients, behind every interval."""

    draws: Annotated[int, Within(100, 1_000_000)]
    seed: Seed


@dataclass(frozen=True)
class Ablation:
    """What is tried beside the pipeline: poolers of the slices, and fewer training patients."""

    backbone: str
    variants: list[str]
    fractions: list[Annotated[float, Within(0.0, 0.99, above_low=True)]]
    seed: Seed

    def __post_init__(self) -> None:
        base = Rankpool(pooler="mean", rho=1.0, mapping="symmetric", quantile=1.0)
        poolings = [for_variant(base, variant) for variant in self.variants]
        if not poolings or any(pooling in poolings[:number] for number, pooling in enumerate(poolings)):
            raise ParameterError(
                "ablation.variants",
                expected="at least one, and each pooling once",
                found=self.variants,
                remedy="Correct the list.",
            )


@dataclass(frozen=True)
class AlexnetMaps:
    """Feature maps of a mammogram: size of AlexNet's input, rows and columns of the pooled map, augmented copies."""

    size: AlexnetSize
    grid: Grid
    copies: list[Copy]

    def __post_init__(self) -> None:
        _check_copies("baselines.alexnet_2d.maps.copies", self.copies)


@dataclass(frozen=True)
class SliceMaps:
    """Feature maps of slices: how many and which, and of each as `AlexnetMaps`."""

    slices: Annotated[int, Within(1, 1000)]
    choice: SliceChoice
    size: AlexnetSize
    grid: Grid
    copies: list[Copy]

    def __post_init__(self) -> None:
        _check_copies("baselines.alexnet_3d.maps.copies", self.copies)


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
        _check_copies("baselines.resnet3d.maps.copies", self.copies)


@dataclass(frozen=True)
class Optimization:
    """Optimization of a network; half of every batch is benign, half malignant."""

    epochs: Annotated[int, Within(1, 10_000)]
    batch_size: Annotated[int, Within(2, 4096)]
    learning_rate: Annotated[float, Within(1e-8, 1.0)]
    seed: Seed

    def __post_init__(self) -> None:
        _check_even("baselines.*.train.batch_size", self.batch_size)


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

    def __post_init__(self) -> None:
        if len(set(self.names)) < len(self.names):
            raise ParameterError(
                "baselines.names", expected="each name once", found=self.names, remedy="Correct the list."
            )


def _check_copies(key: str, copies: Sequence[str]) -> None:
    if "original" not in copies or len(set(copies)) < len(copies):
        expected = "each copy once, the original among them"
        raise ParameterError(key, expected=expected, found=copies, remedy="Testing uses the original.")


def _check_even(key: str, batch_size: int) -> None:
    if batch_size % 2:
        remedy = "Half of every batch is benign, half malignant."
        raise ParameterError(key, expected="an even number", found=batch_size, remedy=remedy)


SECTIONS = {
    "phantom": Phantom,
    "reading": Reading,
    "quarantine": Quarantine,
    "split": Split,
    "mammogram": Mammogram,
    "decode": Decode,
    "rankpool": Rankpool,
    "backbones": Backbones,
    "weights": Weights,
    "features": Features,
    "heads": Heads,
    "train": Train,
    "ensemble": Ensemble,
    "baselines": Baselines,
    "evaluation": Evaluation,
    "ablation": Ablation,
}


class _Loader(yaml.SafeLoader):
    """YAML 1.1, but with the numbers of YAML 1.2: PyYAML alone reads ``5e-05`` as text, and DVC writes it so."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), [*"-+0123456789"]
)


def read(section: type[Section], path: Path = DEFAULT_PATH, setting: Path | None = None) -> Section:
    """Read and check one section.

    Parameters
    ----------
    section
        One of the classes of this module; its name in lower case is the key in the file.
    path
        The file.
    setting
        A file that holds part of another ``params.yaml``, which takes precedence; see `overrides`.

    Raises
    ------
    ParameterError
        The file is missing or no YAML mapping; the section or a key is missing or unknown; a value has the wrong
        type or is out of range. The error names key, expectation and value.
    """
    key = section.__name__.lower()
    content = _load(path)
    if setting is not None:
        content = _merged(content, _load(setting))
    if key not in content:
        raise ParameterError(key, expected=f"a section in {path.name}", found=None, remedy="Add the section.")
    return _section(section, content[key], key)


def for_backbone(values: dict[str, int], backbone: str, *, key: str) -> int:
    """Value of a mapping from backbones to numbers, such as ``features.size``; ParameterError if there is none."""
    if backbone not in values:
        raise ParameterError(
            f"{key}.{backbone}", expected="a number", found=None, remedy="Every name in backbones.names needs one."
        )
    return values[backbone]


def for_variant(settings: Rankpool, variant: str) -> Rankpool:
    """Return `settings` with the pooling of a variant of the ablation; ParameterError if there is no such pooling.

    A variant is the name of a pooler, or ``ranksvm-<rho>``. The rho of other poolers is 1, for they have none.
    """
    pooler, _, rho = variant.partition("-")
    if (pooler == "ranksvm") != bool(rho) or (rho and not re.fullmatch(r"[\d.]+(e-?\d+)?", rho)):
        raise ParameterError(
            "ablation.variants",
            expected="the names of poolers, ranksvm with its rho",
            found=variant,
            remedy="Write such as mean, or ranksvm-0.1.",
        )
    changes = {"pooler": pooler, "rho": yaml.load(rho or "1", _Loader)}  # a SafeLoader
    return _section(Rankpool, asdict(settings) | changes, f"ablation.variants.{variant}")


def cohort_folder(path: Path = DEFAULT_PATH) -> Path:
    """Read where the cohort is; ParameterError if the file does not say."""
    found = _load(path).get("cohort")
    if not isinstance(found, str):
        raise ParameterError("cohort", expected="the path of a folder", found=found, remedy="Add the key.")
    return Path(found)


def is_simulated(cohort: Path) -> bool:
    """Return whether a cohort's folder is the one of the simulated cohort."""
    return cohort == Path("data/phantom/cohort")


def overrides(path: Path) -> list[str]:
    """Flatten a file that holds part of ``params.yaml`` to items ``section.key=value``, as ``dvc exp run -S`` takes."""
    return _flatten(_load(path), "")


def _merged(content: Any, changes: Any) -> Any:
    """`content` with the leaves of `changes` in the place of its own."""
    if not isinstance(content, dict) or not isinstance(changes, dict):
        return changes
    return content | {name: _merged(content.get(name), value) for name, value in changes.items()}


def _flatten(content: Any, key: str) -> list[str]:
    if isinstance(content, dict):
        return [item for name, value in content.items() for item in _flatten(value, f"{key}.{name}" if key else name)]
    return [f"{key}={str(content).replace(' ', '')}"]


def _load(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ParameterError(str(path), expected="a file", found=None, remedy="Run from the root of the repository.")
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # a SafeLoader
    except yaml.YAMLError as exc:
        reason = str(exc).replace("\n", " ")
        raise ParameterError(str(path), expected="YAML", found=reason, remedy="Correct the line it names.") from exc
    if not isinstance(content, dict):
        raise ParameterError(str(path), expected="a mapping of sections", found=content, remedy="Restore the file.")
    return content


def _section(section: type[Section], content: Any, key: str) -> Section:
    hints = get_type_hints(section, include_extras=True)
    if not isinstance(content, dict):
        raise ParameterError(key, expected=f"the keys {', '.join(hints)}", found=content, remedy="Restore the section.")
    for name in [*hints, *content]:
        if name not in hints:
            raise ParameterError(
                f"{key}.{name}", expected=f"one of {', '.join(hints)}", found=name, remedy="Remove or rename the key."
            )
        if name not in content:
            raise ParameterError(f"{key}.{name}", expected=_describe(hints[name]), found=None, remedy="Add the key.")
    return section(**{name: _value(content[name], hints[name], f"{key}.{name}") for name in hints})


def _value(value: Any, hint: Any, key: str) -> Any:
    """Return `value` as `hint` demands, or raise with the key that is at fault."""
    if is_dataclass(hint) and isinstance(hint, type):
        return _section(hint, value, key)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is list and isinstance(value, list):
        return [_value(item, arguments[0], f"{key}[{index}]") for index, item in enumerate(value)]
    if origin is dict and isinstance(value, dict):
        return {_value(k, arguments[0], key): _value(v, arguments[1], f"{key}.{k}") for k, v in value.items()}
    if not _matches(value, hint):
        raise ParameterError(key, expected=_describe(hint), found=value, remedy=_remedy(value))
    return float(value) if _accepts_float(hint) else value


def _matches(value: Any, hint: Any) -> bool:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _matches(value, arguments[0]) and value in arguments[1]
    if origin is Literal:
        return any(type(value) is type(choice) and value == choice for choice in arguments)
    if origin in (types.UnionType, Union):
        return any(_matches(value, argument) for argument in arguments)
    if hint is float:
        return type(value) in (int, float) and math.isfinite(value)
    return type(value) is hint  # exactly: True is no whole number


def _accepts_float(hint: Any) -> bool:
    return hint is float or (get_origin(hint) is Annotated and get_args(hint)[0] is float)


def _describe(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return f"{_describe(arguments[0])} {arguments[1]}"
    if origin is Literal:
        return "one of " + ", ".join(str(choice) for choice in arguments)
    if origin in (types.UnionType, Union):
        return " or ".join(_describe(argument) for argument in arguments)
    if origin is list:
        return f"a list, each {_describe(arguments[0])}"
    if origin is dict:
        return f"a mapping to {_describe(arguments[1])}"
    return {int: "a whole number", float: "a number", str: "text"}.get(hint, "a mapping")


def _remedy(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"[-+\d.eE]+", value):
        return "It is text here; write it as a number, such as 0.001 or 1e-3, without quotes."
    return "Correct the value."
