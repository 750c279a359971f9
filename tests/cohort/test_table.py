import pytest

from dmdbt import params
from dmdbt.cohort import (
    Case,
    read_table,
    table_path,
    write_table,
)
from dmdbt.errors import TableError
from dmdbt.terms import Label, Laterality, MissingModality, Modality, View

OTHER_SPELLINGS = "(`labels` in params.yaml names other spellings)"
CHARACTERS = "letters A to Z, digits, dots, underscores and hyphens"
HEADER = "patient_id,laterality,view,label,dm,dbt\n"


def table(tmp_path, text):
    path = tmp_path / "cases.csv"
    path.write_text(text)
    return path


def problems(tmp_path, text, pairs=MissingModality.ALLOW):
    with pytest.raises(TableError, match="E-TABLE .*file=cases.csv cause=expected a correct table, found") as caught:
        read_table(table(tmp_path, text), pairs)
    return caught.value.__notes__


def test_a_row_becomes_a_case_named_after_patient_side_and_view(tmp_path):
    path = table(tmp_path, HEADER + "012,L,MLO,malignant,dm/a.dcm,dbt/a.avi\n")
    case = Case("012-L-MLO", "012", Laterality.LEFT, View.MLO, Label.MALIGNANT, "dm/a.dcm", "dbt/a.avi")
    assert read_table(path) == [case]


def test_a_table_is_read_as_text_and_sorted_by_case(tmp_path):
    rows = "b,NA,R,CC,benign,1,2,spare\na,012,L,CC,benign,1,2,column\n"
    cases = read_table(table(tmp_path, "case_id," + HEADER.strip() + ",site\n" + rows))
    assert [(case.case_id, case.patient_id) for case in cases] == [("a", "012"), ("b", "NA")]


def test_a_table_is_read_as_it_was_written(tmp_path):
    cases = read_table(table(tmp_path, HEADER + "p,L,CC,benign,a b.dcm,d.avi\np,R,CC,malignant,a.dcm,é.avi\n"))
    write_table(tmp_path / "again.csv", cases)
    assert read_table(tmp_path / "again.csv") == cases


def test_every_problem_of_the_whole_table_is_named(tmp_path):
    found = problems(
        tmp_path,
        HEADER
        + "p1,left,CC,benign,a.dcm,a.avi\n"
        + ",R,LM,cancer,a.dcm,a.avi\n"
        + "p3,R,CC,benign,/etc/a.dcm,../a.avi\n"
        + "P3,R,CC,benign,,\n"
        + "p/5,R,CC,benign,a.dcm,a.avi\n",
    )
    assert found == [
        "row 2 laterality: expected L or R, found 'left'",
        "row 3 patient_id: expected a pseudonym, found ''",
        "row 3 view: expected CC or MLO, found 'LM'",
        f"row 3 label: expected benign or malignant {OTHER_SPELLINGS}, found 'cancer'",
        "row 4 dm: expected a path inside the cohort's folder, found '/etc/a.dcm'",
        "row 4 dbt: expected a path inside the cohort's folder, found '../a.avi'",
        "row 5 dm: expected a path here or in dbt, found ''",
        "row 5 dbt: expected a path here or in dm, found ''",
        f"row 6 patient_id: expected {CHARACTERS}, not '/' (U+002F), found 'p/5'",
        "row 5 case_id: expected a name of its own, found 'P3-R-CC' as in row 4",
    ]


ONE_EACH = HEADER + "p1,L,CC,benign,a.dcm,\np2,L,CC,benign,,a.avi\np3,L,CC,benign,a.dcm,a.avi\n"


def test_a_pair_may_lack_an_image_and_says_which_it_has(tmp_path):
    cases = read_table(table(tmp_path, ONE_EACH))
    assert [case.modalities for case in cases] == [(Modality.DM,), (Modality.DBT,), (Modality.DM, Modality.DBT)]
    assert (cases[0].file(Modality.DBT), cases[1].file(Modality.DM)) == ("", "")
    write_table(tmp_path / "again.csv", cases)
    assert read_table(tmp_path / "again.csv") == cases


def test_where_pairs_are_required_a_missing_image_is_a_problem_with_its_remedy(tmp_path):
    remedy = "(for pairs without one, set `missing_modality: allow` in params.yaml)"
    assert problems(tmp_path, ONE_EACH, MissingModality.FORBID) == [
        f"row 2 dbt: expected a path {remedy}, found ''",
        f"row 3 dm: expected a path {remedy}, found ''",
    ]


