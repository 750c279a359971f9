"""Check a cohort: the whole table first, then every file."""

from functools import partial
from pathlib import Path

from dmdbt.cohort import TABLE_NAME, read_table, write_quarantine, write_table
from dmdbt.cohort.checks import check_case, summarize
from dmdbt.files import write_json
from dmdbt.running import map_cases
from dmdbt.terms import Pairs
from stages._entry import run


def main(cohort: Path, cases: Path, quarantine: Path, metrics: Path) -> None:
    """Write the checked table of pairs, the cases that were left out, and counts that describe the cohort."""
    table = read_table(cohort / TABLE_NAME, Pairs.REQUIRE)
    check = partial(check_case, cohort=cohort)
    records = map_cases(check, table, description="ingest", name=lambda case: case.case_id)
    write_table(cases, table)
    write_quarantine(quarantine, [])
    write_json(metrics, summarize(table, records))


if __name__ == "__main__":
    run(main)
