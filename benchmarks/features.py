"""Measure feature extraction beside the bare frozen backbone over the same tensors already in memory.

``python -m benchmarks.features`` after ``dvc repro``, on a CPU. Bare: as many processes of one thread as there are
cores, or one process with all threads, in the memory format that suits it best, whichever is fastest. Extraction: the
stage itself, from PNG files to feature files and books, counted by the times of its files once every worker has
finished two, so that the start of the workers is left out. Both in turns; the best of all rounds.
"""

import argparse
import contextlib
import csv
import io
import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import torch
from torch import Tensor

from dmdbt import params
from dmdbt.backbones import build_backbone
from dmdbt.backbones.architectures import normalize
from dmdbt.cohort import Case, read_table
from dmdbt.features.augment import augmented
from dmdbt.imaging import framed, read_gray
from dmdbt.running import worker_count
from dmdbt.terms import Modality
from stages.features import main as run_stage

_DATA = Path("data")
_IMAGES = {Modality.DM: _DATA / "mammograms", Modality.DBT: _DATA / "dynamic"}
_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
_LARGE = 832  # rows and columns in the paper


def main() -> None:
    """Print a table with a line per backbone and size."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8, help="of one measurement, about")
    parser.add_argument("--large", nargs="*", default=["alexnet", "resnet"], help="backbones to measure at 832 too")
    parser.add_argument("--backbones", nargs="*", default=params.read(params.Backbones).names)
    arguments = parser.parse_args()
    sizes = params.read(params.Features).size
    print("| backbone | size | bare, images/s | as | extraction, images/s | ratio |")
    print("| --- | ---: | ---: | --- | ---: | ---: |")
    for backbone in arguments.backbones:
        large = [_LARGE] if backbone in arguments.large else []
        for size in [params.for_backbone(sizes, backbone, key="features.size"), *large]:
            _print_line(backbone, size, arguments.rounds, arguments.seconds)


def _print_line(backbone: str, size: int, rounds: int, seconds: float) -> None:
    bare: dict[str, float] = {}
    extraction = 0.0
    for _ in range(rounds):
        for name, rate in _bare_rates(backbone, size, seconds):
            bare[name] = max(rate, bare.get(name, 0))
        extraction = max(extraction, _stage_rate(backbone, size, seconds * max(bare.values())))
    best = max(bare, key=bare.__getitem__)
    ratio = extraction / bare[best]
    print(f"| {backbone} | {size} | {bare[best]:.2f} | {best} | {extraction:.2f} | {ratio:.3f} |", flush=True)


def _bare_rates(backbone: str, size: int, seconds: float) -> Iterator[tuple[str, float]]:
    """Images (with all their copies) per second of every way to run the backbone."""
    for processes, threads in ((worker_count(), 1), (1, worker_count())):
        for name, at_once in product(_FORMATS, (1, None)):
            with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
                list(pool.map(_warm_up, range(processes), chunksize=1))  # starts every process
                futures = [
                    pool.submit(_bare_rate, backbone, size, threads, name, at_once, seconds / 2)
                    for _ in range(processes)
                ]
                copies = "one copy" if at_once else "all copies"
                yield (
                    f"{processes} x {threads} threads, {name}, {copies} at once",
                    sum(future.result() for future in futures),
                )


def _warm_up(_: int) -> None:
    time.sleep(1)  # so that no process takes two


@torch.inference_mode()
def _bare_rate(
    backbone: str, size: int, threads: int, memory_format: str, at_once: int | None, seconds: float
) -> float:
    torch.set_num_threads(threads)
    network = _build(backbone).to(memory_format=_FORMATS[memory_format])
    batches = [
        [part.contiguous(memory_format=_FORMATS[memory_format]) for part in batch.split(at_once or len(batch))]
        for batch in _batches(size)
    ]
    network(batches[0][0])
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        for part in batches[count % len(batches)]:
            network(part)
        count += 1
    return count / (time.perf_counter() - start)


def _build(backbone: str) -> torch.nn.Module:
    depth = params.read(params.Backbones).resnet_depth
    return build_backbone(backbone, _DATA / f"weights/{backbone}.safetensors", resnet_depth=depth)


def _batches(size: int) -> list[Tensor]:
    """Return what the stage puts into a backbone: the copies of each of a few images."""
    copies = params.read(params.Features).augmentations
    found = [folder / f"{case.case_id}.png" for case in _cases()[:2] for folder in _IMAGES.values()]
    grays = []
    for image in map(read_gray, found):
        grays.append(framed(image[None], rows=size, columns=size, crop=True)[0])
    return [augmented(normalize(torch.from_numpy(gray)[None, None]), copies) for gray in grays]


def _cases() -> list[Case]:
    return read_table(_DATA / "cases.csv")


def _stage_rate(backbone: str, size: int, n_images: float) -> float:
    """Images per second of the stage, by the times of its files; the first two of every worker are left out."""
    settings = replace(params.read(params.Features), size={backbone: size})
    first = 2 * worker_count()
    os.environ["DMDBT_REDO"] = "1"  # or DVC's cache would give what the pipeline has computed
    with tempfile.TemporaryDirectory(dir=_DATA) as name:
        folder = Path(name)
        _write_cases(folder / "cases.csv", max(2 * first, round(n_images)) // len(Modality))
        with contextlib.redirect_stdout(io.StringIO()):
            run_stage(
                backbone=backbone,
                cases=folder / "cases.csv",
                mammograms=_IMAGES[Modality.DM],
                dynamic=_IMAGES[Modality.DBT],
                weights=_DATA / f"weights/{backbone}.safetensors",
                output=folder / "features",
                backbones=params.read(params.Backbones),
                settings=settings,
            )
        times = sorted(path.stat().st_mtime_ns for path in folder.glob("features/*/*.h5"))
    return (len(times) - first) / (times[-1] - times[first - 1]) * 1e9


def _write_cases(path: Path, n_cases: int) -> None:
    """Write the first rows of the table of cases."""
    with (_DATA / "cases.csv").open(newline="", encoding="utf-8") as source:
        rows = list(csv.reader(source))
    with path.open("w", newline="", encoding="utf-8") as target:
        csv.writer(target, lineterminator="\n").writerows(rows[: n_cases + 1])


if __name__ == "__main__":
    main()
