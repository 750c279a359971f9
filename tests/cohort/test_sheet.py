"""Tables as spreadsheets save them; what each program writes is worked out by hand, byte by byte."""

import codecs

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dmdbt.cohort import read_sheet, read_table, written_as
from dmdbt.errors import TableError

COLUMNS = ["patient_id", "laterality", "view", "label", "dm", "dbt"]
ROW = ["012", "L", "CC", "benign", "dm/Müller, 1.dcm", "dbt/a;b.avi"]


def write(folder, content):
    path = folder / "cases.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def lines(separator, *rows, end="\r\n"):
    quoted = [[f'"{cell}"' if separator in cell else cell for cell in row] for row in rows]
    return end.join(separator.join(row) for row in quoted) + end


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("codec", "bom", "encoding"),
    [
        ("utf-8", b"", "UTF-8"),
        ("utf-8", codecs.BOM_UTF8, "UTF-8"),
        ("utf-16-le", codecs.BOM_UTF16_LE, "UTF-16"),
        ("utf-16-be", codecs.BOM_UTF16_BE, "UTF-16"),
        ("cp1252", b"", "Windows-1252"),
    ],
)
@pytest.mark.parametrize(("separator", "name"), [(",", "comma"), (";", "semicolon"), ("\t", "tab")])
def test_encoding_and_separator_are_found_and_told(tmp_path, separator, name, codec, bom, encoding, end):
    path = write(tmp_path, bom + lines(separator, COLUMNS, ROW, end=end).encode(codec))
    sheet = read_sheet(path)
    assert written_as(sheet)["table"] == {"file": "cases.csv", "encoding": encoding, "separator": name}
    assert sheet.records == ((1, COLUMNS), (2, ROW))


@pytest.mark.parametrize(
    ("first", "separator"),
    [
        ("sep=;", ";"),
        ("SEP=,", ","),
        ("sep=\t", "\t"),
        (r"sep=\t", "\t"),
        ('"sep=;"', ";"),
        ("sep=;;;;;;", ";"),
        ("sep=,;;;;;", ","),
    ],
)
def test_a_first_line_that_states_the_separator_counts_as_a_row(tmp_path, first, separator):
    sheet = read_sheet(write(tmp_path, f"{first}\r\n{lines(separator, COLUMNS, ROW)}"))
    assert sheet.records == ((2, COLUMNS), (3, ROW))


def test_a_separator_that_is_stated_and_wrong_is_shown_with_the_header(tmp_path):
    path = write(tmp_path, "sep=,\n" + lines(";", COLUMNS, ROW))
    with pytest.raises(
        TableError, match=r"E-TABLE-COLUMNS .*in row 2, which has 1 columns separated by comma: 'pat.*;"
    ):
        read_table(path)


def test_another_separator_is_refused(tmp_path):
    with pytest.raises(TableError, match=r"E-TABLE-MALFORMED .*sep= with a comma, semicolon or tab, found '\|'"):
        read_sheet(write(tmp_path, "sep=|\n" + lines("|", COLUMNS, ROW)))
    with pytest.raises(TableError, match=r"E-TABLE-COLUMNS .*1 columns separated by comma: 'patient_id\|laterality"):
        read_table(write(tmp_path, lines("|", COLUMNS, ROW)))


@pytest.mark.parametrize("separator", [",", ";"])
@pytest.mark.parametrize("header", ["\u00a0Patient_ID ,LATERALITY,\tView,label,\u202fDM,dbt\u3000\v"])
def test_a_header_is_read_without_regard_to_case_and_surrounding_blanks(tmp_path, header, separator):
    text = header + "\n 7\u00a0, L,CC\u2003,benign,a b ,c\n"
    (case,) = read_table(write(tmp_path, text.replace(",", separator)))
    assert (case.patient_id, case.view, case.dm) == ("7", "CC", "a b")


