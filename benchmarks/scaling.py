"""Run the paper's full size on a few simulated pairs, and work out what large cohorts cost.

``python -m benchmarks.scaling`` prints the tables of docs/scaling.md. It simulates eight pairs of 3328 x 4096 and
1024 x 1024 x about 100 (four minutes; or takes ``--cohort``), and runs every stage by its own command line with
settings/paper.yaml, AlexNet and ResNet-50, two epochs, and weights of one step of pre-training, which cost what others
do. The start of a stage is what it takes when all is done, or, of training, with one epoch less of steps. Memory as in
benchmarks/memory.py. What is said of larger cohorts and machines is computed.
"""

import argparse
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.memory import ROOT, STAGES, run_stage, yaml
from dmdbt.backbones.architectures import create_classifier, feature_extractor, feature_shape
from dmdbt.cohort import read_table
from dmdbt.heads import HeadSettings, training_bytes
from dmdbt.running import worker_count

BACKBONES = ("alexnet", "resnet")
_CASE_STAGES = ("mammogram", "decode", "rankpool")
COPIES, SIZE, DEPTH, EPOCHS, PAPER_EPOCHS, BATCH = 5, 832, 50, 2, 100, 32
MALIGNANT, TRAINED = 709 / 1124, 0.8  # of the paper's pairs; of a 4:1 split
COHORTS = (1400, 100_000)
# Assumed of an H200 in long runs: products in 16 bits, memory; and cores beside it, which decode and pool.
GPU_FLOPS, GPU_BYTES, GPU_CORES = 150e12, 2.5e12, 16


@dataclass(frozen=True)
class Measured:
    """One stage over the small cohort."""

    stage: str
    unit: str
    units: int
    start: float
    seconds: float
    peak: int

    @property
    def each(self) -> float:
        """Seconds per unit on this machine, without the start of the stage."""
        return (self.seconds - self.start) / self.units


