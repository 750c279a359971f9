"""The table of folds: in which fold each pair is tested."""

import csv
from collections.abc import Sequence
from pathlib import Path

from dmdbt.cohort.table import Case
from dmdbt.errors import IntegrityError
from dmdbt.files import write_rows

_COLUMNS = ("case_id", "patient_id", "label", "fold")
_REMEDY = "Run the stage split again."


def write_folds(path: Path, cases: Sequence[Case], folds: Sequence[int]) -> None:
    """Write the fold of every case, in the order of `cases`."""
    rows = ((c.case_id, c.patient_id, c.label, int(fold)) for c, fold in zip(cases, folds, strict=True))
    write_rows(path, _COLUMNS, rows)


def read_folds(path: Path, cases: Sequence[Case]) -> list[int]:
    """Read the fold of each of `cases`, in their order.

    Raises
    ------
    IntegrityError
        A case has no fold, or two pairs of one patient lie in different folds.
    """
    with path.open(encoding="utf-8", newline="") as file:
        fold_of_case = {row["case_id"]: int(row["fold"]) for row in csv.DictReader(file)}
    fold_of_patient: dict[str, int] = {}
    for case in cases:
        if case.case_id not in fold_of_case:
            cause = "expected a fold for every case, found none"
            raise IntegrityError("SPLIT-CASE", case=case.case_id, file=path.name, cause=cause, remedy=_REMEDY)
        fold = fold_of_case[case.case_id]
        if fold_of_patient.setdefault(case.patient_id, fold) != fold:
            cause = (
                f"expected patient {case.patient_id} in one fold, found {fold_of_patient[case.patient_id]} and {fold}"
            )
            raise IntegrityError("SPLIT-LEAKAGE", case=case.case_id, file=path.name, cause=cause, remedy=_REMEDY)
    return [fold_of_case[case.case_id] for case in cases]
