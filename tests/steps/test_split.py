from dmdbt import params
from stages import split
from tests.support.predictions import read_rows, write_rows


def test_the_split_does_not_depend_on_the_order_of_the_cohort(tmp_path, cases):
    outputs = []
    for name, rows in (("a", cases), ("b", cases[::-1])):
        write_rows(tmp_path / f"{name}.csv", rows)
        settings = params.Split(folds=5, test_folds=[0], seed=3)
        split.main(cases=tmp_path / f"{name}.csv", output=tmp_path / f"{name}-split.csv", settings=settings)
        outputs.append((tmp_path / f"{name}-split.csv").read_bytes())
    assert outputs[0] == outputs[1]
    assert {row["fold"] for row in read_rows(tmp_path / "a-split.csv")} == set("01234")
