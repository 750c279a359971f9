"""Many pairs through a bundle, in worker processes: what is finished is kept, what cannot be read is told."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from dmdbt.bundle import SUMS_NAME, damaged, read_model
from dmdbt.cohort import Problem
from dmdbt.errors import InputDataError, IntegrityError
from dmdbt.files import file_state, sha256, write_json
from dmdbt.ingest import case_files, read_examination
from dmdbt.prediction import PRELOAD
from dmdbt.prediction.output import CASES, WORK, claimed
from dmdbt.prediction.requests import Request
from dmdbt.prediction.result import NOTICE, own_remedy
from dmdbt.readers import Limits
from dmdbt.running import Item, Step, digest, make_items, worker_count
from dmdbt.steps.ingest import examine_cohort

if TYPE_CHECKING:
    from dmdbt.prediction.predictor import Predictor
    from dmdbt.prediction.result import Prediction

_FORMAT: dict[str, str | int] = {"format": "dmdbt prediction", "version": 1}
States = tuple[tuple[str, tuple[int, ...]], ...]

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
    """The result of a pair that was asked for: a prediction, or an error.

    Attributes
    ----------
    request
        The pair.
    problem
        Why there is no prediction; None: it is ``cases/<case>.json``.
    """

    request: Request
    problem: Problem | None


def predict_cases(
    bundle: Path,
    requests: Sequence[Request],
    root: Path,
    output: Path,
    shown: Shown,
    write: Callable[[Path, Sequence[Outcome]], None] = lambda *_: None,
) -> list[Outcome]:
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
        kept. Nothing is removed from it but what a run has written of these pairs; what it has written of a pair that
        has an error now stays.
    shown
        What is written.
    write
        Called with the folder of the state, see `dmdbt.prediction.output`, and the outcomes, before another run may
        work in the folder.

    Returns
    -------
    list of Outcome
        In the order of `requests`.

    Raises
    ------
    ParameterError, SystemResourceError
        See `dmdbt.prediction.output.claimed`.
    IntegrityError
        The bundle is damaged, or was changed meanwhile.
    """
    sums = bundle_digest(bundle)
    model = read_model(bundle)
    with claimed(output, root, requests) as state:
        pairs = [request.case for request in requests]
        seen = {request.case.case_id: file_states(request, root) for request in requests}
        # In processes that do not wait until torch has been imported for those that predict.
        _, problems = examine_cohort(pairs, root, state / "examined", model.reading, restore=False, start="spawn")
        failed = {problem.case: problem for problem in reversed(problems)}  # the first of a case counts
        readable = [request for request in requests if request.case.case_id not in failed]
        for request in readable:  # a digest, for names of files may name a patient
            write_json(state / "requests" / f"{request.case.case_id}.json", digest(asdict(request)))

        def fail(work: tuple[Request, States], error: InputDataError) -> None:
            if isinstance(error, IntegrityError):  # of the bundle, not of the case
                raise error
            case_id = work[0].case.case_id
            failed[case_id] = Problem(case_id, "pair", error.code, error.cause, error.remedy)

        step = predict_step(bundle, sums, [(one, seen[one.case.case_id]) for one in readable], root, state, shown)
        make_items(output / CASES, step, on_failure=fail, restore=False, users_folder=True)
        found = {name: replace(problem, remedy=own_remedy(problem.remedy)) for name, problem in failed.items()}
        outcomes = [Outcome(request, found.get(request.case.case_id)) for request in requests]
        write(state, outcomes)
    return outcomes


