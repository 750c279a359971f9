"""The tables and metrics files of the evaluation."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from dmdbt.errors import InputDataError, IntegrityError
from dmdbt.files import write_json, write_text
from dmdbt.terms import Head

_METRIC_DIGITS = 6
_PAIR_COLUMNS = ("case_id", "patient_id", "label", "fold")
_VOTE_COLUMNS = ("vote_fraction", "p_ensemble")


def read_probabilities(path: Path, *, copies: bool = False) -> pd.DataFrame:
    """Read the probabilities of malignant that the heads gave to the tested pairs.

    With `copies`, a pair has one row per augmented copy of its images, and a column ``copy`` names it.

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
    table = _with_numbers(path, columns, also=("copy",) if copies else ())
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


def read_all_predictions(folder: Path, names: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Read the predictions of several backbones, ``<name>.csv`` of a folder.

    Raises
    ------
    IntegrityError
        Two of them tested other cases.
    """
    tables = {name: read_predictions(folder / f"{name}.csv") for name in names}
    for name, table in tables.items():
        if table["case_id"].tolist() != tables[names[0]]["case_id"].tolist():
            raise IntegrityError(
                "SUMMARY-CASES",
                file=f"{name}.csv",
                cause=f"expected the cases of {names[0]}.csv, got others",
                remedy="Run dvc repro, which tests every backbone on the same cases.",
            )
    return tables


def read_scores(path: Path) -> pd.DataFrame:
    """Read the probabilities ``p`` of one classifier; else as `read_probabilities`. NaN where the cell is empty."""
    return _with_numbers(path, ["p"])


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table without rounding: what is read back is the same to the last bit. NaN gives an empty cell."""
    write_text(path, table.to_csv(index=False, lineterminator="\n"))


def write_points(path: Path, table: pd.DataFrame) -> None:
    """Write the points of a plot, rounded as in `write_metrics`."""
    write_table(path, table.round(_METRIC_DIGITS))


def write_metrics(path: Path, content: dict[str, Any]) -> None:
    """Write nested metrics as JSON, every float rounded to six digits."""
    write_json(path, _each_float(content, lambda value: round(value, _METRIC_DIGITS)))


def write_tables(path: Path, content: Mapping[str, Any]) -> None:
    """Write the content of tables.json, every float to six significant digits: a small p-value is not 0."""
    write_json(path, _each_float(content, lambda value: float(f"{value:.{_METRIC_DIGITS}g}")))


def _each_float(content: Any, change: Callable[[float], float]) -> Any:
    """Return nested content with every float changed."""
    if isinstance(content, Mapping):
        return {key: _each_float(value, change) for key, value in content.items()}
    if isinstance(content, list):
        return [_each_float(value, change) for value in content]
    return change(content) if isinstance(content, float) else content


def _with_numbers(path: Path, columns: Sequence[str], *, also: Sequence[str] = ()) -> pd.DataFrame:
    table = _read_text(path, [*_PAIR_COLUMNS, *also, *columns])
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
