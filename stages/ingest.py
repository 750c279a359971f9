"""Check a cohort: the whole table first, then every pixel of every file, then the cases beside each other."""

from pathlib import Path

from dmdbt import cohort as cohorts
from dmdbt import params
from dmdbt.entry import run
from dmdbt.files import write_json
from dmdbt.ingest import check_copies, summarize
from dmdbt.steps.ingest import check_quarantine, examine_cohort, read_cohort, report_slice_ends
from dmdbt.terms import MissingModality


def main(
    cohort: Path,
    missing_modality: MissingModality,
    cases: Path,
    examined: Path,
    metrics: Path,
    quarantine: Path,
    reading: params.Reading,
    labels: params.Labels,
    settings: params.Quarantine,
) -> None:
    """Examine every case; write the table of those that go on, what is wrong with the others, and counts."""
    table, about = read_cohort(cohort, missing_modality, labels)
    records, problems = examine_cohort(table, cohort, examined, reading)
    cohorts.write_quarantine(quarantine, problems)
    check_quarantine(table, problems, allowed=settings.max_cases, listing=quarantine)
    left_out = {problem.case for problem in problems}
    kept = [case for case in table if case.case_id not in left_out]
    check_copies(kept, {case.case_id: records[case.case_id] for case in kept})
    cohorts.write_table(cases, kept)
    report_slice_ends(records[case.case_id] for case in kept)
    write_json(metrics, summarize(kept, records, quarantined=len(left_out)) | about)


if __name__ == "__main__":
    run(main)
