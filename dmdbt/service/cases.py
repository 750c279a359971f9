"""The pairs that were sent: they wait, are predicted one after another, and their results are kept for a while."""

import asyncio
import json
import os
import secrets
import shutil
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections import deque
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from dmdbt.service.refused import RefusedError
from dmdbt.service.work import CASE, Failure, Order

_RETRY = 30  # seconds after which to ask again: about what a pair takes
_TIMES = 10  # an examination may take reading.seconds, the whole prediction so many times as long
_PATIENCE, _STEP = 5.0, 0.05  # seconds until what was killed writes no more


@dataclass(eq=False)
class Case:
    """A pair.

    Attributes
    ----------
    case_id
        Random: who does not know it finds no result.
    folder
        Of its files; of its result once it is finished.
    sent
        By our name of a file the one that it was sent with.
    submitted
        Whether all its files are there.
    started
        Monotonic time at which the work began; None while it waits.
    finished
        Whether `page` and `numbers` are there, or `failure` is.
    """

    case_id: str
    folder: Path
    sent: dict[str, str] = field(default_factory=dict)
    submitted: bool = False
    started: float | None = None
    finished: bool = False
    failure: Failure | None = None

    @property
    def page(self) -> Path:
        """Path of the page of `dmdbt.viewer.page.write_page`."""
        return self.folder / "page.html"

    @property
    def numbers(self) -> Path:
        """The prediction as JSON."""
        return self.folder / "prediction.json"


class Cases:
    """All pairs. Its methods are called in one event loop.

    Parameters
    ----------
    bundle
        What ``dmdbt export`` has written.
    folder
        A temporary folder, which exists; nothing is written elsewhere.
    seconds
        ``reading.seconds`` of the bundle.
    most_waiting, most_kept
        How many pairs may wait, those included that are being sent; how many finished ones are kept.
    """

    def __init__(self, bundle: Path, folder: Path, *, seconds: float, most_waiting: int, most_kept: int) -> None:
        self._bundle, self._folder = bundle, folder
        self._most_waiting, self._most_kept = most_waiting, most_kept
        self._seconds = _TIMES * seconds
        self._cases: dict[str, Case] = {}  # the oldest first
        self._waiting: deque[Case] = deque()
        self._orders: asyncio.Queue[tuple[Case, Order]] = asyncio.Queue()
        self._worker = _Worker(folder)

    def add(self) -> Case:
        """Return a new pair, whose files may be written to its folder; `submit` or `remove` must follow.

        Raises
        ------
        RefusedError
            503: too many wait.
        """
        if len(self._waiting) >= self._most_waiting:
            cause = f"expected at most {self._most_waiting} pairs that wait, found as many"
            raise RefusedError(503, "BUSY", cause=cause, remedy="Send it again in a minute.", retry_after=_RETRY)
        case_id = secrets.token_urlsafe(16)
        case = self._cases[case_id] = Case(case_id, self._folder / case_id)
        case.folder.mkdir()
        self._waiting.append(case)
        return case

    def submit(self, case: Case, files: dict[str, Path], *, patient_id: str, laterality: str, view: str) -> None:
        """Let a pair be predicted; `files` has the path of ``dm``, ``dbt`` or both."""
        case.submitted = True
        self._waiting.remove(case)
        self._waiting.append(case)  # behind those whose files came sooner
        dm, dbt = (str(files.get(name, "")) for name in ("dm", "dbt"))
        output = str(case.folder / "output")
        self._orders.put_nowait((case, Order(str(self._bundle), dm, dbt, patient_id, laterality, view, output)))

    def remove(self, case: Case) -> None:
        """Forget a pair that was not submitted, or is finished."""
        self._cases.pop(case.case_id, None)
        if case in self._waiting:
            self._waiting.remove(case)
        shutil.rmtree(case.folder, ignore_errors=True)

    def find(self, case_id: str) -> Case | None:
        """Return a pair that waits, is in work or is kept."""
        return self._cases.get(case_id)

    def before(self, case: Case) -> int:
        """Return how many pairs come before one that waits."""
        waiting = [other for other in self._waiting if other.submitted]
        in_work = any(other.started is not None and not other.finished for other in self._cases.values())
        return waiting.index(case) + in_work if case in waiting else 0

    async def run(self) -> None:
        """Predict what is submitted, until this is cancelled; then end the work and remove the folder."""
        try:
            await self._worker.start()
            while True:
                case, order = await self._orders.get()
                self._waiting.remove(case)
                case.started = time.monotonic()
                failure = await self._predict(case, order)
                case.failure, case.finished = failure, True
                finished = [kept for kept in self._cases.values() if kept.finished]
                for oldest in finished[: max(0, len(finished) - self._most_kept)]:
                    self.remove(oldest)
        finally:
            await self._worker.end()
            await _remove(self._folder)

    async def _predict(self, case: Case, order: Order) -> Failure | None:
        try:
            failure = await self._worker.predict(order, self._seconds)
            if failure is None:
                for suffix, path in ((".html", case.page), (".json", case.numbers)):
                    (Path(order.output) / "cases" / f"{CASE}{suffix}").rename(path)
        except OSError as exc:  # the disk, memory
            cause = f"expected room for the work, found: {exc.strerror}"
            failure = Failure(503, "MACHINE", cause, "Free memory and disk space, then send the pair again.")
        await _remove(case.folder / "sent")  # images of a patient, which nobody needs any more
        await _remove(Path(order.output))
        return failure and _as_sent(failure, case.sent)


