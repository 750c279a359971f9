"""One fold: the three heads are trained on every other fold, and test the pairs that they have not seen."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from dmdbt import params
from dmdbt.cohort import Case, read_folds
from dmdbt.features import read_provenance
from dmdbt.files import sha256, whole_folder, write_rows
from dmdbt.heads import (
    Checkpoint,
    FeatureSet,
    HeadSettings,
    ModelInput,
    TrainSettings,
    open_features,
    predict,
    rank,
    rank_count,
    train_heads,
    training_bytes,
    write_head,
)
from dmdbt.running import (
    card_count,
    check_card_memory,
    checkpoint_folder,
    checkpoint_minutes,
    code_fingerprint,
    compute_device,
    device_kind,
    digest,
    feature_memory,
    joined,
    map_cases,
    ranks_here,
    training_width,
)
from dmdbt.terms import Head, Modality

Row = dict[str, str | int | float]


@dataclass(frozen=True, eq=False)  # a worker holds one: it is its own key in a cache
class _Job:
    """Settings shared by all folds of one run."""

    backbone: str
    cases: Sequence[Case]
    fold_of: np.ndarray
    features: Path
    models: Path
    heads: HeadSettings
    settings: params.Train
    key: str
    checkpoints: Path
    checkpoint_minutes: float
    needed: int
    memory: float
    threads: int


@dataclass(frozen=True)
class TrainInputs:
    """Inputs of a training.

    Attributes
    ----------
    backbone
        Name of the backbone.
    cases, split
        Tables of the pairs and of their folds.
    features
        What the stage features wrote.
    folds, heads, settings
        Sections of ``params.yaml``.
    """

    backbone: str
    cases: Path
    split: Path
    features: Path
    folds: params.Split
    heads: params.Heads
    settings: params.Train


def head_settings(heads: params.Heads) -> HeadSettings:
    """Return the section ``heads`` as networks take it."""
    filters = None if heads.filters == "backbone" else heads.filters
    return HeadSettings(filters, tuple(heads.hidden), heads.dropout, heads.activation)


def computed_on(inputs: TrainInputs, case: Case) -> dict[str, dict[str, str]]:
    """Return device and precision in which the ``features`` of a case were computed, and those of the ``heads``."""
    origin, _ = read_provenance(inputs.features / case.modalities[0] / f"{case.case_id}.h5")
    features = {"device": origin.device, "precision": origin.precision}
    return {"features": features, "heads": {"device": device_kind(), "precision": inputs.settings.precision}}


@joined()
def train_folds(inputs: TrainInputs, cases: Sequence[Case], models: Path | None) -> tuple[list[Row], list[Row]]:
    """Train the heads of every tested fold; in a torch.distributed group one fold after another, together.

    Parameters
    ----------
    inputs
        See there.
    cases
        The pairs to train on and to test: all of the table, or some.
    models
        Folder to write: ``fold<k>/<head>.safetensors`` and its JSON. A head that no pair of a fold's training can
        teach both classes is no file there, no curve, and an empty cell. Without a folder no head is kept, and only
        the first rank of a group writes it.

    Returns
    -------
    tuple of two lists of rows
        Probabilities of every augmented copy of the tested pairs, sorted by case; and the loss by fold, head and epoch.
        Nothing in other ranks than the first.
    """
    backbone, folds, heads = inputs.backbone, inputs.folds, inputs.heads
    _, shape = read_provenance(inputs.features / cases[0].modalities[0] / f"{cases[0].case_id}.h5")
    mixed = inputs.settings.precision == "mixed"
    needed = training_bytes(shape, head_settings(heads), inputs.settings.batch_size, mixed=mixed)
    together = rank_count() > 1
    at_once, threads = training_width(1 if together else len(folds.test_folds), needed, card_count())
    beside = ranks_here() if together else at_once
    read = [sha256(inputs.split), sha256(inputs.features / "manifest.json"), digest([asdict(case) for case in cases])]
    parameters = {"heads": asdict(heads), "train": asdict(inputs.settings), "device": device_kind(), "inputs": read}
    with whole_folder(models) if models and rank() == 0 else TemporaryDirectory() as folder:
        job = _Job(
            backbone=backbone,
            cases=cases,
            fold_of=np.array(read_folds(inputs.split, cases)),
            features=inputs.features,
            models=Path(folder),
            heads=head_settings(heads),
            settings=inputs.settings,
            key=code_fingerprint(_train_fold, parameters),
            checkpoints=checkpoint_folder(),
            checkpoint_minutes=checkpoint_minutes(),
            needed=needed,
            memory=feature_memory() / beside,
            threads=max(1, threads // beside) if together else threads,
        )
        if together:
            results = [_train_fold(fold, job=job) for fold in folds.test_folds]
        else:
            results = map_cases(
                partial(_train_fold, job=job),
                folds.test_folds,
                description=f"train {backbone}",
                name=lambda fold: f"fold {fold}",
                preload=["dmdbt.heads"],
                workers=at_once,
            )
        for fold in folds.test_folds:
            _checkpoint(fold, job).remove()
    if rank():
        return [], []
    _report_untrained(backbone, folds.test_folds, [{str(row["head"]) for row in curves} for _, curves in results])
    tested = sorted((row for rows, _ in results for row in rows), key=lambda row: row["case_id"])
    return tested, [row for _, rows in results for row in rows]


def write_probabilities(path: Path, tested: Sequence[Row]) -> None:
    """Write the probabilities of the original images as a CSV file, one row per pair."""
    write_rows_of(
        path, [{key: row[key] for key in row if key != "copy"} for row in tested if row["copy"] == "original"]
    )


def write_rows_of(path: Path, rows: Sequence[Row]) -> None:
    """Write rows of equal keys as a CSV file."""
    write_rows(path, list(rows[0]), [row.values() for row in rows])


def _checkpoint(fold: int, job: _Job) -> Checkpoint:
    path = job.checkpoints / f"{job.backbone}-fold{fold}-{job.key[:8]}.pt"
    return Checkpoint(path, f"{job.key} fold {fold}", minutes=job.checkpoint_minutes)


def _train_fold(fold: int, *, job: _Job) -> tuple[list[Row], list[Row]]:
    """Train on every other fold, test on this one."""
    torch.set_num_threads(job.threads)
    device = torch.device(compute_device())
    check_card_memory(job.needed, f"train {job.backbone}, fold {fold}", "Lower heads.filters or train.batch_size")
    features = _features(job)
    settings = TrainSettings(
        epochs=job.settings.epochs,
        batch_size=job.settings.batch_size,
        learning_rate=job.settings.learning_rate,
        schedule=job.settings.schedule,
        mixed=job.settings.precision == "mixed",
        seed=job.settings.seed + fold,
    )
    train, test = np.flatnonzero(job.fold_of != fold), np.flatnonzero(job.fold_of == fold)
    with tqdm(total=settings.epochs, desc=f"fold {fold}", unit="epoch", position=fold + 1, disable=None) as bar:
        networks, history = train_heads(
            features, train, job.heads, settings, device=device, checkpoint=_checkpoint(fold, job), on_epochs=bar.update
        )
    if rank():
        return [], []
    origin = features.origin
    trained_on = ModelInput(features.shape, origin.backbone, origin.weights_sha256, origin.size)
    for head, network in networks.items():
        write_head(job.models / f"fold{fold}", head, network, job.heads, trained_on)
    tested = [row for copy in range(features.n_copies) for row in _tested(networks, features, test, copy, fold, job)]
    return tested, [{"backbone": job.backbone, "fold": fold, **row} for row in history]


@cache
def _features(job: _Job) -> FeatureSet:
    """Open the features once per worker, whatever number of folds it trains."""
    targets = np.array([case.label.target for case in job.cases])
    case_ids = [case.case_id for case in job.cases]
    present = np.array([[modality in case.modalities for modality in Modality] for case in job.cases])
    device = torch.device(compute_device())
    return open_features(job.features, case_ids, targets, memory=job.memory, device=device, present=present)


def _tested(
    networks: dict[Head, nn.Module], features: FeatureSet, test: np.ndarray, copy: int, fold: int, job: _Job
) -> Iterator[Row]:
    """One row per pair, with the probabilities that the heads give to one of its copies."""
    probs = predict(networks, features, test, copy=copy, device=torch.device(compute_device()))
    seen = {head: features.having(head.modalities) for head in networks}
    for position, pair in enumerate(test):
        case = job.cases[int(pair)]
        found = {head: float(probs[head][position]) for head in networks if seen[head][pair]}
        row: Row = {"case_id": case.case_id, "patient_id": case.patient_id, "label": str(case.label), "fold": fold}
        row["copy"] = features.origin.copies[copy]
        yield row | {f"p_{head}": found.get(head, "") for head in Head}


def _report_untrained(backbone: str, folds: Sequence[int], trained: Sequence[set[str]]) -> None:
    for fold, heads in zip(folds, trained, strict=True):
        for head in (head for head in Head if head not in heads):
            print(f"train {backbone}: fold {fold} has no {head} head: no benign or no malignant pair has its images")