def main() -> None:
    """Print what was measured, then what is computed from it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cohort", type=Path, help="a folder with cases.csv, in place of the simulated one")
    cohort = parser.parse_args().cohort
    with tempfile.TemporaryDirectory() as name:
        measured = measure(Path(name), cohort)
    print("\n| stage | units | start s | seconds a unit | seconds | peak GiB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for m in measured:
        numbers = f"{m.start:.0f} | {m.each:.2f} | {m.seconds:.0f} | {m.peak / 2**30:.1f}"
        print(f"| {m.stage} | {m.units} {m.unit} | {numbers} |")
    columns = [(n_pairs, machine) for n_pairs in COHORTS for machine in ("here", "16 cores", "H200")]
    print("\n| hours | " + " | ".join(f"{n_pairs:,} pairs, {machine}" for n_pairs, machine in columns) + " |")
    print("| --- |" + " ---: |" * len(columns))
    for m in measured:
        cells = [hours(m, n_pairs, machine) / 3600 for n_pairs, machine in columns]
        print(f"| {m.stage} | " + " | ".join(map(_figures, cells)) + " |")


def _figures(number: float) -> str:
    """Two significant figures, without a power of ten."""
    rounded = float(f"{number:.2g}")
    return f"{rounded:,.0f}" if rounded >= 10 else f"{rounded:g}"


def measure(folder: Path, cohort: Path | None) -> list[Measured]:
    """Run all stages."""
    content = yaml.load(ROOT / "params.yaml")
    for section, changes in yaml.load(ROOT / "settings/paper.yaml").items():
        content[section] |= changes
    content["phantom"] |= {"patients": 8, "views_per_patient": 1.0, "dm_rows": 4096, "dm_columns": 3328}
    content["phantom"] |= {"dbt_size": 1024, "slice_spacing_mm": 0.62}
    content["split"] |= {"folds": 3}
    content["backbones"] |= {"weights": "procedural"}
    content["weights"] |= {"batch_size": 8, "steps": dict.fromkeys(BACKBONES, 1)}
    content["train"] |= {"epochs": EPOCHS}
    yaml.dump(content, folder / "params.yaml")
    if cohort is None:
        cohort = folder / "cohort"
        run_stage(folder, "inputs.phantom", f"--output {cohort}")
    n_pairs = len(read_table(cohort / "cases.csv"))
    names = {"cohort": cohort, "weights": folder / "weights.safetensors"}
    found = [_twice(folder, "ingest", STAGES["ingest"].format(folder, **names), n_pairs)]
    run_stage(folder, "split", STAGES["split"].format(folder))
    found += [_twice(folder, stage, STAGES[stage].format(folder, **names), n_pairs) for stage in _CASE_STAGES]
    for backbone in BACKBONES:
        own = names | {"backbone": backbone}
        provenance = f"--provenance {folder}/weights.json"
        run_stage(folder, "inputs.weights", f"--backbone {backbone} --output {own['weights']} {provenance}")
        found.append(_twice(folder, "features", STAGES["features"].format(folder, **own), n_pairs, backbone))
        found.append(_train(folder, content, STAGES["train"].format(folder, **own), n_pairs, backbone))
    return found


def _twice(folder: Path, stage: str, options: str, n_pairs: int, backbone: str = "") -> Measured:
    """A stage from nothing, and again."""
    seconds, peak = run_stage(folder, stage, options, memory_gib="")
    start, _ = run_stage(folder, stage, options, memory_gib="")
    return _told(Measured(f"{stage}@{backbone}".strip("@"), "pairs", n_pairs, start, seconds, peak))


def _train(folder: Path, content: dict[str, Any], options: str, n_pairs: int, backbone: str) -> Measured:
    """Training of two epochs, and of one."""
    runs = []
    for epochs in (EPOCHS, 1):
        changed = content | {"train": content["train"] | {"epochs": epochs}}
        yaml.dump(changed, folder / "params.yaml")
        runs.append(run_stage(folder, "train", options, memory_gib=""))
    (seconds, peak), (less, _) = runs
    start = seconds - EPOCHS * (seconds - less)
    return _told(Measured(f"train@{backbone}", "steps", EPOCHS * epoch_steps(n_pairs, 2 / 3), start, seconds, peak))


def _told(measured: Measured) -> Measured:
    print(f"{measured.stage}: {measured.seconds:.0f} s, {measured.peak / 2**30:.1f} GiB", flush=True)
    return measured


def epoch_steps(n_pairs: int, trained: float) -> int:
    """Batches of one epoch: all copies of the malignant pairs, half of a batch each."""
    return math.ceil(n_pairs * max(MALIGNANT, 1 - MALIGNANT) * trained * COPIES / (BATCH // 2))


def hours(measured: Measured, n_pairs: int, machine: str) -> float:
    """Seconds of a stage of a large cohort: in proportion to units and cores; on an H200 by products and bytes."""
    stage, _, backbone = measured.stage.partition("@")
    units = PAPER_EPOCHS * epoch_steps(n_pairs, TRAINED) if stage == "train" else n_pairs
    here = units * measured.each
    if machine == "here":
        return here
    if machine == "16 cores" or not backbone:
        return here * worker_count() / GPU_CORES
    network = feature_extractor(create_classifier(backbone, DEPTH)).to("meta").eval()
    if stage == "features":
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            network(torch.empty(1, 3, SIZE, SIZE, device="meta"))
        return units * 2 * COPIES * counter.get_total_flops() / GPU_FLOPS
    # Ten times four bytes per weight of a head: three heads of weights and two moments, and one of gradients.
    shape, heads = feature_shape(network, SIZE), HeadSettings(None, (256, 128), 0.5)
    parameters = training_bytes(shape, heads, 0, mixed=False) / 40
    # Forward, backward and Adam read or write each of the three heads' weights, gradients and moments some 11 times.
    return units * 3 * parameters * 11 * 4 / GPU_BYTES


if __name__ == "__main__":
    main()
