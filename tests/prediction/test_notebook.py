import json
import shutil

import matplotlib.pyplot as plt
import pytest

from dmdbt.cohort import read_table
from tests.support import ROOT

NOTEBOOK = ROOT / "docs" / "notebooks" / "first-case.ipynb"


@pytest.mark.slow
def test_the_notebook_of_a_first_case_runs(bundle, cohort, tmp_path, monkeypatch, capsys):
    """In a repository whose demo has run, here with small images and networks."""
    case, images, here = (
        read_table(cohort / "cases.csv")[0],
        tmp_path / "data/phantom/cohort",
        tmp_path / "docs/notebooks",
    )
    shutil.copytree(bundle, tmp_path / "bundle")
    for file, name in ((case.dm, "dm/P0003-R-CC.dcm"), (case.dbt, "dbt/P0003-R-CC.avi")):
        (images / name).parent.mkdir(parents=True)
        shutil.copy(cohort / file, images / name)
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    monkeypatch.setattr(plt, "show", lambda: plt.close("all"))
    cells = [
        "".join(cell["source"]) for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"
    ]
    with plt.rc_context({"backend": "agg"}):
        exec(compile("\n".join(cells), "first-case.ipynb", "exec"), {})
    printed = capsys.readouterr().out
    assert "dm_dbt: p of malignant" in printed
    assert printed.splitlines()[-2:] == ["R CC", "True"]


def test_the_notebook_shows_what_it_gave_on_the_demo_and_is_small():
    cells = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    assert NOTEBOOK.stat().st_size < 200_000
    assert [bool(cell["outputs"]) for cell in cells] == [False, *[True] * (len(cells) - 1)]
    assert not [cell for cell in cells for output in cell["outputs"] if output["output_type"] == "error"]
