"""Turn every mammogram into a 16-bit PNG of the size that the backbones start from."""

from functools import partial
from pathlib import Path

import numpy as np

from dmdbt import params
from dmdbt.cohort import Case, read_table
from dmdbt.errors import located
from dmdbt.files import whole_folder
from dmdbt.readers import read_mammogram, resize, write_gray
from dmdbt.running import map_cases
from stages._entry import run


def main(cohort: Path, cases: Path, output: Path, settings: params.Mammogram) -> None:
    """Write ``<case>.png`` for every case: the presentation chain, then stretched to a square."""
    with whole_folder(output) as folder:
        convert = partial(_convert, cohort=cohort, folder=folder, size=settings.size)
        map_cases(convert, read_table(cases), description="mammogram", name=lambda case: case.case_id)


def _convert(case: Case, *, cohort: Path, folder: Path, size: int) -> None:
    with located(case=case.case_id, file=case.dm):
        mammogram = read_mammogram(cohort / case.dm)
    square = resize(mammogram.pixels, size, size)
    write_gray(folder / f"{case.case_id}.png", np.rint(square).astype(np.uint16))


if __name__ == "__main__":
    run(main)
