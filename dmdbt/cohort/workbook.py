"""The table as a workbook, ``cases.xlsx``."""

import warnings
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from openpyxl import load_workbook
from openpyxl.worksheet._reader import FORMULA_TAG, VALUE_TAG, WorkSheetParser

from dmdbt.cohort.sheet import Sheet, check_size, malformed
from dmdbt.errors import TableError

_NAME = "cases"  # of the sheet that counts where there are several
_DIGITS = 15  # of a number, as a spreadsheet keeps them
_LARGEST = 1e300  # beyond, a spreadsheet has no number
_MOST_ROWS, _MOST_CELLS = 1_048_576, 20_000_000  # rows as Excel has them; a cohort of 1,000,000 pairs has 7 columns
_STRICT = b"http://purl.oclc.org/ooxml/"  # the names of elements that openpyxl does not know
_REMEDY = "Save the table as an Excel workbook (.xlsx) or as CSV UTF-8."


def read_workbook(path: Path) -> Sheet:
    """Read the values of the only visible sheet that has any, or of the sheet ``cases``.

    A whole number has no decimals. A formula counts by the value that the spreadsheet has stored with it, be it empty
    text; without one it stays a formula. Formats are not applied: a 12 that is shown as 012 is 12.

    Raises
    ------
    TableError
        The file is no workbook or too large, or several sheets have values and none is called ``cases``.
    """
    check_size(path, path.stat().st_size)
    content = path.read_bytes()
    try:
        with ZipFile(BytesIO(content)) as archive:
            unpacked = sum(part.file_size for part in archive.infolist())  # no more than this is ever unpacked
            check_size(path, unpacked)
            books = [archive.read(name) for name in archive.namelist() if name.endswith("workbook.xml")]
        if any(_STRICT in book for book in books):
            remedy = "Save the table as Excel Workbook (.xlsx), not as Strict Open XML Spreadsheet."
            raise malformed(path, "expected an Excel workbook, found one in Strict Open XML", remedy)
        with warnings.catch_warnings(action="ignore"):  # of parts of a workbook that hold no values
            sheets = load_workbook(BytesIO(content), read_only=True, data_only=True).worksheets
            visible = {sheet.title.casefold(): sheet for sheet in sheets if sheet.sheet_state == "visible"}
            found = {name: records for name, sheet in visible.items() if (records := list(_records(path, sheet)))}
    except (TableError, MemoryError):
        raise
    except (
        Exception
    ) as exc:  # zipfile, its decompressors, the parser of XML and openpyxl raise over damage what they like
        cause = f"expected a workbook, found damage, a password or another format ({type(exc).__name__})"
        raise malformed(path, cause, _REMEDY) from exc
    if len(found) > 1 and _NAME not in found:
        cause = f"expected one visible sheet with values, or one called {_NAME}, found {len(found)} others"
        raise TableError("TABLE-SHEETS", file=path.name, cause=cause, remedy=f"Call the sheet of the table {_NAME}.")
    return Sheet(path.name, tuple(found.get(_NAME, next(iter(found.values()), []))))


class _Parser(WorkSheetParser):  # type: ignore[misc]
    """Rows as they are stored: what openpyxl makes of them fills gaps, and leaves out rows that are out of order."""

    def parse_cell(self, element: Any) -> dict[str, Any]:
        """Read a cell, whose value is a formula where the spreadsheet has stored none with it."""
        cell: dict[str, Any] = super().parse_cell(element)
        formula = element.find(FORMULA_TAG)
        is_empty_text = element.get("t") == "str" and element.find(VALUE_TAG) is not None
        if cell["value"] is None and formula is not None and not is_empty_text:
            cell["value"] = f"={formula.text or ''}"
        return cell


def _records(path: Path, sheet: Any) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that have values, up to the last of them."""
    book, last, n_cells = sheet.parent, 0, 0
    with sheet._get_source() as source:
        formats = {"date_formats": book._date_formats, "timedelta_formats": book._timedelta_formats}
        for row, cells in _Parser(source, sheet._shared_strings, True, book.epoch, **formats).parse():
            values = {cell["column"]: text for cell in cells if (text := _text(cell["value"]))}
            columns = {cell["column"] for cell in cells if cell["row"] == row}
            if not last < row or len(columns) < len(cells):
                cause = f"expected rows in order, and every cell once, found otherwise in row {row}"
                raise malformed(path, cause, _REMEDY)
            last, width = row, max(values, default=0)
            n_cells += width
            if row > _MOST_ROWS or n_cells > _MOST_CELLS:
                cause = f"expected at most {_MOST_ROWS} rows and {_MOST_CELLS} cells, found more in row {row}"
                raise malformed(path, cause, "Remove what stands below and beside the table.")
            if values:
                yield row, [values.get(column, "") for column in range(1, width + 1)]


def _text(value: object) -> str:
    """Return a cell as text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float):  # above 15 digits 1.23e+15, for its last digits are lost
        return f"{value:.{_DIGITS}g}" if abs(value) < _LARGEST else "#NUM!"
    return str(value).strip()
