"""The process that predicts for the service, one pair after another. Run as ``python -m dmdbt.service.work``.

It reads an order per line from its standard input, and answers each with a line of JSON: null, or a failure. Images
are decoded in worker processes of its own. All of them end when the input ends, because then the service has ended.
"""

import json
import os
import signal
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

CASE = "case"  # what the pair is called


@dataclass(frozen=True)
class Order:
    """A pair to predict.

    Attributes
    ----------
    bundle, dm, dbt
        Absolute paths; `dm` or `dbt` is empty if there is none.
    patient_id, laterality, view
        Empty if not known.
    output
        A new folder: see `dmdbt.prediction.cases.predict_cases`.
    """

    bundle: str
    dm: str
    dbt: str
    patient_id: str
    laterality: str
    view: str
    output: str


@dataclass(frozen=True)
class Failure:
    """Why there is no prediction: the status of HTTP, and the fields of an `dmdbt.errors.InputDataError`."""

    status: int
    code: str
    cause: str
    remedy: str


def predict(order: Order) -> Failure | None:
    """Predict a pair; return why there is no prediction."""
    # Here, for every worker process imports this module, and needs none of them.
    from dmdbt.errors import InputDataError, SystemResourceError, file_error
    from dmdbt.prediction.cases import Shown, predict_cases
    from dmdbt.prediction.requests import single_request

    dm, dbt = (Path(file) if file else None for file in (order.dm, order.dbt))
    request, root = single_request(dm, dbt, name=CASE, patient_id=order.patient_id)
    request = replace(request, laterality=order.laterality, view=order.view)
    try:
        (outcome,) = predict_cases(Path(order.bundle), [request], root, Path(order.output), Shown())
    except InputDataError as error:  # of the bundle: what is wrong with the pair is returned
        return Failure(500, error.code, error.cause, error.remedy)
    except (SystemResourceError, OSError) as error:
        what = error if isinstance(error, SystemResourceError) else file_error(error, CASE)
        cause = str(what).partition(". ")[0] + "."  # the rest is a remedy for who runs a command
        return Failure(503, "MACHINE", cause, "Try again later, or send a smaller file.")
    problem = outcome.problem
    return None if problem is None else Failure(422, problem.code, problem.cause, problem.remedy)


def main() -> None:
    """Answer orders until the process is ended."""
    orders: SimpleQueue[str] = SimpleQueue()
    Thread(target=_listen, args=(orders,), daemon=True).start()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what the steps print is no answer
    # Before the first order, not after it, for they take seconds.
    from dmdbt.prediction import PRELOAD
    from dmdbt.running import begin_workers

    begin_workers(PRELOAD)
    import dmdbt.prediction.cases  # noqa: F401

    while True:
        failure = predict(Order(**json.loads(orders.get())))
        print(json.dumps(failure and asdict(failure)), file=answers, flush=True)


def _listen(orders: "SimpleQueue[str]") -> None:
    for line in sys.stdin:
        orders.put(line)
    os.killpg(0, signal.SIGKILL)  # the service starts this process in a group of its own


if __name__ == "__main__":
    main()
