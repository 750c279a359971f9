"""The wheel works without the repository."""

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from importlib import metadata
from itertools import chain

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from dmdbt.planning.hardware import starting
from tests.support import ROOT

pytestmark = pytest.mark.system

INSTALLERS = {"pip", "setuptools", "wheel"}  # `pip freeze` leaves them out
GPU = ("cuda-", "nvidia-", "triton")  # beneath the CUDA build of torch; constraints.txt is made with the CPU build


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(ROOT)], check=True, cwd=folder)
    (found,) = folder.glob("dmdbt-*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel):
    """The folder of the commands of an environment that has the wheel, and the libraries of this one."""
    home = wheel.parent / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin/python"
    packages = next(home.glob("lib/python*/site-packages"))
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", "--quiet"]
    subprocess.run([*pip, "--ignore-installed", str(wheel)], check=True, cwd=home)
    return home / "bin"


def run(folder, *command, code=0):
    """Output of a command that neither the repository's folder nor PYTHONPATH helps to find dmdbt."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done.stderr if code else done.stdout


def pins(*names):
    """The exact requirements of files, by name."""
    lines = [line for name in names for line in (ROOT / name).read_text().splitlines()]
    return {canonicalize_name(pin.name): pin for pin in map(Requirement, (line for line in lines if "==" in line))}


def version_of(pin):
    return Version(str(pin.specifier).removeprefix("=="))


def beneath(requirements):
    """Installed versions of requirements and of all that these require, by name."""
    waiting, done, found = list(requirements), set(), {}
    while waiting:
        needed = waiting.pop()
        name = canonicalize_name(needed.name)
        if (name, extras := frozenset(needed.extras)) in done:
            continue
        done.add((name, extras))
        if name in INSTALLERS or name.startswith(GPU):
            continue
        found[name] = Version(metadata.version(name))
        for further in map(Requirement, metadata.requires(name) or []):
            if not further.marker or any(further.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                waiting.append(further)
    return found


def test_the_wheel_has_the_package_its_settings_and_its_templates_alone(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"dmdbt"}
    assert {f"dmdbt/settings/{path.name}" for path in (ROOT / "settings").glob("*.yaml")} <= set(names)
    assert "dmdbt/report/templates/report.html.jinja" in names


def test_the_command_works_without_the_repository(installed, tmp_path):
    assert run(tmp_path, installed / "dmdbt", "--help").startswith("usage: dmdbt ")
    assert re.fullmatch(r"dmdbt \d+\.\d+\.\d+\n", run(tmp_path, installed / "dmdbt", "--version"))
    assert "-S backbones.resnet_depth=50" in run(tmp_path, installed / "dmdbt", "settings", "paper")
    assert run(tmp_path, installed / "python", "-m", "dmdbt", "--help").startswith("usage: python -m dmdbt ")
    code = "import dmdbt.rankpool, dmdbt.readers; print(dmdbt.__file__)"
    assert str(installed.parent) in run(tmp_path, installed / "python", "-c", code)


@pytest.mark.parametrize("command", [("doctor", "cohort"), ("plan",), ("weights", "status")])
def test_what_needs_parameters_ends_with_a_sentence_without_the_repository(installed, tmp_path, command):
    message = run(tmp_path, installed / "dmdbt", *command, code=2)
    assert message == "params.yaml: expected a file, got None. Run from the root of the repository.\n"


def test_a_plan_starts_the_package_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert starting() > 0


def test_the_ranges_of_the_package_hold_the_pins():
    exact = pins("requirements.txt")
    del exact["pytest"]  # tests the package, which does not import it
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    ranges = {canonicalize_name(found.name): found.specifier for found in map(Requirement, needed)}
    assert ranges.keys() == exact.keys()
    assert all(version_of(pin) in ranges[name] for name, pin in exact.items())
    assert all({part.operator for part in bounds} == {">=", "<"} for bounds in ranges.values())


def test_the_constraints_are_names_and_versions_only():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert "make lock" in lines[0]
    assert not [line for line in lines[1:] if not re.fullmatch(r"[\w.-]+==[\w.]+", line)]


def test_the_constraints_hold_every_requirement_and_what_is_beneath():
    constraints = pins("constraints.txt")
    direct = pins("requirements.txt", "requirements-dev.txt")
    assert {name: constraints.get(name) for name in direct} == direct
    installed_versions = {name: Version(version.public) for name, version in beneath(direct.values()).items()}
    assert {name: version_of(pin) for name, pin in constraints.items() if name in installed_versions} == (
        installed_versions
    )
