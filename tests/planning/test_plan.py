"""The plan's bytes against those that the stages write, its sums, and what it refuses. How long things take is not."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from dmdbt import params
from dmdbt.__main__ import SETTINGS, main
from dmdbt.cohort import Case, read_table, write_table
from dmdbt.errors import InputDataError, SystemResourceError
from dmdbt.heads import HeadSettings
from dmdbt.params import read
from dmdbt.planning import Line, Plan, check_room, make_plan, plan_text, read_settings
from dmdbt.planning.costs import MOST_PARAMETERS, rows_to_time
from dmdbt.planning.sizes import backbone_sizes, head_parameters, training_steps
from dmdbt.steps.train import TrainInputs
from dmdbt.terms import Head, Label, Laterality, MissingModality, View
from stages import decode, features, ingest, mammogram, rankpool, split, train
from stages.inputs import weights
from tests.support import ROOT, yaml
from tests.support.clinic import write_avi, write_dicom
from tests.support.volumes import smooth_volume

GIB = 2**30
TABLE_I = HeadSettings(None, (256, 128), 0.5)


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    """A folder with six pairs and small parameters."""
    folder = tmp_path_factory.mktemp("clinic")
    content = yaml.load(ROOT / "params.yaml")
    content["split"] |= {"folds": 2, "test_folds": [0, 1]}
    content["backbones"]["names"] = ["alexnet"]
    content["weights"] |= {"batch_size": 4, "steps": {"alexnet": 1}}
    content["features"]["size"]["alexnet"] = 96
    content["train"]["epochs"] = 1
    yaml.dump(content, folder / "params.yaml")
    rng = np.random.default_rng(0)
    cases = []
    for n in range(6):
        case = Case(f"C{n}", f"P{n}", Laterality.LEFT, View.CC, list(Label)[n % 2], f"{n}.dcm", f"{n}.avi")
        write_dicom(
            folder / "cohort" / case.dm,
            rng.integers(0, 4096, (300, 200), np.uint16),
            WindowCenter="2048",
            WindowWidth="4096",
        )
        noise = rng.integers(0, 20, (10 + n, 128, 96), np.uint8)  # as in a real one: blank images compress too well
        write_avi(folder / "cohort" / case.dbt, smooth_volume(10 + n, 128, 96, n) // 2 + noise)
        cases.append(case)
    write_table(folder / "cohort/cases.csv", cases)
    return folder


def run_stages(folder):
    settings, cases = read_settings(folder / "params.yaml"), folder / "cohort/cases.csv"
    cohort, data, of_backbone = folder / "cohort", folder / "data", {"backbone": "alexnet"}
    split.main(cases, data / "split.csv", settings.split)
    reading = params.read(params.Reading, ROOT / "params.yaml")
    mammogram.main(cohort, cases, data / "mammogram", settings.mammogram, reading)
    ingest.main(
        cohort,
        MissingModality.FORBID,
        folder / "cases.csv",
        folder / "examined",
        folder / "cohort.json",
        folder / "quarantine.csv",
        reading,
        settings.labels,
        params.Quarantine(max_cases=0),
    )
    decode.main(cohort, cases, folder / "examined", data / "decode", settings.decode, reading)
    rankpool.main(
        cases,
        data / "decode",
        folder / "quarantine.csv",
        data / "rankpool",
        folder / "rankpool.json",
        settings.rankpool,
    )
    file = data / "weights@alexnet/alexnet.safetensors"
    weights.main("alexnet", file, file.with_suffix(".json"), settings.backbones, settings.weights)
    features.main(
        **of_backbone,
        cases=cases,
        mammograms=data / "mammogram",
        dynamic=data / "rankpool",
        weights=file,
        output=data / "features@alexnet",
        backbones=settings.backbones,
        settings=settings.features,
    )
    inputs = TrainInputs(
        **of_backbone,
        cases=cases,
        split=data / "split.csv",
        features=data / "features@alexnet",
        folds=settings.split,
        heads=settings.heads,
        settings=settings.train,
    )
    train.main(
        inputs,
        models=data / "train@alexnet/models",
        probabilities=data / "train@alexnet/probabilities.csv",
        copies=data / "train@alexnet/copies.csv",
        losses=folder / "history.csv",
    )


@pytest.mark.slow
def test_the_planned_bytes_are_a_bound_of_what_the_stages_write_and_not_far_from_it(clinic):
    before = sorted(clinic.rglob("*"))
    plan = make_plan(clinic / "cohort", read_settings(clinic / "params.yaml"), clinic)
    assert sorted(clinic.rglob("*")) == before
    run_stages(clinic)  # the plan needs nothing of them
    planned = {line.stage: line.output for line in plan.lines}
    for folder in (clinic / "data").glob("*/"):
        written = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        assert written <= planned[folder.name] <= 4 * written, folder.name
    items = {line.stage: line.items for line in plan.lines}
    assert (items["decode"], items["features@alexnet"]) == (6, 12)  # volumes, and images of both kinds
    assert all(line.seconds >= 0 and line.memory > 0 for line in plan.lines)


def lacking(clinic, folder, missing):
    """The same cohort, in which each case lacks what `missing` says of its number."""
    shutil.copytree(clinic / "cohort", folder / "cohort")
    cases = read_table(clinic / "cohort/cases.csv")
    write_table(folder / "cohort/cases.csv", [replace(case, **missing(n)) for n, case in enumerate(cases)])
    return make_plan(folder / "cohort", read_settings(clinic / "params.yaml"), folder)


def planned_items(plan):
    lines = {line.stage.partition("@")[0]: line for line in plan.lines}
    assert all(line.output == 0 and line.seconds == 0 for line in lines.values() if line.items == 0)
    return {stage: lines[stage].items for stage in ("ingest", "mammogram", "decode", "rankpool", "features")}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("missing", "mammograms", "volumes"),
    [
        (lambda _: {"dbt": ""}, 6, 0),
        (lambda n: {"dm": ""} if n % 2 else {"dbt": ""}, 3, 3),
    ],
    ids=["no volume", "no complete pair"],
)
def test_what_pairs_lack_costs_nothing(clinic, tmp_path, missing, mammograms, volumes):
    plan = lacking(clinic, tmp_path, missing)
    expected = {"ingest": 6, "mammogram": mammograms, "decode": volumes, "rankpool": volumes, "features": 6}
    assert planned_items(plan) == expected


@pytest.mark.slow
def test_a_volume_beyond_the_default_limits_is_planned_under_those_of_params(clinic):
    settings = read_settings(clinic / "params.yaml")
    few = replace(settings, reading=replace(settings.reading, slices=12))  # the volumes have 10 to 15
    with pytest.raises(InputDataError, match=r"E-TOO-LARGE .*reading\.slices"):
        make_plan(clinic / "cohort", few, clinic)
    enough = replace(settings, reading=replace(settings.reading, slices=15))
    assert {line.items for line in make_plan(clinic / "cohort", enough, clinic).lines if line.stage == "decode"} == {6}


@pytest.mark.slow
def test_the_command_prints_the_plan_and_says_that_it_fits(clinic, monkeypatch, capsys):
    monkeypatch.chdir(clinic)
    assert main(["plan", "--cohort", "cohort"]) == 0
    printed = capsys.readouterr().out
    assert "6 pairs of 6 patients" in printed
    assert printed.count(": fits") == 2


def test_a_cohort_that_is_not_there_is_refused_with_how_to_make_the_simulated_one(clinic, monkeypatch, capsys):
    monkeypatch.chdir(clinic)
    assert main(["plan"]) == 2
    assert "dvc repro data/phantom/dvc.yaml" in capsys.readouterr().err


PLAN = Plan(2, 1, (Line("decode", 2, 3 * GIB, 60.0, 5 * GIB), Line("rankpool", 2, GIB, 30.0, GIB)), copies=2)


def test_the_sums_count_the_second_copy_in_the_cache():
    assert (PLAN.disk, PLAN.seconds, PLAN.largest.stage) == (8 * GIB, 90.0, "decode")
    shared = replace(PLAN, copies=1)
    assert shared.disk == 4 * GIB
    assert "1.5 min from nothing" in plan_text(PLAN, free=8 * GIB, memory=5 * GIB)
    assert "a second copy: 8.0 GiB of disk, 9.0 GiB free: fits" in plan_text(PLAN, free=9 * GIB, memory=5 * GIB)
    assert "reflinks" in plan_text(shared, free=9 * GIB, memory=5 * GIB)


def test_a_disk_or_a_memory_that_is_too_small_is_refused_with_both_sizes():
    check_room(PLAN, free=8 * GIB, memory=5 * GIB)
    with pytest.raises(SystemResourceError, match=r"disk: expected 8\.0 GiB free, found 7\.0 GiB\.") as error:
        check_room(PLAN, free=7 * GIB, memory=5 * GIB)
    assert error.value.exit_code == 4
    assert "1.0 GiB are missing" in plan_text(PLAN, free=7 * GIB, memory=5 * GIB)
    with pytest.raises(SystemResourceError, match=r"memory: expected 5\.0 GiB for decode, found 4\.0 GiB"):
        check_room(PLAN, free=8 * GIB, memory=4 * GIB)


def test_the_paper_s_setting_has_the_paper_s_shapes():
    settings = read_settings(ROOT / "params.yaml", SETTINGS / "paper.yaml")
    shapes = {}
    for name in ("alexnet", "resnet"):
        size = params.for_backbone(settings.features.size, name, key="features.size")
        shapes[name] = backbone_sizes(name, settings.backbones.resnet_depth, size)[0]
    assert len(settings.features.augmentations) == 5
    assert shapes == {"alexnet": (256, 51, 51), "resnet": (2048, 26, 26)}
    assert settings.train.epochs == 100
    assert settings.train.batch_size == read_settings(ROOT / "params.yaml").train.batch_size


def test_a_head_of_the_paper_has_328_million_parameters_in_its_first_layer():
    convolution = 2048 * 2048 + 2048 + 2 * 2048
    classifier = 2048 * 25 * 25 * 256 + 256 + 256 * 128 + 128 + 128 * 2 + 2
    assert head_parameters(Head.DM, (2048, 26, 26), TABLE_I) == convolution + classifier
    joint = head_parameters(Head.DM_DBT, (2048, 26, 26), TABLE_I)
    assert joint == convolution + classifier + 2048 * 2048  # its convolution sees the channels of both modalities


def test_a_large_head_is_timed_on_fewer_rows_and_a_small_one_whole():
    for shape in ((2048, 26, 26), (256, 51, 51), (256, 9, 9)):
        rows = rows_to_time(shape, head_parameters(Head.DM, shape, TABLE_I))
        timed = head_parameters(Head.DM, (shape[0], rows, shape[2]), TABLE_I)
        assert 2 <= rows <= shape[1]
        assert timed <= 1.05 * MOST_PARAMETERS
        assert (rows == shape[1]) == (shape == (256, 9, 9))


def test_an_epoch_draws_every_copy_of_the_larger_class_once():
    # 8 of 10 malignant pairs, of which 4 in 5 are trained on: 32 samples, 4 of each class in a batch.
    assert training_steps([1] * 8 + [0] * 2, n_folds=5, n_copies=5, batch_size=8) == 8


def test_a_setting_takes_precedence_key_by_key():
    changed = read(params.Backbones, ROOT / "params.yaml", SETTINGS / "paper.yaml")
    names = ["alexnet", "resnet", "densenet", "squeezenet"]
    expected = replace(read(params.Backbones, ROOT / "params.yaml"), names=names, resnet_depth=50, weights="imagenet")
    assert changed == expected
