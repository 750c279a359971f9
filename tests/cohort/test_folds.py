import pytest

from dmdbt.cohort import (
    Case,
    read_folds,
    write_folds,
)
from dmdbt.errors import IntegrityError
from dmdbt.terms import Label, Laterality, View


@pytest.fixture
def case():
    return Case("c", "p", Laterality.LEFT, View.CC, Label.BENIGN, "dm/a.dcm", "dbt/a.avi")


def test_folds_are_read_as_they_were_written(tmp_path, case):
    write_folds(tmp_path / "split.csv", [case], [3])
    assert read_folds(tmp_path / "split.csv", [case]) == [3]


def test_a_patient_in_two_folds_stops_the_training(tmp_path, case):
    other = Case("d", "p", Laterality.RIGHT, View.CC, Label.BENIGN, "dm/a.dcm", "dbt/a.avi")
    write_folds(tmp_path / "split.csv", [case, other], [0, 1])
    with pytest.raises(IntegrityError, match="E-SPLIT-LEAKAGE case=d .*patient p in one fold, found 0 and 1"):
        read_folds(tmp_path / "split.csv", [case, other])


def test_a_case_without_a_fold_stops_the_training(tmp_path, case):
    write_folds(tmp_path / "split.csv", [], [])
    with pytest.raises(IntegrityError, match="E-SPLIT-CASE case=c"):
        read_folds(tmp_path / "split.csv", [case])
