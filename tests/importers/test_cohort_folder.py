"""What every import does, whatever the set: problems, interruptions, copies and links."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from dmdbt import importers
from dmdbt.__main__ import main
from dmdbt.cohort import Case, Statement
from dmdbt.errors import InputDataError, SystemResourceError
from dmdbt.importers.cohort_folder import Findings, Pair, Transfer, build_cohort
from dmdbt.terms import Label, Laterality, View
from tests.support.public_sets import rows, write_tsynth

FOR_PROCESSING, CT = "1.2.840.10008.5.1.4.1.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2"
TEXTS = {"about": "", "statement": Statement(simulated=True, source="a set", label_rule="a rule")}


def test_every_problem_is_told_at_once_and_the_rest_is_imported_on_request(tmp_path, capsys):
    source, target = tmp_path / "source", tmp_path / "cohort"
    write_tsynth(source, 1)
    write_tsynth(source, 2, lesion=True)
    _, dm, _ = write_tsynth(source, 3)
    (dm / "projection_DM3.raw").write_bytes(b"short")
    dbt, _, _ = write_tsynth(source, 5)
    (dbt / "reconstruction5.raw").unlink()
    assert main(["import", "tsynth", str(source), str(target)]) == 3
    errors = capsys.readouterr().err
    assert "found 3 problems and 1 usable pairs" in errors
    assert "reconstruction2.mhd: expected no lesion (.loc), for its id is even" in errors or "projection_DM2" in errors
    assert "expected 1920 bytes for 2 images of 10 x 24, found 5" in errors
    assert "E-TSYNTH-RAW" in errors
    assert str(tmp_path) not in errors
    assert main(["import", "tsynth", str(source), str(target), "--incomplete"]) == 0
    assert len(rows(target)) == 1
    assert "Problem: " in (target / "README.txt").read_text()


def test_an_interrupted_import_goes_on_and_links_stay_in_the_folder(tmp_path):
    source, target = tmp_path / "source", tmp_path / "cohort"
    dbt, _, _ = write_tsynth(source, 1)
    write_tsynth(source, 2)
    assert main(["import", "tsynth", str(source), str(target)]) == 0
    folder = target / "tsynth-1.06-fatty-5.0-1"
    assert (folder / "dbt.raw").samefile(dbt / "reconstruction1.raw")
    assert not any(path.is_symlink() for path in target.rglob("*"))
    content = {path: path.read_bytes() for path in target.rglob("*.*") if path.is_file()}

    (target / "cases.csv").unlink()
    (folder / "dm.png").unlink()
    (folder / ".dm.123456.tmp.png").write_bytes(b"of a killed import")
    kept = {path: path.stat().st_ino for path in target.rglob("dbt.mhd")}
    assert main(["import", "tsynth", str(source), str(target)]) == 0
    assert {path: path.stat().st_ino for path in target.rglob("dbt.mhd")} == kept
    assert {path: path.read_bytes() for path in target.rglob("*.*") if path.is_file()} == content

    (target / ".dmdbt-import").write_text("of another version")
    (folder / "dm.png").write_bytes(b"made otherwise")
    status = next(source.rglob("projection_DM1.raw")).stat()
    os.utime(folder / "dm.png", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert main(["import", "tsynth", str(source), str(target), "--copy"]) == 0
    assert not (folder / "dbt.raw").samefile(dbt / "reconstruction1.raw")
    assert {path: path.read_bytes() for path in target.rglob("*.*") if path.is_file()} == content


@pytest.mark.mutation
def test_an_import_that_is_killed_at_random_leaves_whole_files_and_goes_on(tmp_path, pytestconfig):
    source, target, other = tmp_path / "source", tmp_path / "cohort", tmp_path / "other"
    for phantom in range(1, 9):
        write_tsynth(source, phantom)
    assert main(["import", "tsynth", str(source), str(other), "--copy"]) == 0
    expected = {path.relative_to(other): path.read_bytes() for path in other.rglob("*.*") if path.is_file()}
    rng = np.random.default_rng(0)
    command = [sys.executable, "-m", "dmdbt", "import", "tsynth", str(source), str(target), "--copy"]
    stamp = target / ".dmdbt-import"
    for _ in range(pytestconfig.getoption("--kills")):
        stamp.unlink(missing_ok=True)  # what is made is made again
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
            while running.poll() is None and not stamp.exists():
                time.sleep(0.0005)
            time.sleep(rng.uniform(0, 0.03))
            running.kill()
        found = {path.relative_to(target): path.read_bytes() for path in target.rglob("*.*") if path.is_file()}
        whole = {path: content for path, content in found.items() if ".tmp" not in path.name}
        assert whole == {path: expected[path] for path in whole}
    assert main(["import", "tsynth", str(source), str(target), "--copy"]) == 0
    assert {path.relative_to(target): path.read_bytes() for path in target.rglob("*.*") if path.is_file()} == expected


def test_a_full_disk_ends_the_import_and_says_so(tmp_path):
    def make(*_):
        raise OSError(28, "No space left on device")

    (tmp_path / "a").write_bytes(b"a")
    case = Case("x", "p", Laterality.LEFT, View.CC, Label.BENIGN, "x/a", "")
    findings = Findings(pairs=[Pair(case, (Transfer(tmp_path / "a", "x/a", make),))])
    with pytest.raises(SystemResourceError, match="expected room for x/a, found a full disk"):
        build_cohort(tmp_path / "cohort", findings, copy=False, incomplete=True, **TEXTS)
    with pytest.raises(InputDataError, match="E-IMPORT .*found 0 problems and 0 usable pairs"):
        build_cohort(tmp_path / "cohort", Findings(), copy=False, incomplete=True, **TEXTS)


def test_a_file_that_cannot_be_written_is_a_problem(tmp_path, capsys):
    source, target = tmp_path / "source", tmp_path / "cohort"
    write_tsynth(source, 1)
    (target / "tsynth-1.06-fatty-5.0-1" / "dbt.raw" / "in the way").mkdir(parents=True)
    assert main(["import", "tsynth", str(source), str(target)]) == 3
    assert "tsynth-1.06-fatty-5.0-1: reconstruction1.raw: " in (errors := capsys.readouterr().err)
    assert str(tmp_path) not in errors


SHARED_MEMORY = Path("/dev/shm")


@pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason="there is no second file system")
def test_files_of_another_file_system_are_copied(tmp_path):
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY) as other:
        source = Path(other) / "source"
        write_tsynth(source, 1)
        assert main(["import", "tsynth", str(source), str(tmp_path / "cohort")]) == 0
        raw = next(source.rglob("reconstruction1.raw")).read_bytes()
    assert next((tmp_path / "cohort").rglob("dbt.raw")).read_bytes() == raw


def test_an_interrupt_ends_with_exit_code_130(tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(importers, "build_cohort", interrupted)
    write_tsynth(tmp_path / "source", 1)
    assert main(["import", "tsynth", str(tmp_path / "source"), str(tmp_path / "cohort")]) == 130


@pytest.mark.parametrize("inside", [".", "cohort"])
def test_a_target_inside_the_source_is_refused(tmp_path, capsys, inside):
    assert main(["import", "victre", str(tmp_path), str(tmp_path / inside)]) == 2
    assert "TARGET: expected a folder outside SOURCE" in capsys.readouterr().err
    assert main(["import", "victre", str(tmp_path / "missing"), str(tmp_path)]) == 2
    assert "SOURCE: expected a folder" in capsys.readouterr().err


# BCS-DBT