@pytest.mark.parametrize("pairs", MissingModality)
def test_a_row_without_any_image_is_always_a_problem(tmp_path, pairs):
    found = problems(tmp_path, HEADER + "p1,L,CC,benign,,\n", pairs)
    assert found == [f"row 2 {c}: expected a path here or in {o}, found ''" for c, o in (("dm", "dbt"), ("dbt", "dm"))]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "E-TABLE-COLUMNS .*found no patient_id, laterality, view, label, dm, dbt"),
        ("patient_id,view,label,dm,dbt\n", "E-TABLE-COLUMNS .*found no laterality"),
        (HEADER, "E-TABLE-EMPTY .*at least one row"),
        (HEADER + 'p,"L,CC\n', "E-TABLE-MALFORMED .*separated by comma, found in row 2: unexpected end of data"),
    ],
)
def test_an_empty_or_malformed_table_is_refused(tmp_path, text, message):
    with pytest.raises(TableError, match=message):
        read_table(table(tmp_path, text))


def test_a_missing_cohort_is_named(tmp_path):
    with pytest.raises(TableError, match=r"E-TABLE-MISSING .*cases.csv.*Correct the path: `cohort` in params.yaml"):
        read_table(tmp_path / "nowhere" / "cases.csv")


@pytest.mark.parametrize("name", ["Cases.csv", "cases.CSV", "cases.xls", "cases.xlsm", "cases.txt", "table.xlsx"])
def test_a_table_of_another_name_is_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    (tmp_path / "a.dcm").write_bytes(b"")
    message = rf"E-TABLE-MISSING .*no such file but {name} remedy=Save the table as cases.csv or cases.xlsx"
    with pytest.raises(TableError, match=message):
        read_table(table_path(tmp_path))


