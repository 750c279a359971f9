"""Lay out what ran and what came out as one page."""

from functools import partial
from pathlib import Path

from dmdbt import params
from dmdbt.cohort import Case, read_stated
from dmdbt.files import write_text
from dmdbt.ingest import read_examination
from dmdbt.report import Images, Settings, read_results, render_page
from dmdbt.terms import Modality
from stages._entry import run


def main(
    cases: Path,
    examined: Path,
    mammograms: Path,
    slices: Path,
    dynamic: Path,
    metrics: Path,
    predictions: Path,
    learning: Path,
    counts: Path,
    certificates: Path,
    quarantine: Path,
    tables: Path,
    report: Path,
    phantom: params.Phantom,
    split: params.Split,
    mammogram: params.Mammogram,
    rankpool: params.Rankpool,
    backbones: params.Backbones,
    features: params.Features,
    heads: params.Heads,
    train: params.Train,
    ensemble: params.Ensemble,
) -> None:
    """Write one HTML file that needs no other, and say where it is.

    Parameters
    ----------
    cases, quarantine
        The tables of the cases that went on and of those that were left out.
    examined, mammograms, slices, dynamic
        Folders with the shape of the files and the images of every case.
    metrics, predictions, learning
        Folders with a JSON or a CSV file per backbone.
    counts, certificates, tables
        What the stages ingest, rankpool and tables wrote.
    report
        The HTML file.
    phantom, split, mammogram, rankpool, backbones, features, heads, train, ensemble
        The settings that the page names; no result of another backbone is read.
    """
    results = read_results(
        backbones.names,
        tables=tables,
        metrics=metrics,
        predictions=predictions,
        learning=learning,
        cases=cases,
        counts=counts,
        certificates=certificates,
        quarantine=quarantine,
    )
    statement = read_stated(counts)
    images = Images(
        mammograms,
        slices,
        dynamic,
        file_shape=partial(_file_shape, examined=examined),
        stretched=mammogram.resize == "stretch",
        same_field=statement.is_phantom,
    )
    settings = Settings(phantom, split, mammogram, rankpool, backbones, features, heads, train, ensemble)
    write_text(report, render_page(results, images, settings, statement))
    print(f"Report: {report}, a page that needs no other file")


def _file_shape(case: Case, *, examined: Path) -> tuple[int, int]:
    """Rows and columns of the mammogram's file."""
    facts, _ = read_examination(examined / f"{case.case_id}.json")
    rows, columns = facts[Modality.DM]["shape"]
    return rows, columns


if __name__ == "__main__":
    run(main)
