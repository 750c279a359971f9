"""Decode every tomosynthesis volume to JPEG slices."""

import math
from dataclasses import asdict
from functools import partial
from pathlib import Path

from dmdbt import params
from dmdbt.cohort import Case, read_table
from dmdbt.errors import located
from dmdbt.imaging import write_slices
from dmdbt.ingest import read_examination
from dmdbt.readers import Limits, open_volume, volume_files
from dmdbt.running import Item, make_items, recipe
from dmdbt.terms import Modality
from stages._entry import run


def main(
    cohort: Path, cases: Path, examined: Path, output: Path, settings: params.Decode, reading: params.Reading
) -> None:
    """Write a folder ``<case>`` of slices for every case with a volume; `examined` tells how large they are."""
    having = [case for case in read_table(cases) if Modality.DBT in case.modalities]
    items = [Item(c.case_id, c, inputs=tuple(volume_files(cohort / c.dbt)), outputs=(c.case_id,)) for c in having]
    limits = Limits(**asdict(reading))
    make_items(
        output,
        items,
        partial(_decode, cohort=cohort, quality=settings.quality, limits=limits),
        recipe=recipe(
            ["dmdbt.imaging", "dmdbt.readers", "stages.decode"],
            asdict(settings) | {"empty_frames": limits.empty_frames},
        ),
        description="decode",
        size=partial(_size, examined=examined),
    )


def _decode(case: Case, folder: Path, *, cohort: Path, quality: int, limits: Limits) -> None:
    with located(case=case.case_id, file=case.dbt), open_volume(cohort / case.dbt, limits) as volume:
        write_slices(volume, folder / case.case_id, quality=quality)


def _size(case: Case, *, examined: Path) -> int:
    """Bytes that the slices take, about: a quarter of a byte per pixel of a breast and the air beside it."""
    facts, _ = read_examination(examined / f"{case.case_id}.json")
    return math.prod(facts[Modality.DBT]["shape"]) // 4


if __name__ == "__main__":
    run(main)
