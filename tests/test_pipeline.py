"""The pipeline as a user runs it: DVC, in a clone of its own, on a dozen simulated patients."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
BACKBONES = ["alexnet", "squeezenet"]
SMALL = {
    "phantom": {"patients": 12},
    "split": {"folds": 2, "test_folds": [0, 1]},
    "backbones": {"names": BACKBONES},
}


def call(folder, *command, check=True):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "GIT_CONFIG_GLOBAL": os.devnull}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if check and result.returncode:
        raise AssertionError(f"{' '.join(command)}\n{result.stdout}\n{result.stderr}")
    return result.stdout + result.stderr


def change(folder, section, **values):
    path = folder / "params.yaml"
    content = yaml.safe_load(path.read_text())
    content[section] |= values
    path.write_text(yaml.safe_dump(content))


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone of what is here, committed or not, but for results; with a small cohort, the pipeline has run once."""
    folder = tmp_path_factory.mktemp("clone")
    for name in call(ROOT, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
        if (ROOT / name).is_file() and not name.startswith("metrics/") and not name.endswith("dvc.lock"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    small = yaml.safe_load((ROOT / "settings" / "ci.yaml").read_text())
    for section in {*small, *SMALL}:
        change(folder, section, **(small.get(section, {}) | SMALL.get(section, {})))
    call(folder, "git", "init", "--quiet")
    call(folder, "git", "config", "user.email", "test@example.org")
    call(folder, "git", "config", "user.name", "test")
    call(folder, "dvc", "repro", "--quiet")
    call(folder, "git", "add", "--all")
    call(folder, "git", "commit", "--quiet", "--message", "small")
    return folder


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def stages_run(output):
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]


def test_every_pair_arrives_at_every_station(clone):
    cases = [row["case_id"] for row in rows(clone / "data/cases.csv")]
    assert len(cases) >= 12
    for case in cases:
        assert (clone / f"data/mammograms/{case}.png").is_file()
        assert (clone / f"data/slices/{case}/manifest.json").is_file()
        assert json.loads((clone / f"data/dynamic/{case}.json").read_text())["gap"] <= 1e-6
        for backbone in BACKBONES:
            for modality in ("dm", "dbt"):
                assert (clone / f"data/features/{backbone}/{modality}/{case}.h5").is_file()
    for backbone in BACKBONES:
        # Both folds are tested, so every pair is predicted once.
        assert [row["case_id"] for row in rows(clone / f"data/predictions/{backbone}.csv")] == cases
        for head in ("dm", "dbt", "dm_dbt"):
            assert (clone / f"data/models/{backbone}/fold1/{head}.safetensors").is_file()


def test_the_metrics_have_the_keys_of_the_design(clone):
    keys = {"acc", "auc", "recall", "ap", "ap_hard", "ece", "brier", "sensitivity_at_90_specificity", "n"}
    for backbone in BACKBONES:
        metrics = json.loads((clone / f"metrics/{backbone}.json").read_text())
        for classifier in ("dm", "dbt", "dm_dbt", "ensemble"):
            assert keys <= set(metrics[classifier])
        assert "auc_vote_fraction" in metrics["ensemble"]
        assert metrics["weights"]["source"] == "procedural"
    summary = json.loads((clone / "metrics/summary.json").read_text())
    assert set(summary) == set(BACKBONES)
    assert sum(len(numbers) for numbers in summary.values()) <= 12


def test_a_second_run_runs_nothing_and_leaves_git_clean(clone):
    assert stages_run(call(clone, "dvc", "repro")) == []
    assert call(clone, "git", "status", "--porcelain") == ""


def test_a_training_parameter_runs_nothing_before_the_training_and_shows_in_the_metrics(clone):
    output = call(clone, "dvc", "exp", "run", "-S", "train.learning_rate=5e-3")
    assert {name.split("@")[0] for name in stages_run(output)} == {"train", "ensemble", "summary"}
    assert "auc" in call(clone, "dvc", "metrics", "diff", "HEAD")
    call(clone, "git", "checkout", "--quiet", ".")
    call(clone, "dvc", "checkout", "--quiet")


def test_the_pipeline_from_nothing_gives_the_same_bytes(clone):
    locks = [clone / "dvc.lock", clone / "data/phantom/dvc.lock"]
    first = [lock.read_bytes() for lock in locks]
    for path in (
        *locks,
        *(clone / "data").glob("*/"),
        clone / ".dvc/cache",
        clone / ".dvc/tmp",
        clone / "data/cases.csv",
    ):
        if path.name == "phantom":
            shutil.rmtree(path / "cohort")
        elif path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    call(clone, "dvc", "repro", "--quiet")
    assert [lock.read_bytes() for lock in locks] == first


def test_a_damaged_file_stops_the_pipeline_with_its_case_and_leaves_the_rest_alone(clone):
    case = rows(clone / "data/cases.csv")[3]
    volume = clone / "data/phantom/cohort" / case["dbt"]
    own = clone / "data/own-cohort"
    shutil.copytree(volume.parents[1], own)
    (own / case["dbt"]).write_bytes(volume.read_bytes()[:5000])
    before = (clone / "data/cases.csv").read_bytes()
    output = call(clone, "dvc", "exp", "run", "-S", f"cohort={own.relative_to(clone)}", check=False)
    assert f"E-AVI-TRUNCATED case={case['case_id']} file={case['dbt']} cause=expected" in output
    assert (clone / "data/cases.csv").read_bytes() == before
    assert (clone / "data/slices").is_dir()
