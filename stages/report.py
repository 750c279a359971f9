"""Lay out what ran and what came out as one page."""

from pathlib import Path

from dmdbt.report import ReportInputs, ReportSettings
from dmdbt.steps.report import write_report
from stages._entry import run


def main(inputs: ReportInputs, report: Path, settings: ReportSettings) -> None:
    """Write one HTML file that needs no other, and say where it is."""
    write_report(report, inputs, settings)
    print(f"Report: {report}, a page that needs no other file")


if __name__ == "__main__":
    run(main)
