"""A cohort: a folder with ``cases.csv`` and the files it names. Nothing here opens those files."""

from dmdbt.cohort.folds import read_folds, write_folds
from dmdbt.cohort.quarantine import Problem, read_quarantine, read_quarantined, write_quarantine
from dmdbt.cohort.splits import assign_folds
from dmdbt.cohort.table import TABLE_NAME, Case, read_table, write_table

__all__ = [
    "TABLE_NAME",
    "Case",
    "Problem",
    "assign_folds",
    "read_folds",
    "read_quarantine",
    "read_quarantined",
    "read_table",
    "write_folds",
    "write_quarantine",
    "write_table",
]
