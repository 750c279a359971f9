"""What is checked of a cohort before any work begins, and its summary."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from dmdbt.cohort.table import Case
from dmdbt.errors import InputDataError, located
from dmdbt.readers import open_volume, read_mammogram


@dataclass(frozen=True)
class CaseRecord:
    """What the files of a pair turned out to be.

    Attributes
    ----------
    dm_shape, dbt_shape
        (H, W) and (T, H, W).
    dm_kind, dbt_kind
        How the pixels are stored.
    """

    dm_shape: tuple[int, int]
    dm_kind: str
    dbt_shape: tuple[int, int, int]
    dbt_kind: str


def check_case(case: Case, *, cohort: Path) -> CaseRecord:
    """Open both files of a pair: the mammogram is decoded, of the volume the header is read.

    Raises
    ------
    InputDataError
        A file is missing, lies outside the cohort's folder, or is not what it should be.
    """
    with located(case=case.case_id, file=case.dm):
        mammogram = read_mammogram(_inside(cohort, case.dm))
    with located(case=case.case_id, file=case.dbt), open_volume(_inside(cohort, case.dbt)) as volume:
        dbt_shape = (volume.n_slices, volume.rows, volume.columns)
        dbt_kind = " ".join(str(value) for value in volume.provenance.values())
    rows, columns = mammogram.pixels.shape
    dm_kind = f"{mammogram.provenance['bits_stored']} bit, VOI {mammogram.provenance['voi']}"
    return CaseRecord((rows, columns), dm_kind, dbt_shape, dbt_kind)


def summarize(cases: Sequence[Case], records: Sequence[CaseRecord]) -> dict[str, object]:
    """Counts that describe a cohort; no identifier among them."""
    slices = [record.dbt_shape[0] for record in records]
    return {
        "pairs": len(cases),
        "patients": len({case.patient_id for case in cases}),
        "pairs_by_label": _count(case.label.value for case in cases),
        "patients_by_label": _count(label for _, label in sorted({(c.patient_id, c.label.value) for c in cases})),
        "pairs_by_view": _count(case.view.value for case in cases),
        "pairs_by_laterality": _count(case.laterality.value for case in cases),
        "dm_sizes": _count(f"{record.dm_shape[0]} x {record.dm_shape[1]}" for record in records),
        "dm_kinds": _count(record.dm_kind for record in records),
        "dbt_kinds": _count(record.dbt_kind for record in records),
        "slices": {"min": min(slices), "median": median(slices), "max": max(slices)},
    }


def _inside(cohort: Path, file: str) -> Path:
    path = cohort / file
    if not path.resolve().is_relative_to(cohort.resolve()):
        cause = "expected a file inside the cohort's folder, found a link that leaves it"
        raise InputDataError("OUTSIDE", file=file, cause=cause, remedy="Copy the file into the cohort's folder.")
    return path


def _count(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))
