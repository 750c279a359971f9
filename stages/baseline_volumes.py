"""Bring every volume to the few slices, rows and columns that a 3-D network takes."""

from pathlib import Path

from dmdbt import params
from dmdbt.cohort import read_table
from dmdbt.running import make_items
from dmdbt.steps.baseline_volumes import baseline_volumes_step
from stages._entry import run


def main(cases: Path, slices: Path, output: Path, features: params.Features, settings: params.Baselines) -> None:
    """Write ``dbt/<case>.h5`` for every case that has a volume."""
    make_items(output, baseline_volumes_step(read_table(cases), slices, features, settings))


if __name__ == "__main__":
    run(main)
