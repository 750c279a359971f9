"""Measure ways to compress feature maps, on one thread.

``python -m benchmarks.store`` after ``dvc repro`` prints a table of docs/benchmarks.md. Maps of the demo, and maps of
AlexNet at 832 pixels; files are composed in memory as `dmdbt.features.store` does and read from the page cache.
"""

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import torch

from dmdbt import params
from dmdbt.backbones import build_backbone
from dmdbt.features import extract, read_features
from dmdbt.imaging import read_gray, resize

_DATA = Path("data")
_LARGE = 832
_ROUNDS = 3
_BLOSC = hdf5plugin.Blosc
_WAYS: dict[str, Mapping[str, Any]] = {
    "none": {},
    "gzip 1, bytes shuffled": {"compression": "gzip", "compression_opts": 1, "shuffle": True},
    "LZF, bytes shuffled": {"compression": "lzf", "shuffle": True},
    "Blosc LZ4 5, bytes shuffled": _BLOSC(cname="lz4", clevel=5, shuffle=_BLOSC.SHUFFLE),
    "Blosc LZ4 5, bits shuffled": _BLOSC(cname="lz4", clevel=5, shuffle=_BLOSC.BITSHUFFLE),
    "Blosc Zstandard 1, bytes shuffled": _BLOSC(cname="zstd", clevel=1, shuffle=_BLOSC.SHUFFLE),
}


def main() -> None:
    """Print a table with a line per way and kind of maps."""
    torch.set_num_threads(1)
    print("| maps | compression | size | writing, MB/s | reading, MB/s |\n| --- | --- | ---: | ---: | ---: |")
    for kind, maps in {"demo": _demo(), f"AlexNet, {_LARGE}": _large()}.items():
        for name, options in _WAYS.items():
            print(f"| {kind} | {name} | {_measured(maps, options)} |", flush=True)


def _demo() -> list[np.ndarray]:
    """Some maps of every backbone."""
    folders = [_DATA / "features" / name for name in params.read(params.Backbones).names]
    return [read_features(path)[0] for folder in folders for path in sorted(folder.glob("*/*.h5"))[::40]]


def _large() -> list[np.ndarray]:
    network = build_backbone("alexnet", _DATA / "weights/alexnet.safetensors")
    images = [read_gray(path) for folder in ("mammograms", "dynamic") for path in _first(_DATA / folder, 3)]
    grays = [resize(image, _LARGE, _LARGE) / np.iinfo(image.dtype).max for image in images]
    return [extract(network, [gray], params.read(params.Features).augmentations)[0] for gray in grays]


def _first(folder: Path, count: int) -> Sequence[Path]:
    return sorted(folder.glob("*.png"))[:count]


def _measured(maps: Sequence[np.ndarray], options: Mapping[str, Any]) -> str:
    """Size relative to float16, and the best speeds of all rounds."""
    writing = reading = np.inf
    total = sum(array.nbytes for array in maps)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{index}.h5" for index in range(len(maps))]
        for _ in range(_ROUNDS):
            start = time.perf_counter()
            contents = [_composed(array, options) for array in maps]
            writing = min(writing, time.perf_counter() - start)
            for path, content in zip(paths, contents, strict=True):
                path.write_bytes(content)
            start = time.perf_counter()
            for path in paths:
                with h5py.File(path, "r") as file:
                    file["maps"][()]
            reading = min(reading, time.perf_counter() - start)
        size = sum(path.stat().st_size for path in paths) / total
    return f"{size:.2f} | {total / writing / 1e6:.0f} | {total / reading / 1e6:.0f}"


def _composed(maps: np.ndarray, options: Mapping[str, Any]) -> bytes:
    with h5py.File.in_memory(libver=("v110", "v110")) as file:
        file.create_dataset(
            "maps", data=maps, chunks=(1, *maps.shape[1:]), track_times=False, fletcher32=True, **options
        )
        file.flush()
        return file.id.get_file_image()


if __name__ == "__main__":
    os.environ["BLOSC_NTHREADS"] = "1"
    main()
