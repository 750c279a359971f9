"""From the outputs of the pipeline to a bundle."""

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from dmdbt import __version__, params
from dmdbt.bundle.card import model_card
from dmdbt.bundle.model import Backbone, Model, OperatingPoints, TrainingCohort, write_model
from dmdbt.bundle.operating_points import operating_points
from dmdbt.bundle.training import TRAINING_NAME, Images, write_training
from dmdbt.cohort import Case, Statement, read_folds, read_stated, read_table
from dmdbt.errors import IntegrityError, ParameterError
from dmdbt.evaluation import CLASSIFIERS, read_all_predictions
from dmdbt.features import read_provenance
from dmdbt.files import whole_folder, write_text
from dmdbt.heads import read_head
from dmdbt.ingest import read_examination, slice_ends
from dmdbt.prediction.result import NOTICE
from dmdbt.terms import Head, Label, Modality

_LIBRARIES = ("torch", "torchvision", "numpy", "pydicom", "av", "pillow")
_AXES = {Modality.DM: ("rows", "columns"), Modality.DBT: ("slices", "rows", "columns")}


@dataclass(frozen=True)
class Trained:
    """Where the pipeline has put what a bundle is made of.

    Attributes
    ----------
    root
        Folder of the repository: it holds ``data/``, ``metrics/`` and ``params.yaml``.
    """

    root: Path

    @property
    def params(self) -> Path:
        """The parameters."""
        return self.root / "params.yaml"

    def data(self, *parts: str) -> Path:
        """Return a path below ``data/``."""
        return self.root.joinpath("data", *parts)

    def metrics(self, name: str) -> Path:
        """Return the path of a file of ``metrics/``."""
        return self.root / "metrics" / name


def check_up_to_date(trained: Trained, backbones: Sequence[str]) -> None:
    """Ask DVC whether parameters, code and data are those of the last run.

    Raises
    ------
    IntegrityError
        They are not, or DVC cannot tell.
    """
    command = [sys.executable, "-m", "dvc", "status", "--json", "--with-deps", *(f"ensemble@{b}" for b in backbones)]
    asked = subprocess.run(command, cwd=trained.root, capture_output=True, text=True, check=False)
    remedy = "Run dvc repro, then export again."
    if asked.returncode:
        cause = "expected a repository in which DVC has run, found: "
        cause += (asked.stderr.strip().splitlines() or ["no answer of DVC"])[-1]
        raise IntegrityError("EXPORT-STATUS", file="dvc.yaml", cause=cause, remedy=remedy)
    if changed := json.loads(asked.stdout or "{}"):
        cause = f"expected results of the present parameters, code and data, found changes for {', '.join(changed)}"
        raise IntegrityError("EXPORT-STALE", file="dvc.lock", cause=cause, remedy=remedy)


def export_bundle(trained: Trained, folder: Path, backbones: Sequence[str], *, licence: str) -> Model:
    """Write a bundle; see `dmdbt.bundle.model`.

    Parameters
    ----------
    trained
        A pipeline that has run; `check_up_to_date` says whether it is up to date.
    folder
        Written whole or not at all; a bundle that stands there is replaced.
    backbones
        Names, at least one.
    licence
        SPDX name of the licence of the bundle, or another word on it.

    Raises
    ------
    ParameterError
        A backbone is none of ``backbones.names``; something else than a bundle stands at `folder`.
    IntegrityError
        An output of the pipeline is missing or damaged.
    """
    names = params.read(params.Backbones, trained.params).names
    for name in backbones:
        if name not in names:
            remedy = "Name a backbone that was trained."
            raise ParameterError("--backbones", expected=f"some of {', '.join(names)}", found=name, remedy=remedy)
    if folder.exists() and not (folder / "model.json").is_file() and (not folder.is_dir() or any(folder.iterdir())):
        expected = "a new or empty folder, or a bundle to replace"
        raise ParameterError("FOLDER", expected=expected, found=str(folder), remedy="Name another folder.")
    cases = read_table(trained.data("cases.csv"))
    examined = trained.data("examined")
    facts = {case.case_id: read_examination(examined / f"{case.case_id}.json")[0] for case in cases}
    predictions = read_all_predictions(trained.data("predictions"), backbones)
    statement = read_stated(trained.metrics("cohort.json"))
    model = Model(
        format="dmdbt bundle",
        version=2,
        dmdbt=__version__,
        libraries={name: version(name) for name in _LIBRARIES},
        notice=NOTICE,
        licence=licence,
        classes=[str(label) for label in Label],
        resnet_depth=params.read(params.Backbones, trained.params).resnet_depth,
        labels=params.read(params.Labels, trained.params),
        reading=params.read(params.Reading, trained.params),
        mammogram=params.read(params.Mammogram, trained.params),
        decode=params.read(params.Decode, trained.params),
        rankpool=params.read(params.Rankpool, trained.params),
        features=params.read(params.Features, trained.params),
        ensemble=params.read(params.Ensemble, trained.params),
        backbones={name: _backbone(trained, name, cases[0]) for name in backbones},
        operating_points=_operating_points(list(predictions.values())),
        training=_training(cases, facts, statement),
    )
    with whole_folder(folder) as temporary:
        for name, backbone in model.backbones.items():
            _copy(trained.data("weights", f"{name}.safetensors"), temporary / "weights")
            for fold, heads in backbone.heads.items():
                for head in heads:
                    source = trained.data("models", name, f"fold{fold}")
                    read_head(source, head)  # whole, and of this version
                    for suffix in ("safetensors", "json"):
                        _copy(source / f"{head}.{suffix}", temporary / "heads" / name / f"fold{fold}")
        write_training(temporary / TRAINING_NAME, cases, read_folds(trained.data("split.csv"), cases), facts)
        write_text(temporary / "README.md", model_card(model))
        write_model(temporary, model)
    return model


