"""The predictions of many pairs as tables: per pair, per breast and per patient."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from openpyxl import Workbook

from dmdbt.bundle import Model
from dmdbt.errors import printable
from dmdbt.evaluation import CLASSIFIERS
from dmdbt.files import whole_file, write_rows
from dmdbt.prediction.cases import Outcome
from dmdbt.prediction.result import NOTICE
from dmdbt.terms import Label

Read = Callable[[], Iterator[tuple[Outcome, dict[str, Any]]]]
"""Yields outcomes with their predictions, one after another, each time it is called: never all are in memory."""

TABLES = tuple(f"predictions.{kind}" for kind in ("csv", "xlsx", "json"))
_RULES = ("half", "youden", "sensitivity_90")
_WHO = ("case_id", "patient_id", "laterality", "view", "label")
_NUMBERS = tuple(f"{kind}_{c}" for kind in ("p", "lowest", "highest", "calibrated") for c in CLASSIFIERS)
_DECISIONS = tuple(f"decision_{rule}_{c}" for rule in _RULES for c in CLASSIFIERS)
PAIR_COLUMNS = (
    *_WHO,
    *_NUMBERS,
    "vote_fraction",
    *_DECISIONS,
    "folds",
    "flags",
    "warnings",
    "error",
    "cause",
    "remedy",
)
UNIT_COLUMNS = (
    "patient_id",
    "laterality",
    "pairs",
    "errors",
    "label",
    *(f"p_{c}" for c in CLASSIFIERS),
    "vote_fraction",
)
# Excel takes a cell that begins so for a formula, in a CSV file as well.
_FORMULA = ("=", "+", "-", "@")


def pair_row(outcome: Outcome, prediction: Mapping[str, Any]) -> list[object]:
    """Return the cells of `PAIR_COLUMNS` of a pair: of its prediction as its JSON file has it, or of its error."""
    if problem := outcome.problem:
        empty = [""] * (len(PAIR_COLUMNS) - len(_WHO) - 3)
        return [*pair_who(outcome).values(), *empty, problem.code, problem.cause, problem.remedy]
    numbers = [prediction[kind][c] for kind in ("p", "lowest", "highest", "calibrated") for c in CLASSIFIERS]
    decisions = [prediction["decisions"].get(rule, {}).get(c, "") for rule in _RULES for c in CLASSIFIERS]
    lists = [" ".join(map(str, prediction["folds"])), " ".join(prediction["flags"]), " ".join(prediction["warnings"])]
    who = [prediction[key] for key in _WHO]
    return [*who, *numbers, prediction["vote_fraction"], *decisions, *lists, "", "", ""]


def unit_rows(results: Iterable[tuple[Outcome, Mapping[str, Any]]], *, by_breast: bool) -> list[list[object]]:
    """Merge the pairs of a breast or of a patient, see `UNIT_COLUMNS`.

    A unit is malignant if one of its pairs is; its probabilities are the means over the pairs that have them. `pairs`
    counts those with a prediction, `errors` those without.
    """
    units: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for outcome, prediction in results:
        who = prediction or pair_who(outcome)
        key = who["patient_id"] or who["case_id"], who["laterality"] if by_breast else ""
        units[key].append({name: prediction.get(name) for name in ("p", "vote_fraction")} | {"label": who["label"]})
    rows: list[list[object]] = []
    for (patient_id, laterality), pairs in sorted(units.items()):
        labels = {pair["label"] for pair in pairs} - {""}
        label = next((word for word in (Label.MALIGNANT, Label.BENIGN) if word in labels), "")
        predicted = [pair for pair in pairs if pair["p"] is not None]
        probs = [_mean([pair["p"][classifier] for pair in predicted]) for classifier in CLASSIFIERS]
        counts = [len(predicted), len(pairs) - len(predicted)]
        rows.append([patient_id, laterality, *counts, label, *probs, _mean([p["vote_fraction"] for p in predicted])])
    return rows


def write_tables(output: Path, read: Read, model: Model) -> None:
    """Write ``predictions.csv``, ``.xlsx`` and ``.json``, with a row for every case that was asked for.

    Parameters
    ----------
    output
        The folder.
    read
        Yields the pairs in the order of the tables.
    model
        That predicted them.
    """

    def pairs() -> Iterator[list[object]]:
        yield from (pair_row(*result) for result in read())

    write_rows(output / "predictions.csv", PAIR_COLUMNS, ([_shown(cell) for cell in row] for row in pairs()))
    breasts, patients = (unit_rows(read(), by_breast=by_breast) for by_breast in (True, False))
    book = Workbook(write_only=True)
    about = [[NOTICE], [model.line], [f"training cohort simulated: {model.training.simulated}"]]
    for title, header, rows in (
        ("pairs", PAIR_COLUMNS, pairs()),
        ("breasts", UNIT_COLUMNS, breasts),
        ("patients", UNIT_COLUMNS, patients),
        ("about", ["predictions of dmdbt"], about),
    ):
        sheet = book.create_sheet(title)
        sheet.append(list(header))
        for row in rows:
            sheet.append([_shown(cell) for cell in row])
    with whole_file(output / "predictions.xlsx") as path:
        book.save(path)
    with whole_file(output / "predictions.json") as path, path.open("w", encoding="utf-8", newline="\n") as file:
        head = {"format": "dmdbt predictions", "version": 1, "notice": NOTICE, "model": model.line}
        head |= {"simulated_training": model.training.simulated}
        units = {
            name: [dict(zip(UNIT_COLUMNS, row, strict=True)) for row in rows]
            for name, rows in (("breasts", breasts), ("patients", patients))
        }
        errors = [
            {**pair_who(outcome), "role": p.role, "code": p.code, "cause": p.cause, "remedy": p.remedy}
            for outcome, _ in read()
            if (p := outcome.problem)
        ]
        rest = head | units | {"errors": errors}
        file.write(json.dumps(rest, indent=1, allow_nan=False)[:-2] + ',\n "cases": [')
        predictions = (prediction for _, prediction in read() if prediction)
        for number, prediction in enumerate(predictions):
            file.write((",\n" if number else "\n") + json.dumps(prediction, sort_keys=True, allow_nan=False))
        file.write("\n ]\n}\n")


def pair_who(outcome: Outcome) -> dict[str, str]:
    """Return what a table says of a pair: case, patient, side, view and label; empty where it says nothing."""
    request = outcome.request
    who = (request.case.case_id, request.patient_id, request.laterality, request.view, request.label)
    return dict(zip(_WHO, map(str, who), strict=True))


def _mean(values: list[float | None]) -> float | None:
    found = [value for value in values if value is not None]
    return sum(found) / len(found) if found else None


def _shown(cell: object) -> object:
    """Return a cell that no spreadsheet takes for a formula or refuses for a control character."""
    if not isinstance(cell, str):
        return cell
    return printable(f"'{cell}" if cell.startswith(_FORMULA) else cell)
