"""The predictions of many pairs as tables: per pair, per breast and per patient."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import astuple
from pathlib import Path
from typing import Any

from openpyxl import Workbook

from dmdbt.bundle import Model
from dmdbt.cohort import Problem
from dmdbt.evaluation import CLASSIFIERS
from dmdbt.files import whole_file, write_rows
from dmdbt.prediction.result import NOTICE
from dmdbt.terms import Label

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
UNIT_COLUMNS = ("patient_id", "laterality", "pairs", "label", *(f"p_{c}" for c in CLASSIFIERS), "vote_fraction")
# Excel takes a cell that begins so for a formula, in a CSV file as well.
_FORMULA = ("=", "+", "-", "@")


def pair_row(prediction: Mapping[str, Any]) -> list[object]:
    """Return the cells of `PAIR_COLUMNS` of a prediction as its JSON file has it."""
    numbers = [prediction[kind][c] for kind in ("p", "lowest", "highest", "calibrated") for c in CLASSIFIERS]
    decisions = [prediction["decisions"].get(rule, {}).get(c, "") for rule in _RULES for c in CLASSIFIERS]
    lists = [" ".join(map(str, prediction["folds"])), " ".join(prediction["flags"]), " ".join(prediction["warnings"])]
    who = [prediction[key] for key in _WHO]
    return [*who, *numbers, prediction["vote_fraction"], *decisions, *lists, "", "", ""]


def error_row(problem: Problem) -> list[object]:
    """Return the cells of `PAIR_COLUMNS` of a pair that could not be predicted."""
    _, _, code, cause, remedy = astuple(problem)
    return [problem.case, *[""] * (len(PAIR_COLUMNS) - 4), code, cause, remedy]


def unit_rows(predictions: Iterable[Mapping[str, Any]], *, by_breast: bool) -> list[list[object]]:
    """Merge the pairs of a breast or of a patient, see `UNIT_COLUMNS`.

    A unit is malignant if one of its pairs is; its probabilities are the means over the pairs that have them.
    """
    units: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for prediction in predictions:
        key = prediction["patient_id"] or prediction["case_id"], prediction["laterality"] if by_breast else ""
        units[key].append({name: prediction[name] for name in ("p", "vote_fraction", "label")})
    rows: list[list[object]] = []
    for (patient_id, laterality), pairs in sorted(units.items()):
        labels = {pair["label"] for pair in pairs} - {""}
        label = next((word for word in (Label.MALIGNANT, Label.BENIGN) if word in labels), "")
        probs = [_mean([pair["p"][classifier] for pair in pairs]) for classifier in CLASSIFIERS]
        rows.append([patient_id, laterality, len(pairs), label, *probs, _mean([p["vote_fraction"] for p in pairs])])
    return rows


def write_tables(
    output: Path, outcome: Mapping[str, Problem | None], read: Callable[[], Iterator[dict[str, Any]]], model: Model
) -> None:
    """Write ``predictions.csv``, ``.xlsx`` and ``.json``, with a row for every case that was asked for.

    Parameters
    ----------
    output
        The folder.
    outcome
        By case why there is no prediction, or None.
    read
        Yields the predictions, one after another, each time it is called: they are never in memory together.
    model
        That predicted them.
    """

    def pairs() -> Iterator[list[object]]:
        yield from map(pair_row, read())
        yield from (error_row(problem) for problem in outcome.values() if problem)

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
            dict(zip(("case_id", "role", "code", "cause", "remedy"), astuple(p), strict=True))
            for p in outcome.values()
            if p
        ]
        rest = head | units | {"errors": errors}
        file.write(json.dumps(rest, indent=1, allow_nan=False)[:-2] + ',\n "cases": [')
        for number, prediction in enumerate(read()):
            file.write((",\n" if number else "\n") + json.dumps(prediction, sort_keys=True, allow_nan=False))
        file.write("\n ]\n}\n")


def _mean(values: list[float | None]) -> float | None:
    found = [value for value in values if value is not None]
    return sum(found) / len(found) if found else None


def _shown(cell: object) -> object:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
