"""All backbones side by side: numbers for DVC, tables of the plots, and a text for the terminal."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from dmdbt.cohort import read_quarantined, read_stated
from dmdbt.evaluation import comparable_pairs, complete_pairs, metrics_by_classifier, read_all_predictions
from dmdbt.results import plot_tables, summary_numbers, summary_text
from dmdbt.terms import kind_of_cohort


class Summary(NamedTuple):
    """Numbers by backbone, tables by plot, and lines of text."""

    numbers: dict[str, Any]
    plots: dict[str, pd.DataFrame]
    text: str


def summarize_backbones(names: Sequence[str], counts: Path, predictions: Path, quarantine: Path) -> Summary:
    """Compare backbones on the tested pairs, as in the stage ensemble.

    Parameters
    ----------
    names
        The backbones; files of others in `predictions` are left alone.
    counts
        What the stage ingest wrote: the text says whether the cohort is simulated.
    predictions
        Folder with a CSV file per backbone, and the provenance of its weights, which the text names.
    quarantine
        The table of cases that were left out; the summary has their number, ``quarantined``.
    """
    tables = read_all_predictions(predictions, names)
    compared = {name: table[comparable_pairs(table)] for name, table in tables.items()}
    measured = {name: metrics_by_classifier(table) for name, table in compared.items()}
    quarantined = read_quarantined(quarantine)
    heading = _heading(tables[names[0]], quarantined=quarantined, simulated=read_stated(counts).simulated)
    text = summary_text({_with_source(name, predictions): of for name, of in measured.items()})
    numbers: dict[str, Any] = {**summary_numbers(measured), "quarantined": quarantined}
    return Summary(numbers, plot_tables(compared, measured), f"{heading}\n{text}")


def _with_source(name: str, predictions: Path) -> str:
    """Name a backbone with the source of its weights: ``mobilenet_v2 (ImageNet)``."""
    source = json.loads((predictions / f"{name}.json").read_text(encoding="utf-8"))["source"]
    return f"{name} ({'ImageNet' if source == 'imagenet' else source})"


def _heading(table: pd.DataFrame, *, quarantined: int, simulated: bool | None) -> str:
    compared = table[comparable_pairs(table)]
    folds = sorted({int(fold) for fold in table["fold"]})
    parts = [
        f"AUC (accuracy) of {len(compared)} pairs of {compared['patient_id'].nunique()} patients",
        f"tested in folds {', '.join(map(str, folds))}",
    ]
    if not complete_pairs(table).any():
        parts.append("no pair has both modalities and all three heads")
    if len(compared) < len(table):
        parts.append(f"{len(table) - len(compared)} more pairs lack a modality or a head")
    if quarantined:
        parts.append(f"cases in quarantine: {quarantined}")
    if kind := kind_of_cohort(simulated):
        parts.append(kind)
    return "; ".join(parts)
