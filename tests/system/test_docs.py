"""What the documentation names is there."""

import ast
import re

import pytest

from dmdbt.terms import FLAGS
from tests.support import ROOT
from tests.system.test_layout import FLOORS

FAULTS = (ROOT / "docs/faults.md").read_text()


def defined_tests():
    """Names of the tests of each file, by its path below tests/."""
    files = {path.relative_to(ROOT / "tests").as_posix(): path for path in (ROOT / "tests").rglob("test_*.py")}
    trees = {name: ast.parse(path.read_text()) for name, path in files.items()}
    return {name: {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)} for name, tree in trees.items()}


def test_every_test_that_the_table_of_faults_names_exists():
    names = set(re.findall(r"\b(test_[a-z0-9_]{20,})\b(?!\.py)", FAULTS))
    known = defined_tests()
    assert len(names) > 50
    assert names - set().union(*known.values()) == set()
    for line in FAULTS.splitlines():
        file = None
        for named, name in re.findall(r"`([a-z_/]*test_[a-z_]+\.py)?::(test_\w+)`", line):
            file = named or file  # without a file, the one before it
            assert name in known[file], f"{file}::{name}"


def test_every_file_that_the_table_of_faults_names_exists():
    for name in set(re.findall(r"([a-z_/]*(?:test_|avi_)[a-z_]+\.py)\b", FAULTS)):
        assert (ROOT / "tests" / name.removeprefix("tests/")).is_file(), name


def test_every_code_and_every_flag_is_in_the_table_of_faults():
    sources = {path: path.read_text() for path in (ROOT / "dmdbt").rglob("*.py")}
    raised = r'(?:InputDataError|IntegrityError|TableError|_error)\(\s*(?:[\w.]+, )?"([A-Z]+(?:-[A-Z0-9]+)*)"'
    codes = {code for text in sources.values() for code in re.findall(raised, text)}
    codes |= {code for text in sources.values() for code in re.findall(r'"([A-Z]{2,}(?:-[A-Z]{2,})+)"', text)}
    codes -= {"JPEG-LS", "BCS-DBT", "DM-DBT"}  # no codes of errors
    assert len(codes) > 100
    assert {code for code in codes if not re.search(rf"\b(?<!-){code}\b(?!-)", FAULTS)} == set()
    assert {flag for flag in FLAGS if not re.search(rf"[`-]{flag}`", FAULTS)} == set()


def test_no_placeholder_stands_in_the_documents():
    for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        assert not re.search(r"\b[A-Z]{4,}LINE\b(?!-)|\bTODO\b|\bXXX\b", path.read_text()), path


@pytest.mark.parametrize("path", ["README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))])
def test_every_link_to_a_file_leads_to_one(path):
    for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / path).read_text()):
        assert (ROOT / path).parent.joinpath(target).exists(), target


def test_the_map_in_the_readme_names_every_room():
    lines = (ROOT / "README.md").read_text().split("| rooms of `dmdbt/`")[1].split("\n\n")[0].splitlines()[2:]
    named = [name for line in lines for name in re.findall(r"`(\w+)`", line.split("|")[1])]
    assert sorted(named) == sorted(path.parent.name for path in (ROOT / "dmdbt").glob("*/__init__.py"))


def test_the_floors_of_the_architecture_are_those_of_the_code():
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", (ROOT / "docs/architecture.md").read_text(), re.MULTILINE)
    told = {f"dmdbt/{name}": int(floor) for floor, names in rows for name in re.findall(r"`([\w/.]+)`", names)}
    told["stages"] = told.pop("dmdbt/stages")
    steps = {name: floor for name, floor in FLOORS.items() if name.startswith("dmdbt/steps/")}
    assert {floor for name, floor in steps.items() if name not in told} == {told.pop("dmdbt/steps")}
    assert told == {name: floor for name, floor in FLOORS.items() if name in told or name not in steps}


def test_every_flag_has_a_meaning_and_is_raised_somewhere():
    code = "".join(path.read_text() for path in (ROOT / "dmdbt").rglob("*.py") if path.name != "terms.py")
    assert [flag for flag in FLAGS if not re.search(f'["-]{flag}"', code.replace("_", "-"))] == []
    lines = re.findall(r"flags? ((?:`[a-z0-9*-]+`(?:, | and )?)+)", FAULTS)
    documented = {re.sub(r"^(dm|dbt|\*)-", "", flag) for line in lines for flag in re.findall("`([^`]+)`", line)}
    assert len(documented) > 20
    assert documented <= FLAGS.keys()
