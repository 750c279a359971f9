"""The baselines from real files to metrics: toy volumes that can be told apart, backbones with random weights."""

import csv
import json
import shutil
from dataclasses import dataclass, replace

import numpy as np
import pytest
from safetensors.torch import save_file
from sklearn.metrics import roc_auc_score

from dmdbt import params
from dmdbt.backbones.architectures import create_classifier, feature_extractor
from dmdbt.baselines.record import Outputs
from dmdbt.cohort import write_folds, write_quarantine, write_table
from dmdbt.errors import IntegrityError, SystemResourceError
from dmdbt.files import write_json
from dmdbt.imaging import write_gray, write_slices
from dmdbt.params.baselines import (
    Alexnet2d,
    Alexnet3d,
    AlexnetMaps,
    GapMaps,
    Resnet3d,
    SliceMaps,
    SvmGap,
    SvmTrain,
    VolumeMaps,
)
from dmdbt.terms import Label, Modality
from stages.baselines import evaluate, resnet3d, svm, volumes
from stages.baselines import maps as maps_stage
from stages.baselines import train as train_stage
from tests.support.cohorts import a_case

pytestmark = pytest.mark.slow

N_CASES, N_SLICES = 12, 5
FEATURES = params.Features(crop="none", augmentations=["original"], size={}, precision="float32")
SPLIT = params.Split(folds=2, test_folds=[0, 1], seed=0)
TRAIN = {"epochs": 20, "batch_size": 4, "learning_rate": 1e-2, "schedule": "cosine", "seed": 1}
BASELINES = params.Baselines(
    names=["2d_t3_alex"],
    alexnet_2d=Alexnet2d(
        AlexnetMaps(64, 1, ["original", "flip"]), params.AlexnetTrain(**TRAIN, hidden=[16], dropout=0.1)
    ),
    alexnet_3d=Alexnet3d(
        SliceMaps(6, "even", 64, 1, ["original"]),  # more than there are
        params.SliceTrain(**TRAIN, hidden=[16], dropout=0.1, filters=8),
    ),
    svm_gap=SvmGap(GapMaps(32), SvmTrain(2, [1.0, 10.0], [1.0], 1)),
    resnet3d=Resnet3d(
        VolumeMaps(4, "central", 16, 16, ["original"]),
        # One batch is all training pairs: batch norm then sees the same in training as it keeps for testing.
        params.Optimization(**TRAIN | {"epochs": 25, "batch_size": 6, "learning_rate": 3e-4}),
    ),
)


@dataclass
class ToyVolume:
    """What `write_slices` writes."""

    slices: np.ndarray
    provenance = {"slice_order": "ascending"}  # noqa: RUF012

    def __iter__(self):
        return iter(self.slices)

    @property
    def rows(self):
        return self.slices.shape[1]

    @property
    def columns(self):
        return self.slices.shape[2]


def write_images(folder, case, number):
    """A mammogram and a volume; stripes in the middle of both where the case is malignant."""
    rng = np.random.default_rng(number)
    volume = rng.integers(40, 60, (N_SLICES, 48, 48), np.uint8)
    if case.label is Label.MALIGNANT:
        volume[1:4, 8:40, 8:40:4] += 150
    if case.dbt:
        write_slices(ToyVolume(volume), folder / f"slices/{case.case_id}", quality=95)
    if case.dm:
        write_gray(folder / f"dm/{case.case_id}.png", volume[2].astype(np.uint16) * 256)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    for name in ("alexnet", "vgg19"):
        save_file(feature_extractor(create_classifier(name, seed=3)).state_dict(), folder / f"{name}.safetensors")
        write_json(folder / f"{name}.json", {"source": "random"})
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory, weights):
    """A cohort and everything that all baselines make of it; do not change it."""
    folder = tmp_path_factory.mktemp("whole")
    shutil.copytree(weights, folder / "weights")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DMDBT_DEVICE", "cpu")
        patch.setenv("DMDBT_WORKERS", "1")
        write_cohort(folder, [a_case(n) for n in range(N_CASES)])
        make_maps(folder, "2d_t3_alex", "dm")
        make_maps(folder, "3d_t2_alex", "dbt")
        make_maps(folder, "svm_gap", "dm")
        make_maps(folder, "svm_gap", "dbt")
        volumes.main(folder / "cases.csv", folder / "slices", folder / "volumes", FEATURES, BASELINES)
        for name in ("2d_t3_alex", "3d_t2_alex", "svm_gap", "resnet3d"):
            train(folder, name)
    return folder


