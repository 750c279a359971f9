"""One pair: every pixel of its files is decoded and examined; then the verdict on the cohort."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from dmdbt import params
from dmdbt.cohort import (
    STATEMENT_NAME,
    Case,
    Problem,
    check_sheet,
    patients_alike,
    read_sheet,
    read_statement,
    stated,
    table_path,
    written_as,
)
from dmdbt.errors import InputDataError
from dmdbt.ingest import Facts, case_files, examine, read_examination, slice_ends
from dmdbt.readers import Limits
from dmdbt.running import Item, Step, make_items
from dmdbt.terms import MissingModality, Modality

_LISTED = 5  # groups of patients, on the screen


def ingest_step(cases: Sequence[Case], cohort: Path, reading: params.Reading) -> Step[Case]:
    """Write ``<case>.json`` for every case: facts of its images, or what is wrong with them."""
    limits = Limits(**asdict(reading))
    return Step(
        "ingest",
        [Item(c.case_id, c, inputs=case_files(c, cohort), outputs=(f"{c.case_id}.json",)) for c in cases],
        partial(examine, cohort=cohort, limits=limits),
        # Time and memory end an examination, and decide none.
        parameters=asdict(limits) | {"seconds": None, "memory_gib": None},
        preload=["dmdbt.readers"],
    )


def examine_cohort(
    cases: Sequence[Case],
    cohort: Path,
    examined: Path,
    reading: params.Reading,
    *,
    restore: bool = True,
    start: str = "forkserver",
) -> tuple[dict[str, Mapping[Modality, Facts]], list[Problem]]:
    """Examine what was not examined before; return facts by case, and all problems in the order of the cases.

    `restore` and `start` are those of `make_items`.
    """
    ended: list[Problem] = []

    def end(case: Case, error: InputDataError) -> None:
        ended.append(Problem(case.case_id, "pair", error.code, error.cause, error.remedy))

    make_items(
        examined,
        ingest_step(cases, cohort, reading),
        on_failure=end,
        seconds=reading.seconds,
        memory=int(reading.memory_gib * 2**30),
        restore=restore,
        start=start,
    )
    without_end = [case.case_id for case in cases if case.case_id not in {problem.case for problem in ended}]
    found = {case_id: read_examination(examined / f"{case_id}.json") for case_id in without_end}
    problems = [*ended, *(problem for _, of_case in found.values() for problem in of_case)]
    return {case_id: facts for case_id, (facts, _) in found.items()}, sorted(problems, key=lambda p: p.case)


def read_cohort(
    cohort: Path, missing_modality: MissingModality, labels: params.Labels
) -> tuple[list[Case], dict[str, object]]:
    """Read a cohort's table and statement; print how the table was written, and which patients may be one.

    Returns
    -------
    cases : list of Case
        Sorted by case.
    about : dict
        The statement, and how the table was written, for ``metrics/cohort.json``.
    """
    sheet = read_sheet(table_path(cohort))
    written = f"{sheet.encoding}, separated by {sheet.separator}" if sheet.separator else "a workbook"
    print(f"ingest: {sheet.file} is {written}")
    cases = check_sheet(sheet, missing_modality, labels.meaning())
    if groups := patients_alike(case.patient_id for case in cases):
        listed = "; ".join(", ".join(group) for group in groups[:_LISTED])
        more = f"; and {len(groups) - _LISTED} more" if len(groups) > _LISTED else ""
        print(f"ingest: patients that may be one: {listed}{more}. If they are, give all their rows one patient_id.")
    return cases, stated(read_statement(cohort / STATEMENT_NAME)) | written_as(sheet)


def report_slice_ends(images: Iterable[Mapping[Modality, Facts]]) -> None:
    """Print that volumes begin at different ends, and what to do: rank pooling depends on the direction."""
    if len(ends := slice_ends(images)) > 1:
        where = f"{ends['paddle']} volumes begin at the compression paddle, {ends['detector']} at the detector"
        print(f"ingest: {where}. Set reading.slice_order in params.yaml to from_paddle or from_detector.")


def check_quarantine(cases: Sequence[Case], problems: Sequence[Problem], *, allowed: int, listing: Path) -> None:
    """Refuse the cohort if more cases have a problem than the user allows, or all have.

    Raises
    ------
    InputDataError
        Every problem is a note of the error.
    """
    file_of = {(case.case_id, str(role)): case.file(role) for case in cases for role in case.modalities}
    n_cases = len({problem.case for problem in problems})
    if n_cases <= allowed and n_cases < len(cases):
        return
    error = InputDataError(
        "QUARANTINE",
        file=listing.name,
        cause=f"expected at most {allowed} of {len(cases)} cases with damaged files, found {n_cases}",
        remedy=f"Mend what {listing} lists, or leave these cases out: quarantine.max_cases={n_cases} in params.yaml.",
    )
    for problem in problems:
        file = file_of.get((problem.case, problem.role), "-")
        of = InputDataError(problem.code, case=problem.case, file=file, cause=problem.cause, remedy=problem.remedy)
        error.add_note(str(of))
    raise error
