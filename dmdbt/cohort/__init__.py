"""A cohort: a folder with a table of pairs, perhaps ``cohort.json``, and images. Nothing here opens the images."""

from dmdbt.cohort.folds import read_folds, write_folds
from dmdbt.cohort.identifiers import identifier_words, patients_alike, rule_broken
from dmdbt.cohort.quarantine import Problem, read_quarantine, read_quarantined, write_quarantine
from dmdbt.cohort.sheet import Sheet, written_as
from dmdbt.cohort.splits import assign_folds
from dmdbt.cohort.statement import (
    STATEMENT_NAME,
    Statement,
    phantom_source,
    read_stated,
    read_statement,
    stated,
    write_statement,
)
from dmdbt.cohort.table import (
    TABLE_NAME,
    Case,
    cases_by_row,
    check_sheet,
    read_sheet,
    read_table,
    table_path,
    write_table,
)

__all__ = [
    "STATEMENT_NAME",
    "TABLE_NAME",
    "Case",
    "Problem",
    "Sheet",
    "Statement",
    "assign_folds",
    "cases_by_row",
    "check_sheet",
    "identifier_words",
    "patients_alike",
    "phantom_source",
    "read_folds",
    "read_quarantine",
    "read_quarantined",
    "read_sheet",
    "read_stated",
    "read_statement",
    "read_table",
    "rule_broken",
    "stated",
    "table_path",
    "write_folds",
    "write_quarantine",
    "write_statement",
    "write_table",
    "written_as",
]
