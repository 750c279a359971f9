"""One tomosynthesis volume: decoded to a folder of JPEG slices."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from dmdbt import params
from dmdbt.cohort import Case
from dmdbt.errors import error_context
from dmdbt.imaging import write_slices
from dmdbt.ingest import read_examination
from dmdbt.readers import Limits, open_volume, volume_files
from dmdbt.running import Item, Step
from dmdbt.terms import Modality


def decode_step(
    cases: Sequence[Case],
    cohort: Path,
    settings: params.Decode,
    reading: params.Reading,
    *,
    shape: Callable[[Case], tuple[int, int, int]],
) -> Step[Case]:
    """Write a folder ``<case>`` of slices for every case with a volume; `shape` tells how many and how large."""
    limits = Limits(**asdict(reading))
    return Step(
        "decode",
        [
            Item(case.case_id, case, inputs=tuple(volume_files(cohort / case.dbt)), outputs=(case.case_id,))
            for case in cases
            if Modality.DBT in case.modalities
        ],
        partial(_decode, cohort=cohort, quality=settings.quality, limits=limits),
        parameters=asdict(settings) | {"empty_frames": limits.empty_frames, "slice_order": limits.slice_order},
        # About a quarter of a byte per pixel of a breast and the air beside it.
        size=lambda case: math.prod(shape(case)) // 4,
    )


def examined_shape(case: Case, *, examined: Path) -> tuple[int, int, int]:
    """Return the shape (T, H, W) of a volume that the stage ingest has examined."""
    facts, _ = read_examination(examined / f"{case.case_id}.json")
    n_slices, rows, columns = facts[Modality.DBT]["shape"]
    return n_slices, rows, columns


def _decode(case: Case, folder: Path, *, cohort: Path, quality: int, limits: Limits) -> None:
    with error_context(case=case.case_id, file=case.dbt), open_volume(cohort / case.dbt, limits) as volume:
        write_slices(volume, folder / case.case_id, quality=quality)
