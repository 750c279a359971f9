"""Decode every tomosynthesis volume to JPEG slices."""

from functools import partial
from pathlib import Path

from dmdbt import params
from dmdbt.cohort import read_table
from dmdbt.running import make_items
from dmdbt.steps.decode import decode_step, examined_shape
from stages._entry import run


def main(
    cohort: Path, cases: Path, examined: Path, output: Path, settings: params.Decode, reading: params.Reading
) -> None:
    """Write a folder ``<case>`` of slices for every case with a volume; `examined` tells how large they are."""
    shape = partial(examined_shape, examined=examined)
    make_items(output, decode_step(read_table(cases), cohort, settings, reading, shape=shape))


if __name__ == "__main__":
    run(main)
