import re
from itertools import product

from dmdbt.evaluation import CLASSIFIERS
from dmdbt.prediction.tables import PAIR_COLUMNS
from tests.support import ROOT


def test_every_column_of_the_predictions_is_explained_and_no_other():
    text = (ROOT / "docs" / "predict.md").read_text().partition("### The columns")[2].partition("\n###")[0]
    cells = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| `")]
    rules, found = ("half", "youden", "sensitivity_90"), []
    for name in re.findall("`([^`]+)`", " ".join(cells)):
        made = {name.replace("<rule>", r).replace("<classifier>", c) for r, c in product(rules, CLASSIFIERS)}
        found += made
    assert sorted(found) == sorted(PAIR_COLUMNS)
