"""The table of pairs, ``cases.csv`` or ``cases.xlsx``: one row is one view of one breast, seen as DM and as DBT."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from itertools import zip_longest
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TypeVar

from dmdbt.cohort.identifiers import LONGEST, rule_broken
from dmdbt.cohort.sheet import REMEDY, Sheet, read_text_sheet
from dmdbt.errors import TableError
from dmdbt.files import write_rows
from dmdbt.terms import Label, Laterality, MissingModality, Modality, View

TABLE_NAME, WORKBOOK_NAME = "cases.csv", "cases.xlsx"
_TABLES = (".csv", ".ods", ".tsv", ".xls", ".xlsb", ".xlsm", ".xlsx")
_SHOWN = 300  # characters of a header or a cell, in a message
_NO_VALUE = re.compile(r"=.*|#(N/A|NV|[A-Z0/]+[!?])", re.DOTALL)
_WINDOWS_PATH = re.compile(r"[A-Za-z]:.*|.*\\.*", re.DOTALL)
_CONTROLS = re.compile(r"[\0-\x1f\x7f]")
_LONGEST_NAME, _LONGEST_PATH = 255, 2048  # bytes that file systems take, with room for the path of the cohort
_NO_LABELS: Mapping[str, Label] = MappingProxyType({})

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
_REQUIRED = _COLUMNS[1:]


def table_path(cohort: Path) -> Path:
    """Return the path of a cohort's table: its workbook, or ``cases.csv`` where there is none.

    Raises
    ------
    TableError
        Both are there.
    """
    text, workbook = cohort / TABLE_NAME, cohort / WORKBOOK_NAME
    if text.is_file() and workbook.is_file():
        cause = f"expected one table, found {TABLE_NAME} and {WORKBOOK_NAME}"
        raise TableError("TABLE-TWO", file=WORKBOOK_NAME, cause=cause, remedy="Remove the one that is out of date.")
    return workbook if workbook.is_file() else text


def read_sheet(path: Path) -> Sheet:
    """Read the cells of a table; TableError if it is missing or malformed."""
    if not path.is_file():
        near = _other_tables(path.parent)
        cause = f"expected a cohort folder with {TABLE_NAME} or {WORKBOOK_NAME}, found no such file"
        cause += f" but {', '.join(near[:3])}" if near else ""
        remedy = "Correct the path: `cohort` in params.yaml, or --cohort."
        remedy = f"Save the table as {TABLE_NAME} or {WORKBOOK_NAME}." if near else remedy
        raise TableError("TABLE-MISSING", file=path.name, cause=cause, remedy=remedy)
    if path.suffix != ".xlsx":
        return read_text_sheet(path, _REQUIRED)
    from dmdbt.cohort.workbook import read_workbook  # here, because every stage reads a table and none but ingest this

    return read_workbook(path)


def _other_tables(folder: Path) -> list[str]:
    """Return the names of files that may be the table, under another name or in another format."""
    files = [entry for entry in (folder.iterdir() if folder.is_dir() else ()) if entry.is_file()]
    name = Path(TABLE_NAME).stem
    return sorted(file.name for file in files if file.stem.casefold() == name or file.suffix.lower() in _TABLES)


def read_table(
    path: Path,
    missing_modality: MissingModality = MissingModality.ALLOW,
    labels: Mapping[str, Label] = _NO_LABELS,
) -> list[Case]:
    """Read and check a table of pairs; see `check_sheet`."""
    return check_sheet(read_sheet(path), missing_modality, labels)


def check_sheet(
    sheet: Sheet,
    missing_modality: MissingModality = MissingModality.ALLOW,
    labels: Mapping[str, Label] = _NO_LABELS,
) -> list[Case]:
    """Check a table of pairs. Unknown columns are ignored.

    Parameters
    ----------
    sheet
        Its cells.
    missing_modality
        Whether a pair may lack an image. The parameter of that name decides it once, when a cohort is checked:
        whoever reads the checked table takes every pair that is in it.
    labels
        What other spellings of the label mean, in lower case.

    Returns
    -------
    list of Case
        Sorted by case.

    Raises
    ------
    TableError
        The table is empty or malformed. Every problem of the whole table is a note of the error: the first row that
        has it, column, what was expected, what stands there, and how many rows have the same.
    """
    return sorted(cases_by_row(sheet, missing_modality, labels).values(), key=lambda case: case.case_id)


def cases_by_row(
    sheet: Sheet,
    missing_modality: MissingModality = MissingModality.ALLOW,
    labels: Mapping[str, Label] = _NO_LABELS,
) -> dict[int, Case]:
    """Check a table as `check_sheet` does; return the case of each row."""
    (header_row, header), *records = sheet.records or ((1, []),)
    columns = _columns(sheet, header_row, header)
    if not records:
        cause = "expected at least one row, found none"
        raise TableError("TABLE-EMPTY", file=sheet.file, cause=cause, remedy=REMEDY)
    problems = _Problems()
    is_text = bool(sheet.separator)
    rows = [(row, _cells(row, columns, cells, problems, is_text=is_text)) for row, cells in records]
    cases = {row: _case(row, cells, missing_modality, labels, problems) for row, cells in rows if cells}
    _check_unique(cases, problems)
    if lines := list(problems.lines()):
        cause = f"expected a correct table, found {len(lines)} problems"
        error = TableError("TABLE", file=sheet.file, cause=cause, remedy=REMEDY)
        for line in lines:
            error.add_note(line)
        raise error
    return cases


def write_table(path: Path, cases: Iterable[Case]) -> None:
    """Write a table that `read_table` reads."""
    write_rows(path, _COLUMNS, ([getattr(case, column) for column in _COLUMNS] for case in cases))


class _Problems:
    """The problems of a table, each with all rows that share it."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str, str], list[int]] = {}

    def add(self, row: int, column: str, expected: str, found: str) -> None:
        self._rows.setdefault((column, expected, _shorten(found)), []).append(row)

    def lines(self) -> Iterator[str]:
        for (column, expected, found), rows in self._rows.items():
            more = f" ({len(rows)} rows)" if len(rows) > 1 else ""
            yield f"row {rows[0]} {column}: expected {expected}, found {found}{more}"