def test_two_tables_are_refused(tmp_path):
    for name in ("cases.csv", "cases.xlsx"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(TableError, match=r"E-TABLE-TWO .*found cases.csv and cases.xlsx remedy=Remove the one"):
        table_path(tmp_path)


def test_a_wrong_spelling_is_one_line_with_its_number_of_rows(tmp_path):
    rows = [f"p{n},{'left' if n < 3 else 'L'},CC,{'1' if n % 2 else 'malignant.'},a.dcm,a.avi\n" for n in range(6)]
    assert problems(tmp_path, HEADER + "".join(rows)) == [
        "row 2 laterality: expected L or R, found 'left' (3 rows)",
        f"row 2 label: expected benign or malignant {OTHER_SPELLINGS}, found 'malignant.' (3 rows)",
        f"row 3 label: expected benign or malignant {OTHER_SPELLINGS}, found '1' (3 rows)",
    ]


def test_other_spellings_of_the_label_mean_what_the_parameters_say(tmp_path):
    labels = params.Labels(benign=[0, "B 2"], malignant=[1, True]).meaning()
    rows = "".join(f"p{n},L,CC,{label},a,b\n" for n, label in enumerate(("0", "b 2", "1", "TRUE", "malignant")))
    found = read_table(table(tmp_path, HEADER + rows), labels=labels)
    assert [case.label.value for case in found] == ["benign", "benign", "malignant", "malignant", "malignant"]


@pytest.mark.parametrize("cell", ["=A1", '="012"', "#N/A", "#REF!", "#DIV/0!"])
@pytest.mark.parametrize("column", HEADER.strip().split(","))
def test_a_formula_or_an_error_of_the_spreadsheet_is_one_problem(tmp_path, column, cell):
    values = dict(zip(HEADER.strip().split(","), ("p", "L", "CC", "benign", "a", "b"), strict=True)) | {column: cell}
    expected = "expected a value (paste values over the formulas of the spreadsheet)"
    assert problems(tmp_path, HEADER + ",".join(values.values())) == [f"row 2 {column}: {expected}, found {cell!r}"]


@pytest.mark.parametrize("path", ["dm\\a.dcm", "C:\\data\\a.dcm", "C:/data/a.dcm", "c:a.dcm", "\\\\server\\a.dcm"])
def test_a_path_of_windows_is_refused_with_the_remedy(tmp_path, path):
    expected = "expected a path with forward slashes, relative to the cohort's folder"
    assert problems(tmp_path, HEADER + f"p,L,CC,benign,{path},b") == [f"row 2 dm: {expected}, found {path!r}"]


@pytest.mark.parametrize("character", ["\v", "\x1b", "\n"])
def test_a_path_with_a_control_character_is_refused(tmp_path, character):
    found = problems(tmp_path, HEADER + f'p,L,CC,benign,"a{character}b","c"')
    assert found == [f"row 2 dm: expected a path without control characters, found {f'a{character}b'!r}"]


@pytest.mark.parametrize("path", ["a" * 256, "dm/" + "\u00e9" * 128 + "/a.dcm", "ab/" * 683])
def test_a_path_that_no_file_system_takes_is_refused(tmp_path, path):
    allowed = "a" * 255, "/".join(["\u00e9" * 127] * 8)
    assert len(read_table(table(tmp_path, HEADER + f"p,L,CC,benign,{','.join(allowed)}"))) == 1
    (line,) = problems(tmp_path, HEADER + f"p,L,CC,benign,a,{path}")
    assert line.startswith("row 2 dbt: expected a path of at most 2048 bytes, with at most 255 between two slashes")


def test_a_cell_too_many_or_too_few_is_a_problem_and_its_row_no_case(tmp_path):
    found = problems(
        tmp_path, HEADER + "p,L,CC,benign,a,b.dcm,c.avi\nq,L,CC,benign,a\nr,L,CC,benign\ns,L,CC,benign,a\n"
    )
    quotes = "expected 6 cells as in the header (a value that holds the separator needs quotes)"
    separator = "expected 6 cells as in the header (an empty cell needs its separator)"
    assert found == [
        f"row 2 column 7: {quotes}, found one more: 'c.avi'",
        f"row 3 dbt: {separator}, found 5 (2 rows)",
        f"row 4 dm: {separator}, found 4",
    ]


def test_a_separator_at_the_end_of_every_row_but_the_header_is_one_problem(tmp_path):
    found = problems(tmp_path, HEADER + "p,L,CC,benign,a,b,\nq,L,CC,benign,a,b,\n")
    assert len(found) == 1
    assert found[0].startswith("row 2 column 7: expected 6 cells")
    assert found[0].endswith("found one more: '' (2 rows)")


def test_a_separator_at_the_end_of_every_row_and_the_header_is_nothing(tmp_path):
    text = HEADER.replace("\n", ",,\n") + "p,L,CC,benign,a,b,,\n"
    assert [case.dbt for case in read_table(table(tmp_path, text))] == ["b"]
    found = problems(tmp_path, text + "q,L,CC,benign,a,b,,note\n")
    assert found == ["row 3 column 8: expected an empty cell below an empty header, found 'note'"]


@pytest.mark.parametrize("twice", ["dm", "DM ", "site"])
def test_a_column_that_is_there_twice_is_refused(tmp_path, twice):
    text = f"site,{HEADER.strip()},{twice}\nx,p,L,CC,benign,a,b,c\n"
    with pytest.raises(TableError, match=f"E-TABLE-COLUMNS .*once, found in row 1 '{twice.strip().lower()}' more than"):
        read_table(table(tmp_path, text))


@pytest.mark.parametrize("title", ["Cases of the study\n", "Cases;;;;;\n", "identifier,text,text,text,path,path\n"])
def test_a_line_above_the_header_is_refused_and_shown(tmp_path, title):
    with pytest.raises(TableError, match=r"E-TABLE-COLUMNS .*in row 1, which has \d columns? .*'(Cases|identifier)"):
        read_table(table(tmp_path, title + HEADER + "p,L,CC,benign,a,b\n"))


def test_a_second_line_of_the_header_is_a_row_with_problems(tmp_path):
    second = "pseudonym,L/R,CC/MLO,biopsy,path,path\n"
    found = problems(tmp_path, HEADER + second + "p,L,CC,benign,a,b\n")
    assert [line.partition(":")[0] for line in found] == ["row 2 laterality", "row 2 view", "row 2 label"]


def test_a_case_id_too_long_is_one_problem(tmp_path):
    found = problems(tmp_path, f"case_id,{HEADER}{'c' * 65},p,L,CC,benign,a,b")
    assert found == [f"row 2 case_id: expected at most 64 characters, not 65, found '{'c' * 65}'"]


@pytest.mark.parametrize("column", ["case_id", "patient_id"])
@pytest.mark.parametrize("identifier", ["manifest.json", "@SUM(1)", "+1+cmd|x", "A\u0308", "-rf"])
def test_an_id_that_cannot_name_a_file_is_a_problem_of_its_column(tmp_path, column, identifier):
    values = {"case_id": "c", "patient_id": "p"} | {column: identifier}
    (line,) = problems(tmp_path, f"case_id,{HEADER}{values['case_id']},{values['patient_id']},L,CC,benign,a,b")
    assert line.startswith(f"row 2 {column}: expected ")
    assert line.endswith(f", found {identifier!r}")


def test_a_long_value_is_shortened_in_the_message(tmp_path):
    (line,) = problems(tmp_path, HEADER + f"p,L,CC,{'x' * 100_000},a,b")
    assert len(line) < 500
    assert line.endswith("xxx...")


def test_a_pseudonym_too_long_for_the_case_id_made_of_it_is_named(tmp_path):
    assert len(read_table(table(tmp_path, HEADER + f"{'p' * 59},L,CC,benign,a,b"))[0].case_id) == 64
    found = problems(tmp_path, HEADER + f"{'p' * 60},L,CC,benign,a,b")
    assert found == [f"row 2 patient_id: expected a case id made of it of at most 64 characters, found '{'p' * 60}'"]


@pytest.mark.parametrize("pair", [("a-1", "A-1"), ("\u00c4", "A\u0308"), ("x1", "x\u00b9"), ("x-1", "x\u20111")])
def test_no_two_case_ids_are_one_after_normalization_and_without_regard_to_case(tmp_path, pair):
    rows = "".join(f"{case_id},p{n},L,CC,benign,a,b\n" for n, case_id in enumerate(pair))
    found = problems(tmp_path, "case_id," + HEADER + rows)
    assert all(line.startswith(("row 2 case_id", "row 3 case_id")) for line in found)
