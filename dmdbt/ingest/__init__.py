"""Examine a cohort before any work begins: every file by itself, then all cases beside each other."""

from dmdbt.ingest.appearance import hash_bits, near
from dmdbt.ingest.cohort import check_copies, disagreements, slice_ends, summarize
from dmdbt.ingest.examination import Facts, case_files, examine, read_examination

__all__ = [
    "Facts",
    "case_files",
    "check_copies",
    "disagreements",
    "examine",
    "hash_bits",
    "near",
    "read_examination",
    "slice_ends",
    "summarize",
]
