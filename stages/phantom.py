"""Simulate the cohort of the demo: patients, imaged by physics and written as a clinic's files."""

from pathlib import Path

from dmdbt import params
from dmdbt.steps.phantom import simulate_cohort
from stages._entry import run


def main(output: Path, settings: params.Phantom) -> None:
    """Write the files of every pair, ``cases.csv``, ``cohort.json``, and ``truth.csv``, which no other stage reads."""
    simulate_cohort(output, settings)


if __name__ == "__main__":
    run(main)
