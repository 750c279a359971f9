"""Put the backbones side by side: a few numbers for ``dvc metrics``, the plots, and a table for the terminal."""

import json
from pathlib import Path

import pandas as pd

from dmdbt import params
from dmdbt.cohort import read_quarantined, read_stated
from dmdbt.evaluation import (
    is_complete,
    is_measured,
    metrics_by_classifier,
    read_all_predictions,
    write_metrics,
    write_points,
)
from dmdbt.files import write_text
from dmdbt.results import plot_tables, summary_numbers, summary_text
from dmdbt.terms import kind_of_cohort
from stages._entry import run


def main(
    counts: Path,
    predictions: Path,
    quarantine: Path,
    metrics: Path,
    plots: Path,
    table: Path,
    settings: params.Backbones,
) -> None:
    """Read the predictions of the configured backbones, write and print their summary.

    As in the stage ensemble, pairs that lack an image or a head are left out, unless no pair is complete.

    Parameters
    ----------
    counts
        What the stage ingest wrote: the table says whether the cohort is simulated.
    predictions
        Folder with a CSV file per backbone, and the provenance of its weights, which the table names.
    quarantine
        The table of cases that were left out; the summary has their number, ``quarantined``.
    metrics
        JSON file to write.
    plots
        Folder for the tables of the plots.
    table
        Text file for what is printed: DVC prints nothing of a stage that it skips, as in a fresh clone whose results
        equal the committed ones.
    settings
        Which backbones; files of others in `predictions` are left alone.
    """
    tables = read_all_predictions(predictions, settings.names)
    compared = {name: table[is_measured(table)] for name, table in tables.items()}
    measured = {name: metrics_by_classifier(table) for name, table in compared.items()}
    quarantined = read_quarantined(quarantine)
    write_metrics(metrics, summary_numbers(measured) | {"quarantined": quarantined})
    for name, points in plot_tables(compared, measured).items():
        write_points(plots / f"{name}.csv", points)
    text = "\n".join(
        (
            _heading(tables[settings.names[0]], quarantined=quarantined, simulated=read_stated(counts).simulated),
            summary_text({_with_source(name, predictions): of for name, of in measured.items()}),
            f"Next: dvc metrics show, dvc plots show, {metrics.parent}/<backbone>.json, {predictions}/<backbone>.csv",
        )
    )
    write_text(table, text + "\n")
    print(text)


def _with_source(name: str, predictions: Path) -> str:
    """Name a backbone with the source of its weights: ``mobilenet_v2 (ImageNet)``."""
    source = json.loads((predictions / f"{name}.json").read_text(encoding="utf-8"))["source"]
    return f"{name} ({'ImageNet' if source == 'imagenet' else source})"


def _heading(table: pd.DataFrame, *, quarantined: int, simulated: bool | None) -> str:
    compared = table[is_measured(table)]
    folds = sorted({int(fold) for fold in table["fold"]})
    parts = [
        f"AUC (accuracy) of {len(compared)} pairs of {compared['patient_id'].nunique()} patients",
        f"tested in folds {', '.join(map(str, folds))}",
    ]
    if not is_complete(table).any():
        parts.append("no pair has both modalities and all three heads")
    if len(compared) < len(table):
        parts.append(f"{len(table) - len(compared)} more pairs lack a modality or a head")
    if quarantined:
        parts.append(f"cases in quarantine: {quarantined}")
    if kind := kind_of_cohort(simulated):
        parts.append(kind)
    return "; ".join(parts)


if __name__ == "__main__":
    run(main)
