"""Train the three heads of one backbone, fold by fold, and let each test the patients it has not seen."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from tqdm import tqdm

from dmdbt import params
from dmdbt.cohort import Case, read_folds, read_table
from dmdbt.features import read_origin
from dmdbt.files import sha256, whole_file, whole_folder, write_json, write_text
from dmdbt.heads import (
    Checkpoint,
    FeatureSet,
    HeadSettings,
    TrainSettings,
    open_features,
    predict,
    train_heads,
    training_bytes,
)
from dmdbt.running import (
    checkpoint_folder,
    checkpoint_minutes,
    compute_device,
    digest,
    feature_memory,
    map_cases,
    recipe,
    training_width,
)
from dmdbt.terms import Head, Label, Modality
from stages._entry import run

Row = dict[str, str | int | float]


@dataclass(frozen=True, eq=False)  # a worker holds one: it is its own key in a cache
class _Job:
    """What all folds of one run have in common."""

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
    device: str
    memory: float
    threads: int


def main(
    backbone: str,
    cases: Path,
    split: Path,
    features: Path,
    models: Path,
    probabilities: Path,
    copies: Path,
    history: Path,
    folds: params.Split,
    heads: params.Heads,
    settings: params.Train,
) -> None:
    """Write the heads of every tested fold, the probabilities of its test pairs, and the learning curves.

    `probabilities` are those of the original images; `copies` has those of every augmented copy too, one row each.
    A head that no pair of a fold's training can teach both classes is no file there, no curve, and an empty cell.
    """
    table = read_table(cases)
    filters = None if heads.filters == "backbone" else heads.filters
    head_settings = HeadSettings(filters, tuple(heads.hidden), heads.dropout, heads.activation)
    _, shape = read_origin(features / table[0].modalities[0] / f"{table[0].case_id}.h5")
    device = compute_device()
    needed = training_bytes(shape, head_settings)
    at_once, threads = training_width(len(folds.test_folds), needed, device)
    with whole_folder(models) as folder:
        job = _Job(
            backbone=backbone,
            cases=table,
            fold_of=np.array(read_folds(split, table)),
            features=features,
            models=folder,
            heads=head_settings,
            settings=settings,
            key=_key([cases, split, features / "manifest.json"], heads, settings, device),
            checkpoints=checkpoint_folder(),
            checkpoint_minutes=checkpoint_minutes(),
            device=device,
            memory=feature_memory() / at_once,
            threads=threads,
        )
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
    _report_untrained(backbone, folds.test_folds, [{str(row["head"]) for row in curves} for _, curves in results])
    tested = sorted((row for rows, _ in results for row in rows), key=lambda row: row["case_id"])
    originals = [row for row in tested if row["copy"] == "original"]
    write_text(probabilities, _csv([{name: row[name] for name in row if name != "copy"} for row in originals]))
    write_text(copies, _csv(tested))
    write_text(history, _csv([row for _, rows in results for row in rows]))


def _key(files: Sequence[Path], heads: params.Heads, settings: params.Train, device: str) -> str:
    """Digest of all that decides how a training goes, but for its fold."""
    parameters = {"heads": asdict(heads), "train": asdict(settings), "device": device}
    return digest([recipe(["dmdbt.heads", "dmdbt.features.store", "stages.train"], parameters), *map(sha256, files)])


def _checkpoint(fold: int, job: _Job) -> Checkpoint:
    path = job.checkpoints / f"{job.backbone}-fold{fold}-{job.key[:8]}.pt"
    return Checkpoint(path, f"{job.key} fold {fold}", minutes=job.checkpoint_minutes)


def _train_fold(fold: int, *, job: _Job) -> tuple[list[Row], list[Row]]:
    """Train on every other fold, test on this one."""
    torch.set_num_threads(job.threads)
    device, features = torch.device(job.device), _features(job)
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
    for head, network in networks.items():
        _save(job.models / f"fold{fold}", head, network, job.heads, features)
    tested = [row for copy in range(features.n_copies) for row in _tested(networks, features, test, copy, fold, job)]
    return tested, [{"backbone": job.backbone, "fold": fold, **row} for row in history]


@cache
def _features(job: _Job) -> FeatureSet:
    """Open the features once per worker, whatever number of folds it trains."""
    targets = np.array([case.label.target for case in job.cases])
    case_ids = [case.case_id for case in job.cases]
    present = np.array([[modality in case.modalities for modality in Modality] for case in job.cases])
    device = torch.device(job.device)
    return open_features(job.features, case_ids, targets, memory=job.memory, device=device, present=present)


def _tested(
    networks: dict[Head, nn.Module], features: FeatureSet, test: np.ndarray, copy: int, fold: int, job: _Job
) -> Iterator[Row]:
    """One row per pair, with the probabilities that the heads give to one of its copies."""
    probs = predict(networks, features, test, copy=copy, device=torch.device(job.device))
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


def _save(folder: Path, head: Head, network: nn.Module, settings: HeadSettings, features: FeatureSet) -> None:
    with whole_file(folder / f"{head}.safetensors") as temporary:
        save_file(network.state_dict(), temporary)
    record = {
        "format": "dmdbt head",
        "version": 1,
        "head": str(head),
        "classes": [str(label) for label in Label],
        "feature_shape": features.shape,
        "filters": settings.filters or features.shape[0],
        "hidden": settings.hidden,
        "dropout": settings.dropout,
        "activation": settings.activation,
        "backbone": features.origin.backbone,
        "weights_sha256": features.origin.weights_sha256,
        "input_size": features.origin.size,
    }
    write_json(folder / f"{head}.json", record)


def _csv(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


if __name__ == "__main__":
    run(main)
