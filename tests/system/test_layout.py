"""DVC does not follow imports, and Python knows no floors: both are held against the code here."""

import ast
import importlib
import re
import shlex
from fnmatch import fnmatch
from functools import cache
from types import NoneType
from typing import get_args

import pytest

from dmdbt import params
from dmdbt.entry import leaves
from tests.support import ROOT, yaml

FLOORS = {
    "dmdbt/errors.py": 1,
    "dmdbt/files.py": 1,
    "dmdbt/terms.py": 1,
    "dmdbt/backbones": 2,
    "dmdbt/evaluation": 2,
    "dmdbt/imaging": 2,
    "dmdbt/baselines/registry.py": 2,
    "dmdbt/params": 3,
    "dmdbt/phantom": 2,
    "dmdbt/rankpool": 2,
    "dmdbt/running": 2,
    "dmdbt/cohort": 3,
    "dmdbt/features": 3,
    "dmdbt/readers/closing.py": 3,
    "dmdbt/readers/limits.py": 3,
    "dmdbt/results": 3,
    "dmdbt/heads": 4,
    "dmdbt/ablation": 4,
    "dmdbt/readers/avi": 4,
    "dmdbt/readers/dicom": 4,
    "dmdbt/readers/other": 4,
    "dmdbt/attention": 5,
    "dmdbt/readers/containers.py": 5,
    "dmdbt/readers/mammogram.py": 5,
    "dmdbt/baselines": 5,
    "dmdbt/prediction/result.py": 5,
    "dmdbt/readers/open_volume.py": 6,
    "dmdbt/viewer/view.py": 6,
    "dmdbt/viewer/words.py": 6,
    "dmdbt/readers": 7,
    "dmdbt/dicom_output": 7,
    "dmdbt/viewer": 7,
    "dmdbt/doctor": 8,
    "dmdbt/importers": 8,
    "dmdbt/ingest": 8,
    "dmdbt/report": 8,
    "dmdbt/bundle": 9,
    "dmdbt/prediction": 10,
    "dmdbt/steps/learning_curve_train.py": 10,
    "dmdbt/planning": 10,
    "dmdbt/entry.py": 11,
    "dmdbt/service": 11,
    "stages": 12,
    "dmdbt/__main__.py": 12,
}
STEPS = {path.relative_to(ROOT).as_posix(): 9 for path in (ROOT / "dmdbt/steps").glob("[!_]*.py")}
FLOORS = STEPS | FLOORS  # a step is a room by itself
# Options that are no paths.
NAMES = ("backbone", "baseline", "fold", "fraction", "missing_modality", "modality")
# Run by their own name, or by the root dvc.yaml where a stage of it reads what they write.
APART = tuple(f"data/{folder}/dvc.yaml" for folder in ("phantom", "weights", "baselines", "ablation"))
# Modules of floor 1 and the reader of params.yaml are no `deps`: a new error message would run everything again.
FIRST = ("dmdbt/errors.py", "dmdbt/files.py", "dmdbt/terms.py", "dmdbt/params")
FIRST += ("dmdbt/__main__.py", "dmdbt/entry.py", "stages")
ROOMS = [room for room in FLOORS if room not in (*FIRST, "dmdbt/readers")]  # the hall itself holds names alone


def load_stages():
    stages = {}
    for path in ("dvc.yaml", *APART):
        found = yaml.load(ROOT / path)["stages"]
        stages |= {name: stage.get("do", stage) for name, stage in found.items()}
    return stages


STAGES = load_stages()


def room(path):
    """The entry of FLOORS that a file belongs to."""
    text = path.relative_to(ROOT).as_posix()
    return max((name for name in FLOORS if text == name or text.startswith(name + "/")), key=len, default=None)