def _backbone(trained: Trained, name: str, case: Case) -> Backbone:
    origin, shape = read_provenance(trained.data("features", name, case.modalities[0], f"{case.case_id}.h5"))
    folders = sorted(trained.data("models", name).glob("fold*"), key=lambda path: int(path.name.removeprefix("fold")))
    content = json.loads(trained.metrics(f"{name}.json").read_text(encoding="utf-8"))
    return Backbone(
        architecture=origin.backbone,
        layer=origin.layer,
        feature_shape=shape,
        weights=json.loads(trained.data("weights", f"{name}.json").read_text(encoding="utf-8")),
        heads={
            int(folder.name.removeprefix("fold")): [head for head in Head if (folder / f"{head}.json").is_file()]
            for folder in folders
        },
        metrics={classifier: content[classifier] for classifier in CLASSIFIERS},
    )


def _operating_points(tables: Sequence[pd.DataFrame]) -> dict[str, OperatingPoints]:
    """Choose the thresholds of the mean over backbones, on the pairs that have a probability."""
    points = {}
    for classifier in CLASSIFIERS:
        probs = pd.concat([table[f"p_{classifier}"] for table in tables], axis=1).mean(axis=1, skipna=False)
        there = probs.notna()
        if there.any():
            targets = tables[0].loc[there, "label"].map(lambda label: Label(label).target).to_numpy(int)
            folds = tables[0].loc[there, "fold"].astype(int).to_numpy()
            points[classifier] = operating_points(targets, probs[there].to_numpy(), folds)
    return points


def _training(cases: Sequence[Case], facts: Mapping[str, Images], statement: Statement) -> TrainingCohort:
    images = {m: [facts[case.case_id][m] for case in cases if m in facts[case.case_id]] for m in Modality}
    return TrainingCohort(
        simulated=statement.simulated,
        source=statement.source,
        label_rule=statement.label_rule,
        pairs=len(cases),
        patients=len({case.patient_id for case in cases}),
        malignant_pairs=sum(case.label is Label.MALIGNANT for case in cases),
        views=_count(str(case.view) for case in cases),
        ranges={str(m): _ranges(m, found) for m, found in images.items() if found},
        kinds={str(m): _count(image["kind"] for image in found) for m, found in images.items()},
        devices={str(m): _count(image["device"] for image in found if image["device"]) for m, found in images.items()},
        slice_ends=slice_ends(facts[case.case_id] for case in cases),
    )


def _ranges(modality: Modality, images: Sequence[Mapping[str, Any]]) -> dict[str, tuple[int, int]]:
    columns = zip(*(image["shape"] for image in images), strict=True)
    return {axis: (min(values), max(values)) for axis, values in zip(_AXES[modality], columns, strict=True)}


def _count(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


def _copy(file: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, folder / file.name)  # without the mode of the cache, which forbids writing
