"""The tables and metrics files of the evaluation."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from dmdbt.errors import InputDataError
from dmdbt.files import write_json, write_text
from dmdbt.terms import Head

_METRIC_DIGITS = 6
_PAIR_COLUMNS = ("case_id", "patient_id", "label", "fold")
_VOTE_COLUMNS = ("vote_fraction", "p_ensemble")


def read_probabilities(path: Path) -> pd.DataFrame:
    """Read the probabilities of malignant that the heads gave to the tested pairs.

    Returns
    -------
    DataFrame
        Text columns ``case_id``, ``patient_id``, ``label``, ``fold``; float64 columns ``p_dm``, ``p_dbt`` and
        ``p_dm_dbt``, NaN where the cell is empty: the pair lacks a modality of that head, or the
        fold could not train it. Sorted by ``case_id``.

    Raises
    ------
    InputDataError
        A column is missing; a cell is no number from 0 to 1; a pair has no probability at all.
    """
    columns = [f"p_{head}" for head in Head]
    table = _with_numbers(path, columns)
    unseen = table[table[columns].isna().all(axis=1)]
    if len(unseen):
        raise InputDataError(
            "PROBABILITY-NONE",
            case=unseen["case_id"].iloc[0],
            file=path.name,
            cause="expected the probability of at least one head, got none",
            remedy="Give the case an image whose head can be trained, or take it out of the cohort.",
        )
    return table


def read_predictions(path: Path) -> pd.DataFrame:
    """Read what `dmdbt.evaluation.add_votes` made of `read_probabilities`, as `write_table` wrote it."""
    return _with_numbers(path, [*(f"p_{head}" for head in Head), *_VOTE_COLUMNS])


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table without rounding: what is read back is the same to the last bit. NaN gives an empty cell."""
    write_text(path, table.to_csv(index=False, lineterminator="\n"))


def write_points(path: Path, table: pd.DataFrame) -> None:
    """Write the points of a plot, rounded as in `write_metrics`."""
    write_table(path, table.round(_METRIC_DIGITS))


def write_metrics(path: Path, content: dict[str, Any]) -> None:
    """Write nested metrics as JSON, every float rounded to six digits."""
    write_json(path, _rounded(content))


def _rounded(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _rounded(value) for key, value in content.items()}
    return round(content, _METRIC_DIGITS) if isinstance(content, float) else content


def _with_numbers(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    table = _read_text(path, [*_PAIR_COLUMNS, *columns])
    for column in columns:
        numbers = pd.to_numeric(table[column], errors="coerce").astype("float64")
        wrong = table[(table[column] != "") & ~numbers.between(0, 1)]
        if len(wrong):
            raise InputDataError(
                "PROBABILITY-RANGE",
                case=wrong["case_id"].iloc[0],
                file=path.name,
                cause=f"expected a number from 0 to 1 in {column}, got {wrong[column].iloc[0]!r}",
                remedy="Look at the learning curves of this backbone, then train it again.",
            )
        table[column] = numbers
    return table


def _read_text(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read a CSV file as text: a reader that guesses types turns a patient ``012`` into 12 and ``NA`` into nothing."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    missing = [column for column in columns if column not in table]
    if missing:
        raise InputDataError(
            "TABLE-COLUMNS",
            file=path.name,
            cause=f"expected the columns {', '.join(columns)}, got none named {', '.join(missing)}",
            remedy="Run dvc repro, which writes the file anew.",
        )
    return table.sort_values("case_id", kind="stable", ignore_index=True)
