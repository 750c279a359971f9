import re
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from dmdbt import params
from dmdbt.__main__ import main as dmdbt_main
from dmdbt.entry import run
from dmdbt.errors import IntegrityError
from dmdbt.terms import MissingModality
from tests.support import ROOT


def call(monkeypatch, main, *arguments):
    monkeypatch.setattr(sys, "argv", ["stage", *map(str, arguments)])
    run(main)


def params_file(tmp_path, rate="1.0e-3"):
    path = tmp_path / "params.yaml"
    path.write_text(
        f"train: {{epochs: 2, batch_size: 4, learning_rate: {rate}, schedule: cosine, precision: float32, seed: 0}}"
    )
    return path


def test_paths_come_from_the_command_line_and_sections_from_the_file(monkeypatch, tmp_path):
    seen = {}

    def main(backbone: str, output: Path, settings: params.Train) -> None:
        seen.update(backbone=backbone, output=output, settings=settings)

    call(monkeypatch, main, "--backbone", "alexnet", "--output", "a/b", "--params", params_file(tmp_path))
    assert seen == {
        "backbone": "alexnet",
        "output": Path("a/b"),
        "settings": params.Train(
            epochs=2, batch_size=4, learning_rate=1e-3, schedule="cosine", precision="float32", seed=0
        ),
    }


@dataclass(frozen=True)
class Inputs:
    first: Path
    second: Path


@dataclass(frozen=True)
class Sections:
    train: params.Train
    split: params.Split


def test_a_dataclass_stands_for_its_fields_and_a_key_may_be_given_as_an_option(monkeypatch, tmp_path, capsys):
    seen = {}

    def main(inputs: Inputs, settings: Sections) -> None:
        seen.update(inputs=inputs, settings=settings)

    path = params_file(tmp_path)
    path.write_text(f"{path.read_text()}\nsplit: {{folds: 2, test_folds: [0], seed: 0}}\n")
    paths = ["--first", "a", "--second", "b", "--params", path]
    call(monkeypatch, main, *paths, "--epochs", "7", "--learning-rate", "5e-05", "--test-folds", "[0, 1]")
    assert seen["inputs"] == Inputs(Path("a"), Path("b"))
    assert seen["settings"].split == params.Split(folds=2, test_folds=[0, 1], seed=0)
    assert (seen["settings"].train.epochs, seen["settings"].train.learning_rate) == (7, 5e-5)
    for wrong, said in ((["--seed", "1"], "--seed"), (["--epoch", "7"], "--epoch")):  # two sections have a seed
        with pytest.raises(SystemExit):
            call(monkeypatch, main, *paths, *wrong)
        assert f"unrecognized arguments: {said}" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        call(monkeypatch, main, *paths, "--epochs", "x")
    assert "train.epochs: expected a whole number" in capsys.readouterr().err


def test_a_wrong_parameter_is_printed_and_exits_with_2(monkeypatch, tmp_path, capsys):
    def main(settings: params.Train) -> None:
        raise AssertionError(settings)

    with pytest.raises(SystemExit) as caught:
        call(monkeypatch, main, "--params", params_file(tmp_path, rate="'1e-3'"))
    assert caught.value.code == 2
    assert "train.learning_rate: expected a number from 1e-08 to 1, got '1e-3'. It is text" in capsys.readouterr().err


def test_an_error_is_printed_with_its_notes_and_its_exit_code(monkeypatch, capsys):
    def main() -> None:
        error = IntegrityError("CODE", cause="x", remedy="y")
        error.add_note("and another")
        raise error

    with pytest.raises(SystemExit) as caught:
        call(monkeypatch, main)
    assert caught.value.code == 5
    assert capsys.readouterr().err == "E-CODE case=- file=- cause=x remedy=y\nand another\n"


def test_an_interrupt_exits_with_130(monkeypatch):
    def main() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as caught:
        call(monkeypatch, main)
    assert caught.value.code == 130


