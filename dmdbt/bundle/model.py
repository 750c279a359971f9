"""A bundle: a folder with a trained pipeline, from the file of a lab to the probability.

It MUST hold

* ``model.json``, see `Model`; `json_schema` is its schema;
* ``heads/<backbone>/fold<k>/<head>.safetensors`` and ``.json``, see `dmdbt.heads.model_file`;
* ``weights/<backbone>.safetensors``, the state dict of the frozen backbone;
* ``training.csv``, the pairs of the training by digests, see `dmdbt.bundle.training`;
* ``README.md``, the model card, and ``LICENSE``;
* ``SHA256SUMS``, as ``sha256sum`` writes it, of every other file.

It holds no pickle, no name of a file or a patient of the cohort, and no image.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from dmdbt import params
from dmdbt.errors import IntegrityError, ParameterError
from dmdbt.files import other_format, sha256, write_json, write_text
from dmdbt.params import kinds
from dmdbt.terms import Head, Label, Modality

MODEL_NAME, SUMS_NAME = "model.json", "SHA256SUMS"
_FORMAT: dict[str, str | int] = {"format": "dmdbt bundle", "version": 2}
_RULES = ("youden", "sensitivity_90")  # by which a threshold is chosen
_REMEDY = "Copy the folder again from where it was exported, or export it again: dmdbt export FOLDER."


def _one_of(*names: str) -> AfterValidator:
    return kinds.expect(names.__contains__, f"one of {', '.join(names)}")


Classifier = Annotated[str, _one_of(*Head, "ensemble")]
Rule = Annotated[str, _one_of(*_RULES)]
ModalityName = Annotated[str, _one_of(*Modality)]
Axis = Annotated[str, _one_of("slices", "rows", "columns")]
SliceEnd = Annotated[str, _one_of("paddle", "detector")]
Share = Annotated[float, Field(ge=0, le=1)]
Number = Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class Backbone:
    """A frozen backbone and its heads.

    Attributes
    ----------
    architecture, layer
        Torchvision's name, and the module whose output the feature maps are.
    feature_shape
        Channels, rows and columns of a feature map.
    weights
        Where the weights come from: source, name, licence, SHA-256.
    heads
        By number of the tested fold the heads that it trained, on all other folds.
    metrics
        By classifier what was measured on the tested folds, with 95 % intervals.
    """

    architecture: str
    layer: str
    feature_shape: tuple[kinds.Count, kinds.Count, kinds.Count]
    weights: dict[str, str | int | float]
    heads: dict[Number, list[Head]]
    metrics: dict[Classifier, dict[str, float | int | dict[str, str] | None]]

    def __post_init__(self) -> None:
        if not any(self.heads.values()):
            raise ValueError("expected a fold with a head, found none")


@dataclass(frozen=True)
class OperatingPoints:
    """Thresholds and recalibration of one classifier, from the tests of the training cohort alone.

    Attributes
    ----------
    thresholds
        By rule: ``youden`` maximizes sensitivity + specificity; ``sensitivity_90`` is the highest that keeps a
        sensitivity of 90 %. Chosen on the tests of all folds. None where a class is missing.
    of_fold
        By rule and fold the threshold that the tests of the other folds give: the patients of the fold have no part
        in it. Empty if one fold was tested.
    sensitivity, specificity
        By rule, of the tested pairs under the thresholds `of_fold`.
    intercept, slope
        Coefficients of the logistic regression of the label on the log odds of p: ``calibrated = 1 / (1 +
        exp(-(intercept + slope * log(p / (1 - p)))))``.
    """

    thresholds: dict[Rule, Share | None]
    of_fold: dict[Rule, dict[Number, Share | None]]
    sensitivity: dict[Rule, Share | None]
    specificity: dict[Rule, Share | None]
    intercept: float
    slope: float

    def __post_init__(self) -> None:
        for name in ("thresholds", "of_fold", "sensitivity", "specificity"):
            if getattr(self, name).keys() != {*_RULES}:
                raise ValueError(f"expected {' and '.join(_RULES)} in {name}, found {_names(getattr(self, name))}")


@dataclass(frozen=True)
class TrainingCohort:
    """The cohort of the training as a whole, without a word on a single pair.

    Attributes
    ----------
    simulated
        None: not stated.
    source, label_rule
        As the cohort states them.
    pairs, patients, malignant_pairs
        Numbers.
    views
        Pairs by view.
    ranges
        By modality and quantity (``rows``, ``columns``, ``slices``) the smallest and the largest value.
    kinds, devices
        By modality the number of images of each container, codec and bits, and of each manufacturer and model.
    slice_ends
        How many volumes begin at the ``paddle`` and how many at the ``detector``, without those that do not tell.
        Empty in bundles of earlier versions.
    """

    simulated: bool | None
    source: str
    label_rule: str
    pairs: Number
    patients: Number
    malignant_pairs: Number
    views: dict[str, Number]
    ranges: dict[ModalityName, dict[Axis, tuple[Number, Number]]]
    kinds: dict[ModalityName, dict[str, Number]]
    devices: dict[ModalityName, dict[str, Number]]
    slice_ends: dict[SliceEnd, Number] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not max(self.patients, self.malignant_pairs) <= self.pairs:
            found = f"{self.patients} patients and {self.malignant_pairs} malignant pairs"
            raise ValueError(f"expected no more patients or malignant pairs than the {self.pairs} pairs, found {found}")
        for axis, (low, high) in ((a, ends) for of in self.ranges.values() for a, ends in of.items()):
            if low > high:
                raise ValueError(f"expected a range of {axis} from the smallest to the largest, found {low} to {high}")


@dataclass(frozen=True)
class Model:
    """``model.json``: everything between the file of a lab and a probability.

    Attributes
    ----------
    format, version
        "dmdbt bundle", 2.
    dmdbt, libraries
        Versions of the program and of the libraries that trained the heads.
    notice, licence
        What it is not, and the SPDX name of its licence.
    classes
        Names of the outputs of a head, in their order.
    resnet_depth, labels, reading, mammogram, decode, rankpool, features, ensemble
        As in ``params.yaml``. Predictions use the copy ``original`` alone.
    backbones
        By name. A probability is the mean over all of them.
    operating_points
        By classifier, of the mean over the backbones.
    training
        The cohort.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    format: Literal["dmdbt bundle"]
    version: Literal[2]
    dmdbt: str
    libraries: dict[str, str]
    notice: str
    licence: str
    classes: list[str]
    resnet_depth: Literal[18, 34, 50, 101, 152]
    labels: params.Labels
    reading: params.Reading
    mammogram: params.Mammogram
    decode: params.Decode
    rankpool: params.Rankpool
    features: params.Features
    ensemble: params.Ensemble
    backbones: dict[kinds.Backbone, Backbone]
    operating_points: dict[Classifier, OperatingPoints]
    training: TrainingCohort

    def __post_init__(self) -> None:
        if self.classes != [*Label]:
            raise ValueError(f"classes: expected {_names(Label)} in this order, found {_names(self.classes)}")
        if not self.backbones:
            raise ValueError("backbones: expected at least one, found none")
        if missing := self.backbones.keys() - self.features.size.keys():
            raise ValueError(f"features.size: expected a size for {_names(missing)}, found none")

    @property
    def line(self) -> str:
        """The model in one line: backbones, folds, patients."""
        folds = len({fold for backbone in self.backbones.values() for fold in backbone.heads})
        kind = {True: "simulated ", False: "real ", None: ""}[self.training.simulated]
        names = ", ".join(self.backbones)
        return f"{names}; {folds} {'fold' if folds == 1 else 'folds'}; {self.training.patients} {kind}patients"