def module_file(name):
    """The file of a module or package of this project, None for a name inside a module."""
    path = ROOT.joinpath(*name.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def home(module, name):
    """The file that defines what ``from module import name`` gives: a package's `__init__` hands names on."""
    if file := module_file(f"{module}.{name}"):
        return file
    here = module_file(module)
    if here.name == "__init__.py":
        for node in ast.parse(here.read_text()).body:
            if isinstance(node, ast.ImportFrom) and name in {alias.asname or alias.name for alias in node.names}:
                return home(node.module, name)
    return here


@cache
def imports(path):
    """The files of this project that hold what a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in ("dmdbt", "stages"):
            found.update(home(node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            found.update(filter(None, (module_file(alias.name) for alias in node.names)))
    return frozenset(found - {path})


def closure(path):
    """A file, what it imports, and so on."""
    seen, waiting = set(), [path]
    while waiting:
        current = waiting.pop()
        if current not in seen:
            seen.add(current)
            waiting += imports(current)
    return seen


def entry_names(entries):
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]


def outputs(stage):
    return entry_names([*stage.get("outs", []), *stage.get("metrics", [])])


def module(name):
    """The entry point that a stage's command runs, such as ``stages.baselines.train``."""
    return shlex.split(STAGES[name]["cmd"])[2]


def stage_file(name):
    return ROOT.joinpath(*module(name).split(".")).with_suffix(".py")


def options(stage):
    """Options of a command; ``${item}`` stands for keys of params.yaml, see ``dmdbt.entry``."""
    words = [word for word in shlex.split(stage["cmd"]) if word != "${item}"]
    return dict(zip((word[2:].replace("-", "_") for word in words[3::2]), words[4::2], strict=True))


def test_every_stage_has_its_file_and_every_file_its_stage():
    assert all(stage["cmd"].startswith("python -m stages.") for stage in STAGES.values())
    assert {stage_file(name) for name in STAGES} == set((ROOT / "stages").rglob("[!_]*.py"))
    pipeline = yaml.load(ROOT / "dvc.yaml")["stages"].keys() - {"baseline"}
    assert {path.stem for path in (ROOT / "stages").glob("[!_]*.py")} == pipeline


def test_an_entry_point_has_at_most_40_lines_and_a_module_400():
    def lengths(folder):
        return {path: len(path.read_text().splitlines()) for path in (ROOT / folder).rglob("*.py")}

    assert {path for path, length in lengths("stages").items() if length > 40} == set()
    assert {path for path, length in lengths("dmdbt").items() if length > 400} == set()


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_depends_on_exactly_the_rooms_that_it_imports_from(name):
    files = closure(stage_file(name))
    used = {room(path) for path in files} & set(ROOMS)
    used.add(stage_file(name).relative_to(ROOT).as_posix())  # the maker of command lines makes no content
    code = {dep for dep in STAGES[name]["deps"] if dep.startswith(("dmdbt", "stages"))}
    assert code == used


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_tracks_exactly_the_sections_of_params_that_it_reads(name):
    parameters = leaves(importlib.import_module(module(name)).main)
    used = {section for section, kind in params.SECTIONS.items() if kind in parameters.values()}
    used |= {"missing_modality"} & parameters.keys()  # the other value outside the sections, the cohort, is a dep
    assert {entry.split(".")[0] for entry in STAGES[name].get("params", [])} == used


@pytest.mark.parametrize("name", STAGES)
def test_the_paths_of_a_command_are_those_that_dvc_tracks(name):
    stage = STAGES[name]
    given = {value for option, value in options(stage).items() if option not in NAMES}
    tracked = {dep for dep in stage["deps"] if not dep.startswith(("dmdbt", "stages"))} | set(outputs(stage))
    assert ("${cohort}" in tracked) == ("cohort" in leaves(importlib.import_module(module(name)).main))
    tracked -= {"${cohort}"}  # read from params.yaml, so that no shell sees it
    # A folder may stand for the files in it that are tracked one by one.
    untracked = {path for path in given - tracked if not any(item.startswith(path + "/") for item in tracked)}
    assert untracked == set()
    assert {item for item in tracked - given if not any(item.startswith(path + "/") for path in given)} == set()


def test_what_a_shell_sees_of_the_parameters_is_checked_names_and_numbers():
    inserted = {text for stage in STAGES.values() for text in re.findall(r"\$\{([^}]*)\}", stage["cmd"])}
    assert {text.partition(".")[0] for text in inserted} == {"key", "item", "ablation"}
    assert {text for text in inserted if text.startswith("ablation")} == {"ablation.backbone"}
    stages = [stage for path in ("dvc.yaml", *APART) for stage in yaml.load(ROOT / path)["stages"].values()]
    items = " ".join(str(stage.get("matrix", stage.get("foreach", ""))) for stage in stages)
    names = {"backbones.names", "baselines.names", "weights.steps", "ablation.variants"}
    assert set(re.findall(r"\$\{([^}]*)\}", items)) == names | {"ablation.fractions", "split.test_folds"}


@pytest.mark.parametrize("name", STAGES)
def test_the_options_of_a_command_are_the_arguments_of_main(name):
    parameters = leaves(importlib.import_module(module(name)).main)
    possible = {key: kind for key, kind in parameters.items() if kind not in params.SECTIONS.values()}
    needed = {key for key, kind in possible.items() if NoneType not in get_args(kind)} - params.VALUES.keys()
    assert needed <= set(options(STAGES[name])) <= set(possible)


def test_no_stage_of_the_pipeline_needs_the_ablation():
    stages = yaml.load(ROOT / "dvc.yaml")["stages"]
    apart = {path for name in set(STAGES) - set(stages) - {"phantom"} for path in outputs(STAGES[name])}
    assert len(apart) > 5
    for stage in stages.values():
        assert not [dep for dep in stage["deps"] if dep in apart or "ablation" in dep]


def test_every_output_is_ignored_by_git_or_kept_out_of_the_cache_by_name():
    lines = [line for line in (ROOT / ".gitignore").read_text().splitlines() if line.startswith("/data/")]
    ignored = [pattern for line in lines for pattern in (line, f"{line}/*")]
    for stage in STAGES.values():
        for entry in [*stage.get("outs", []), *stage.get("metrics", [])]:
            path = entry_names([entry])[0]
            in_git = isinstance(entry, dict) and entry[path].get("cache") is False
            assert in_git or any(fnmatch(f"/{path}", line) for line in ignored), path


def test_every_plot_is_drawn():
    """DVC looks into a folder that is a plot's name, but says "file type error" of one that is a source of a plot."""
    named = {name: plot for entry in yaml.load(ROOT / "dvc.yaml")["plots"] for name, plot in entry.items()}
    sources = {source for plot in named.values() if isinstance(plot["y"], dict) for source in plot["y"]}
    paths = {name for name, plot in named.items() if not isinstance(plot["y"], dict)}
    written = {path for stage in STAGES.values() for path in outputs(stage)}
    assert all(source.endswith(".csv") and source in written for source in sources)
    assert all(any(path.startswith(f"{name}/") for path in written) for name in paths)


FRONT_DOOR = ROOT / "dmdbt" / "__init__.py"  # it opens a room when it is asked to, and has the version


@pytest.mark.parametrize("path", sorted({*(ROOT / "dmdbt").rglob("*.py")} - {FRONT_DOOR}), ids=lambda path: path.stem)
def test_a_module_imports_from_lower_floors_alone(path):
    here = room(path)
    for imported in imports(path):
        there = room(imported)
        if there not in (here, None):
            assert FLOORS[there] < FLOORS[here], f"{path} imports {imported}"