def _shorten(text: str) -> str:
    return f"{text[:_SHOWN]}..." if len(text) > _SHOWN else text


def _columns(sheet: Sheet, row: int, header: list[str]) -> list[str]:
    columns = [name.casefold() for name in header]
    if missing := [column for column in _REQUIRED if column not in columns]:
        found = _shorten(", ".join(map(repr, header)))
        separated = f" separated by {sheet.separator}" if sheet.separator else ""
        cause = f"expected the columns {', '.join(_REQUIRED)}, found no {', '.join(missing)} in row {row}, which has "
        cause += f"{len(header)} columns{separated}: {found or 'none'}"
        raise TableError("TABLE-COLUMNS", file=sheet.file, cause=cause, remedy=REMEDY)
    if twice := [name for name, number in Counter(filter(None, columns)).items() if number > 1]:
        cause = f"expected every column once, found in row {row} {', '.join(map(repr, twice))} more than once"
        raise TableError("TABLE-COLUMNS", file=sheet.file, cause=cause, remedy="Rename or remove the other column.")
    return columns


def _cells(row: int, columns: list[str], cells: list[str], problems: _Problems, *, is_text: bool) -> dict[str, str]:
    """Return the cells of a row by column; none, and a problem, if a text has more or fewer than its header."""
    if is_text and len(cells) > len(columns):
        expected = f"{len(columns)} cells as in the header (a value that holds the separator needs quotes)"
        problems.add(row, f"column {len(columns) + 1}", expected, f"one more: {cells[len(columns)]!r}")
        return {}
    if is_text and len(cells) < len(columns):
        expected = f"{len(columns)} cells as in the header (an empty cell needs its separator)"
        problems.add(row, columns[len(cells)] or f"column {len(cells) + 1}", expected, f"{len(cells)}")
        return {}
    for number, (column, cell) in enumerate(zip_longest(columns[: len(cells)], cells, fillvalue=""), start=1):
        if cell and not column:
            problems.add(row, f"column {number}", "an empty cell below an empty header", repr(cell))
    return dict.fromkeys(_COLUMNS, "") | dict(zip(columns, cells, strict=False))


def _case(
    row: int,
    cells: Mapping[str, str],
    missing_modality: MissingModality,
    labels: Mapping[str, Label],
    problems: _Problems,
) -> Case:
    """Make a case of a row, and add what is wrong with it to `problems`."""
    faulty: set[str] = set()

    def problem(column: str, expected: str) -> None:
        if column not in faulty:
            faulty.add(column)
            problems.add(row, column, expected, repr(cells.get(column, "")))

    def term(kind: type[Term], column: str, others: Mapping[str, Term], remedy: str = "") -> Term:
        terms = {item.value: item for item in kind}
        found = terms.get(cells[column], others.get(cells[column].casefold()))
        if found is None:
            problem(column, " or ".join(terms) + remedy)
        return found or next(iter(kind))

    for column in _COLUMNS:
        if _NO_VALUE.fullmatch(cells.get(column, "")):
            problem(column, "a value (paste values over the formulas of the spreadsheet)")
    if broken := rule_broken(cells["patient_id"]):
        problem("patient_id", broken)
    case_id = cells.get("case_id") or f"{cells['patient_id']}-{cells['laterality']}-{cells['view']}"
    if cells.get("case_id") and (broken := rule_broken(case_id)):
        problem("case_id", broken)
    for column, other in (("dm", "dbt"), ("dbt", "dm")):
        if broken := _rule_of_path(cells[column]):
            problem(column, broken)
        elif not cells[column] and not cells[other]:
            problem(column, f"a path here or in {other}")
        elif not cells[column] and missing_modality is MissingModality.FORBID:
            problem(column, "a path (for pairs without one, set `missing_modality: allow` in params.yaml)")
    laterality, view = term(Laterality, "laterality", {}), term(View, "view", {})
    label = term(Label, "label", labels, " (`labels` in params.yaml names other spellings)")
    if not faulty and len(case_id) > LONGEST:
        problem("patient_id", f"a case id made of it of at most {LONGEST} characters")
    return Case(case_id, cells["patient_id"], laterality, view, label, dm=cells["dm"], dbt=cells["dbt"])


def _rule_of_path(path: str) -> str:
    """Return the rule that a path breaks; empty if it breaks none."""
    if _WINDOWS_PATH.fullmatch(path):
        return "a path with forward slashes, relative to the cohort's folder"
    if _CONTROLS.search(path):
        return "a path without control characters"
    parts = PurePosixPath(path).parts
    if path and (not parts or PurePosixPath(path).is_absolute() or ".." in parts):
        return "a path inside the cohort's folder"
    if len(path.encode()) > _LONGEST_PATH or any(len(part.encode()) > _LONGEST_NAME for part in parts):
        return f"a path of at most {_LONGEST_PATH} bytes, with at most {_LONGEST_NAME} between two slashes"
    return ""


def _check_unique(cases: Mapping[int, Case], problems: _Problems) -> None:
    """Add cases whose names differ only in case: they would overwrite each other on some file systems."""
    first: dict[str, int] = {}
    for row, case in cases.items():
        if (earlier := first.setdefault(case.case_id.casefold(), row)) != row:
            problems.add(row, "case_id", "a name of its own", f"{case.case_id!r} as in row {earlier}")