_ADAPTER = TypeAdapter(Model)


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of ``model.json``."""
    return _ADAPTER.json_schema()


def write_model(folder: Path, model: Model) -> None:
    """Write ``model.json``, and then ``SHA256SUMS`` of every file of the folder."""
    write_json(folder / MODEL_NAME, _ADAPTER.dump_python(model, mode="json"))
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SUMS_NAME)
    write_text(
        folder / SUMS_NAME, "".join(f"{sha256(file)}  {file.relative_to(folder).as_posix()}\n" for file in files)
    )


def read_model(folder: Path) -> Model:
    """Read ``model.json`` of a bundle, which is compared with its checksum.

    Raises
    ------
    IntegrityError
        The folder is not a bundle, or is one of another version; the file is damaged, or contradicts itself or
        the checksum of the weights.
    """
    path = folder / MODEL_NAME
    if not path.is_file():
        cause = f"expected a bundle with {MODEL_NAME}, found no such file"
        remedy = "Name a folder that dmdbt export has written."
        raise IntegrityError("BUNDLE-MISSING", file=folder.name, cause=cause, remedy=remedy)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("expected a JSON object")
    except (OSError, ValueError, RecursionError) as exc:
        cause = f"expected what dmdbt export writes, found {type(exc).__name__}: {' '.join(str(exc).split())[:200]}"
        raise damaged(MODEL_NAME, cause) from exc
    found = _upgraded(found)
    made_by = f" ({found['dmdbt']})" if isinstance(found.get("dmdbt"), str) else ""
    remedy = "Export the bundle again with this version of dmdbt, or install the version that exported it" + made_by
    if cause := other_format(found, _FORMAT):
        raise IntegrityError("BUNDLE-VERSION", file=MODEL_NAME, cause=cause, remedy=f"{remedy}.")
    checked_file(folder, MODEL_NAME)
    try:
        model = _ADAPTER.validate_json(json.dumps(found))
    except ValidationError as exc:
        error = exc.errors()[0]
        of_version = error["type"] in ("missing", "unexpected_keyword_argument")
        raise damaged(MODEL_NAME, _cause(error), f"{remedy}." if of_version else _REMEDY) from exc
    except ParameterError as exc:
        raise damaged(MODEL_NAME, f"{exc.key}: expected {exc.expected}, found {exc.found!r}") from exc
    sums = _sums(folder)
    for name, backbone in model.backbones.items():
        if backbone.weights.get("sha256") != sums.get(file := f"weights/{name}.safetensors"):
            raise damaged(file, f"expected the SHA-256 that {MODEL_NAME} has, found another in {SUMS_NAME}")
    return model


def damaged(file: str, cause: str, remedy: str = _REMEDY) -> IntegrityError:
    """Return the error of a file of a bundle that is not what ``dmdbt export`` writes."""
    return IntegrityError("BUNDLE-DAMAGED", file=file, cause=cause, remedy=remedy)


def _upgraded(found: dict[str, Any]) -> dict[str, Any]:
    """Add what version 1 of the format did not have: on a CPU, features were float32; labels had no other spellings."""
    if (
        found.get("format") != _FORMAT["format"]
        or found.get("version") != 1
        or not isinstance(found.get("features"), dict)
    ):
        return found
    features = {"precision": "float32"} | found["features"]
    return {"labels": {"benign": [], "malignant": []}} | found | {"version": 2, "features": features}


def _cause(error: ErrorDetails) -> str:
    """Say in one sentence what pydantic has found."""
    key, kind = ".".join(str(part) for part in error["loc"] if part != "[key]"), error["type"]
    if kind == "value_error":  # of a __post_init__
        return f"{key}: {error['ctx']['error']}" if key else str(error["ctx"]["error"])
    if kind == "missing":
        return f"expected the field {key}, found none"
    if kind == "unexpected_keyword_argument":
        return f"expected no field {key}, found one"
    return f"{key}: expected {error['msg'].removeprefix('Input should be ')}, found {str(error['input'])[:100]}"


def _names(values: Iterable[str]) -> str:
    return " and ".join(values) or "none"


def checked_file(folder: Path, name: str) -> Path:
    """Return the path of a file of a bundle.

    Raises
    ------
    IntegrityError
        The file is missing, is not listed in ``SHA256SUMS``, or has another checksum there.
    """
    path = folder / name
    wanted = _sums(folder).get(name)
    if wanted is None or not path.is_file() or sha256(path) != wanted:
        found = "no such file" if not path.is_file() else "another" if wanted else "none"
        cause = f"expected the SHA-256 of {SUMS_NAME}, found {found}"
        raise IntegrityError("BUNDLE-CHANGED", file=name, cause=cause, remedy=_REMEDY)
    return path


def check_all(folder: Path) -> None:
    """Compare every file of a bundle with its checksum; IntegrityError as `checked_file`."""
    for name in _sums(folder):
        checked_file(folder, name)


def _sums(folder: Path) -> dict[str, str]:
    path = folder / SUMS_NAME
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        cause = f"expected the checksums of a bundle, found {type(exc).__name__}"
        raise damaged(SUMS_NAME, cause) from exc
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
