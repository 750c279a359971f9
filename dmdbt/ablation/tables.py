"""Trials side by side, each against a reference on the same pairs."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from dmdbt.errors import IntegrityError
from dmdbt.evaluation import Bootstrap, classifier_metrics, delong_test, holm
from dmdbt.results.notation import markdown_table, p_value, with_interval
from dmdbt.terms import Head, Label

Row = dict[str, Any]


def trial_rows(tables: Mapping[str, pd.DataFrame], *, head: Head, reference: str, bootstrap: Bootstrap) -> list[Row]:
    """Measure one head in every trial, and compare it with the reference.

    Parameters
    ----------
    tables
        Of each trial what `dmdbt.evaluation.read_probabilities` returns; all of the same pairs.
    head
        Pairs without a probability of it in one of the trials are left out of all.
    reference
        One of the trials.
    bootstrap
        Of the intervals of the metrics.

    Returns
    -------
    list of dict
        In the order of `tables`: ``trial``, the metrics of `classifier_metrics` with their intervals, and, but for the
        reference, the difference of the AUC (trial minus reference) by `delong_test`, the pairs of a patient being one
        cluster: ``difference``, ``difference_low``, ``difference_high``, ``p_value``, and ``p_holm``, adjusted for all
        comparisons of the table. An undefined number is None.

    Raises
    ------
    IntegrityError
        The trials have tested different pairs.
    """
    column = f"p_{head}"
    _check_same_pairs(tables, reference)
    seen = pd.concat([table[column].notna() for table in tables.values()], axis=1).all(axis=1)
    tested = {name: table[seen] for name, table in tables.items()}
    first = tested[reference]
    targets = [Label(label).target for label in first["label"]]
    patients = first["patient_id"].tolist()
    rows: list[Row] = []
    for name, table in tested.items():
        row: Row = classifier_metrics(targets, table[column], patients=patients, bootstrap=bootstrap)
        if name != reference:
            compared = delong_test(targets, table[column], first[column], patients=patients)
            row |= {"difference": compared.difference, "difference_low": compared.low, "difference_high": compared.high}
            row |= {"p_value": compared.p_value}
        rows.append({"trial": name} | row)
    others = [row for row in rows if row["trial"] != reference]
    for row, adjusted in zip(others, holm([row["p_value"] for row in others]), strict=True):
        row["p_holm"] = adjusted
    return rows


def markdown(rows: Sequence[Row], columns: Mapping[str, str]) -> str:
    """Format rows as a table in Markdown.

    Parameters
    ----------
    rows
        As of `trial_rows`.
    columns
        Key of a number, and the heading of its column. A number with an interval is shown with it; one that is
        missing or undefined as ``-``.
    """
    return markdown_table(list(columns.values()), ([_cell(row, key) for key in columns] for row in rows), right=True)


def _check_same_pairs(tables: Mapping[str, pd.DataFrame], reference: str) -> None:
    for name, table in tables.items():
        if table["case_id"].tolist() != tables[reference]["case_id"].tolist():
            raise IntegrityError(
                "ABLATION-CASES",
                file=f"{name}.csv",
                cause=f"expected the cases of {reference}.csv, got others",
                remedy="Run dvc repro data/ablation/dvc.yaml, which tests every trial on the same cases.",
            )


def _cell(row: Row, key: str) -> str:
    value = row.get(key)
    if not isinstance(value, float):
        return "-" if value is None else str(value)
    return (
        p_value(value) if key.startswith("p_") else with_interval(value, row.get(f"{key}_low"), row.get(f"{key}_high"))
    )