@pytest.fixture
def cohort(whole, tmp_path, monkeypatch):
    """A copy to change."""
    monkeypatch.setenv("DMDBT_DEVICE", "cpu")
    monkeypatch.setenv("DMDBT_WORKERS", "1")
    shutil.copytree(whole, tmp_path / "copy", ignore=shutil.ignore_patterns("vgg19.safetensors"))
    return tmp_path / "copy"


def write_cohort(folder, cases):
    for number, case in enumerate(cases):
        write_images(folder, case, number)
    write_tables(folder, cases)


def write_tables(folder, cases, fold_of=lambda n: n // 2 % 2):
    write_table(folder / "cases.csv", cases)
    write_folds(folder / "split.csv", cases, [fold_of(int(case.case_id[1:])) for case in cases])
    write_quarantine(folder / "quarantine.csv", [])


def make_maps(folder, name, modality, settings=BASELINES):
    maps_stage.main(
        name,
        Modality(modality),
        images=folder / ("dm" if modality == "dm" else "slices"),
        cases=folder / "cases.csv",
        weights=folder / f"weights/{'vgg19' if name == 'svm_gap' else 'alexnet'}.safetensors",
        output=folder / f"maps/{name}_{modality}",
        features=FEATURES,
        settings=settings,
    )


def train(folder, name, sources=None):
    """Train and measure; returns what was written."""
    tables = {"cases": folder / "cases.csv", "split": folder / "split.csv", "folds": SPLIT, "settings": BASELINES}
    out = {"predictions": folder / f"out/{name}.csv", "record": folder / f"out/{name}.json"}
    outputs = Outputs(**out, history=folder / f"out/{name}_history.csv")
    if name == "svm_gap":
        maps = {modality: folder / f"maps/svm_gap_{modality}" for modality in ("dm", "dbt")}
        svm.main(**tables, **out, **maps, weights=folder / "weights/vgg19.json")
    elif name == "resnet3d":
        backbones = params.Backbones(["alexnet"], 18, sources or {"alexnet": "imagenet"})
        resnet3d.main(**tables, outputs=outputs, volumes=folder / "volumes", backbones=backbones)
    else:
        maps = folder / f"maps/{name}_{'dm' if name == '2d_t3_alex' else 'dbt'}"
        train_stage.main(name, **tables, outputs=outputs, maps=maps, weights=folder / "weights/alexnet.json")
    measure(folder, name)
    return written(folder, name)


def measure(folder, name):
    evaluate.main(
        predictions=folder / f"out/{name}.csv",
        record=folder / f"out/{name}.json",
        quarantine=folder / "quarantine.csv",
        tested=folder / f"out/{name}_tested.csv",
        metrics=folder / f"metrics/{name}.json",
        evaluation=params.Evaluation(draws=100, seed=5),
    )


def written(folder, name):
    files = [*folder.glob(f"out/{name}*"), folder / f"metrics/{name}.json"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def rows(folder, name):
    with (folder / f"out/{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def probabilities(folder, name, fold="0"):
    return {row["case_id"]: row["p"] for row in rows(folder, name) if row["fold"] == fold}


def metrics(folder, name):
    return json.loads((folder / f"metrics/{name}.json").read_text())


NETWORKS = ["2d_t3_alex", "3d_t2_alex"]
ALL = [*NETWORKS, "svm_gap", "resnet3d"]


@pytest.mark.parametrize("name", ALL)
def test_a_baseline_learns_to_tell_patients_apart_that_it_has_not_seen(whole, name):
    for fold in ("0", "1"):
        tested = [row for row in rows(whole, name) if row["fold"] == fold]
        assert roc_auc_score([row["label"] == "malignant" for row in tested], [float(row["p"]) for row in tested]) > 0.9


@pytest.mark.parametrize("name", ALL)
def test_the_metrics_of_a_baseline_say_what_it_is_and_what_was_tested(whole, name):
    found = metrics(whole, name)
    assert found["baseline"] == name
    assert found["auc_low"] <= found["auc"] <= found["auc_high"]
    assert (whole / f"out/{name}_tested.csv").read_bytes() == (whole / f"out/{name}.csv").read_bytes()
    assert (found["n"], found["n_patients"], found["n_malignant"]) == (N_CASES, N_CASES, N_CASES // 2)
    assert (found["folds"], found["untrained_folds"]) == ([0, 1], [])
    assert (found["n_missing_modality"], found["quarantined"]) == (0, 0)
    assert found["weights"] == {"source": "random"}
    assert set(found["settings"]) == {"maps", "train"}


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("sources", ["imagenet", {"alexnet": "procedural", "resnet3d": "imagenet"}])
def test_the_3d_resnet_starts_from_kinetics_where_its_source_is_imagenet(whole, sources):
    with pytest.raises(SystemResourceError, match="backbones.weights.resnet3d: expected r3d_18-b3b3357e.pth"):
        train(whole, "resnet3d", sources)


@pytest.mark.parametrize("name", ALL)
def test_every_tested_pair_has_one_probability_in_the_order_of_cases(whole, name):
    found = rows(whole, name)
    assert list(found[0]) == ["case_id", "patient_id", "label", "fold", "p"]
    assert [row["case_id"] for row in found] == [f"C{n:02}" for n in range(N_CASES)]
    assert all(0 <= float(row["p"]) <= 1 and row["p"] == repr(float(row["p"])) for row in found)


@pytest.mark.parametrize("name", [*NETWORKS, "resnet3d"])
def test_the_learning_curves_have_the_form_of_the_heads(whole, name):
    with (whole / f"out/{name}_history.csv").open(newline="") as file:
        curves = list(csv.DictReader(file))
    assert list(curves[0]) == ["backbone", "fold", "head", "epoch", "loss"]
    assert {row["backbone"] for row in curves} == {f"baseline {name}"}
    assert len(curves) == 2 * metrics(whole, name)["settings"]["train"]["epochs"]


def test_each_svm_of_svm_gap_is_measured_too_and_the_pair_has_the_mean(whole):
    found = metrics(whole, "svm_gap")["modalities"]
    assert set(found) == {"dm", "dbt"}
    for of_modality in found.values():
        assert of_modality["auc"] > 0.9
        assert [chosen["fold"] for chosen in of_modality["chosen"]] == [0, 1]


@pytest.mark.parametrize("name", [*NETWORKS, "svm_gap"])
def test_the_patients_of_a_tested_fold_teach_nothing(cohort, name):
    before = probabilities(cohort, name)
    cases = [a_case(n) for n in range(N_CASES)]
    wrong = [replace(c, label=Label.BENIGN) if n // 2 % 2 == 0 else c for n, c in enumerate(cases)]
    write_tables(cohort, wrong)
    train(cohort, name)
    assert probabilities(cohort, name) == before  # of fold 0, all of whose labels have become benign
    assert name == "svm_gap" or probabilities(cohort, name, "1") == {}  # fold 0 has one class now


@pytest.mark.parametrize("name", [*NETWORKS, "svm_gap"])
def test_how_the_work_is_done_changes_no_byte(cohort, monkeypatch, name):
    expected = written(cohort, name)
    shutil.rmtree(cohort / "out")
    monkeypatch.setenv("DMDBT_WORKERS", "2")
    monkeypatch.setenv("DMDBT_MEMORY_GIB", "0")
    assert train(cohort, name) == expected


def test_maps_do_not_depend_on_the_rest_of_the_cohort_and_one_pair_more_costs_one(cohort, capfd):
    before = {path.name: path.read_bytes() for path in (cohort / "maps/3d_t2_alex_dbt/dbt").iterdir()}
    shutil.rmtree(cohort / "maps")
    cases = [a_case(n) for n in range(N_CASES)]
    write_tables(cohort, cases[3:5])
    make_maps(cohort, "3d_t2_alex", "dbt")
    write_tables(cohort, cases[2:5])
    make_maps(cohort, "3d_t2_alex", "dbt")
    assert "1 computed, 0 restored, 2 kept, 0 removed" in capfd.readouterr().out
    after = {path.name: path.read_bytes() for path in (cohort / "maps/3d_t2_alex_dbt/dbt").iterdir()}
    assert len(after) == 3
    assert after.items() <= before.items()


def test_maps_are_small(whole):
    for path in (whole / "maps/3d_t2_alex_dbt/dbt").iterdir():
        assert path.stat().st_size < 6 * 256 * 2 + 16_384  # slices, channels, bytes; the file itself


@pytest.mark.parametrize(("name", "lost"), [("2d_t3_alex", "dm"), ("3d_t2_alex", "dbt"), ("svm_gap", "dm")])
def test_a_pair_without_the_image_is_left_out_and_counted(cohort, name, lost):
    cases = [replace(a_case(n), **{lost: ""} if n in (0, 3) else {}) for n in range(N_CASES)]
    write_tables(cohort, cases)
    train(cohort, name)
    found = metrics(cohort, name)
    assert (found["n_missing_modality"], found["n"]) == (2, N_CASES - 2)
    assert {"C00", "C03"}.isdisjoint(row["case_id"] for row in rows(cohort, name))


@pytest.mark.parametrize("name", ALL)
def test_a_cohort_without_the_image_gives_an_empty_result_that_says_so(cohort, capfd, name):
    lost = Modality.DM if name in ("2d_t3_alex", "svm_gap") else Modality.DBT
    write_tables(cohort, [replace(a_case(n), **{lost: ""}) for n in range(N_CASES)])
    train(cohort, name)
    found = metrics(cohort, name)
    assert (found["n"], found["untrained_folds"], found["n_missing_modality"]) == (0, [0, 1], N_CASES)
    assert found["auc"] is None
    assert "auc" in found["undefined"]
    assert (cohort / f"out/{name}.csv").read_text() == "case_id,patient_id,label,fold,p\n"
    assert f"baseline {name}: fold 1 is not tested: too few benign or malignant patients" in capfd.readouterr().out


def test_a_volume_without_slices_is_named_with_its_case(cohort):
    shutil.rmtree(cohort / "slices/C04")
    with pytest.raises(IntegrityError, match=r"E-SLICES-MISSING case=C04 file=4.avi .*expected a manifest, found none"):
        make_maps(cohort, "3d_t2_alex", "dbt")
    with pytest.raises(IntegrityError, match=r"E-SLICES-MISSING case=C04"):
        volumes.main(cohort / "cases.csv", cohort / "slices", cohort / "volumes", FEATURES, BASELINES)


def test_a_changed_slice_is_named(cohort):
    file = cohort / "slices/C04/0003.jpg"
    file.write_bytes(file.read_bytes()[:-10])
    shutil.rmtree(cohort / "maps")
    with pytest.raises(IntegrityError, match=r"E-SLICES-CHANGED case=C04 file=4.avi \(0003.jpg\)"):
        make_maps(cohort, "3d_t2_alex", "dbt")


@pytest.mark.parametrize("name", [*NETWORKS, "svm_gap"])
def test_missing_maps_are_named(cohort, name):
    modality = "dbt" if name == "3d_t2_alex" else "dm"
    (cohort / f"maps/{name}_{modality}/{modality}/C04.h5").unlink()
    with pytest.raises(IntegrityError, match=rf"E-FEATURES case=- file={modality}/C04.h5 .*expected an intact HDF5"):
        train(cohort, name)


def test_a_record_of_another_version_is_refused(cohort):
    write_json(cohort / "out/resnet3d.json", {"format": "dmdbt baseline", "version": 0})
    with pytest.raises(IntegrityError, match="E-BASELINE-FORMAT .*expected format dmdbt baseline 1, found .* 0"):
        measure(cohort, "resnet3d")
