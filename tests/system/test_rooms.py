"""An edit in one room runs again what it decides, and nothing else: asked of `deps` and of the code of the keys."""

import importlib

import pytest

from tests.support import ROOT
from tests.system.test_layout import STAGES

TRAINING = ("weights", "features", "train", "baseline_maps", "baseline_train", "baseline_svm", "baseline_resnet3d")


def stages_that_name(path):
    """The stages whose `deps` hold a file."""
    return {name for name, s in STAGES.items() if any(path == dep or path.startswith(f"{dep}/") for dep in s["deps"])}


def keyed(stage, path):
    """Whether a file is part of the keys of a stage's items."""
    modules = importlib.import_module(f"stages.{stage}")._CODE
    dotted = path.removesuffix(".py").replace("/", ".")
    return any(dotted == name or dotted.startswith(f"{name}.") for name in modules)


def test_the_files_of_these_tests_exist():
    for path in ("results/exports", "backbones/shapes", "readers/avi/volume", "features/store", "imaging/images"):
        assert (ROOT / f"dmdbt/{path}.py").is_file()


def test_an_edit_of_an_export_runs_the_tables_and_nothing_that_trains():
    named = stages_that_name("dmdbt/results/exports.py")
    assert "tables" in named
    assert not named & {*TRAINING, "ingest", "split", "mammogram", "decode", "rankpool", "ensemble"}


def test_an_edit_of_the_shapes_makes_weights_anew_and_no_feature_map_whose_weights_are_equal():
    assert "weights" in stages_that_name("dmdbt/backbones/shapes.py")
    assert keyed("weights", "dmdbt/backbones/shapes.py")
    assert not keyed("features", "dmdbt/backbones/shapes.py")
    assert not keyed("baseline_maps", "dmdbt/backbones/shapes.py")


def test_an_edit_of_the_reader_of_avi_runs_no_mammogram_again():
    named = stages_that_name("dmdbt/readers/avi/volume.py")
    assert {"ingest", "decode"} <= named
    assert "mammogram" not in named
    assert not keyed("mammogram", "dmdbt/readers/avi/volume.py")


def test_an_edit_of_the_feature_store_runs_no_pre_training_again():
    assert "features" in stages_that_name("dmdbt/features/store.py")
    assert "weights" not in stages_that_name("dmdbt/features/store.py")


@pytest.mark.parametrize("stage", ["rankpool", "features", "train"])
def test_no_stage_behind_the_decoder_names_a_reader(stage):
    assert not [dep for dep in STAGES[stage]["deps"] if dep.startswith("dmdbt/readers")]
