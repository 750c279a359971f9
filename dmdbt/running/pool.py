"""Worker processes that are handed one item at a time: whoever of them dies, it is known what it was working on.

`concurrent.futures` hands out a batch and, where a worker dies, names the wrong item. Here the parent waits on each
worker's pipe and on its process, replaces the worker that died or took too long, and the others go on. pebble 5.2.3 has
no second try in a new worker, no limit of memory, and leaves the workers of a parent that is killed.
"""

import errno
import fcntl
import multiprocessing
import os
import pickle
import resource
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any, Self

from dmdbt.running.devices import is_lost, is_out_of_memory, number_worker

# Signals by which a process ends itself: what it was reading drove a native library into them, or its own memory did.
_CRASHES = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL})
_PATIENCE = 5.0  # seconds that a worker gets to end


@dataclass(frozen=True)
class Done:
    """The function returned."""

    value: Any


@dataclass(frozen=True)
class Raised:
    """The function raised, in a worker whose traceback this is.

    Attributes
    ----------
    error, trace
        The exception.
    no_memory
        Whether all began with a lack of memory.
    card, lost
        What torch says of its card, if that began it; whether nothing more can be computed there.
    """

    error: BaseException
    trace: str
    no_memory: bool
    card: str = ""
    lost: bool = False


@dataclass(frozen=True)
class Died:
    """The worker ended; `ending` is a signal such as ``SIGKILL`` or an exit code."""

    ending: str
    crashed: bool


@dataclass(frozen=True)
class Overdue:
    """The worker was killed, because the item took longer than it may."""


Outcome = Done | Raised | Died | Overdue


