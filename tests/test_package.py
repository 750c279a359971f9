"""The wheel works without the repository."""

import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]


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


def run(folder, *command):
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def test_the_wheel_has_the_package_its_settings_and_its_templates_alone(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"dmdbt"}
    assert {f"dmdbt/settings/{path.name}" for path in (ROOT / "settings").glob("*.yaml")} <= set(names)
    assert "dmdbt/report/templates/report.html.jinja" in names


def test_the_command_works_without_the_repository(installed, tmp_path):
    assert run(tmp_path, installed / "dmdbt", "--help").startswith("usage: dmdbt ")
    assert re.fullmatch(r"dmdbt \d+\.\d+\.\d+\n", run(tmp_path, installed / "dmdbt", "--version"))
    assert "-S backbones.resnet_depth=50" in run(tmp_path, installed / "dmdbt", "settings", "paper")
    code = "import dmdbt.rankpool, dmdbt.readers; print(dmdbt.__file__)"
    assert str(installed.parent) in run(tmp_path, installed / "python", "-c", code)


def test_the_ranges_of_the_package_hold_the_pins():
    pins = [Requirement(line) for line in (ROOT / "requirements.txt").read_text().splitlines() if "==" in line]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    ranges = {found.name: found.specifier for found in map(Requirement, project["dependencies"])}
    versions = {pin.name: Version(str(pin.specifier).removeprefix("==")) for pin in pins if pin.name != "pytest"}
    assert ranges.keys() == versions.keys()
    assert all(version in ranges[name] for name, version in versions.items())


def test_the_constraints_hold_every_requirement():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {line.lower() for line in lines if not line.startswith("#")}
    named = [*(ROOT / "requirements.txt").read_text().splitlines()]
    named += (ROOT / "requirements-dev.txt").read_text().splitlines()
    wanted = {line.lower() for line in named if "==" in line}
    assert wanted <= pinned
    assert not [line for line in pinned if not re.fullmatch(r"[\w.-]+==[\w.]+", line)]
