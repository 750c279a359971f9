"""The stage train on part of a fold's training patients. Of its outputs the probabilities alone are kept."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from dmdbt import params
from dmdbt.ablation.subsets import nested_training
from dmdbt.cohort import Case, read_folds, read_table, write_table
from stages import train
from stages._entry import run


def main(
    fraction: float,
    fold: int,
    backbone: str,
    cases: Path,
    split: Path,
    features: Path,
    probabilities: Path,
    ablation: params.Ablation,
    folds: params.Split,
    heads: params.Heads,
    settings: params.Train,
) -> None:
    """Write the probabilities of the fold's test pairs; they are those of the pipeline.

    As many epochs more are trained as there are fewer patients: a small cohort with as many epochs as a large one would
    get fewer steps, and the curve would show the budget in place of the cohort.
    """
    table = read_table(cases)
    fold_of = np.array(read_folds(split, table))
    chosen = _chosen(table, fold_of, fold=fold, fraction=fraction, seed=ablation.seed)
    tested = [table[int(pair)] for pair in np.flatnonzero(fold_of == fold)]
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_table(folder / "cases.csv", [*chosen, *tested])
        train.main(
            backbone=backbone,
            cases=folder / "cases.csv",
            split=split,
            features=features,
            models=folder / "models",
            probabilities=probabilities,
            copies=folder / "copies.csv",
            history=folder / "history.csv",
            folds=replace(folds, test_folds=[fold]),
            heads=heads,
            settings=replace(settings, epochs=round(settings.epochs / fraction)),
        )


def _chosen(table: Sequence[Case], fold_of: np.ndarray, *, fold: int, fraction: float, seed: int) -> list[Case]:
    patients, targets = [case.patient_id for case in table], [case.label.target for case in table]
    mask = nested_training(patients, targets, fold_of, test_fold=fold, fraction=fraction, seed=seed)
    return [case for case, taken in zip(table, mask, strict=True) if taken]


if __name__ == "__main__":
    run(main)
