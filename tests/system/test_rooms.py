"""An edit in one room runs again what it decides, and nothing else: asked of `deps` and of the code of the keys."""

import json
import shutil
import subprocess
import sys

import pytest

from dmdbt.running.fingerprint import reach
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


PRINT_KEYS = """
import json
from dmdbt.running import code_fingerprint
from tests.system.test_rooms import FUNCTIONS
print(json.dumps({stage: code_fingerprint(function, {}) for stage, function in FUNCTIONS.items()}))
"""
LOUD = "import numpy as np\n\nprint(end='')\n"  # a statement that runs when the module is imported
EDITS = {  # a file, what an edit of it changes, and the stages whose items then have other keys
    "dmdbt/results/exports.py": ("def latex_tables(", "def _added() -> None: ...\n\n\ndef latex_tables(", set()),
    "dmdbt/backbones/shapes.py": ("import torch\n", "import torch\n\nprint(end='')\n", {"weights"}),
    "dmdbt/readers/avi/volume.py": (
        "import numpy as np\n",
        "import numpy as np\n\nprint(end='')\n",
        {"ingest", "decode"},
    ),
    "dmdbt/features/store.py": ("import numpy as np\n", LOUD, {"features", "train", "baseline_maps"}),
}


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """The tracked files of this repository, and the keys of each stage in them."""
    folder = tmp_path_factory.mktemp("clone")
    names = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    for name in (name for name in names if name.endswith((".py", ".yaml", ".toml")) and (ROOT / name).is_file()):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    return folder, keys_in(folder)


def keys_in(folder):
    run = subprocess.run([sys.executable, "-c", PRINT_KEYS], cwd=folder, check=True, capture_output=True, text=True)
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.system
@pytest.mark.parametrize("path", EDITS)
def test_an_edit_in_a_clone_changes_the_keys_of_the_stages_that_reach_it_and_no_others(clone, path):
    folder, before = clone
    old, new, expected = EDITS[path]
    text = (folder / path).read_text()
    assert old in text
    (folder / path).write_text(text.replace(old, new, 1))
    after = keys_in(folder)
    (folder / path).write_text(text)
    assert {stage for stage in before if after[stage] != before[stage]} == expected
