"""The command ``dmdbt predict``."""

import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from dmdbt.bundle import Model, read_model
from dmdbt.cohort import Problem
from dmdbt.errors import InputDataError
from dmdbt.prediction.cases import Shown, predict_cases, read_predictions
from dmdbt.prediction.requests import read_requests, single_request
from dmdbt.prediction.tables import write_tables
from dmdbt.prediction.text import case_line, case_text, closing_lines


def predict(bundle: Path, chosen: Namespace) -> int:
    """Predict what the options name, write tables and pages, and print the results; return the exit code.

    `InputDataError.exit_code` if one of the cases has no prediction: it has a row with the reason.
    """
    model = read_model(bundle)
    if chosen.cohort:
        requests, root = read_requests(chosen.cohort, model.labels.meaning()), chosen.cohort
    else:
        request, root = single_request(chosen.dm, chosen.dbt, name=chosen.name, patient_id=chosen.patient)
        requests = [request]
    shown = Shown(pages=not chosen.no_pages, dicom=chosen.dicom)
    outcome = predict_cases(bundle, requests, root, chosen.output, shown)
    read = partial(read_predictions, chosen.output, outcome)
    write_tables(chosen.output, outcome, read, model)
    if shown.pages:
        write_index(chosen.output, outcome, read, model)
    for prediction in read():
        print(case_text(prediction) if len(requests) == 1 else case_line(prediction))
    failures = [problem for problem in outcome.values() if problem]
    case_of = {request.case.case_id: request.case for request in requests}
    for problem in failures:
        case = case_of[problem.case]
        name = {"dm": case.dm, "dbt": case.dbt}.get(problem.role, "-")
        error = InputDataError(problem.code, case=problem.case, file=name, cause=problem.cause, remedy=problem.remedy)
        print(error, file=sys.stderr)
    if len(failures) < len(requests):
        print("\n".join(closing_lines(model.training.simulated)))
    where = chosen.output / ("index.html" if shown.pages else "predictions.csv")
    print(f"{len(requests) - len(failures)} of {len(requests)} predicted: {where}")
    return InputDataError.exit_code if failures else 0


def write_index(
    output: Path, outcome: Mapping[str, Problem | None], read: Callable[[], Iterator[dict[str, Any]]], model: Model
) -> None:
    """Write ``index.html``, a row for every case with a link to its page; see `write_tables`."""
    from dmdbt.viewer.contact import write_contact

    rows = chain(map(_index_row, read()), ({"case_id": p.case} | asdict(p) for p in outcome.values() if p))
    simulated = model.training.simulated
    write_contact(output / "index.html", rows, "cases", model=model.line, simulated=simulated)


def _index_row(prediction: Mapping[str, Any]) -> dict[str, Any]:
    name = prediction["case_id"]
    row = {f"p_{classifier}": p for classifier, p in prediction["p"].items()}
    row |= {key: prediction[key] for key in ("case_id", "patient_id", "laterality", "view", "label")}
    row |= {"decision": prediction["decisions"]["half"]["ensemble"], "warnings": len(prediction["warnings"])}
    return row | {"page": f"cases/{name}.html", "thumbnail": f"{name}-thumbnail.jpg"}
