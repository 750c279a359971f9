"""A cohort: a folder with ``cases.csv`` and the files it names."""

from dmdbt.cohort.checks import CaseRecord, check_case, summarize
from dmdbt.cohort.folds import read_folds, write_folds
from dmdbt.cohort.table import TABLE_NAME, Case, read_table, write_table

__all__ = [
    "TABLE_NAME",
    "Case",
    "CaseRecord",
    "check_case",
    "read_folds",
    "read_table",
    "summarize",
    "write_folds",
    "write_table",
]
