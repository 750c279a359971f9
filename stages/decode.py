"""Decode every tomosynthesis volume to JPEG slices."""

from functools import partial
from pathlib import Path

from dmdbt import params
from dmdbt.cohort import Case, read_table
from dmdbt.errors import located
from dmdbt.files import whole_folder
from dmdbt.readers import open_volume, write_slices
from dmdbt.running import map_cases
from stages._entry import run


def main(cohort: Path, cases: Path, output: Path, settings: params.Decode) -> None:
    """Write a folder ``<case>`` of slices for every case."""
    with whole_folder(output) as folder:
        decode = partial(_decode, cohort=cohort, folder=folder, quality=settings.quality)
        map_cases(decode, read_table(cases), description="decode", name=lambda case: case.case_id)


def _decode(case: Case, *, cohort: Path, folder: Path, quality: int) -> None:
    with located(case=case.case_id, file=case.dbt), open_volume(cohort / case.dbt) as volume:
        write_slices(volume, folder / case.case_id, quality=quality)


if __name__ == "__main__":
    run(main)
