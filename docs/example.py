"""Make the picture of the README: one pair as the pipeline sees it.

Run from the root after `dvc repro`: ``python -m docs.example P0003-R-CC docs/example.png``. From left to right: the
mammogram, the first, the middle and the last slice of the volume, and its dynamic image.
"""

import sys
from pathlib import Path

import numpy as np

from dmdbt.imaging import read_gray, read_slices, resize, write_gray

_SIZE, _GAP = 256, 8


def main(case: str, output: str) -> None:
    """Put the images of a case side by side."""
    slices = read_slices(Path("data/slices") / case)
    mammogram = read_gray(Path("data/mammograms") / f"{case}.png") / 257  # 16 to 8 bits
    dynamic = read_gray(Path("data/dynamic") / f"{case}.png")
    images = [mammogram, slices[0], slices[len(slices) // 2], slices[-1], dynamic]
    gap = np.full((_SIZE, _GAP), 255.0, np.float32)
    tiles = [tile for image in images for tile in (resize(image, _SIZE, _SIZE), gap)][:-1]
    write_gray(Path(output), np.rint(np.hstack(tiles)).astype(np.uint8))


if __name__ == "__main__":
    main(*sys.argv[1:])
