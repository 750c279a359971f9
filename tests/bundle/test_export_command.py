import pytest

from dmdbt.__main__ import main
from tests.support.clones import call


@pytest.mark.system
def test_outside_a_repository_of_dvc_nothing_is_exported(trained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(trained.root)
    assert main(["export", str(tmp_path / "bundle")]) == 5
    assert "E-EXPORT-STATUS" in capsys.readouterr().err
    assert not (tmp_path / "bundle").exists()


@pytest.mark.system
def test_results_of_other_parameters_are_not_exported(tmp_path, monkeypatch, capsys):
    call(tmp_path, "git", "init", "-q")
    call(tmp_path, "dvc", "init", "-q")
    (tmp_path / "params.yaml").write_text("backbones: {names: [alexnet], resnet_depth: 18, weights: imagenet}\nn: 1\n")
    stage = "{matrix: {backbone: [alexnet]}, cmd: 'echo ${item.backbone} > out', params: [n], outs: [out]}"
    (tmp_path / "dvc.yaml").write_text(f"stages:\n  ensemble: {stage}\n")
    call(tmp_path, "dvc", "repro", "-q")
    text = (tmp_path / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(text.replace("n: 1", "n: 2"))
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(tmp_path / "bundle")]) == 5
    printed = capsys.readouterr().err
    assert "E-EXPORT-STALE" in printed
    assert "ensemble@alexnet" in printed


def test_the_schema_needs_no_repository(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["export", "--schema"]) == 0
    assert '"dmdbt bundle"' in capsys.readouterr().out
    assert main(["export"]) == 2
