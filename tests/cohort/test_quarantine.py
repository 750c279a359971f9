import pytest

from dmdbt.cohort import (
    Problem,
    read_quarantine,
    read_quarantined,
    write_quarantine,
)
from dmdbt.errors import IntegrityError


def test_the_quarantine_counts_cases_and_not_their_problems(tmp_path):
    found = [Problem(case, role, "X", 'a "cause", long', "Mend it.") for case in "ab" for role in ("dm", "dbt")]
    write_quarantine(tmp_path / "quarantine.csv", found)
    assert read_quarantined(tmp_path / "quarantine.csv") == 2
    assert (tmp_path / "quarantine.csv").read_text().splitlines()[0] == "case,role,code,cause,remedy"


def test_an_empty_quarantine_holds_no_case(tmp_path):
    write_quarantine(tmp_path / "quarantine.csv", [])
    assert read_quarantined(tmp_path / "quarantine.csv") == 0


@pytest.mark.parametrize("text", ["", "case,code\n", "no table\n"])
def test_a_quarantine_with_other_columns_is_refused(tmp_path, text):
    (tmp_path / "quarantine.csv").write_text(text)
    with pytest.raises(IntegrityError, match=r"E-QUARANTINE .*file=quarantine.csv .*case, role, code, cause, remedy"):
        read_quarantined(tmp_path / "quarantine.csv")


def test_the_table_of_quarantine_is_read_as_it_was_written(tmp_path):
    problems = [Problem("C1", "dm", "A", 'a, "b"', "c"), Problem("C1", "pair", "B", "d", "e")]
    write_quarantine(tmp_path / "quarantine.csv", problems)
    assert read_quarantine(tmp_path / "quarantine.csv") == problems
