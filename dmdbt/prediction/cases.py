"""Many pairs through a bundle, in worker processes: what is finished is kept, what cannot be read is told."""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from dmdbt.bundle import SUMS_NAME, read_model
from dmdbt.cohort import Problem
from dmdbt.errors import InputDataError, IntegrityError, ParameterError
from dmdbt.files import other_format, sha256, whole_file, write_json
from dmdbt.ingest import case_files, read_examination
from dmdbt.prediction import PRELOAD
from dmdbt.prediction.requests import Request
from dmdbt.prediction.result import NOTICE
from dmdbt.readers import Limits
from dmdbt.running import Item, Step, make_items, worker_count
from dmdbt.steps.ingest import examine_cohort

if TYPE_CHECKING:
    from dmdbt.prediction.predictor import Predictor

_FORMAT: dict[str, str | int] = {"format": "dmdbt prediction", "version": 1}
_STATE = ".state"  # examinations and requests of the run, beside what it writes


@dataclass(frozen=True)
class Shown:
    """Choice of what is written of a pair beside its numbers.

    Attributes
    ----------
    pages
        ``<case>.html``, ``<case>.png`` and ``<case>-thumbnail.jpg``.
    dicom
        ``<case>-report.dcm`` and ``<case>-sheet.dcm``.
    """

    pages: bool = True
    dicom: bool = False


def predict_cases(
    bundle: Path, requests: Sequence[Request], root: Path, output: Path, shown: Shown
) -> dict[str, Problem | None]:
    """Predict pairs, into ``cases/`` of a folder.

    Parameters
    ----------
    bundle
        What ``dmdbt export`` has written.
    requests
        The pairs, at least one.
    root
        Folder from which their paths start.
    output
        A new or empty folder, or one of an earlier run: what is there and would come out the same is kept.
    shown
        What is written.

    Returns
    -------
    dict
        By case, in the order of `requests`: None, and there is ``cases/<case>.json``; or why there is no prediction.

    Raises
    ------
    ParameterError
        Something else is in the folder.
    IntegrityError
        The bundle is damaged.
    """
    state, cases = output / _STATE, output / "cases"
    if output.exists() and not state.is_dir() and (not output.is_dir() or any(output.iterdir())):
        expected = "a new or empty folder, or one that dmdbt predict has written"
        raise ParameterError("--output", expected=expected, found=str(output), remedy="Name another folder.")
    model = read_model(bundle)
    pairs = [request.case for request in requests]
    # In processes that do not wait until torch has been imported for those that predict.
    _, problems = examine_cohort(pairs, root, state / "examined", model.reading, restore=False, start="spawn")
    failed = {problem.case: problem for problem in reversed(problems)}  # the first of a case counts
    readable = [request for request in requests if request.case.case_id not in failed]
    for request in readable:
        write_json(state / "requests" / f"{request.case.case_id}.json", asdict(request))

    def fail(request: Request, error: InputDataError) -> None:
        if isinstance(error, IntegrityError):  # of the bundle, not of the case
            raise error
        case_id = request.case.case_id
        failed[case_id] = Problem(case_id, "pair", error.code, error.cause, error.remedy)

    step = predict_step(bundle, readable, root, state, shown)
    make_items(cases, step, on_failure=fail, restore=False)
    return {request.case.case_id: failed.get(request.case.case_id) for request in requests}


def predict_step(bundle: Path, requests: Sequence[Request], root: Path, state: Path, shown: Shown) -> Step[Request]:
    """Write ``<case>.json``, and what `shown` says, of every pair that has been examined into `state`."""
    suffixes = [".json", *([".html", ".png", "-thumbnail.jpg"] if shown.pages else [])]
    suffixes += ["-report.dcm", "-sheet.dcm"] if shown.dicom else []
    items = []
    for request in requests:
        name = request.case.case_id
        files = [state / "examined" / f"{name}.json", state / "requests" / f"{name}.json"]
        outputs = tuple(f"{name}{suffix}" for suffix in suffixes)
        items.append(Item(name, request, inputs=(*case_files(request.case, root), *files), outputs=outputs))
    threads = max(1, worker_count() // max(1, len(requests)))  # one pair has all cores
    function = partial(_predict, bundle=bundle, root=root, examined=state / "examined", shown=shown, threads=threads)
    parameters = {"bundle": sha256(bundle / SUMS_NAME)}
    return Step("predict", items, function, parameters, preload=PRELOAD)


def read_predictions(output: Path, outcome: dict[str, Problem | None]) -> Iterator[dict[str, Any]]:
    """Yield ``cases/<case>.json`` of every case that has been predicted."""
    for case_id, problem in outcome.items():
        if problem is None:
            content: dict[str, Any] = json.loads((output / "cases" / f"{case_id}.json").read_text(encoding="utf-8"))
            assert not other_format(content, _FORMAT)
            yield content


def _predict(
    request: Request, folder: Path, *, bundle: Path, root: Path, examined: Path, shown: Shown, threads: int
) -> None:
    predictor, case = _predictor(bundle, threads), request.case
    images, _ = read_examination(examined / f"{case.case_id}.json")
    with TemporaryDirectory() as temporary:
        work = Path(temporary)
        predictor.make_images(request, root, work)
        if not (shown.pages or shown.dicom):
            prediction = predictor.predict(request, images, work)
        else:
            from dmdbt.prediction.shown import HeatMaps, case_view  # here, for their libraries take a second
            from dmdbt.viewer.page import write_page
            from dmdbt.viewer.pictures import thumbnail
            from dmdbt.viewer.sheet import write_sheet

            heat = HeatMaps()
            prediction = predictor.predict(request, images, work, on_head=heat.add)
            view = case_view(request, prediction, images, predictor.model, heat.means(), root=root, work=work)
            sheet = (folder if shown.pages else work) / f"{case.case_id}.png"
            with ThreadPoolExecutor(1) as beside:
                drawn = beside.submit(write_sheet, sheet, view)
                if shown.pages:
                    write_page(folder / f"{case.case_id}.html", view)
                    with whole_file(folder / f"{case.case_id}-thumbnail.jpg") as path:
                        path.write_bytes(thumbnail(view))
                drawn.result()
            if shown.dicom:
                from dmdbt.dicom_output import write_dicom

                sources = [root / case.file(modality) for modality in case.modalities]
                limits = Limits(**asdict(predictor.model.reading))
                write_dicom(folder, case.case_id, view, sheet, sources, created=datetime.now(), limits=limits)
        content = _FORMAT | {"notice": NOTICE, "model": predictor.model.line}
        content |= {"simulated_training": predictor.model.training.simulated} | asdict(prediction)
        write_json(folder / f"{case.case_id}.json", content)


@cache
def _predictor(bundle: Path, threads: int) -> "Predictor":
    from dmdbt.prediction.predictor import Predictor  # here, for the parent process needs no torch

    return Predictor(bundle, threads=threads)
