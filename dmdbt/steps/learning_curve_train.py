"""The heads of one fold, trained on part of its training patients."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dmdbt import params
from dmdbt.ablation.subsets import nested_training
from dmdbt.cohort import Case, read_folds, read_table
from dmdbt.steps.train import TrainInputs, train_folds, write_probabilities


def train_on_part(
    fraction: float,
    fold: int,
    inputs: TrainInputs,
    probabilities: Path,
    ablation: params.Ablation,
) -> None:
    """Train the heads on a fraction of a fold's training patients; write the probabilities of its test pairs.

    As many epochs more are trained as there are fewer patients: a small cohort with as many epochs as a large one would
    get fewer steps, and the curve would show the budget in place of the cohort.
    """
    table = read_table(inputs.cases)
    fold_of = np.array(read_folds(inputs.split, table))
    chosen = _chosen(table, fold_of, fold=fold, fraction=fraction, seed=ablation.seed)
    tested = [table[int(pair)] for pair in np.flatnonzero(fold_of == fold)]
    part = sorted([*chosen, *tested], key=lambda case: case.case_id)
    longer = replace(inputs.settings, epochs=round(inputs.settings.epochs / fraction))
    one_fold = replace(inputs, folds=replace(inputs.folds, test_folds=[fold]), settings=longer)
    rows, _ = train_folds(one_fold, part, models=None)
    write_probabilities(probabilities, rows)


def _chosen(table: Sequence[Case], fold_of: np.ndarray, *, fold: int, fraction: float, seed: int) -> list[Case]:
    patients, targets = [case.patient_id for case in table], [case.label.target for case in table]
    mask = nested_training(patients, targets, fold_of, test_fold=fold, fraction=fraction, seed=seed)
    return [case for case, taken in zip(table, mask, strict=True) if taken]
