"""Workbooks, written by openpyxl and changed byte by byte."""

import contextlib
import datetime
import re
import tracemalloc
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


def test_a_formula_whose_stored_value_is_empty_is_an_empty_cell(tmp_path):
    """As of =IF(A3="","",...) that is filled down over more rows than there are."""
    path = workbook(tmp_path, COLUMNS, ["p", "L", "CC", "benign", "=1", "b"], ["=1"] * 6)
    empty = '<f>""</f><v></v>'
    change(path, lambda xml: xml.replace("<f>1</f><v></v>", empty).replace("<f>1</f><v />", empty))
    with pytest.raises(TableError) as caught:  # of cells without a type, in which a number may be missing
        read_table(path)
    assert len(caught.value.__notes__) >= 6
    change(path, lambda xml: re.sub(r'<c r="(\w\d)"( t="\w+")?><f>', r'<c r="\1" t="str"><f>', xml))
    assert [(case.case_id, case.dm, case.dbt) for case in read_table(path)] == [("p-L-CC", "", "b")]


@pytest.mark.parametrize(
    ("number", "found"), [("9" * 400, "#NUM!"), ("1E400", "#NUM!"), ("-1E301", "#NUM!"), ("1E15", "1e+15")]
)
def test_a_number_beyond_those_of_a_spreadsheet_is_one_problem(tmp_path, number, found):
    path = workbook(tmp_path, COLUMNS, [7, "L", "CC", "benign", *FILES])
    change(path, lambda xml: xml.replace("<v>7</v>", f"<v>{number}</v>"))
    assert read_sheet(path).records[1][1][0] == found
    if found == "#NUM!":
        with pytest.raises(TableError) as caught:
            read_table(path)
        assert caught.value.__notes__[0].startswith("row 2 patient_id: expected a value (paste values over")


def rows_of(xml):
    return re.findall(r"<row.*?</row>", xml)


@pytest.mark.parametrize(
    ("change_xml", "message"),
    [
        (
            lambda xml: xml.replace("".join(rows_of(xml)[1:3]), "".join(rows_of(xml)[2:0:-1])),
            "found otherwise in row 2",
        ),
        (lambda xml: xml.replace(rows_of(xml)[2], rows_of(xml)[1] + rows_of(xml)[2]), "found otherwise in row 2"),
        (lambda xml: xml.replace('<c r="B2"', '<c r="A2"'), "found otherwise in row 2"),
        (lambda xml: xml.replace('<c r="B2"', '<c r="B3"'), "found otherwise in row 2"),
        (lambda xml: xml.replace("</sheetData>", '<row r="1048577"></row></sheetData>'), "found more in row 1048577"),
        (lambda xml: xml.replace("</sheetData>", '<row r="30000000"/></sheetData>'), "found more in row 30000000"),
    ],
)
def test_rows_out_of_order_or_twice_or_too_many_are_refused(tmp_path, change_xml, message):
    path = workbook(tmp_path, COLUMNS, *([f"p{n}", "L", "CC", "benign", *FILES] for n in range(3)))
    assert len(read_table(path)) == 3
    with pytest.raises(TableError, match=f"E-TABLE-MALFORMED .*{message}"):
        read_table(change(path, change_xml))


def test_cells_may_stand_in_any_order_and_lack_their_names(tmp_path):
    path = workbook(tmp_path, COLUMNS, ["p", "L", "CC", "benign", *FILES])
    cases = read_table(path)
    change(path, lambda xml: re.sub(r"(<row r=.2.[^>]*>)(<c.*?</c>)(.*?)(</row>)", r"\1\3\2\4", xml))
    assert read_table(path) == cases
    path = workbook(tmp_path, COLUMNS, ["p", "L", "CC", "benign", *FILES])
    assert read_table(change(path, lambda xml: re.sub(r' r="\w*\d+"', "", xml))) == cases


@pytest.mark.parametrize("stray_row", [1, 3])
def test_a_stray_value_far_right_costs_no_more_than_its_row(tmp_path, stray_row):
    path = workbook(tmp_path, COLUMNS, *([f"p{n}", "L", "CC", "benign", *FILES] for n in range(2000)))
    stray = f'<c r="XFD{stray_row}" t="str"><v>x</v></c></row>'
    change(path, lambda xml: xml.replace(rows_of(xml)[stray_row - 1], rows_of(xml)[stray_row - 1][:-6] + stray))
    tracemalloc.start()
    records = read_sheet(path).records
    assert tracemalloc.get_traced_memory()[1] < 50_000_000
    tracemalloc.stop()
    assert [len(cells) for _, cells in records[:4]] == [16384 if row == stray_row else 6 for row in (1, 2, 3, 4)]
    if stray_row == 1:
        assert len(read_table(path)) == 2000
    else:
        with pytest.raises(TableError) as caught:
            read_table(path)
        assert caught.value.__notes__ == ["row 3 column 16384: expected an empty cell below an empty header, found 'x'"]


def test_very_many_cells_are_refused_before_they_are_all_made(tmp_path):
    path = workbook(tmp_path, COLUMNS)
    stray = "".join(f'<row r="{row}"><c r="XFD{row}" t="str"><v>x</v></c></row>' for row in range(2, 2000))
    change(path, lambda xml: xml.replace("</sheetData>", f"{stray}</sheetData>"))
    with pytest.raises(TableError, match="E-TABLE-MALFORMED .*and 20000000 cells, found more in row 1222"):
        read_table(path)


def test_strict_open_xml_is_refused_with_the_format_to_choose(tmp_path):
    """The names of ISO/IEC 29500-1 instead of those of 29500-4; Excel writes them on request."""
    path = workbook(tmp_path, COLUMNS, ["p", "L", "CC", "benign", *FILES])
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    names = {
        b"http://schemas.openxmlformats.org/spreadsheetml/2006/main": b"http://purl.oclc.org/ooxml/spreadsheetml/main",
        b"http://schemas.openxmlformats.org/officeDocument/2006/relationships": b"http://purl.oclc.org/ooxml/officeDocument/relationships",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            for usual, strict in names.items():
                content = content.replace(usual, strict)
            archive.writestr(name, content)
    with pytest.raises(
        TableError, match="E-TABLE-MALFORMED .*found one in Strict Open XML remedy=Save .*not as Strict"
    ):
        read_table(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_DEFLATED])
def test_damage_in_any_compression_is_refused(tmp_path, method):
    path = workbook(tmp_path, COLUMNS, ["p", "L", "CC", "benign", *FILES])
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    assert len(read_table(path)) == 1
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("xl/workbook.xml").header_offset + 30 + len("xl/workbook.xml")
    content = bytearray(path.read_bytes())
    content[start + 9 : start + 60] = b"\xff" * 51
    path.write_bytes(content)
    with pytest.raises(TableError, match="E-TABLE-MALFORMED .*expected a workbook, found damage"):
        read_table(path)


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
