"""Check a cohort: the whole table first, then every pixel of every file, then the cases beside each other."""

from pathlib import Path

from dmdbt import cohort as cohorts
from dmdbt import params
from dmdbt.entry import run
from dmdbt.files import write_json
from dmdbt.ingest import check_copies, summarize
from dmdbt.steps.ingest import check_quarantine, examine_cohort, report_patients_alike, report_slice_ends, report_table
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
    sheet = cohorts.read_sheet(cohorts.table_path(cohort))
    report_table(sheet)
    table = cohorts.check_sheet(sheet, missing_modality, labels.meaning())
    statement = cohorts.read_statement(cohort / cohorts.STATEMENT_NAME)
    records, problems = examine_cohort(table, cohort, examined, reading)
    cohorts.write_quarantine(quarantine, problems)
    check_quarantine(table, problems, allowed=settings.max_cases, listing=quarantine)
    left_out = {problem.case for problem in problems}
    kept = [case for case in table if case.case_id not in left_out]
    check_copies(kept, {case.case_id: records[case.case_id] for case in kept})
    cohorts.write_table(cases, kept)
    report_patients_alike(kept)
    report_slice_ends(records[case.case_id] for case in kept)
    about = cohorts.stated(statement) | {"table": cohorts.written_as(sheet)}
    write_json(metrics, summarize(kept, records, quarantined=len(left_out)) | about)


if __name__ == "__main__":
    run(main)
