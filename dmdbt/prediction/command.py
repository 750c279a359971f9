"""The command ``dmdbt predict``."""

import sys
from argparse import Namespace
from functools import partial
from pathlib import Path

from dmdbt.bundle import read_model
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
        requests, root = read_requests(chosen.cohort, {}), chosen.cohort
    else:
        request, root = single_request(chosen.dm, chosen.dbt, name=chosen.name, patient_id=chosen.patient)
        requests = [request]
    shown = Shown(pages=not chosen.no_pages, dicom=chosen.dicom)
    outcome = predict_cases(bundle, requests, root, chosen.output, shown)
    read = partial(read_predictions, chosen.output, outcome)
    write_tables(chosen.output, outcome, read, model)
    for prediction in read():
        print(case_text(prediction) if len(requests) == 1 else case_line(prediction))
    failures = [problem for problem in outcome.values() if problem]
    for problem in failures:
        file = next(r.case for r in requests if r.case.case_id == problem.case)
        name = {"dm": file.dm, "dbt": file.dbt}.get(problem.role, "-")
        error = InputDataError(problem.code, case=problem.case, file=name, cause=problem.cause, remedy=problem.remedy)
        print(error, file=sys.stderr)
    if len(failures) < len(requests):
        print("\n".join(closing_lines(model.training.simulated)))
    where = chosen.output / ("index.html" if shown.pages else "predictions.csv")
    print(f"{len(requests) - len(failures)} of {len(requests)} predicted: {where}")
    return InputDataError.exit_code if failures else 0
