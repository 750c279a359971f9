"""A cohort: a folder with ``cases.csv``, perhaps ``cohort.json``, and images. Nothing here opens the images."""

from dmdbt.cohort.folds import read_folds, write_folds
from dmdbt.cohort.quarantine import Problem, read_quarantine, read_quarantined, write_quarantine
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
from dmdbt.cohort.table import TABLE_NAME, Case, read_table, write_table

__all__ = [
    "STATEMENT_NAME",
    "TABLE_NAME",
    "Case",
    "Problem",
    "Statement",
    "assign_folds",
    "phantom_source",
    "read_folds",
    "read_quarantine",
    "read_quarantined",
    "read_stated",
    "read_statement",
    "read_table",
    "stated",
    "write_folds",
    "write_quarantine",
    "write_statement",
    "write_table",
]