def predict_step(
    bundle: Path, sums: str, pairs: Sequence[tuple[Request, States]], root: Path, state: Path, shown: Shown
) -> Step[tuple[Request, States]]:
    """Write ``<case>.json``, and what `shown` says, of every pair that has been examined into `state`."""
    suffixes = [".json", *([".html", ".png", "-thumbnail.jpg"] if shown.pages else [])]
    suffixes += ["-report.dcm", "-sheet.dcm"] if shown.dicom else []
    items = []
    for request, states in pairs:
        name = request.case.case_id
        files = [state / "examined" / f"{name}.json", state / "requests" / f"{name}.json"]
        outputs = tuple(f"{name}{suffix}" for suffix in suffixes)
        items.append(Item(name, (request, states), inputs=(*case_files(request.case, root), *files), outputs=outputs))
    threads = max(1, worker_count() // max(1, len(pairs)))  # one pair has all cores
    function = partial(_predict, bundle=bundle, sums=sums, root=root, state=state, shown=shown, threads=threads)
    return Step("predict", items, function, {"bundle": sums}, preload=PRELOAD)


def file_states(request: Request, root: Path) -> States:
    """Return the files of a pair, each with its `file_state`."""
    return tuple((str(path), file_state(path)) for path in case_files(request.case, root))


def read_predictions(output: Path, outcomes: Iterable[Outcome]) -> Iterator[tuple[Outcome, dict[str, Any]]]:
    """Yield every outcome, with ``cases/<case>.json`` of a pair that has been predicted; one after another."""
    for outcome in outcomes:
        content: dict[str, Any] = {}
        if outcome.problem is None:
            path = output / CASES / f"{outcome.request.case.case_id}.json"
            content = json.loads(path.read_text(encoding="utf-8"))
        yield outcome, content


def _predict(
    pair: tuple[Request, States],
    folder: Path,
    *,
    bundle: Path,
    sums: str,
    root: Path,
    state: Path,
    shown: Shown,
    threads: int,
) -> None:
    """Write everything of a pair, or nothing where it fails."""
    request, states = pair
    predictor, case = _predictor(bundle, threads), request.case
    images, _ = read_examination(state / "examined" / f"{case.case_id}.json")
    with TemporaryDirectory(dir=state / WORK) as temporary:  # images of a patient: not in a folder that all share
        work, written = Path(temporary), Path(temporary, "written")
        written.mkdir()
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
            sheet = (written if shown.pages else work) / f"{case.case_id}.png"
            with ThreadPoolExecutor(1) as beside:
                drawn = beside.submit(write_sheet, sheet, view)
                if shown.pages:
                    write_page(written / f"{case.case_id}.html", view)
                    (written / f"{case.case_id}-thumbnail.jpg").write_bytes(thumbnail(view))
                drawn.result()
            if shown.dicom:
                from dmdbt.dicom_output import write_dicom

                sources = [root / case.file(modality) for modality in case.modalities]
                limits = Limits(**asdict(predictor.model.reading))
                write_dicom(written, case.case_id, view, sheet, sources, created=datetime.now(), limits=limits)
        content = _FORMAT | {"notice": NOTICE, "model": predictor.model.line}
        content |= {"simulated_training": predictor.model.training.simulated} | asdict(prediction)
        write_json(written / f"{case.case_id}.json", content)
        if file_states(request, root) != states:
            cause = "expected files that stay as they are while they are read, found that one changed"
            remedy = "Run the command again when nobody writes them."
            raise InputDataError("FILE-CHANGED", case=case.case_id, cause=cause, remedy=remedy)
        if bundle_digest(bundle) != sums:
            raise damaged(SUMS_NAME, "expected a bundle that stays as it is during a run, found that it changed")
        for path in written.iterdir():
            path.replace(folder / path.name)


def _check_side(prediction: "Prediction") -> None:
    """Refuse a report on a breast whose side is in doubt: an archive would show it as stated."""
    if doubts := [flag for flag in prediction.flags if _SIDE.fullmatch(flag)]:
        cause = f"expected images of one side, {prediction.laterality or 'stated or not'}, found {', '.join(doubts)}"
        remedy = "Correct the side of the table or the file, or predict without --dicom."
        raise InputDataError("DICOM-SIDE", case=prediction.case_id, cause=cause, remedy=remedy)


def bundle_digest(bundle: Path) -> str:
    """Return a digest of all that a bundle holds; of none if there is none, which reading it tells."""
    path = bundle / SUMS_NAME
    return sha256(path) if path.is_file() else ""


@cache
def _predictor(bundle: Path, threads: int) -> "Predictor":
    from dmdbt.prediction.predictor import Predictor  # here, for the parent process needs no torch

    return Predictor(bundle, threads=threads)
