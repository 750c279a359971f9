"""One mammogram: the presentation chain, then a 16-bit PNG of the size that the backbones start from."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from dmdbt import params
from dmdbt.cohort import Case
from dmdbt.errors import error_context
from dmdbt.imaging import square, write_gray
from dmdbt.readers import Limits, read_mammogram
from dmdbt.running import Item, Step
from dmdbt.terms import Modality


def mammogram_step(
    cases: Sequence[Case], cohort: Path, settings: params.Mammogram, reading: params.Reading
) -> Step[Case]:
    """Write ``<case>.png`` for every case with a mammogram."""
    return Step(
        "mammogram",
        [
            Item(case.case_id, case, inputs=(cohort / case.dm,), outputs=(f"{case.case_id}.png",))
            for case in cases
            if Modality.DM in case.modalities
        ],
        partial(_convert, cohort=cohort, settings=settings, limits=Limits(**asdict(reading))),
        parameters=asdict(settings),
        size=lambda _: 2 * settings.size**2,  # 16 bits per pixel, before PNG compresses them
    )


def _convert(case: Case, folder: Path, *, cohort: Path, settings: params.Mammogram, limits: Limits) -> None:
    with error_context(case=case.case_id, file=case.dm):
        mammogram = read_mammogram(cohort / case.dm, limits)
    image = square(mammogram.pixels, settings.size, pad=settings.resize == "pad")
    write_gray(folder / f"{case.case_id}.png", image)
