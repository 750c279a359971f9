"""The text file of a table, as spreadsheets write it: its encoding and separator are found, its cells stay text.

A reader that guesses types turns a patient ``012`` into 12 and ``NA`` into nothing.
"""

import codecs
import csv
import io
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from dmdbt.errors import TableError

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}
REMEDY = "Correct the table; README.md describes its columns."
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig", "UTF-8"), *((bom, "utf-16", "UTF-16") for bom in (b"\xff\xfe", b"\xfe\xff")))
_ZIP = b"PK\3\4"
_MOST_BYTES = 100_000_000  # of a table; a row of 1,000,000 pairs has about 100
# Of Excel, which reads it and does not write it; a program that saves the table again adds separators or quotes.
_SEPARATOR_LINE = re.compile(r'\A"?sep=(\\t|[^\r\n])"?[,;\t]*(?:\r\n|\r|\n|\Z)', re.IGNORECASE)


@dataclass(frozen=True)
class Sheet:
    """The cells of a table as text.

    Attributes
    ----------
    file
        Name of the file.
    records
        The header first: number of the row in which a record starts, as the file shows it, and its cells without
        surrounding blanks. Wholly empty rows are left out, and in a workbook empty cells at the end of a row.
    encoding, separator
        What was found, in words; empty in a workbook.
    """

    file: str
    records: tuple[tuple[int, list[str]], ...]
    encoding: str = ""
    separator: str = ""


def written_as(sheet: Sheet) -> dict[str, object]:
    """Return how a table was written, as ``metrics/cohort.json`` has it."""
    return {"table": {"file": sheet.file, "encoding": sheet.encoding, "separator": sheet.separator}}


def read_text_sheet(path: Path, columns: Collection[str]) -> Sheet:
    """Read a table of separated values.

    The encoding is that of a byte order mark, else UTF-8, else Windows-1252. The separator is that of a first line
    ``sep=;``, else that of comma, semicolon and tab under which the header has most of `columns`.

    Raises
    ------
    TableError
        The file is no such table.
    """
    text, encoding = _decode(path)
    separator, first_row = "", 1
    if stated := _SEPARATOR_LINE.match(text):
        separator, text, first_row = stated[1].replace("\\t", "\t"), text[stated.end() :], 2
        if separator not in SEPARATORS:
            raise malformed(path, f"expected sep= with a comma, semicolon or tab, found {separator!r}")
    separator = separator or _separator(path, text, columns)
    return Sheet(path.name, tuple(_records(path, text, separator, first_row)), encoding, SEPARATORS[separator])


def malformed(path: Path, cause: str, remedy: str = REMEDY) -> TableError:
    """Return the error of a file that is no table at all."""
    return TableError("TABLE-MALFORMED", file=path.name, cause=cause, remedy=remedy)


def check_size(path: Path, size: int) -> None:
    """Refuse a table of too many bytes, before they are read or unpacked: TableError."""
    if size > _MOST_BYTES:
        cause = f"expected a table of at most {_MOST_BYTES} bytes, found {size}"
        raise malformed(path, cause, "Save a table that has only the columns of README.md.")


def _decode(path: Path) -> tuple[str, str]:
    check_size(path, path.stat().st_size)
    content = path.read_bytes()
    if content.startswith(_ZIP):
        raise malformed(path, "expected a text file, found a workbook", f"Rename the file to {path.stem}.xlsx.")
    codec, encoding = next(((codec, name) for bom, codec, name in _BOMS if content.startswith(bom)), ("utf-8", "UTF-8"))
    try:
        text = content.decode(codec)
    except UnicodeDecodeError as exc:
        try:
            text, encoding = ("", "") if codec != "utf-8" else (content.decode("cp1252"), "Windows-1252")
        except UnicodeDecodeError:
            text = ""
        if not text:
            cause = f"expected text in UTF-8, UTF-16 or Windows-1252, found damage: {exc.reason} at byte {exc.start}"
            raise malformed(path, cause, "Save the table as CSV UTF-8.") from exc
    if "\0" in text:
        cause = f"expected text, found the character NUL in row {text.count(chr(10), 0, text.index(chr(0))) + 1}"
        raise malformed(path, cause, "Save the table as CSV UTF-8.")
    return text, encoding


def _separator(path: Path, text: str, columns: Collection[str]) -> str:
    """Return the separator under which the header has most of `columns`; a comma where none has any."""

    def known(separator: str) -> int:
        _, header = next(_records(path, text, separator, strict=False), (0, []))
        return len({name.casefold() for name in header} & set(columns))

    return max(SEPARATORS, key=known)


def _records(
    path: Path, text: str, separator: str, first_row: int = 1, *, strict: bool = True
) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=strict)
    while True:
        row = first_row + reader.line_num
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error as exc:
            cause = f"expected values separated by {SEPARATORS[separator]}, found in row {row}: {exc}"
            raise malformed(path, cause) from exc
        if any(cells):
            yield row, cells
