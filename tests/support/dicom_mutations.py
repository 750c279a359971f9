"""Damage DICOM files at random and read them: ``python -m tests.dicom_mutations FILE FIRST LAST``.

Prints one line for each seed: ``refused CODE``, or ``read`` and the shape of the result. A process of its own, for a
native decoder may end it; the test then knows the seed.
"""

import sys
from pathlib import Path

import numpy as np

from dmdbt.errors import InputDataError
from dmdbt.readers import Limits, read_mammogram
from dmdbt.readers.dicom import BtoVolume

_HEADER = 2000  # bytes; what comes before them is header in all of our files, and damage there tells most


def mutate(content, seed):
    """Change a few bytes, blank, remove, repeat or insert some, or cut the file off."""
    rng = np.random.default_rng(seed)
    damaged = bytearray(content)
    end = len(content) if rng.random() < 0.6 else min(_HEADER, len(content))
    for _ in range(rng.integers(1, 4)):
        start = int(rng.integers(128, end))
        size = int(rng.integers(1, 40))
        kind = rng.integers(0, 7)
        if kind <= 2:
            for place in rng.integers(128, min(end, len(damaged)), rng.integers(1, 9)):
                damaged[place] = int(rng.integers(0, 256)) if kind else damaged[place] ^ (1 << int(rng.integers(0, 8)))
        elif kind == 3:
            damaged[start : start + size] = bytes([int(rng.choice([0, 255]))]) * len(damaged[start : start + size])
        elif kind == 4:
            del damaged[start : start + size]
        elif kind == 5:
            damaged[start:start] = damaged[start : start + size]
        elif rng.random() < 0.3:
            del damaged[start:]
    return bytes(damaged)


def read(path, is_volume):
    """Shape of what a reader gives, (T, H, W) or (H, W), and the one that it announced."""
    if not is_volume:
        return read_mammogram(path).pixels.shape
    with BtoVolume(path, Limits()) as volume:
        slices = np.stack(list(volume))
        assert slices.shape == (volume.n_slices, volume.rows, volume.columns)
        return slices.shape


def main(file, first, last):
    content = Path(file).read_bytes()
    path = Path(file).with_suffix(".damaged")
    for seed in range(int(first), int(last)):
        print(seed, end=" ", flush=True)
        path.write_bytes(mutate(content, seed))
        try:
            print("read", *read(path, Path(file).stem.startswith("volume")), flush=True)
        except InputDataError as error:
            print("refused", error.code, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
