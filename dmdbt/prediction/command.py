"""The command ``dmdbt predict``."""

import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from dmdbt.bundle import Model, read_model
from dmdbt.errors import InputDataError
from dmdbt.prediction.cases import Outcome, Shown, predict_cases, read_predictions
from dmdbt.prediction.output import note_tables
from dmdbt.prediction.requests import read_requests, single_request
from dmdbt.prediction.tables import TABLES, Read, pair_who, write_tables
from dmdbt.prediction.text import case_line, case_text, closing_lines


def predict(bundle: Path, chosen: Namespace) -> int:
    """Predict what the options name, write tables and pages, and print the results; return the exit code.

    `InputDataError.exit_code` if one of the cases has no prediction: it has a row with the reason.
    """
    model = read_model(bundle)
    if chosen.cohort:
        requests, root = read_requests(chosen.cohort, model.labels.meaning()), chosen.cohort
    else:
        name = "case" if chosen.name is None else chosen.name
        request, root = single_request(chosen.dm, chosen.dbt, name=name, patient_id=chosen.patient or "")
        requests = [request]
    shown = Shown(pages=not chosen.no_pages, dicom=chosen.dicom)
    index = chosen.output / "index.html"

    def write(state: Path, outcomes: Sequence[Outcome]) -> None:
        read = partial(read_predictions, chosen.output, outcomes)
        note_tables(state, [*TABLES, *([index.name] if shown.pages else [])])
        write_tables(chosen.output, read, model)
        if shown.pages:
            write_index(index, read, model)

    outcomes = predict_cases(bundle, requests, root, chosen.output, shown, write)
    read = partial(read_predictions, chosen.output, outcomes)
    for prediction in filter(None, (prediction for _, prediction in read())):
        print(case_text(prediction) if len(requests) == 1 else case_line(prediction))
    failures = [outcome for outcome in outcomes if outcome.problem]
    for outcome in failures:
        print(_error(outcome), file=sys.stderr)
    if len(failures) < len(requests):
        print("\n".join(closing_lines(model.training.simulated)))
    where = index if shown.pages else chosen.output / "predictions.csv"
    print(f"{len(requests) - len(failures)} of {len(requests)} predicted: {where}")
    return InputDataError.exit_code if failures else 0


def write_index(path: Path, read: Read, model: Model) -> None:
    """Write ``index.html``, every case with a link to its page; see `write_tables`."""
    from dmdbt.viewer.contact import write_contact

    rows = (
        _row(outcome, prediction) | (asdict(outcome.problem) if outcome.problem else {})
        for outcome, prediction in read()
    )
    write_contact(path, rows, "cases", model=model.line, simulated=model.training.simulated)


def _row(outcome: Outcome, prediction: Mapping[str, Any]) -> dict[str, Any]:
    if not prediction:
        return dict(pair_who(outcome))
    name = prediction["case_id"]
    row = {f"p_{classifier}": p for classifier, p in prediction["p"].items()}
    row |= {key: prediction[key] for key in pair_who(outcome)}
    row |= {"decision": prediction["decisions"]["half"]["ensemble"], "warnings": len(prediction["warnings"])}
    row |= {"vote_fraction": prediction["vote_fraction"]}
    return row | {"page": f"cases/{name}.html", "thumbnail": f"{name}-thumbnail.jpg"}


def _error(outcome: Outcome) -> InputDataError:
    problem, case = outcome.problem, outcome.request.case
    assert problem is not None
    file = {"dm": case.dm, "dbt": case.dbt}.get(problem.role, "-")
    return InputDataError(problem.code, case=case.case_id, file=file, cause=problem.cause, remedy=problem.remedy)
