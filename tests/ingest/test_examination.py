import pytest

from dmdbt.errors import IntegrityError
from dmdbt.ingest import disagreements, examination, examine, read_examination
from dmdbt.readers import Limits
from tests.support.breasts import write_cohort


def test_an_examination_of_another_version_is_refused(tmp_path):
    case = write_cohort(tmp_path / "cohort")[0]
    examine(case, tmp_path, cohort=tmp_path / "cohort", limits=Limits())
    path = tmp_path / "c0.json"
    path.write_text(path.read_text().replace('"version": 1', '"version": 2'))
    with pytest.raises(IntegrityError, match="E-EXAMINATION .*expected format dmdbt examination 1, found .* 2"):
        read_examination(path)


def test_a_file_that_may_not_be_read_is_a_problem_of_its_case(tmp_path, monkeypatch):
    case = write_cohort(tmp_path / "cohort")[0]

    def refuse(*_):  # the tests may run as root, who reads everything
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(examination, "read_mammogram", refuse)
    examine(case, tmp_path, cohort=tmp_path / "cohort", limits=Limits())
    images, (problem,) = read_examination(tmp_path / "c0.json")
    assert (list(images), problem.role, problem.code) == (["dbt"], "dm", "FILE-PERMISSION")
    assert "Permission denied" in problem.cause


def facts(side="", laterality="", view="", flags=()):
    return {"side": side, "stated_laterality": laterality, "stated_view": view, "flags": list(flags)}


@pytest.mark.parametrize(
    ("dm", "dbt", "laterality", "expected"),
    [
        (facts("L", "L"), facts("L"), "", []),
        (facts("L", "R"), facts("L"), "", ["dm-laterality-of-pixels", "dbt-laterality-of-pixels"]),
        (facts("L", "L"), facts("", "R"), "", ["dbt-laterality-of-header"]),
        (facts("L"), facts("R"), "", ["chest-wall-on-different-sides"]),
        (facts("L", view="CC"), facts("L", view="MLO"), "", ["dbt-view-of-header"]),
        (facts("L"), facts("L"), "R", ["dm-laterality-of-pixels", "dbt-laterality-of-pixels"]),
    ],
)
def test_images_are_compared_with_what_is_stated_or_else_with_each_other(dm, dbt, laterality, expected):
    assert list(disagreements({"dm": dm, "dbt": dbt}, laterality=laterality, view="")) == expected
