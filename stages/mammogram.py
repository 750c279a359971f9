"""Turn every mammogram into a 16-bit PNG of the size that the backbones start from."""

from pathlib import Path

from dmdbt import params
from dmdbt.cohort import read_table
from dmdbt.running import make_items
from dmdbt.steps.mammogram import mammogram_step
from stages._entry import run


def main(cohort: Path, cases: Path, output: Path, settings: params.Mammogram, reading: params.Reading) -> None:
    """Write ``<case>.png`` for every case with a mammogram: the presentation chain, then a square."""
    make_items(output, mammogram_step(read_table(cases), cohort, settings, reading))


if __name__ == "__main__":
    run(main)
