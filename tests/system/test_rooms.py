"""An edit in one room runs again what it decides, and nothing else: asked of `deps` and of the code of the keys."""

import pytest

from dmdbt.running import reach
from dmdbt.steps import baseline_maps, decode, features, ingest, mammogram, rankpool, train, weights
from tests.support import ROOT
from tests.system.test_layout import STAGES

TRAINING = ("weights", "features", "train", "baseline_maps", "baseline_train", "baseline_svm", "baseline_resnet3d")


def stages_that_name(path):
    """The stages whose `deps` hold a file."""
    return {name for name, s in STAGES.items() if any(path == dep or path.startswith(f"{dep}/") for dep in s["deps"])}


# What a stage does to one item, or to its fold or backbone.
FUNCTIONS = {
    "ingest": ingest.examine,
    "mammogram": mammogram._convert,
    "decode": decode._decode,
    "rankpool": rankpool._pool,
    "weights": weights._procedural,
    "features": features._cache_features,
    "train": train._train_fold,
    "baseline_maps": baseline_maps._keep_maps,
}


def keyed(stage, path):
    """Whether something in a file is part of the keys of a stage's items."""
    module = path.removesuffix(".py").replace("/", ".")
    return any(place.partition(":")[0] == module for place in reach(FUNCTIONS[stage]).definitions)


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


def test_a_key_holds_no_code_that_runs_work_or_reads_parameters():
    for function in FUNCTIONS.values():
        modules = {place.partition(":")[0] for place in reach(function).definitions}
        assert not [module for module in modules if module in ("dmdbt.running.items", "dmdbt.running.workers")]
        assert not [module for module in modules if module.startswith("dmdbt.params.")]
