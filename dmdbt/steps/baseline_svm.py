"""The baseline of SVMs on pooled features of VGG19: one per modality and fold."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dmdbt import params
from dmdbt.baselines.fold_training import Tested
from dmdbt.baselines.pairs import BaselinePairs, read_baseline_pairs
from dmdbt.baselines.record import write_results
from dmdbt.baselines.svm import SvmSettings, fit_svm, inner_folds, normalized
from dmdbt.evaluation import classifier_metrics
from dmdbt.heads import open_features
from dmdbt.running import map_cases
from dmdbt.terms import Modality

_NAME = "svm_gap"


@dataclass(frozen=True)
class _Job:
    """Settings shared by all SVMs."""

    pairs: BaselinePairs
    folders: dict[Modality, Path]
    settings: SvmSettings


def train_svms(
    cases: Path,
    split: Path,
    dm: Path,
    dbt: Path,
    weights: Path,
    predictions: Path,
    record: Path,
    folds: params.Split,
    settings: params.Baselines,
) -> None:
    """Write the mean probability of both SVMs of every tested pair, and a record with the measures of each SVM.

    Parameters
    ----------
    cases, split
        Tables of the cohort and of the folds.
    dm, dbt
        What the stage baseline_maps wrote of mammograms and middle slices.
    weights
        JSON file with the provenance of VGG19's weights.
    predictions, record
        Files to write.
    folds, settings
        Sections of ``params.yaml``.
    """
    chosen = settings.svm_gap
    pairs = read_baseline_pairs(cases, split, needed=list(Modality), test_folds=folds.test_folds)
    job = _Job(
        pairs,
        {Modality.DM: dm, Modality.DBT: dbt},
        SvmSettings(chosen.train.folds, tuple(chosen.train.c), tuple(chosen.train.gamma), chosen.train.seed),
    )
    trainable = [fold for fold in folds.test_folds if _n_inner_folds(pairs, fold, chosen.train.folds) > 1]
    machines = [(fold, modality) for fold in trainable for modality in Modality]
    results = map_cases(partial(_run, job=job), machines, description=f"train {_NAME}", preload=["dmdbt.baselines.svm"])
    found = dict(zip(machines, results, strict=True))
    tested = [_tested(fold, pairs, [found.get((fold, modality)) for modality in Modality]) for fold in folds.test_folds]
    about = {
        "settings": asdict(chosen),
        "weights": json.loads(weights.read_text(encoding="utf-8")),
        "modalities": {str(m): _measured(pairs, {f: found[f, m] for f in trainable}) for m in Modality},
    }
    write_results(_NAME, pairs, tested, about=about, predictions=predictions, record=record)


_Result = tuple[np.ndarray, dict[str, Any]]


def _run(machine: tuple[int, Modality], *, job: _Job) -> _Result:
    """Probabilities of the test pairs of a fold by the SVM of a modality, and what that has chosen."""
    fold, modality = machine
    features, own = _features(job, modality), job.pairs.fold_of == fold
    patients = _patients(job.pairs, ~own)
    svm = fit_svm(features[~own], job.pairs.targets[~own], patients, job.settings)
    chosen = {"fold": fold, "c": svm.c, "gamma": svm.gamma, "inner_auc": round(svm.inner_auc, 6)}
    return svm.probabilities(features[own]) if own.any() else np.empty(0), chosen


def _features(job: _Job, modality: Modality) -> np.ndarray:
    """float64, shape (N, D)."""
    pairs = job.pairs
    present = np.array([[other is modality for other in Modality]] * len(pairs.cases))
    found = open_features(
        job.folders[modality],
        pairs.case_ids,
        pairs.targets,
        memory=np.inf,
        device=torch.device("cpu"),
        present=present,
    )
    every = np.arange(len(pairs.cases))
    (maps,) = found.batches([(every, np.full(len(every), found.original))], torch.device("cpu"), (modality,))
    return normalized(maps.flatten(1).numpy())


def _patients(pairs: BaselinePairs, chosen: np.ndarray) -> list[str]:
    return [pairs.cases[pair].patient_id for pair in np.flatnonzero(chosen)]


def _n_inner_folds(pairs: BaselinePairs, fold: int, most: int) -> int:
    train = pairs.fold_of != fold
    return inner_folds(pairs.targets[train], _patients(pairs, train), most)


def _tested(fold: int, pairs: BaselinePairs, results: Sequence[_Result | None]) -> Tested:
    """The mean over the modalities; nothing where the SVMs could not be trained."""
    probs = [result[0] for result in results if result is not None]
    tested = np.flatnonzero(pairs.fold_of == fold) if probs else np.empty(0, np.int64)
    return Tested(fold, tested, np.mean(probs, axis=0) if probs else np.empty(0), ())


def _measured(pairs: BaselinePairs, results: dict[int, _Result]) -> dict[str, Any]:
    """Metrics of the SVMs of one modality, and what was chosen in each fold."""
    tested_pairs = [np.flatnonzero(pairs.fold_of == fold) for fold in results]
    probs = [result[0] for result in results.values()]
    tested = np.concatenate([np.empty(0, np.int64), *tested_pairs])
    measured = classifier_metrics(pairs.targets[tested], np.concatenate([np.empty(0), *probs]))
    return {**measured, "chosen": [result[1] for result in results.values()]}