class WorkerPool:
    """Workers for the items of one function; iterate once for what became of each, as it happens.

    Yields pairs of an item's position and its outcome. The position is None where a worker could not even begin.
    An item that failed for want of memory or crashed its worker is tried a second time in a new worker if the first
    had worked before: neither the leavings of another item nor its damage may decide. `size` is the number of workers;
    the other parameters are those of `dmdbt.running.map_cases`.

    Raises
    ------
    TypeError
        The function or an item cannot be pickled.
    """

    def __init__(
        self,
        function: Callable[[Any], Any],
        items: Sequence[Any],
        *,
        size: int,
        seconds: float | None,
        memory: int | None,
        start: str,
    ) -> None:
        self._function, self._start = _pickled(function, "a function"), start
        self._items, self._size, self._seconds, self._memory = items, size, seconds, memory
        self._waiting = deque(range(len(items)))
        self._workers: list[_Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.stop(gently=kind is None)
        deadline = time.monotonic() + _PATIENCE
        for worker in workers:
            worker.join(deadline)

    def begin_no_more(self) -> None:
        """Finish what has begun, and nothing else."""
        self._waiting.clear()
        for worker in self._workers:
            worker.reserved = None

    def __iter__(self) -> Iterator[tuple[int | None, Outcome]]:
        while True:
            while len(self._workers) < self._size and len(self._waiting) > sum(w.idle for w in self._workers):
                self._workers.append(self._started())
            for worker in self._workers:
                self._assign(worker)
            if not self._waiting and all(worker.idle for worker in self._workers):
                return
            for worker in self._due():
                yield from self._settle(worker)

    def _started(self, reserved: int | None = None) -> "_Worker":
        number = min(set(range(self._size)) - {worker.number for worker in self._workers})
        return _Worker(self._function, self._memory, self._start, number, reserved)

    def _assign(self, worker: "_Worker") -> None:
        """Hand the next item to a worker that is ready for one."""
        if worker.ready and worker.position is None and (self._waiting or worker.reserved is not None):
            position = self._waiting.popleft() if worker.reserved is None else worker.reserved
            worker.send(position, _pickled(self._items[position], f"an item (number {position})"), self._seconds)

    def _due(self) -> list["_Worker"]:
        """Wait for workers that have something to say, died or are over time."""
        first = min(worker.deadline for worker in self._workers)
        timeout = max(0.0, first - time.monotonic()) if first < float("inf") else None
        ready = set(connection.wait([source for worker in self._workers for source in worker.sources], timeout))
        now = time.monotonic()
        return [w for w in self._workers if ready.intersection(w.sources) or w.deadline <= now]

    def _settle(self, worker: "_Worker") -> Iterator[tuple[int | None, Outcome]]:
        position, used, outcome = worker.position, worker.used, worker.receive()
        if outcome is None:  # it is ready
            return
        if isinstance(outcome, Raised) and outcome.lost and position is not None:
            yield from self._without(worker, position, outcome)
            return
        ended = isinstance(outcome, Died | Overdue)
        damaged = ended or (isinstance(outcome, Raised) and outcome.no_memory)
        if damaged:
            self._workers.remove(worker)
            worker.stop(gently=False)
            worker.join(time.monotonic() + _PATIENCE)
        foreign = self._seconds is not None or self._memory is not None
        if position is not None and damaged and foreign and used and _may_be_of_another(outcome):
            self._workers.append(self._started(reserved=position))
        elif position is not None or not worker.ready:
            yield position, outcome

    def _without(self, worker: "_Worker", position: int, outcome: Outcome) -> Iterator[tuple[int | None, Outcome]]:
        """Go on without a worker whose card failed: the others take its item; without others it has failed."""
        self._workers.remove(worker)
        worker.stop(gently=False)
        worker.join(time.monotonic() + _PATIENCE)
        self._size -= 1
        if self._workers:
            self._waiting.appendleft(position)
        else:
            yield position, outcome


def _may_be_of_another(outcome: Outcome) -> bool:
    """Whether an item that the worker finished before can be to blame."""
    return outcome.crashed if isinstance(outcome, Died) else isinstance(outcome, Raised)


class _Worker:
    """A process, and the item that it works on."""

    def __init__(self, function: bytes, memory: int | None, start: str, number: int, reserved: int | None) -> None:
        self.number = number  # from 0, among those that work
        self.position: int | None = None  # of its item
        self.reserved = reserved  # position of the item that it was started for
        self.ready = False  # it has imported the function
        self.used = False  # it finished an item before this one
        self.deadline = float("inf")  # of its item, on the monotonic clock
        spawn, forkserver = multiprocessing.get_context("spawn"), multiprocessing.get_context("forkserver")
        context = spawn if start == "spawn" else forkserver
        self._pipe, theirs = context.Pipe()
        # Nothing is ever sent here: that its other end closes tells the worker of its parent's end.
        life, self._life = context.Pipe(duplex=False)
        resource_tracker.ensure_running()  # would let Ctrl-C through again if it came later
        with theirs, life, _no_interrupt():
            self._process = context.Process(target=_serve, args=(function, theirs, life, memory, number), daemon=True)
            self._process.start()

    @property
    def sources(self) -> tuple[Connection, int]:
        """Handles to wait for."""
        return self._pipe, self._process.sentinel

    @property
    def idle(self) -> bool:
        """Whether it has nothing to do, now or as soon as it is ready."""
        return self.position is None and self.reserved is None

    def send(self, position: int, item: bytes, seconds: float | None) -> None:
        self.position, self.reserved = position, None
        self.deadline = float("inf") if seconds is None else time.monotonic() + seconds
        with suppress(OSError):  # it died meanwhile, as will be seen
            self._pipe.send_bytes(item)

    def receive(self) -> Outcome | None:
        """Return what became of the item; None if the worker has become ready for its first."""
        try:
            if self._pipe.poll():
                outcome = _unpickled(self._pipe.recv_bytes())
                self.ready, self.used = self.ready or outcome is None, self.ready
                self.position, self.deadline = None, float("inf")
                return outcome
        except (EOFError, OSError):  # it died, maybe within a sentence
            pass
        if self.deadline <= time.monotonic() and self._process.is_alive():
            return Overdue()
        return self._ending()

    def _ending(self) -> Died:
        self._process.join(_PATIENCE)
        code = self._process.exitcode
        if code is None or code >= 0:
            return Died("a closed pipe" if code is None else f"exit code {code}", crashed=False)
        names = {int(number): number.name for number in signal.Signals}
        return Died(names.get(-code, f"signal {-code}"), crashed=-code in _CRASHES)

    def stop(self, *, gently: bool) -> None:
        """Let the process end by itself if it is idle and has time, else end it."""
        self._pipe.close()
        if not gently or not self.ready or self.position is not None:
            self._process.terminate()

    def join(self, deadline: float) -> None:
        """Wait for the process to end, and end it for good after the deadline."""
        self._process.join(max(0.0, deadline - time.monotonic()))
        if self._process.is_alive():
            self._process.kill()
            self._process.join(_PATIENCE)
        self._life.close()


def _serve(function: bytes, pipe: Connection, life: Connection, memory: int | None, number: int) -> None:
    """Answer items until the parent closes the pipe; what a worker process runs."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    _end_with_parent(life)
    number_worker(number)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the parent needs no more
        try:
            if memory is not None:
                _limit_memory(memory)
            call = pickle.loads(function)
        except BaseException as exc:
            pipe.send_bytes(_report(exc))
            return
        pipe.send_bytes(ForkingPickler.dumps(None))
        while True:
            pipe.send_bytes(_answer(call, pipe.recv_bytes()))


def _end_with_parent(life: Connection) -> None:
    """Have the kernel end this process once the other end of a pipe is closed, even if it never returns to Python.

    The signal is SIGIO, whose default is to end a process. A parent that is killed leaves no worker behind.
    """
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(life, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)
    if life.poll():  # it ended before that
        sys.exit(1)


def _limit_memory(memory: int) -> None:
    """Limit the address space to so many bytes beyond that of the libraries, which are here already."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    with suppress(ValueError, OSError):  # macOS has neither the file nor the limit
        memory += int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (memory if hard < 0 else min(memory, hard), hard))


