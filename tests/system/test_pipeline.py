"""The pipeline as a user runs it: DVC, in a clone of its own, on a dozen simulated patients."""

import csv
import json
import re
import shutil
import socket
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from PIL import Image

from dmdbt.cohort import read_table, write_table
from dmdbt.params.file import merged
from dmdbt.readers import open_volume
from tests.support import ROOT, yaml
from tests.support.clones import call, copy_repository
from tests.support.dicom_corpus import write_tomosynthesis

pytestmark = pytest.mark.system

BACKBONES = ["alexnet", "squeezenet"]
UP_TO_FEATURES = ["dvc", "repro", *(f"features@{backbone}" for backbone in BACKBONES)]
UP_TO_PREDICTIONS = [*UP_TO_FEATURES, "ensemble@alexnet", "baseline@3d_t2_alex"]
SMALL = {
    "phantom": {"patients": 12},
    "split": {"folds": 2, "test_folds": [0, 1]},
    "backbones": {"names": BACKBONES},
}


def change(folder, section, **values):
    path = folder / "params.yaml"
    content = yaml.load(path)
    content[section] |= values
    yaml.dump(content, path)


def point_at(folder, cohort):
    path = folder / "params.yaml"
    yaml.dump(yaml.load(path) | {"cohort": cohort}, path)


