"""Outputs of the stages before, read and checked, without the images."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from dmdbt.cohort import Case, Problem, read_quarantine, read_table
from dmdbt.errors import IntegrityError
from dmdbt.evaluation import read_predictions
from dmdbt.files import other_format, sha256

_FORMAT = {"format": "dmdbt tables", "version": 2}
_HISTORY = ("fold", "head", "epoch", "loss")


@dataclass(frozen=True)
class ReportInputs:
    """The files and folders that the page is made from."""

    cases: Path
    examined: Path  # folders with the shape of the files and the images of every case
    mammograms: Path
    slices: Path
    dynamic: Path
    metrics: Path  # folders with a JSON or a CSV file per backbone
    predictions: Path
    losses: Path
    counts: Path  # what the stages ingest and rankpool wrote
    certificates: Path
    quarantine: Path
    tables: Path


@dataclass(frozen=True)
class Results:
    """Contents of the page; by backbone in the order of the parameter."""

    tables: Mapping[str, Any]
    metrics: Mapping[str, Mapping[str, Any]]
    predictions: Mapping[str, pd.DataFrame]  # the tested pairs, sorted by case
    losses: Mapping[str, pd.DataFrame]
    cases: Mapping[str, Case]  # without those in quarantine
    counts: Mapping[str, Any]
    certificates: Mapping[str, Any]
    problems: Sequence[Problem]
    digest: str  # SHA-256 of the table of cases


def read_results(backbones: Sequence[str], inputs: ReportInputs) -> Results:
    """Read the results of some backbones; files of others are left alone.

    Raises
    ------
    IntegrityError
        The tables have another format, or a history of the training other columns.
    InputDataError
        A table cannot be read.
    """
    return Results(
        tables=_read_tables(inputs.tables),
        metrics={name: _read_json(inputs.metrics / f"{name}.json") for name in backbones},
        predictions={name: read_predictions(inputs.predictions / f"{name}.csv") for name in backbones},
        losses={name: _read_history(inputs.losses / f"{name}.csv") for name in backbones},
        cases={case.case_id: case for case in read_table(inputs.cases)},
        counts=_read_json(inputs.counts),
        certificates=_read_json(inputs.certificates),
        problems=read_quarantine(inputs.quarantine),
        digest=sha256(inputs.cases),
    )


def _read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def _read_tables(path: Path) -> dict[str, Any]:
    content = _read_json(path)
    if cause := other_format(content, _FORMAT):
        raise IntegrityError("TABLES-FORMAT", file=path.name, cause=cause, remedy="Run the stage tables again.")
    return content


def _read_history(path: Path) -> pd.DataFrame:
    history = pd.read_csv(path)
    missing = [column for column in _HISTORY if column not in history]
    if missing:
        cause = f"expected the columns {', '.join(_HISTORY)}, found none named {', '.join(missing)}"
        raise IntegrityError("HISTORY-COLUMNS", file=path.name, cause=cause, remedy="Run the stage train again.")
    return history
