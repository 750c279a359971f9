import json

import pytest

from dmdbt import params
from dmdbt.__main__ import SETTINGS, main
from tests.support import ROOT


def test_settings_are_printed_as_options_of_dvc(capsys):
    assert main(["settings", "paper"]) == 0
    options = capsys.readouterr().out.split()
    assert options[::2] == ["-S"] * (len(options) // 2)
    assert {"features.size.resnet=832", "split.test_folds=[0]", "train.epochs=100"} <= set(options)


@pytest.mark.parametrize("path", sorted(SETTINGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_setting_changes_the_demo_into_valid_parameters(path):
    for section in params.SECTIONS.values():
        params.read(section, ROOT / "params.yaml", path)


def test_an_unknown_setting_is_refused_with_the_known_ones(capsys):
    with pytest.raises(SystemExit):
        main(["settings", "hospital"])
    assert "choose from" in capsys.readouterr().err


def test_the_schema_of_the_parameters_is_printed(capsys):
    assert main(["settings", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out) == params.json_schema()


def test_outside_a_repository_a_prediction_asks_for_a_bundle(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["predict", "--dm", "dm.dcm", "--output", "out"]) == 2
    assert capsys.readouterr().err.startswith("--model: expected a bundle, or a repository")
    assert not any(tmp_path.iterdir())


def test_a_repository_that_has_trained_nothing_tells_why_it_is_asked(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    assert main(["predict", "--dm", "dm.dcm", "--output", "out"]) == 5
    printed = capsys.readouterr().err
    assert "E-EXPORT-STATUS" in printed
    assert "Without --model, the bundle is made of what is trained in this folder." in printed
