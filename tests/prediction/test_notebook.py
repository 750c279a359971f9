import json
import shutil

import matplotlib.pyplot as plt
import pytest

from dmdbt.cohort import read_table
from tests.support import ROOT


@pytest.mark.slow
def test_the_notebook_of_a_first_case_runs(bundle, cohort, tmp_path, monkeypatch, capsys):
    case = read_table(cohort / "cases.csv")[0]
    shutil.copytree(bundle, tmp_path / "bundle")
    shutil.copy(cohort / case.dm, tmp_path / "dm.dcm")
    shutil.copy(cohort / case.dbt, tmp_path / "dbt.avi")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plt, "show", lambda: plt.close("all"))
    notebook = json.loads((ROOT / "docs" / "notebooks" / "first-case.ipynb").read_text())
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    with plt.rc_context({"backend": "agg"}):
        exec(compile("\n".join(cells), "first-case.ipynb", "exec"), {})
    printed = capsys.readouterr().out
    assert "dm_dbt: p of malignant" in printed
    assert printed.splitlines()[-1] == "True"
