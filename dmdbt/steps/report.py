"""The page of what ran and what came out."""

from functools import partial
from pathlib import Path

from dmdbt.cohort import Case, read_stated
from dmdbt.files import write_text
from dmdbt.ingest import read_examination
from dmdbt.report import Images, ReportInputs, ReportSettings, read_results, render_page
from dmdbt.terms import Modality


def write_report(inputs: ReportInputs, report: Path, settings: ReportSettings) -> None:
    """Write one HTML file that needs no other, and say where it is; only results of configured backbones are read."""
    statement = read_stated(inputs.counts)
    images = Images(
        inputs.mammograms,
        inputs.slices,
        inputs.dynamic,
        file_shape=partial(_file_shape, examined=inputs.examined),
        stretched=settings.mammogram.resize == "stretch",
        same_field=statement.is_phantom,
    )
    results = read_results(settings.backbones.names, inputs)
    write_text(report, render_page(results, images, settings, statement))
    print(f"Report: {report}, a page that needs no other file")


def _file_shape(case: Case, *, examined: Path) -> tuple[int, int]:
    """Rows and columns of the mammogram's file."""
    facts, _ = read_examination(examined / f"{case.case_id}.json")
    rows, columns = facts[Modality.DM]["shape"]
    return rows, columns
