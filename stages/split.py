"""Assign every pair to a fold: whole patients, both classes evenly."""

from pathlib import Path

from dmdbt import params
from dmdbt.cohort import assign_folds, read_table, write_folds
from dmdbt.entry import run


def main(cases: Path, output: Path, settings: params.Split) -> None:
    """Write the fold of every pair."""
    table = read_table(cases)
    patients, targets = [case.patient_id for case in table], [case.label.target for case in table]
    folds = assign_folds(patients, targets, folds=settings.folds, seed=settings.seed)
    write_folds(output, table, folds.tolist())


if __name__ == "__main__":
    run(main)
