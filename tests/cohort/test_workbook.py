"""Workbooks, written by openpyxl and changed byte by byte."""

import contextlib
import datetime
import zipfile

import numpy as np
import pytest
from openpyxl import Workbook
from openpyxl.worksheet.datavalidation import DataValidation

from dmdbt.cohort import read_sheet, read_table, table_path, written_as
from dmdbt.errors import TableError

COLUMNS = ["patient_id", "laterality", "view", "label", "dm", "dbt"]
FILES = ["dm/é.dcm", "dbt/a.avi"]


def workbook(folder, *rows, sheets=(), name="Sheet1"):
    book = Workbook()
    book.active.title = name
    for row in rows:
        book.active.append(row)
    for title, state in sheets:
        other = book.create_sheet(title)
        other.append(["a", "b"])
        other.sheet_state = state
    book.save(folder / "cases.xlsx")
    return folder / "cases.xlsx"


def change(path, change_xml, part="xl/worksheets/sheet1.xml"):
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    changed = change_xml(parts[part].decode())
    assert changed != parts[part].decode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (parts | {part: changed.encode()}).items():
            archive.writestr(name, content)
    return path


def test_a_workbook_is_a_table_whose_numbers_have_no_decimals(tmp_path):
    rows = [[1.0, "L", "CC", "benign", *FILES], [" 02\u00a0", "R", "MLO", "malignant", *FILES]]
    path = workbook(tmp_path, [" Patient_ID", *COLUMNS[1:]], *rows)
    assert table_path(tmp_path) == path
    assert [(case.case_id, case.dm) for case in read_table(path)] == [("02-R-MLO", FILES[0]), ("1-L-CC", FILES[0])]
    assert written_as(read_sheet(path))["table"] == {"file": "cases.xlsx", "encoding": "", "separator": ""}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7, "7"),
        (1.0, "1"),
        (0.25, "0.25"),
        (1e5, "100000"),
        (123456789012345, "123456789012345"),
        (1234567890123456, "1.23456789012346e+15"),  # a spreadsheet keeps 15 digits
        (True, "TRUE"),
        (datetime.datetime(2026, 1, 2), "2026-01-02 00:00:00"),
        ("a\nb", "a\nb"),
        ("#N/A", "#N/A"),
    ],
)
def test_a_value_becomes_text(tmp_path, value, text):
    assert read_sheet(workbook(tmp_path, ["x"], [value])).records[1] == (2, [text])


def test_rows_are_numbered_as_the_sheet_shows_them_and_empty_ones_left_out(tmp_path):
    path = workbook(tmp_path, [], COLUMNS, [], ["", " ", None], ["p", "X", "CC", "benign", *FILES, None, " "], [None])
    assert [row for row, _ in read_sheet(path).records] == [2, 5]
    with pytest.raises(TableError) as caught:
        read_table(path)
    assert caught.value.__notes__ == ["row 5 laterality: expected L or R, found 'X'"]


def test_a_short_row_is_filled_and_a_value_below_no_header_is_a_problem(tmp_path):
    path = workbook(tmp_path, COLUMNS, ["p", "L", "CC", "benign", "a"], ["q", "L", "CC", "benign", "a", "b", "note"])
    with pytest.raises(TableError) as caught:
        read_table(path)
    assert caught.value.__notes__ == ["row 3 column 7: expected an empty cell below an empty header, found 'note'"]


def test_a_formula_counts_by_its_stored_value_and_without_one_is_refused(tmp_path):
    path = workbook(tmp_path, COLUMNS, ["=1+1", "L", "CC", "benign", *FILES])
    with pytest.raises(TableError) as caught:
        read_table(path)
    assert caught.value.__notes__ == [
        "row 2 patient_id: expected a value (paste values over the formulas of the spreadsheet), found '=1+1'"
    ]
    change(path, lambda xml: xml.replace("<f>1+1</f><v></v>", "<f>1+1</f><v>2</v>").replace("<v />", "<v>2</v>"))
    assert [case.patient_id for case in read_table(path)] == ["2"]


def test_the_sheet_of_the_table_is_the_only_visible_one_or_is_called_cases(tmp_path):
    row = ["p", "L", "CC", "benign", *FILES]
    assert len(read_table(workbook(tmp_path, COLUMNS, row, sheets=[("lists", "hidden")]))) == 1
    assert len(read_table(workbook(tmp_path, COLUMNS, row, sheets=[("notes", "visible")], name="Cases"))) == 1
    with pytest.raises(TableError, match="E-TABLE-SHEETS .*expected one visible sheet .* found 2 others remedy=Call"):
        read_table(workbook(tmp_path, COLUMNS, row, sheets=[("notes", "visible")]))


def test_a_stated_size_that_is_wrong_is_not_believed(tmp_path):
    path = workbook(tmp_path, COLUMNS, ["p", "L", "CC", "benign", *FILES])
    change(path, lambda xml: xml.replace('ref="A1:F2"', 'ref="A1"'))
    assert len(read_table(path)) == 1


def test_lists_of_allowed_values_do_no_harm(tmp_path):
    book = Workbook()
    for row in (COLUMNS, ["p", "L", "CC", "benign", *FILES]):
        book.active.append(row)
    choice = DataValidation(type="list", formula1='"benign,malignant"')
    choice.add("D2:D9")
    book.active.add_data_validation(choice)
    book.save(tmp_path / "cases.xlsx")
    assert len(read_table(tmp_path / "cases.xlsx")) == 1


@pytest.mark.parametrize("content", [b"", b"patient_id,dm\n", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(999)])
def test_what_is_no_workbook_is_refused(tmp_path, content):
    (tmp_path / "cases.xlsx").write_bytes(content)
    with pytest.raises(TableError, match="E-TABLE-MALFORMED .*expected a workbook, found damage, a password or"):
        read_table(tmp_path / "cases.xlsx")


def test_an_empty_workbook_has_no_columns(tmp_path):
    with pytest.raises(TableError, match="E-TABLE-COLUMNS .*0 columns: none"):
        read_table(workbook(tmp_path))


@pytest.mark.mutation
def test_a_workbook_that_is_damaged_anywhere_is_refused_or_has_the_same_cases(tmp_path, pytestconfig):
    path = workbook(tmp_path, COLUMNS, *([f"p{n}", "L", "CC", "benign", *FILES] for n in range(20)))
    cases = read_table(path)
    whole, rng = path.read_bytes(), np.random.default_rng(3)
    for _ in range(pytestconfig.option.mutations):
        content = bytearray(whole[: rng.integers(len(whole))] if rng.random() < 0.2 else whole)
        for place in rng.integers(len(content) or 1, size=3) if content else ():
            content[place] = rng.integers(256)
        path.write_bytes(content)
        with contextlib.suppress(TableError):
            assert read_table(path) == cases


def test_a_workbook_that_unpacks_to_more_than_100_million_bytes_is_not_unpacked(tmp_path):
    path = workbook(tmp_path, COLUMNS, ["p1", "L", "CC", "benign", *FILES])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("xl/bomb.xml", "w") as part:
        for _ in range(100):
            part.write(bytes(1_000_000))
    assert path.stat().st_size < 1_000_000

    with pytest.raises(TableError, match=r"expected a table of at most 100000000 bytes, found 1000\d{5}"):
        read_table(path)


def test_a_text_table_of_more_than_100_million_bytes_is_not_read(tmp_path):
    path = tmp_path / "cases.csv"
    with path.open("wb") as file:
        file.truncate(100_000_001)

    with pytest.raises(TableError, match="expected a table of at most 100000000 bytes, found 100000001"):
        read_table(path)
