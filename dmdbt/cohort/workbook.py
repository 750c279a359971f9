"""The table as a workbook, ``cases.xlsx``."""

import warnings
import zlib
from collections.abc import Iterator
from io import BytesIO
from itertools import zip_longest
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

from openpyxl import load_workbook

from dmdbt.cohort.sheet import Sheet, check_size, malformed
from dmdbt.errors import TableError

_NAME = "cases"  # of the sheet that counts where there are several
# What zipfile, the parser of XML and openpyxl raise over a damaged file.
_DAMAGE = (
    BadZipFile,
    zlib.error,
    OSError,
    EOFError,
    SyntaxError,
    ValueError,
    LookupError,
    RuntimeError,
    TypeError,
    AttributeError,
)
_DIGITS = 15  # of a number, as a spreadsheet keeps them


def read_workbook(path: Path) -> Sheet:
    """Read the values of the only visible sheet that has any, or of the sheet ``cases``.

    A whole number has no decimals. A formula counts by the value that the spreadsheet has stored with it; without one
    it stays a formula. Formats are not applied: a 12 that is shown as 012 is 12.

    Raises
    ------
    TableError
        The file is no workbook, or several sheets have values and none is called ``cases``.
    """
    check_size(path, path.stat().st_size)
    content = path.read_bytes()
    try:
        with ZipFile(BytesIO(content)) as archive:
            unpacked = sum(part.file_size for part in archive.infolist())  # no more than this is ever unpacked
        check_size(path, unpacked)
        with warnings.catch_warnings(action="ignore"):  # of parts of a workbook that hold no values
            stored, written = (
                load_workbook(BytesIO(content), read_only=True, data_only=only) for only in (True, False)
            )
            found = {
                values.title.casefold(): records
                for values, formulas in zip(stored.worksheets, written.worksheets, strict=True)
                if values.sheet_state == "visible" and (records := list(_records(values, formulas)))
            }
    except _DAMAGE as exc:
        cause = f"expected a workbook, found damage, a password or another format ({type(exc).__name__})"
        raise malformed(path, cause, "Save the table as an Excel workbook (.xlsx) or as CSV UTF-8.") from exc
    if len(found) > 1 and _NAME not in found:
        cause = f"expected one visible sheet with values, or one called {_NAME}, found {len(found)} others"
        raise TableError("TABLE-SHEETS", file=path.name, cause=cause, remedy=f"Call the sheet of the table {_NAME}.")
    records = found.get(_NAME, next(iter(found.values()), []))
    width = max((len(cells) for _, cells in records), default=0)
    return Sheet(path.name, tuple((row, cells + [""] * (width - len(cells))) for row, cells in records))


def _records(values: Any, formulas: Any) -> Iterator[tuple[int, list[str]]]:
    for part in (values, formulas):
        part.reset_dimensions()  # some programs state others than they write
    pairs = zip(values.iter_rows(values_only=True), formulas.iter_rows(values_only=True), strict=True)
    for row, (shown, written) in enumerate(pairs, start=1):
        cells = [_text(value, formula) for value, formula in zip_longest(shown, written)]
        if any(cells):
            yield row, cells


def _text(value: object, formula: object) -> str:
    """Return a cell as text; `value` is None where it is empty or a formula without a stored value."""
    if value is None:
        return "" if formula is None else "=" + str(getattr(formula, "text", formula)).removeprefix("=")
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float):
        return f"{value:.{_DIGITS}g}"  # above that 1.23e+15, for its last digits are lost
    return str(value).strip()