@pytest.mark.parametrize("name", ["My Cohort", "a; touch pwned", "$(touch pwned)", "it's"])
def test_the_folder_of_the_cohort_comes_from_the_file_and_from_no_shell(monkeypatch, tmp_path, name):
    seen = []

    def main(cohort: Path, missing_modality: MissingModality) -> None:
        seen.extend([cohort, missing_modality])

    path = tmp_path / "params.yaml"
    YAML().dump({"cohort": name, "missing_modality": "allow"}, path)
    call(monkeypatch, main, "--params", path)
    call(monkeypatch, main, "--params", path, "--cohort", "other")
    assert seen == [Path(name), MissingModality.ALLOW, Path("other"), MissingModality.ALLOW]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("cohort: 5", "cohort: expected the path of a folder, got 5"),
        ("cohort: ''", "cohort: expected the path of a folder, got ''"),
        ("{}", "cohort: expected the path of a folder, got None. Add the key"),
        ("{cohort: a, missing_modality: nope}", "missing_modality: expected forbid or allow, got 'nope'"),
        ("{cohort: a, missing_modality: allow, decode: {quality: 0}}", "decode.quality: expected a whole number"),
        ("{cohort: a, baselines: {names: [x]}}", r"baselines.names\[0\]: expected one of 2d_t3_alex, .*, got 'x'"),
    ],
)
def test_every_value_of_the_file_is_checked_before_any_work(monkeypatch, tmp_path, capsys, content, message):
    def main(cohort: Path, missing_modality: MissingModality) -> None:
        raise AssertionError((cohort, missing_modality))

    (tmp_path / "params.yaml").write_text(content)
    with pytest.raises(SystemExit) as caught:
        call(monkeypatch, main, "--params", tmp_path / "params.yaml")
    assert caught.value.code == 2
    assert re.search(message, capsys.readouterr().err)


def test_of_very_many_problems_of_a_table_every_command_prints_some(tmp_path, capsys):
    header, rows = "patient_id,laterality,view,label,dm,dbt\n", "".join(f"p/{n},L,CC,benign,a,b\n" for n in range(1000))
    (tmp_path / "cases.csv").write_text(header + rows)
    for command in (["doctor"], ["plan", "--cohort"]):
        assert dmdbt_main([*command, str(tmp_path)]) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 202
        assert re.fullmatch(r"\.\.\. and 80[01] more", lines[-1])


def test_of_very_many_notes_some_are_printed(monkeypatch, capsys):
    def main() -> None:
        error = IntegrityError("CODE", cause="x", remedy="y")
        for number in range(1000):
            error.add_note(f"note {number}")
        raise error

    with pytest.raises(SystemExit):
        call(monkeypatch, main)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 202
    assert lines[-1] == "... and 800 more"


@dataclass(frozen=True)
class Documented:
    """What is read.

    Attributes
    ----------
    cases, split
        Tables of the pairs and of their folds.
    """

    cases: Path
    split: Path


def test_the_help_of_an_option_is_what_the_docstring_says_of_it(monkeypatch, capsys):
    def main(inputs: Documented, output: Path) -> None:
        """Do something.

        Parameters
        ----------
        inputs
            See there.
        output
            The file to write: 95 % of it
            on two lines.

        Raises
        ------
        ValueError
            Never.
        """
        raise AssertionError((inputs, output))

    with pytest.raises(SystemExit):
        call(monkeypatch, main, "--help")
    text = " ".join(capsys.readouterr().out.split())
    assert "Do something. options:" in text
    assert "--output OUTPUT The file to write: 95 % of it on two lines." in text
    assert "--split SPLIT Tables of the pairs and of their folds." in text


def test_an_unknown_backbone_is_refused_before_any_work(monkeypatch, tmp_path, capsys):
    content = YAML().load(ROOT / "params.yaml")
    content["backbones"]["names"] = ["alexnt"]
    content["backbones"]["weights"] = "imagenet"
    YAML().dump(content, tmp_path / "params.yaml")

    def main(settings: params.Decode) -> None:
        raise AssertionError(settings)

    with pytest.raises(SystemExit):
        call(monkeypatch, main, "--params", tmp_path / "params.yaml")
    message = "backbones.names[0]: expected a known backbone, got 'alexnt'. Choose one of alexnet, resnet, densenet, "
    assert message in capsys.readouterr().err
