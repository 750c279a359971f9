"""The heads of one fold, trained on part of its training patients."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dmdbt import params
from dmdbt.ablation.subsets import nested_training
from dmdbt.cohort import Case, read_folds, read_table
from dmdbt.steps.train import Row, train_folds


def train_on_part(
    fraction: float,
    fold: int,
    backbone: str,
    cases: Path,
    split: Path,
    features: Path,
    ablation: params.Ablation,
    folds: params.Split,
    heads: params.Heads,
    settings: params.Train,
) -> list[Row]:
    """Train the heads on a fraction of a fold's training patients; return what `train_folds` does of its test pairs.

    As many epochs more are trained as there are fewer patients: a small cohort with as many epochs as a large one would
    get fewer steps, and the curve would show the budget in place of the cohort.
    """
    table = read_table(cases)
    fold_of = np.array(read_folds(split, table))
    chosen = _chosen(table, fold_of, fold=fold, fraction=fraction, seed=ablation.seed)
    tested = [table[int(pair)] for pair in np.flatnonzero(fold_of == fold)]
    part = sorted([*chosen, *tested], key=lambda case: case.case_id)
    one_fold, longer = replace(folds, test_folds=[fold]), replace(settings, epochs=round(settings.epochs / fraction))
    rows, _ = train_folds(backbone, part, split, features, None, one_fold, heads, longer)
    return rows


def _chosen(table: Sequence[Case], fold_of: np.ndarray, *, fold: int, fraction: float, seed: int) -> list[Case]:
    patients, targets = [case.patient_id for case in table], [case.label.target for case in table]
    mask = nested_training(patients, targets, fold_of, test_fold=fold, fraction=fraction, seed=seed)
    return [case for case, taken in zip(table, mask, strict=True) if taken]
