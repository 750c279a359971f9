"""Hold the peak memory of the stages in a small cohort against that in a large one.

``python -m benchmarks.memory --pairs 40 400``, in two minutes. The cohorts repeat the files of a few simulated patients
under new names, in the demo's sizes; every stage runs by its own command line in temporary folders, training with the
features streamed from disk (``DMDBT_MEMORY_GIB=0``). Memory is the kernel's own peak of every process of a stage
(VmHWM), added up over those alive at one time: pages that processes share count more than once.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import psutil
from ruamel.yaml import YAML

from dmdbt.cohort import read_table, write_quarantine, write_table

ROOT = Path(__file__).parents[1]
yaml = YAML(typ="safe", pure=True)
_PATIENTS = 6
_BACKBONE = "alexnet"
_INTERVAL = 0.05  # seconds; only what a process takes in its last interval escapes
# In the order of the pipeline; what is not measured makes what others read.
STAGES = {
    "ingest": "--cohort {cohort} --missing-modality forbid --cases {0}/cases.csv --examined {0}/examined "
    "--metrics {0}/cohort.json --quarantine {0}/quarantine.csv",
    "split": "--cases {0}/cases.csv --output {0}/split.csv",
    "mammogram": "--cohort {cohort} --cases {0}/cases.csv --output {0}/mammograms",
    "decode": "--cohort {cohort} --cases {0}/cases.csv --examined {0}/examined --output {0}/slices",
    "rankpool": "--cases {0}/cases.csv --slices {0}/slices --quarantine {0}/quarantine.csv --output {0}/dynamic "
    "--metrics {0}/rankpool.json",
    "features": "--backbone {backbone} --cases {0}/cases.csv --mammograms {0}/mammograms --dynamic {0}/dynamic "
    "--weights {weights} --output {0}/features",
    "train": "--backbone {backbone} --cases {0}/cases.csv --split {0}/split.csv --features {0}/features "
    "--models {0}/models --probabilities {0}/probabilities.csv --copies {0}/copies.csv --losses {0}/history.csv",
}
_MEASURED = ("mammogram", "decode", "rankpool", "features", "train")


def main() -> None:
    """Print the peak of every stage in both cohorts, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, nargs=2, default=[40, 400], metavar=("FEW", "MANY"))
    few, many = parser.parse_args().pairs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _prepare(folder)
        peaks = {n_pairs: _peaks(folder, n_pairs) for n_pairs in (few, many)}
    print(f"| stage | {few} pairs, MiB | {many} pairs, MiB | ratio |\n| --- | ---: | ---: | ---: |")
    for stage in _MEASURED:
        low, high = peaks[few][stage] / 2**20, peaks[many][stage] / 2**20
        print(f"| {stage} | {low:.0f} | {high:.0f} | {high / low:.2f} |")


def _prepare(folder: Path) -> None:
    """Simulate a few patients, and make weights of one step: what they are worth does not matter."""
    params = yaml.load(ROOT / "params.yaml")
    params["phantom"] |= {"patients": _PATIENTS, "views_per_patient": 2.0}
    params["weights"]["steps"][_BACKBONE] = 1
    params["train"]["epochs"] = 1
    yaml.dump(params, folder / "params.yaml")
    run_stage(folder, "inputs.phantom", f"--output {folder}/cohort")
    run_stage(folder, "ingest", STAGES["ingest"].format(folder, cohort=folder / "cohort"))
    provenance = f"--provenance {folder}/weights.json"
    run_stage(folder, "inputs.weights", f"--backbone {_BACKBONE} --output {folder}/weights.safetensors {provenance}")


def _peaks(folder: Path, n_pairs: int) -> dict[str, int]:
    simulated = read_table(folder / "cohort/cases.csv")
    cases = [simulated[n % len(simulated)] for n in range(n_pairs)]
    named = [replace(case, case_id=f"C{n:05d}", patient_id=f"P{n:05d}") for n, case in enumerate(cases)]
    own = folder / str(n_pairs)
    write_table(own / "cases.csv", named)
    write_quarantine(own / "quarantine.csv", [])
    # `ingest` refuses the same pixels under two patients: the files were examined under their own names.
    (own / "examined").mkdir()
    for case, name in zip(cases, named, strict=True):
        shutil.copyfile(folder / f"examined/{case.case_id}.json", own / f"examined/{name.case_id}.json")
    names = {"cohort": folder / "cohort", "backbone": _BACKBONE, "weights": folder / "weights.safetensors"}
    after_ingest = {stage: options for stage, options in STAGES.items() if stage != "ingest"}
    return {stage: run_stage(folder, stage, options.format(own, **names))[1] for stage, options in after_ingest.items()}


def run_stage(folder: Path, stage: str, options: str, *, memory_gib: str = "0") -> tuple[float, int]:
    """Run a stage with the parameters of a folder; return its seconds and its peak memory in bytes."""
    command = [sys.executable, "-m", f"stages.{stage}", *options.split(), "--params", str(folder / "params.yaml")]
    start = time.monotonic()
    with (folder / f"{stage}.log").open("w+", encoding="utf-8") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | {"DMDBT_MEMORY_GIB": memory_gib}, stdout=log, stderr=subprocess.STDOUT
        )
        peak = 0
        while process.poll() is None:
            peak = max(peak, _tree_peak(process.pid))
            time.sleep(_INTERVAL)
        log.seek(0)
        if process.returncode:
            raise SystemExit(f"stages.{stage}: expected exit 0, got {process.returncode}\n{log.read()}")
    return time.monotonic() - start, peak


def _tree_peak(pid: int) -> int:
    """Bytes; the sum of the peaks of a process and of its descendants that are alive."""
    try:
        root = psutil.Process(pid)
        return sum(_peak(process.pid) for process in (root, *root.children(recursive=True)))
    except psutil.NoSuchProcess:
        return 0


def _peak(pid: int) -> int:
    """Peak of the resident set of one process; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main()
