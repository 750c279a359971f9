"""Lay out what ran and what came out as one page."""

from dmdbt.entry import run
from dmdbt.steps.report import write_report as main

if __name__ == "__main__":
    run(main)
