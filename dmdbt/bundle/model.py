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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from dmdbt import params
from dmdbt.errors import IntegrityError
from dmdbt.files import other_format, sha256, write_json, write_text
from dmdbt.terms import Head

MODEL_NAME, SUMS_NAME = "model.json", "SHA256SUMS"
_FORMAT: dict[str, str | int] = {"format": "dmdbt bundle", "version": 2}
_REMEDY = "Copy the folder again from where it was exported, or export it again: dmdbt export FOLDER."


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
    feature_shape: tuple[int, int, int]
    weights: dict[str, str | int | float]
    heads: dict[int, list[Head]]
    metrics: dict[str, dict[str, float | int | dict[str, str] | None]]


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

    thresholds: dict[str, float | None]
    of_fold: dict[str, dict[int, float | None]]
    sensitivity: dict[str, float | None]
    specificity: dict[str, float | None]
    intercept: float
    slope: float


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
    pairs: int
    patients: int
    malignant_pairs: int
    views: dict[str, int]
    ranges: dict[str, dict[str, tuple[int, int]]]
    kinds: dict[str, dict[str, int]]
    devices: dict[str, dict[str, int]]
    slice_ends: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Model:
    """``model.json``: everything between the file of a lab and a probability.

    Attributes
    ----------
    format, version
        "dmdbt bundle", 1.
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
    backbones: dict[str, Backbone]
    operating_points: dict[str, OperatingPoints]
    training: TrainingCohort

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
        The folder is no bundle, or one of another version; the file is damaged.
    """
    path = folder / MODEL_NAME
    if not path.is_file():
        cause = f"expected a bundle with {MODEL_NAME}, found no such file"
        remedy = "Name a folder that dmdbt export has written."
        raise IntegrityError("BUNDLE-MISSING", file=folder.name, cause=cause, remedy=remedy)
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text)
        if not isinstance(found, dict):
            raise ValueError("no JSON object")
        _upgrade(found)
        if cause := other_format(found, _FORMAT):
            remedy = "Export the bundle again with this version of dmdbt, or install the version that exported it"
            remedy += f" ({found['dmdbt']})." if isinstance(found.get("dmdbt"), str) else "."
            raise IntegrityError("BUNDLE-VERSION", file=MODEL_NAME, cause=cause, remedy=remedy)
        checked_file(folder, MODEL_NAME)
        return _ADAPTER.validate_json(json.dumps(found))
    except (OSError, ValueError, ValidationError, RecursionError) as exc:
        cause = f"expected what dmdbt export writes, found {type(exc).__name__}: {' '.join(str(exc).split())[:200]}"
        raise IntegrityError("BUNDLE-DAMAGED", file=MODEL_NAME, cause=cause, remedy=_REMEDY) from exc


def _upgrade(found: dict[str, Any]) -> None:
    """Add what version 1 of the format did not have: on a CPU, features were float32."""
    if (
        found.get("format") == _FORMAT["format"]
        and found.get("version") == 1
        and isinstance(found.get("features"), dict)
    ):
        found |= {"version": 2, "features": {"precision": "float32"} | found["features"]}


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
        raise IntegrityError("BUNDLE-DAMAGED", file=SUMS_NAME, cause=cause, remedy=_REMEDY) from exc
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
