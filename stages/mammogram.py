"""Turn every mammogram into a 16-bit PNG of the size that the backbones start from."""

from dataclasses import asdict
from functools import partial
from pathlib import Path

from dmdbt import params
from dmdbt.cohort import Case, read_table
from dmdbt.errors import located
from dmdbt.imaging import square, write_gray
from dmdbt.readers import Limits, read_mammogram
from dmdbt.running import Item, make_items, recipe
from dmdbt.terms import Modality
from stages._entry import run

# A mammogram is no AVI file: an edit of that reader decides nothing here.
_CODE = (
    "dmdbt.imaging.images",
    "dmdbt.readers.closing",
    "dmdbt.readers.dicom",
    "dmdbt.readers.limits",
    "dmdbt.readers.mammogram",
    "dmdbt.readers.other.png_tiff",
    "stages.mammogram",
)


def main(cohort: Path, cases: Path, output: Path, settings: params.Mammogram, reading: params.Reading) -> None:
    """Write ``<case>.png`` for every case with a mammogram: the presentation chain, then a square."""
    having = [case for case in read_table(cases) if Modality.DM in case.modalities]
    items = [Item(c.case_id, c, inputs=(cohort / c.dm,), outputs=(f"{c.case_id}.png",)) for c in having]
    make_items(
        output,
        items,
        partial(_convert, cohort=cohort, settings=settings, limits=Limits(**asdict(reading))),
        recipe=recipe(_CODE, asdict(settings)),
        description="mammogram",
        size=lambda _: 2 * settings.size**2,  # 16 bits per pixel, before PNG compresses them
    )


def _convert(case: Case, folder: Path, *, cohort: Path, settings: params.Mammogram, limits: Limits) -> None:
    with located(case=case.case_id, file=case.dm):
        mammogram = read_mammogram(cohort / case.dm, limits)
    image = square(mammogram.pixels, settings.size, pad=settings.resize == "pad")
    write_gray(folder / f"{case.case_id}.png", image)


if __name__ == "__main__":
    run(main)
