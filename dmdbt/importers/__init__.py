"""Public data sets as cohorts: one module per set says what is published, how it is read, what its labels mean.

`first_table` is for images of one's own.
"""

from dmdbt.importers.cohort_folder import Findings, build_cohort, check_folders

__all__ = ["Findings", "build_cohort", "check_folders"]
