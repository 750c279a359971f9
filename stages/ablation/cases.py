"""The cohort of the ablation: as if no mammogram had been taken, so that the DBT head is trained alone."""

from dataclasses import replace
from pathlib import Path

from dmdbt.cohort import read_table, write_table
from dmdbt.entry import run
from dmdbt.terms import Modality


def main(cases: Path, output: Path) -> None:
    """Write the table of the pairs that have a volume, without their mammograms."""
    write_table(output, [replace(case, dm="") for case in read_table(cases) if Modality.DBT in case.modalities])


if __name__ == "__main__":
    run(main)
