from pathlib import Path

import pytest
from openpyxl import Workbook

from dmdbt.errors import ParameterError, TableError
from dmdbt.prediction.requests import read_requests, single_request
from dmdbt.terms import Label

HEADER = "patient_id,laterality,view,label,dm,dbt"


def labels(folder, text, spellings=None):
    (folder / "cases.csv").write_text(text)
    return {request.case.case_id: request.label for request in read_requests(folder, spellings or {})}


def test_a_label_may_be_empty_or_its_column_missing(tmp_path):
    table = f"{HEADER}\np1,L,CC,,a.dcm,a.avi\np2,L,CC,malignant,b.dcm,b.avi\np3,R,CC,benign,c.dcm,\n"
    assert labels(tmp_path, table) == {"p1-L-CC": "", "p2-L-CC": "malignant", "p3-R-CC": "benign"}
    assert labels(tmp_path, "patient_id,laterality,view,dm,dbt\np1,L,CC,a.dcm,a.avi\n") == {"p1-L-CC": ""}


def test_a_label_may_be_spelled_as_in_the_training(tmp_path):
    table = f"{HEADER}\np1,L,CC,1,a.dcm,a.avi\np2,L,CC,0,b.dcm,b.avi\n"
    spellings = {"1": Label.MALIGNANT, "0": Label.BENIGN}
    assert labels(tmp_path, table, spellings) == {"p1-L-CC": "malignant", "p2-L-CC": "benign"}
    with pytest.raises(TableError) as caught:
        labels(tmp_path, table)
    assert "row 2 label: expected benign or malignant" in caught.value.__notes__[0]
    assert "params.yaml" not in caught.value.__notes__[0]
    with pytest.raises(TableError, match="remedy=Correct the path: --cohort."):
        read_requests(tmp_path / "nowhere", {})


@pytest.mark.parametrize(
    "row", ["p1,L,CC,,a.dcm,a.avi,more", "p1,L,CC,a.dcm", "p1,L,XX,,a.dcm,a.avi", "p/1,L,CC,,a.dcm,a.avi"]
)
def test_what_is_wrong_with_a_row_is_refused_as_in_training(tmp_path, row):
    with pytest.raises(TableError):
        labels(tmp_path, f"{HEADER}\n{row}\n")


@pytest.mark.parametrize("row", ["p1,L,CC,a.dcm,a.avi,more", "p1,L,CC,a.dcm"])
def test_a_cell_too_many_or_too_few_is_refused_without_the_column(tmp_path, row):
    with pytest.raises(TableError):
        labels(tmp_path, f"patient_id,laterality,view,dm,dbt\n{row}\n")


def test_a_workbook_without_labels_is_read(tmp_path):
    book = Workbook()
    book.active.append(["patient_id", "laterality", "view", "dm", "dbt", "label"])
    book.active.append(["p1", "L", "CC", "a.dcm", "a.avi"])
    book.active.append(["p2", "R", "CC", "b.dcm"])
    book.save(tmp_path / "cases.xlsx")
    found = read_requests(tmp_path, {})
    assert [(request.case.case_id, request.label, request.case.dbt) for request in found] == [
        ("p1-L-CC", "", "a.avi"),
        ("p2-R-CC", "", ""),
    ]


def test_the_files_of_one_pair_are_named_from_the_folder_that_they_share():
    request, root = single_request(Path("/a/b/dm/x.dcm"), Path("/a/b/dbt/y"), name="n")
    assert (root, request.case.dm, request.case.dbt) == (Path("/a/b"), "dm/x.dcm", "dbt/y")
    request, root = single_request(None, Path("/a/b/y.avi"), name="n")
    assert (root, request.case.dm, request.case.dbt) == (Path("/a/b"), "", "y.avi")
    with pytest.raises(ParameterError, match="at least one file"):
        single_request(None, None, name="n")
    with pytest.raises(ParameterError, match="--patient: expected letters"):
        single_request(Path("a"), None, name="n", patient_id="a/b")


def test_who_names_a_link_or_goes_up_means_the_file(tmp_path, monkeypatch):
    archive, desk = tmp_path / "archive", tmp_path / "desk" / "deep"
    archive.mkdir()
    desk.mkdir(parents=True)
    (archive / "a.dcm").touch()
    (desk / "link.dcm").symlink_to(archive / "a.dcm")
    monkeypatch.chdir(desk)
    for dm in ("link.dcm", "../../archive/a.dcm"):
        request, root = single_request(Path(dm), None, name="case")
        assert (root, request.case.dm) == (archive.resolve(), "a.dcm")
    request, root = single_request(Path("../../archive/a.dcm"), Path("v.avi"), name="case")
    assert (root, request.case.dm, request.case.dbt) == (tmp_path.resolve(), "archive/a.dcm", "desk/deep/v.avi")