@pytest.fixture
def clone(built):
    """The clone with its own parameters, whatever the test before it left."""
    call(built, "git", "checkout", "--quiet", ".")
    return built


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A clone of what is here, committed or not, but for results; with a small cohort, the pipeline has run once."""
    folder = tmp_path_factory.mktemp("clone")
    copy_repository(folder)
    small = yaml.load(ROOT / "settings" / "ci.yaml")
    content = yaml.load(folder / "params.yaml")
    for changes in (small, SMALL):
        content = merged(content, changes)
    yaml.dump(content, folder / "params.yaml")
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


def test_another_source_for_one_backbone_trains_the_weights_of_no_other(clone):
    own = shutil.copyfile(clone / "data/weights/squeezenet.safetensors", clone.parent / "own.safetensors")
    source = {"alexnet": "procedural", "squeezenet": str(own)}
    change(clone, "backbones", weights=source)
    output = call(clone, *UP_TO_FEATURES)
    assert "weights alexnet: kept" in output
    assert json.loads((clone / "data/weights/squeezenet.json").read_text())["source"] == "file"
    # Tensors that are equal make equal files: no feature depends on where they came from.
    assert not [stage for stage in stages_run(output) if stage.startswith("features")]
    call(clone, "git", "checkout", "--quiet", ".")
    call(clone, *UP_TO_FEATURES)
    assert json.loads((clone / "data/weights/squeezenet.json").read_text())["source"] == "procedural"


def test_the_metrics_have_the_keys_of_the_design(clone):
    keys = {"acc", "auc", "recall", "ap", "ap_hard", "ece", "brier", "sensitivity_at_90_specificity", "n"}
    for backbone in BACKBONES:
        metrics = json.loads((clone / f"metrics/{backbone}.json").read_text())
        for classifier in ("dm", "dbt", "dm_dbt", "ensemble"):
            assert keys <= set(metrics[classifier])
        assert "auc_vote_fraction" in metrics["ensemble"]
        assert metrics["weights"]["source"] == "procedural"
    summary = json.loads((clone / "metrics/summary.json").read_text())
    assert summary.pop("quarantined") == 0
    assert set(summary) == set(BACKBONES)
    assert sum(len(numbers) for numbers in summary.values()) <= 12


def test_a_second_run_runs_nothing_and_leaves_git_clean(clone):
    assert stages_run(call(clone, "dvc", "repro")) == []
    assert call(clone, "git", "status", "--porcelain") == ""


def test_a_training_parameter_runs_nothing_before_the_training_and_shows_in_the_metrics(clone):
    output = call(clone, "dvc", "exp", "run", "-S", "train.learning_rate=5e-3")
    assert {name.split("@")[0] for name in stages_run(output)} == {"train", "ensemble", "summary", "tables", "report"}
    assert "auc" in call(clone, "dvc", "metrics", "diff", "HEAD")
    call(clone, "git", "checkout", "--quiet", ".")
    call(clone, "dvc", "checkout", "--quiet", "dvc.yaml")


def accounts(output):
    """What the stages that work case by case say they did: computed, restored, kept and removed items."""
    found = re.findall(r"^(\S.*): (\d+) computed, (\d+) restored, (\d+) kept, (\d+) removed$", output, re.MULTILINE)
    return {description: tuple(map(int, numbers)) for description, *numbers in found}


def of_features(*numbers):
    return {f"features {backbone}": numbers for backbone in BACKBONES}


def test_a_new_pooling_leaves_the_mammograms_alone_and_the_old_one_is_restored(clone):
    n = len(rows(clone / "data/cases.csv"))
    change(clone, "rankpool", quantile=0.99)
    assert accounts(call(clone, *UP_TO_FEATURES)) == {"rankpool": (n, 0, 0, 0)} | of_features(n, 0, n, 0)
    call(clone, "git", "checkout", "--quiet", ".")
    assert accounts(call(clone, *UP_TO_FEATURES)) == {"rankpool": (0, n, 0, 0)} | of_features(0, n, n, 0)
    assert call(clone, "git", "status", "--porcelain") == ""


def test_a_deleted_folder_is_restored_and_a_truncated_item_computed(clone):
    n = len(rows(clone / "data/cases.csv"))
    shutil.rmtree(clone / "data/slices")
    assert accounts(call(clone, *UP_TO_FEATURES))["decode"] == (0, n, 0, 0)
    shutil.rmtree(clone / ".dvc/cache")
    path = sorted((clone / "data/features/alexnet/dbt").iterdir())[0]
    path.write_bytes(path.read_bytes()[:-100])
    done = accounts(call(clone, *UP_TO_FEATURES))
    assert done.pop("features alexnet") == (1, 0, 2 * n - 1, 0)
    assert all(numbers[:2] == (0, 0) for numbers in done.values())
    assert call(clone, "git", "status", "--porcelain") == ""


def test_a_pair_more_costs_that_pair_and_a_pair_less_nothing(clone):
    n = len(rows(clone / "data/cases.csv"))
    shutil.copytree(clone / "data/phantom/cohort", clone / "data/own")
    table = (clone / "data/own/cases.csv").read_text()
    less = "".join(table.splitlines(keepends=True)[:-1])
    (clone / "data/own/cases.csv").write_text(less)
    point_at(clone, "data/own")
    baseline = {"maps 3d_t2_alex dbt": (0, 0, n - 1, 1)}
    one_less = dict.fromkeys(("ingest", "mammogram", "decode"), (0, 0, n - 1, 1)) | {"rankpool": (0, 0, n - 1, 2)}
    without = accounts(call(clone, *UP_TO_PREDICTIONS))
    assert without.pop("decode")[:3] == one_less.pop("decode")[:3]  # it counts the slices that go
    assert without == one_less | of_features(0, 0, 2 * n - 2, 2) | baseline
    results = [(clone / "dvc.lock").read_bytes(), (clone / "metrics/alexnet.json").read_bytes()]
    shutil.rmtree(clone / ".dvc/cache")
    (clone / "data/own/cases.csv").write_text(table)
    one_more = dict.fromkeys(("ingest", "mammogram", "decode", "rankpool"), (1, 0, n - 1, 0)) | of_features(
        2, 0, 2 * n - 2, 0
    )
    assert accounts(call(clone, *UP_TO_FEATURES)) == one_more
    (clone / "data/own/cases.csv").write_text(less)
    assert all(numbers[:2] == (0, 0) for numbers in accounts(call(clone, *UP_TO_PREDICTIONS)).values())
    assert [(clone / "dvc.lock").read_bytes(), (clone / "metrics/alexnet.json").read_bytes()] == results
    shutil.rmtree(clone / "data/own")


def test_the_pipeline_from_nothing_gives_the_same_bytes(clone):
    locks = [clone / "dvc.lock", *sorted((clone / "data").glob("*/dvc.lock"))]
    first = [yaml.load(lock) for lock in locks]
    call(clone, "git", "clean", "-xdfq", "data", ".dvc")  # all that git does not keep: outputs and cache
    for lock in locks:
        lock.unlink()
    call(clone, "dvc", "repro", "--quiet")
    # Entries stand in the order in which stages first ran: of two that are independent either may come first.
    assert [yaml.load(lock) for lock in locks] == first


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
    shutil.rmtree(own)


def mixed_cohort(clone, own):
    """The simulated cohort with its volumes in four containers, and canaries in whatever names a person or place."""
    shutil.copytree(clone / "data/phantom/cohort", own)
    cases = read_table(own / "cases.csv")
    changed = []
    for number, case in enumerate(cases):
        with open_volume(own / case.dbt) as opened:
            volume = np.stack(list(opened))
        target, container = own / "dbt" / f"volume {number}", number % 4
        if container == 1:
            target = write_tomosynthesis(target.with_suffix(".dcm"), 16 * volume.astype(np.uint16)).relative_to(own)
        elif container == 2:
            target.mkdir()
            for position, image in enumerate(volume):
                Image.fromarray(image).save(target / f"{position:03d}.jpg", quality=95, comment=b"CANARY-COMMENT")
        elif container == 3:
            target.with_suffix(".raw").write_bytes(volume.astype("<f4").tobytes())
            rows, columns, n_slices = volume.shape[1], volume.shape[2], len(volume)
            header = f"NDims = 3\nDimSize = {columns} {rows} {n_slices}\nElementType = MET_FLOAT\nComment = CANARY\n"
            target = target.with_suffix(".mhd")
            target.write_text(f"ObjectType = Image\n{header}ElementDataFile = volume {number}.raw\n")
        dbt = case.dbt if container == 0 else f"dbt/{target.name}"
        changed.append(replace(case, dbt=dbt))
        dataset = pydicom.dcmread(own / case.dm)
        dataset.PatientName, dataset.PatientID, dataset.InstitutionName = "CANARY^NAME", "CANARY-ID", "CANARY HOSPITAL"
        dataset.StudyDate, dataset.AccessionNumber, dataset.ImageComments = "19011213", "CANARY-NUMBER", "/canary/path"
        dataset.save_as(own / case.dm)
    write_table(own / "cases.csv", changed)
    return changed


def test_a_cohort_of_every_container_stops_at_a_damaged_case_goes_on_without_it_and_tells_no_name(clone):
    own = clone / "data/own-mixed"
    cases = mixed_cohort(clone, own)
    damaged = next(case for case in cases if case.dbt.endswith(".avi"))
    (own / damaged.dbt).write_bytes((own / damaged.dbt).read_bytes()[:9000])
    point_at(clone, "data/own-mixed")
    change(clone, "backbones", names=["alexnet"])
    refused = call(clone, "dvc", "repro", check=False)
    assert "E-QUARANTINE" in refused
    assert f"E-AVI-TRUNCATED case={damaged.case_id} file={damaged.dbt} cause=expected" in refused
    listed = rows(clone / "metrics/quarantine.csv")
    assert [(row["case"], row["role"], row["code"]) for row in listed] == [(damaged.case_id, "dbt", "AVI-TRUNCATED")]
    change(clone, "quarantine", max_cases=1)
    output = refused + call(clone, "dvc", "repro")
    assert [row["case_id"] for row in rows(clone / "data/cases.csv")] == [
        case.case_id for case in cases if case != damaged
    ]
    for name in ("cohort", "rankpool", "alexnet", "summary", "tables", "baseline_2d_t3_alex", "baseline_3d_t2_alex"):
        assert json.loads((clone / f"metrics/{name}.json").read_text())["quarantined"] == 1, name
    kinds = json.loads((clone / "metrics/cohort.json").read_text())["dbt_kinds"]
    assert {kind.split()[0] for kind in kinds} == {"avi", "dicom", "folder", "metaimage"}
    assert canaries(clone, output) == []
    shutil.rmtree(own)


def canaries(clone, output):
    """Outputs of the pipeline that hold a name, a number, a comment, or a path of this machine."""
    planted, host = ["CANARY", "canary", "19011213"], socket.gethostname()
    found = [f"screen: {word}" for word in planted if word in output]
    forbidden = [word.encode() for word in [*planted, str(clone), *([host] if len(host) > 5 else [])]]
    for folder in ("data", "metrics", ".dvc/cache", "dvc.lock"):
        files = (clone / folder).rglob("*") if (clone / folder).is_dir() else [clone / folder]
        for file in files:
            if file.is_file() and not file.is_relative_to(clone / "data/own-mixed") and "/runs/" not in file.as_posix():
                content = file.read_bytes()
                found += [f"{file.relative_to(clone)}: {word}" for word in forbidden if word in content]
    return found