def _answer(function: Callable[[Any], Any], item: bytes) -> bytes:
    try:
        value = function(pickle.loads(item))
        return _pickled(Done(value), f"a result ({type(value).__name__})")
    except BaseException as exc:
        return _report(exc)


def _report(error: BaseException) -> bytes:
    """An exception for the parent, by its text alone if it does not survive pickling."""
    traceback.clear_frames(error.__traceback__)  # gives back arrays, where memory is short
    trace = "".join(traceback.format_exception(error))
    causes = list(_causes(error))
    of_card = [cause for cause in causes if is_out_of_memory(cause) or is_lost(cause)]
    if of_card:  # torch's own exceptions need not survive pickling
        card, lost = str(of_card[0]).partition("\n")[0], any(map(is_lost, of_card))
        return _pickled(Raised(RuntimeError(card), trace, no_memory=False, card=card, lost=lost), "an exception")
    no_memory = any(map(_is_no_memory, causes))
    try:
        data = _pickled(Raised(error, trace, no_memory), "an exception")
        pickle.loads(data)
        return data
    except Exception:
        return _pickled(Raised(RuntimeError(f"{type(error).__name__}: {error}"), trace, no_memory), "an exception")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__


def _is_no_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM)


def _pickled(value: object, what: str) -> bytes:
    try:
        return bytes(ForkingPickler.dumps(value))
    except (pickle.PicklingError, TypeError, AttributeError, ValueError, RecursionError) as exc:
        raise TypeError(f"map_cases: expected {what} that can be pickled, got: {exc}") from exc


def _unpickled(data: bytes) -> Outcome | None:
    try:
        return pickle.loads(data)
    except Exception as exc:  # whatever the class of a result raises
        error = TypeError(f"map_cases: expected results that can be unpickled, got {type(exc).__name__}: {exc}")
        return Raised(error, "".join(traceback.format_exception(exc)), no_memory=False)


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Hold Ctrl-C back, so that a process that is started meanwhile is born deaf to it and prints no traceback."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
