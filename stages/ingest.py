"""Check a cohort: the whole table first, then every pixel of every file, then the cases beside each other."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from dmdbt import params
from dmdbt.cohort import (
    STATEMENT_NAME,
    TABLE_NAME,
    Case,
    Problem,
    read_statement,
    read_table,
    stated,
    write_quarantine,
    write_table,
)
from dmdbt.errors import InputDataError
from dmdbt.files import write_json
from dmdbt.ingest import case_files, check_copies, examine, read_examination, summarize
from dmdbt.readers import Limits
from dmdbt.running import Item, make_items, recipe
from dmdbt.terms import Pairs
from stages._entry import run

_CODE = (
    "dmdbt.cohort.quarantine",
    "dmdbt.imaging.volume",
    "dmdbt.ingest.appearance",
    "dmdbt.ingest.examination",
    "dmdbt.readers",
    "stages.ingest",
)


def main(
    cohort: Path,
    pairs: Pairs,
    cases: Path,
    examined: Path,
    metrics: Path,
    quarantine: Path,
    reading: params.Reading,
    settings: params.Quarantine,
) -> None:
    """Examine every case; write the table of those that go on, what is wrong with the others, and counts."""
    table = read_table(cohort / TABLE_NAME, pairs)
    statement = read_statement(cohort / STATEMENT_NAME)
    ended = _examine(table, cohort, examined, Limits(**asdict(reading)))
    found = {
        case.case_id: read_examination(examined / f"{case.case_id}.json")
        for case in table
        if case.case_id not in {problem.case for problem in ended}
    }
    problems = sorted([*ended, *(problem for _, of in found.values() for problem in of)], key=lambda p: p.case)
    write_quarantine(quarantine, problems)
    left_out = {problem.case for problem in problems}
    kept = [case for case in table if case.case_id not in left_out]
    _check_quarantine(table, problems, allowed=settings.allow, listing=quarantine)
    records = {case.case_id: found[case.case_id][0] for case in kept}
    check_copies(kept, records)
    write_table(cases, kept)
    write_json(metrics, summarize(kept, records, quarantined=len(left_out)) | stated(statement))


def _examine(table: Sequence[Case], cohort: Path, examined: Path, limits: Limits) -> list[Problem]:
    """Examine what was not examined before; return the cases whose examination had to be ended."""
    ended: list[Problem] = []

    def end(case: Case, error: InputDataError) -> None:
        ended.append(Problem(case.case_id, "pair", error.code, error.cause, error.remedy))

    items = [Item(c.case_id, c, inputs=case_files(c, cohort), outputs=(f"{c.case_id}.json",)) for c in table]
    read = asdict(limits) | {"seconds": None, "memory_gib": None}  # they end an examination, and decide none
    make_items(
        examined,
        items,
        partial(examine, cohort=cohort, limits=limits),
        recipe=recipe(_CODE, read),
        description="ingest",
        preload=["dmdbt.readers"],
        seconds=limits.seconds,
        memory=int(limits.memory_gib * 2**30),
        on_failure=end,
    )
    return ended


def _check_quarantine(table: Sequence[Case], problems: Sequence[Problem], *, allowed: int, listing: Path) -> None:
    """Refuse the cohort if more cases have a problem than the user allows, or all have."""
    file_of = {(case.case_id, str(role)): case.file(role) for case in table for role in case.modalities}
    n_cases = len({problem.case for problem in problems})
    if n_cases <= allowed and n_cases < len(table):
        return
    error = InputDataError(
        "QUARANTINE",
        file=listing.name,
        cause=f"expected at most {allowed} of {len(table)} cases with damaged files, found {n_cases}",
        remedy=f"Mend what {listing} lists, or leave these cases out: quarantine.allow={n_cases} in params.yaml.",
    )
    for problem in problems:
        file = file_of.get((problem.case, problem.role), "-")
        of = InputDataError(problem.code, case=problem.case, file=file, cause=problem.cause, remedy=problem.remedy)
        error.add_note(str(of))
    raise error


if __name__ == "__main__":
    run(main)
