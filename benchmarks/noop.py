"""Time a ``dvc repro`` that finds nothing to do, in a large cohort of tiny files.

``python -m benchmarks.noop --pairs 1400 --slices 82``. In a temporary folder, a copy of this repository's files gets a
cohort and all outputs of the pipeline, under the names that the stages give them but with a few bytes in each;
``dvc commit`` records them, and ``dvc repro`` is timed. DVC looks at names, sizes and times of unchanged files, so that
their content does not matter.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from dvc.repo import Repo
from ruamel.yaml import YAML

from dmdbt.cohort import TABLE_NAME, Case, write_table
from dmdbt.terms import Label, Laterality, Modality, View

ROOT = Path(__file__).parents[1]
yaml = YAML(typ="safe", pure=True)
_COHORT = "data/own"
_ROUNDS = 2


def main() -> None:
    """Print the seconds of each round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=1400)
    parser.add_argument("--slices", type=int, default=82, help="per volume")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "project"
        names = _pairs(chosen.pairs)
        _copy_project(folder)
        _fill(folder, names, chosen.slices)
        n_files = sum(1 for path in (folder / "data").rglob("*") if path.is_file())
        seconds = _timed(folder, "dvc", "commit", "--quiet", "--force", "--with-deps", "dvc.yaml")[0]
        print(f"{len(names)} pairs, {chosen.slices} slices: {n_files} files; dvc commit {seconds:.1f} s", flush=True)
        for _ in range(_ROUNDS):
            seconds, output = _timed(folder, "dvc", "repro")
            if "Running stage" in output or "up to date" not in output:
                raise SystemExit(f"dvc repro: expected nothing to run, got\n{output}")
            print(f"dvc repro with nothing to do: {seconds:.1f} s", flush=True)


def _pairs(n_pairs: int) -> list[Case]:
    labels = list(Label)
    return [
        Case(f"P{n:05d}-L-CC", f"P{n:05d}", Laterality.LEFT, View.CC, labels[n % 2], f"dm/{n}.dcm", f"dbt/{n}.avi")
        for n in range(n_pairs)
    ]


def _copy_project(folder: Path) -> None:
    """Copy what git lists, but for results; its cohort is no simulated one."""
    listed = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0"):
        if (ROOT / name).is_file() and not name.startswith("metrics/") and not name.endswith("dvc.lock"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    params = yaml.load(folder / "params.yaml")
    yaml.dump(params | {"cohort": _COHORT}, folder / "params.yaml")
    subprocess.run(("git", "init", "--quiet"), cwd=folder, check=True)


def _fill(folder: Path, cases: list[Case], n_slices: int) -> None:
    """Write the cohort, and all outputs that DVC names: `dvc commit` stops at one that is missing."""
    write_table(folder / _COHORT / TABLE_NAME, cases)
    for case in cases:
        for file in (case.dm, case.dbt):
            _write(folder / _COHORT / file)
    stages = Repo(str(folder)).stage.collect(str(folder / "dvc.yaml"), with_deps=True)
    for path in (Path(out.fs_path) for stage in stages for out in stage.outs):
        if path.suffix:
            _write(path)
            continue
        _write(path / "manifest.json")
        for case in cases:
            for name in _of_case(path.relative_to(folder / "data"), case.case_id, n_slices):
                _write(path / name)


def _of_case(output: Path, case_id: str, n_slices: int) -> list[str]:
    """Names of the files of a case in a folder of data; none, where a folder has no files of cases."""
    kinds = {"examined": ("json",), "mammograms": ("png",), "dynamic": ("png", "json")}
    match output.parts:
        case ["slices"]:
            return [f"{case_id}/manifest.json", *(f"{case_id}/{number:04d}.jpg" for number in range(1, n_slices + 1))]
        case ["features", _]:
            return [f"{modality}/{case_id}.h5" for modality in Modality]
        case ["baselines", "maps", _]:
            return [f"maps/{case_id}.h5"]
        case [name]:
            return [f"{case_id}.{kind}" for kind in kinds.get(name, ())]
    return []


def _write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(path.name, encoding="utf-8")


def _timed(folder: Path, *command: str) -> tuple[float, str]:
    """Seconds, and what the command printed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    start = time.monotonic()
    done = subprocess.run(
        command, cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: expected exit 0, got {done.returncode}\n{done.stdout}{done.stderr}")
    return time.monotonic() - start, done.stdout + done.stderr


if __name__ == "__main__":
    main()
