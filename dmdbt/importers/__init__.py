"""Public data sets as cohorts. One module per set says what is published, how it is read and what its labels mean."""

from dmdbt.importers.cohort_folder import Findings, build_cohort, check_folders

__all__ = ["Findings", "build_cohort", "check_folders"]
