"""Many pairs through a bundle, in worker processes: what is finished is kept, what cannot be read is told."""

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
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
from dmdbt.prediction.result import NOTICE, own_remedy
from dmdbt.readers import Limits
from dmdbt.running import Item, Step, digest, folder_lock, make_items, read_records, worker_count
from dmdbt.steps.ingest import examine_cohort

if TYPE_CHECKING:
    from dmdbt.prediction.predictor import Predictor
    from dmdbt.prediction.result import Prediction

_FORMAT: dict[str, str | int] = {"format": "dmdbt prediction", "version": 1}
_RUN: dict[str, str | int] = {"format": "dmdbt prediction run", "version": 1}
# What belongs to the run itself stands in `_STATE`; images of the pair in work, in its folder work.
_STATE, _CASES, _WORK = ".state", "cases", "work"
_LISTED = 5  # cases, in an error
_SIDE = re.compile("(dm|dbt)-laterality-of-(header|pixels)|chest-wall-on-different-sides")


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


@dataclass(frozen=True)
class Outcome:
    """What became of a pair.

    Attributes
    ----------
    request
        The pair.
    problem
        Why there is no prediction; None: it is ``cases/<case>.json``.
    """

    request: Request
    problem: Problem | None


def predict_cases(bundle: Path, requests: Sequence[Request], root: Path, output: Path, shown: Shown) -> list[Outcome]:
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
        A new or empty folder, or one of an earlier run on the same files: what is there and would come out the same is
        kept. Nothing is removed from it but what a run has written of these pairs; what it has written of a pair whose
        files cannot be read now stays.
    shown
        What is written.

    Returns
    -------
    list of Outcome
        In the order of `requests`.

    Raises
    ------
    ParameterError
        `output` cannot be written, or holds something else: results of other files or of other pairs, too.
    SystemResourceError
        Another run works in the folder.
    IntegrityError
        The bundle is damaged.
    """
    model = read_model(bundle)
    with _claimed(output, root, requests) as state:
        pairs = [request.case for request in requests]
        # In processes that do not wait until torch has been imported for those that predict.
        _, problems = examine_cohort(pairs, root, state / "examined", model.reading, restore=False, start="spawn")
        failed = {problem.case: problem for problem in reversed(problems)}  # the first of a case counts
        readable = [request for request in requests if request.case.case_id not in failed]
        for request in readable:  # a digest, for names of files may name a patient
            write_json(state / "requests" / f"{request.case.case_id}.json", digest(asdict(request)))

        def fail(request: Request, error: InputDataError) -> None:
            if isinstance(error, IntegrityError):  # of the bundle, not of the case
                raise error
            case_id = request.case.case_id
            failed[case_id] = Problem(case_id, "pair", error.code, error.cause, error.remedy)

        step = predict_step(bundle, readable, root, state, shown)
        make_items(output / _CASES, step, on_failure=fail, restore=False, users_folder=True)
    found = {name: replace(problem, remedy=own_remedy(problem.remedy)) for name, problem in failed.items()}
    return [Outcome(request, found.get(request.case.case_id)) for request in requests]


@contextmanager
def _claimed(output: Path, root: Path, requests: Sequence[Request]) -> Iterator[Path]:
    """Yield the folder `_STATE` of an output that no other run uses meanwhile; see `predict_cases`."""
    state, names = output / _STATE, {request.case.case_id for request in requests}
    files = [(request.case.dm, request.case.dbt) for request in requests if request.alone]
    run = _RUN | {"source": digest([os.path.realpath(root), files])}
    try:
        output.mkdir(parents=True, exist_ok=True)
        is_new = not any(output.iterdir())
        if not is_new and (not _earlier_run(output) or any((output / name).is_symlink() for name in (_STATE, _CASES))):
            raise _other_folder(output, "a new or empty folder, or one that dmdbt predict has written")
        state.mkdir(exist_ok=True)
        if is_new:
            write_json(state / "run.json", run)
        (state / "lock").touch()
    except OSError as error:
        raise _other_folder(f"{output} ({error.strerror})", "a folder that can be written") from None
    with folder_lock(output, state / "lock"):
        results = read_records(output / _CASES)[0].keys()
        if results and _earlier_run(output) != run:
            raise _other_folder(
                f"{output} with {len(results)} results of other files", "results of the files asked for"
            )
        if others := sorted(results - names):
            found = f"{output} with {len(others)} others, such as {', '.join(others[:_LISTED])}"
            raise _other_folder(found, "results of the pairs asked for")
        write_json(state / "run.json", run)
        shutil.rmtree(state / _WORK, ignore_errors=True)
        (state / _WORK).mkdir()
        try:
            yield state
        finally:
            shutil.rmtree(state / _WORK, ignore_errors=True)


def _earlier_run(output: Path) -> dict[str, Any]:
    """Return what an earlier run has noted of itself; nothing if the folder is of something else."""
    try:
        content: dict[str, Any] = json.loads((output / _STATE / "run.json").read_text(encoding="utf-8"))
        return {} if other_format(content, _RUN) else content
    except (OSError, ValueError, AttributeError):
        return {}


def _other_folder(found: object, expected: str) -> ParameterError:
    return ParameterError("--output", expected=expected, found=str(found), remedy="Name another folder.")


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
    function = partial(_predict, bundle=bundle, root=root, state=state, shown=shown, threads=threads)
    parameters = {"bundle": sha256(bundle / SUMS_NAME)}
    return Step("predict", items, function, parameters, preload=PRELOAD)


def read_predictions(output: Path, outcomes: Iterable[Outcome]) -> Iterator[tuple[Outcome, dict[str, Any]]]:
    """Yield every outcome, with ``cases/<case>.json`` of a pair that has been predicted; one after another."""
    for outcome in outcomes:
        content: dict[str, Any] = {}
        if outcome.problem is None:
            path = output / _CASES / f"{outcome.request.case.case_id}.json"
            content = json.loads(path.read_text(encoding="utf-8"))
        yield outcome, content


def _predict(
    request: Request, folder: Path, *, bundle: Path, root: Path, state: Path, shown: Shown, threads: int
) -> None:
    predictor, case = _predictor(bundle, threads), request.case
    images, _ = read_examination(state / "examined" / f"{case.case_id}.json")
    with TemporaryDirectory(dir=state / _WORK) as temporary:  # images of a patient: not in a folder that all share
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
            if shown.dicom:
                _check_side(prediction)
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


def _check_side(prediction: "Prediction") -> None:
    """Refuse a report on a breast whose side is in doubt: an archive would show it as stated."""
    if doubts := [flag for flag in prediction.flags if _SIDE.fullmatch(flag)]:
        cause = f"expected images of one side, {prediction.laterality or 'stated or not'}, found {', '.join(doubts)}"
        remedy = "Correct the side of the table or the file, or predict without --dicom."
        raise InputDataError("DICOM-SIDE", case=prediction.case_id, cause=cause, remedy=remedy)


@cache
def _predictor(bundle: Path, threads: int) -> "Predictor":
    from dmdbt.prediction.predictor import Predictor  # here, for the parent process needs no torch

    return Predictor(bundle, threads=threads)
