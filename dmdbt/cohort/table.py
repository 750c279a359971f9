"""The table of pairs, ``cases.csv``: one row is one view of one breast, seen as DM and as DBT."""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import TypeVar

from dmdbt.errors import TableError
from dmdbt.files import write_rows
from dmdbt.terms import Label, Laterality, MissingModality, Modality, View

TABLE_NAME = "cases.csv"
_CASE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_REMEDY = "Correct the table; README.md describes its columns."

Term = TypeVar("Term", bound=StrEnum)


@dataclass(frozen=True)
class Case:
    """One pair.

    Attributes
    ----------
    case_id
        Unique name of the pair.
    patient_id
        Pseudonym; pairs of one patient are never split between training and testing.
    dm, dbt
        Paths of the files, relative to the cohort's folder, with forward slashes; empty where the pair lacks that
        image. One of them is there.
    """

    case_id: str
    patient_id: str
    laterality: Laterality
    view: View
    label: Label
    dm: str
    dbt: str

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The images that the pair has, in the order of the modality axis."""
        return tuple(modality for modality in Modality if self.file(modality))

    def file(self, modality: Modality) -> str:
        """Path of the image of one modality, relative to the cohort's folder; empty if the pair lacks it."""
        return self.dm if modality is Modality.DM else self.dbt


_COLUMNS = tuple(column.name for column in fields(Case))


def read_table(path: Path, missing_modality: MissingModality = MissingModality.ALLOW) -> list[Case]:
    """Read and check a table of pairs. Unknown columns are ignored.

    Parameters
    ----------
    path
        The table.
    missing_modality
        Whether a pair may lack an image. The parameter of that name decides it once, when a cohort is checked:
        whoever reads the checked table takes every pair that is in it.

    Returns
    -------
    list of Case
        Sorted by case.

    Raises
    ------
    TableError
        The table is missing, empty or malformed. Every problem of the whole table is a note of the error: row (the
        header is row 1), column, what was expected, what stands there.
    """
    rows = _read_rows(path)
    problems: list[str] = []
    cases = [_case(row, number, missing_modality, problems) for number, row in enumerate(rows, start=2)]
    problems += _duplicates(cases)
    if problems:
        cause = f"expected a correct table, found {len(problems)} problems"
        error = TableError("TABLE", file=path.name, cause=cause, remedy=_REMEDY)
        for problem in problems:
            error.add_note(problem)
        raise error
    return sorted(cases, key=lambda case: case.case_id)


def write_table(path: Path, cases: Iterable[Case]) -> None:
    """Write a table that `read_table` reads."""
    write_rows(path, _COLUMNS, ([getattr(case, column) for column in _COLUMNS] for case in cases))


def _read_rows(path: Path) -> list[dict[str, str]]:
    """Rows as text: a reader that guesses types turns a patient ``012`` into 12 and ``NA`` into nothing."""
    if not path.is_file():
        cause = f"expected a cohort folder with {TABLE_NAME}, found no such file"
        raise TableError("TABLE-MISSING", file=path.name, cause=cause, remedy="Correct `cohort` in params.yaml.")
    try:
        reader = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig")), restval="", strict=True)
        rows = [{key: (value or "").strip() for key, value in row.items() if key is not None} for row in reader]
    except (UnicodeDecodeError, csv.Error) as exc:
        cause = f"expected comma-separated UTF-8 text, found {type(exc).__name__}: {exc}"
        raise TableError("TABLE-MALFORMED", file=path.name, cause=cause, remedy=_REMEDY) from exc
    missing = [column for column in _COLUMNS[1:] if column not in (reader.fieldnames or ())]
    if missing:
        cause = f"expected the columns {', '.join(_COLUMNS[1:])}, found no {', '.join(missing)}"
        raise TableError("TABLE-COLUMNS", file=path.name, cause=cause, remedy=_REMEDY)
    if not rows:
        cause = "expected at least one row, found none"
        raise TableError("TABLE-EMPTY", file=path.name, cause=cause, remedy=_REMEDY)
    return rows


def _case(row: dict[str, str], number: int, missing_modality: MissingModality, problems: list[str]) -> Case:
    """Make a case of a row, and add what is wrong with it to `problems`."""

    def problem(column: str, expected: str) -> None:
        problems.append(f"row {number} {column}: expected {expected}, found {row.get(column, '')!r}")

    def term(kind: type[Term], column: str) -> Term:
        terms = {item.value: item for item in kind}
        if row[column] not in terms:
            problem(column, " or ".join(terms))
        return terms.get(row[column], next(iter(kind)))

    if not row["patient_id"]:
        problem("patient_id", "a pseudonym")
    case_id = row.get("case_id") or f"{row['patient_id']}-{row['laterality']}-{row['view']}"
    if not _CASE_ID.fullmatch(case_id):
        problem("case_id", "up to 64 letters, digits, dots, underscores and hyphens")
    for column, other in (("dm", "dbt"), ("dbt", "dm")):
        if row[column] and not _stays_inside(row[column]):
            problem(column, "a path inside the cohort's folder")
        elif not row[column] and not row[other]:
            problem(column, f"a path here or in {other}")
        elif not row[column] and missing_modality is MissingModality.FORBID:
            problem(column, "a path (for pairs without one, set `missing_modality: allow` in params.yaml)")
    laterality, view, label = term(Laterality, "laterality"), term(View, "view"), term(Label, "label")
    return Case(case_id, row["patient_id"], laterality, view, label, dm=row["dm"], dbt=row["dbt"])


def _stays_inside(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and not PurePosixPath(path).is_absolute() and ".." not in parts


def _duplicates(cases: list[Case]) -> Iterator[str]:
    """Cases whose names differ by case alone would overwrite each other on some file systems."""
    first: dict[str, int] = {}
    for number, case in enumerate(cases, start=2):
        if (earlier := first.setdefault(case.case_id.lower(), number)) != number:
            yield f"row {number} case_id: expected a name of its own, found {case.case_id!r} as in row {earlier}"
