import pytest

from dmdbt.results.published import HEADS, NOTES, inconsistencies


def test_the_printed_rows_are_consistent_except_the_two_that_have_a_note():
    found = {(backbone, head): inconsistencies(row) for backbone, rows in HEADS.items() for head, row in rows.items()}
    wrong = {name: columns for name, columns in found.items() if columns}
    assert wrong == {("alexnet", "dm"): ("f1", "acc", "ap_hard"), ("squeezenet", "dm_dbt"): ("together",)}
    assert wrong.keys() == NOTES.keys()
    assert len(found) - len(wrong) == 10


def test_the_misprint_is_explained_by_one_digit():
    assert inconsistencies(HEADS["alexnet"]["dm"] | {"precision": 0.78}) == ()


@pytest.mark.parametrize("column", ["acc", "f1", "ap_hard"])
def test_a_misprint_in_any_column_would_be_seen(column):
    row = HEADS["resnet"]["dbt"]
    assert column in inconsistencies(row | {column: row[column] + 0.1})