class _Worker:
    """The process of `dmdbt.service.work`, which is started again after it had to be ended."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: Process | None = None

    async def start(self) -> None:
        # matplotlib keeps a list of fonts, and every library its temporary files, in the folder that is removed.
        own = {"TMPDIR": str(self._folder), "MPLCONFIGDIR": str(self._folder / "matplotlib"), "TQDM_DISABLE": "1"}
        own["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "dmdbt.service.work"),  # -P: no module of the present folder
            stdin=PIPE,
            stdout=PIPE,
            env=os.environ | own,
            start_new_session=True,  # Ctrl-C is the service's business; and see `end`
        )

    async def predict(self, order: Order, seconds: float) -> Failure | None:
        if self._process is None:
            await self.start()
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            async with asyncio.timeout(seconds):
                with suppress(ConnectionError):  # it ended: there will be no answer
                    process.stdin.write(json.dumps(asdict(order)).encode() + b"\n")
                    await process.stdin.drain()
                answer = await process.stdout.readline()
        except TimeoutError:
            await self.end()
            cause = f"expected a prediction within {seconds:g} s (reading.seconds of the bundle), found none"
            return Failure(422, "CASE-TIME", cause, "Send smaller images.")
        if not answer:
            await self.end()
            cause = f"expected a prediction, found that its process ended with exit code {process.returncode}"
            return Failure(500, "CASE-ENDED", cause, "Look at what dmdbt serve has printed, and send the pair again.")
        fields = json.loads(answer)
        return fields and Failure(**fields)

    async def end(self) -> None:
        """End the process with all its workers: none of them may write any more."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


def _as_sent(failure: Failure, sent: dict[str, str]) -> Failure:
    """Name files as they were sent, where a reader names those of a folder of slices."""
    cause = failure.cause
    for own, name in sent.items():
        if own not in ("mammogram", "volume"):
            cause = cause.replace(own, name)
    return Failure(failure.status, failure.code, cause, failure.remedy)


async def _remove(folder: Path) -> None:
    """Remove a folder, into which a worker may write until it has noticed that it was killed."""
    deadline = time.monotonic() + _PATIENCE
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    while folder.exists() and time.monotonic() < deadline:
        await asyncio.sleep(_STEP)
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