def test_a_header_with_an_invisible_character_is_refused_and_shows_it(tmp_path):
    with pytest.raises(TableError, match=r"E-TABLE-COLUMNS .*found no dm in row 1.*'dm\\u200b'"):
        read_table(write(tmp_path, ",".join(COLUMNS).replace("dm", "dm\u200b") + "\n"))


def test_rows_are_numbered_as_the_file_shows_them(tmp_path):
    text = (
        '\n\n"patient_id",laterality,view,label,dm,dbt,note\n,,,,,,\np,L,CC,benign,a,b,"two\nlines\r\nthree"\n\n   \n'
    )
    sheet = read_sheet(
        write(tmp_path, text + 'q,L,CC,benign,a,b,"\n"\nr,X,CC,benign,a,b,\n;;;\n'.replace(";;;", ",,,,,,,,"))
    )
    assert [row for row, _ in sheet.records] == [3, 5, 10, 12]
    with pytest.raises(TableError) as caught:
        read_table(tmp_path / "cases.csv")
    assert caught.value.__notes__ == ["row 12 laterality: expected L or R, found 'X'"]


@pytest.mark.parametrize(
    "separator_line", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028"], ids=["VT", "FF", "FS", "NEL", "LS"]
)
def test_what_other_programs_take_for_a_line_end_is_none(tmp_path, separator_line):
    rows = [COLUMNS, ["p", "L", "CC", "benign", f"a{separator_line}b", "c"], ROW]
    assert [row for row, _ in read_sheet(write(tmp_path, lines(",", *rows))).records] == [1, 2, 3]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\3\4" + bytes(99), r"E-TABLE-MALFORMED .*found a workbook remedy=Rename the file to cases.xlsx"),
        (b"a,b\nc\0d", r"E-TABLE-MALFORMED .*character NUL in row 2"),
        ("a,b".encode("utf-16-le"), r"E-TABLE-MALFORMED .*character NUL in row 1"),
        (codecs.BOM_UTF16_LE + b"a", r"E-TABLE-MALFORMED .*found damage: truncated data at byte 2"),
        (codecs.BOM_UTF8 + b"a\xfc", r"E-TABLE-MALFORMED .*found damage: "),
        (
            b"a\x81b",
            r"E-TABLE-MALFORMED .*UTF-8, UTF-16 or Windows-1252, found damage: .* remedy=Save the table as CSV",
        ),
        (b'patient_id\n"p"q\n', r"E-TABLE-MALFORMED .*by comma, found in row 2: ',' expected after"),
        (b'patient_id;dm\np;"q\n', r"E-TABLE-MALFORMED .*by semicolon, found in row 2: unexpected end"),
        (b"a" * 200_000, r"E-TABLE-MALFORMED .*found in row 1: field larger than field limit"),
        (b"", r"E-TABLE-COLUMNS .*found no patient_id.* 0 columns.*: none"),
    ],
)
def test_what_is_no_table_is_refused_with_its_row(tmp_path, content, message):
    with pytest.raises(TableError, match=message):
        read_table(write(tmp_path, content))


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"]), max_size=5)


@example(rows=[["a\rb", "c\r\nd", "e\nf", "", "", ""]], separator=",")
@given(rows=st.lists(st.lists(CELLS, min_size=6, max_size=6), max_size=4), separator=st.sampled_from(",;\t"))
def test_whatever_text_the_cells_have_it_comes_back(tmp_path_factory, rows, separator):
    quoted = [[cell.replace('"', '""') for cell in row] for row in rows]
    text = (
        separator.join(COLUMNS) + "\n" + "".join(separator.join(f'"{cell}"' for cell in row) + "\n" for row in quoted)
    )
    path = write(tmp_path_factory.mktemp("sheet"), codecs.BOM_UTF8 + text.encode())
    expected = [[cell.strip() for cell in row] for row in rows if "".join(row).strip()]
    assert [cells for _, cells in read_sheet(path).records] == [COLUMNS, *expected]
