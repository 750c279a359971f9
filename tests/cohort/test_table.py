import pytest

from dmdbt.cohort import (
    Case,
    read_table,
    write_table,
)
from dmdbt.errors import TableError
from dmdbt.terms import Label, Laterality, MissingModality, Modality, View

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
        "row 3 case_id: expected up to 64 letters, digits, dots, underscores and hyphens, found ''",
        "row 3 view: expected CC or MLO, found 'LM'",
        "row 3 label: expected benign or malignant, found 'cancer'",
        "row 4 dm: expected a path inside the cohort's folder, found '/etc/a.dcm'",
        "row 4 dbt: expected a path inside the cohort's folder, found '../a.avi'",
        "row 5 dm: expected a path here or in dbt, found ''",
        "row 5 dbt: expected a path here or in dm, found ''",
        "row 6 case_id: expected up to 64 letters, digits, dots, underscores and hyphens, found ''",
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
        (HEADER + 'p,"L,CC\n', "E-TABLE-MALFORMED .*comma-separated"),
    ],
)
def test_an_empty_or_malformed_table_is_refused(tmp_path, text, message):
    with pytest.raises(TableError, match=message):
        read_table(table(tmp_path, text))


def test_a_table_in_another_encoding_is_refused(tmp_path):
    path = tmp_path / "cases.csv"
    path.write_bytes((HEADER + "Müller,L,CC,benign,a,b\n").encode("latin-1"))
    with pytest.raises(TableError, match="E-TABLE-MALFORMED .*UTF-8"):
        read_table(path)


def test_a_missing_cohort_is_named(tmp_path):
    with pytest.raises(TableError, match=r"E-TABLE-MISSING .*cases.csv.*Correct `cohort` in params.yaml"):
        read_table(tmp_path / "nowhere" / "cases.csv")
