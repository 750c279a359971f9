import csv
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmdbt.errors import InputDataError, IntegrityError, ParameterError, error_context
from dmdbt.files import other_format, remove_unfinished, sha256, whole_file, whole_folder, write_json, write_rows


def test_a_cause_that_quotes_thousands_of_letters_is_shortened_once():
    error = InputDataError("CODE", cause="found " + "x" * 5000, remedy="r")
    assert error.cause == "found " + "x" * 991 + "..."
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_file_that_fails_halfway_leaves_the_old_one(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), whole_file(path) as temporary:
        temporary.write_text("new, but not wh")
        raise RuntimeError
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "old"


def test_a_folder_that_fails_halfway_leaves_the_old_one(tmp_path):
    folder = tmp_path / "cases"
    with whole_folder(folder) as temporary:
        (temporary / "1").touch()
    with pytest.raises(RuntimeError), whole_folder(folder) as temporary:
        (temporary / "2").touch()
        raise RuntimeError
    assert [str(entry.relative_to(tmp_path)) for entry in tmp_path.rglob("*")] == ["cases", "cases/1"]


def test_a_whole_folder_replaces_the_old_one(tmp_path):
    for name in ("1", "2"):
        with whole_folder(tmp_path / "cases") as temporary:
            (temporary / name).touch()
    assert [entry.name for entry in (tmp_path / "cases").iterdir()] == ["2"]


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path):
    others = {".model.x.7.tmp.pt", ".models.7.tmp", "models", ".model.7.tmp"}
    for name in {".model.7.tmp.pt", ".model.8.tmp.pt", *others}:
        (tmp_path / name).mkdir()
    remove_unfinished(tmp_path / "model.pt")
    assert {path.name for path in tmp_path.iterdir()} == others
    with whole_folder(tmp_path / "models"):
        assert not (tmp_path / ".models.7.tmp").exists()


@given(st.dictionaries(st.text(), st.integers() | st.floats(allow_nan=False, allow_infinity=False)))
def test_json_bytes_do_not_depend_on_the_order_of_keys(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("json")
    write_json(folder / "a.json", content)
    write_json(folder / "b.json", dict(reversed(content.items())))
    assert sha256(folder / "a.json") == sha256(folder / "b.json")
    assert json.loads((folder / "a.json").read_text()) == content


def test_a_nan_never_reaches_a_json_file(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"auc": float("nan")})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "error",
    [
        ParameterError("train.epochs", expected="a number", found=[1], remedy="Correct it."),
        IntegrityError("CODE", case="P1-L-CC", file="dm/a.dcm", cause="expected a, found b", remedy="Do c."),
    ],
)
def test_an_error_comes_back_from_a_worker_unchanged(error):
    returned = pickle.loads(pickle.dumps(error))
    assert (type(returned), str(returned), vars(returned)) == (type(error), str(error), vars(error))


def test_a_located_error_names_case_and_file():
    with pytest.raises(InputDataError, match="^E-CODE case=P1-L-CC file=dm/a.dcm cause=x remedy=y$"):
        with error_context(case="P1-L-CC", file="dm/a.dcm"):
            raise InputDataError("CODE", file="a.dcm", cause="x", remedy="y")


def test_a_located_error_still_names_the_slice_that_is_at_fault():
    with pytest.raises(InputDataError, match=r"^E-CODE case=P1-L-CC file=dbt/a.avi \(0003.jpg\) cause=x remedy=y$"):
        with error_context(case="P1-L-CC", file="dbt/a.avi"):
            raise InputDataError("CODE", file="0003.jpg", cause="x", remedy="y")


CELLS = st.text(
    st.characters(exclude_characters="\r", exclude_categories=["Cs"])
)  # csv leaves a carriage return unquoted


@given(st.lists(st.tuples(CELLS, st.none() | st.integers() | st.floats(allow_nan=False)), max_size=5))
def test_rows_are_read_back_and_lines_end_alike_everywhere(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("rows") / "a.csv"
    write_rows(path, ("name", "value"), rows)
    with path.open(encoding="utf-8", newline="") as file:
        found = list(csv.reader(file))
    assert found == [["name", "value"], *([name, "" if value is None else str(value)] for name, value in rows)]
    write_rows(path, ("a",), ([1], [2]))
    assert path.read_bytes() == b"a\n1\n2\n"


def test_rows_that_fail_halfway_leave_the_old_file(tmp_path):
    write_rows(tmp_path / "a.csv", ("a",), [])
    with pytest.raises(ZeroDivisionError):
        write_rows(tmp_path / "a.csv", ("a",), ([1 // n] for n in (1, 0)))
    assert (tmp_path / "a.csv").read_bytes() == b"a\n"


def test_another_format_or_version_is_named():
    ours = {"format": "dmdbt slices", "version": 1}
    assert other_format(ours | {"rows": 3}, ours) == ""
    assert other_format(ours | {"version": 2}, ours) == "expected format dmdbt slices 1, found dmdbt slices 2"
    assert other_format({}, ours) == "expected format dmdbt slices 1, found None None"
