"""The pairs to predict: a table like that of a cohort whose labels may be missing, or one pair of files."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from dmdbt.cohort import Case, cases_by_row, read_sheet, rule_broken, table_path
from dmdbt.errors import ParameterError, TableError
from dmdbt.terms import Label, Laterality, View

_UNLABELED = Label.BENIGN  # stands in a table that needs one; nothing reads it


@dataclass(frozen=True)
class Request:
    """A pair to predict.

    Attributes
    ----------
    case
        Its files and its name. What of the other fields is not known, nothing reads.
    patient_id, laterality, view, label
        As text; empty where not known.
    alone
        Whether it is a pair of files that no table names.
    """

    case: Case
    patient_id: str
    laterality: str
    view: str
    label: str
    alone: bool = False


def read_requests(cohort: Path, labels: Mapping[str, Label]) -> list[Request]:
    """Read the table of a cohort's folder, whose column ``label`` may be missing or empty.

    Parameters
    ----------
    cohort
        The folder.
    labels
        See `dmdbt.cohort.check_sheet`, which says what is checked and raised.
    """
    try:
        return _read_requests(cohort, labels)
    except TableError as error:  # who has a bundle alone has no params.yaml
        remedy = error.remedy.replace("`cohort` in params.yaml, or --cohort", "--cohort")
        own = TableError(error.code, case=error.case, file=error.file, cause=error.cause, remedy=remedy)
        for note in getattr(error, "__notes__", []):
            own.add_note(note.replace(" (`labels` in params.yaml names other spellings)", ", or nothing"))
        raise own from error


def _read_requests(cohort: Path, labels: Mapping[str, Label]) -> list[Request]:
    sheet = read_sheet(table_path(cohort))
    (header_row, header), *rows = sheet.records or ((1, []),)
    names = [name.casefold() for name in header]
    place = names.index("label") if "label" in names else len(names)
    header = [*header, *["label"][: place == len(names)]]
    filled, labeled = [(header_row, header)], set()
    for row, cells in rows:
        if not sheet.separator:  # a workbook has no empty cells at the end of a row
            cells = [*cells, *[""] * (len(names) - len(cells))]
        if place == len(names):
            cells = [*cells, _UNLABELED]
        elif any(cells[place : place + 1]):
            labeled.add(row)
        elif place < len(cells):
            cells = [*cells[:place], _UNLABELED, *cells[place + 1 :]]
        filled.append((row, cells))
    cases = cases_by_row(replace(sheet, records=tuple(filled)), labels=labels)
    found = [
        Request(case, case.patient_id, case.laterality, case.view, case.label if row in labeled else "")
        for row, case in cases.items()
    ]
    return sorted(found, key=lambda request: request.case.case_id)


def single_request(dm: Path | None, dbt: Path | None, *, name: str, patient_id: str = "") -> tuple[Request, Path]:
    """Return the request of one pair of files, and the folder that its paths start from.

    Raises
    ------
    ParameterError
        Neither file is given, or the name cannot name a file.
    """
    given = {option: path for option, path in (("--dm", dm), ("--dbt", dbt)) if path is not None}
    if not given:
        remedy = "Name a mammogram, a volume or both."
        raise ParameterError("--dm, --dbt", expected="at least one file", found=None, remedy=remedy)
    for option, value in (("--name", name), ("--patient", patient_id)):
        if (value or option == "--name") and (broken := rule_broken(value)):
            raise ParameterError(option, expected=broken, found=value, remedy="Choose another.")
    # Who names a link means the file that it leads to.
    paths = {option: Path(os.path.realpath(path)) for option, path in given.items()}
    root = Path(os.path.commonpath([path.parent for path in paths.values()]))
    files = [paths[option].relative_to(root).as_posix() if option in paths else "" for option in ("--dm", "--dbt")]
    case = Case(name, patient_id, Laterality.LEFT, View.CC, _UNLABELED, *files)
    return Request(case, patient_id, "", "", "", alone=True), root
