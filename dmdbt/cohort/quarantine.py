"""The table of quarantined cases, ``metrics/quarantine.csv``: what is wrong with the cases that are left out."""

import csv
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from dmdbt.errors import IntegrityError
from dmdbt.files import write_rows


@dataclass(frozen=True)
class Problem:
    """One reason to leave a case out; a case may have several.

    Attributes
    ----------
    case
        The case.
    role
        What of it is not as it should be: a modality, or ``pair`` where it is both or neither.
    code, cause, remedy
        As in `dmdbt.errors.InputDataError`.
    """

    case: str
    role: str
    code: str
    cause: str
    remedy: str


_COLUMNS = tuple(field.name for field in fields(Problem))


def write_quarantine(path: Path, problems: Iterable[Problem]) -> None:
    """Write the table, one row per problem, in their order; without problems, the header alone."""
    write_rows(path, _COLUMNS, map(astuple, problems))


def read_quarantine(path: Path) -> list[Problem]:
    """Read the table of `write_quarantine`.

    Raises
    ------
    IntegrityError
        The file has other columns.
    """
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != _COLUMNS:
            cause = f"expected the columns {', '.join(_COLUMNS)}, found {', '.join(reader.fieldnames or ()) or 'none'}"
            raise IntegrityError("QUARANTINE", file=path.name, cause=cause, remedy="Run the stage ingest again.")
        return [Problem(**row) for row in reader]


def read_quarantined(path: Path) -> int:
    """Return how many cases the table of `write_quarantine` names, however many problems each has."""
    return len({problem.case for problem in read_quarantine(path)})
