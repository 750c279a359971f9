"""Map a function over cases in worker processes, in order, with a progress bar."""

import multiprocessing
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing import forkserver
from typing import Generic, TypeVar

from tqdm import tqdm

from dmdbt.errors import DmdbtError, InputDataError, SystemResourceError, file_error
from dmdbt.running.environment import worker_count
from dmdbt.running.pool import Died, Done, Outcome, Raised, WorkerPool

Argument = TypeVar("Argument")
Result = TypeVar("Result")

_OTHER_CARD = "End other programs on it, or set DMDBT_DEVICE to another card or to cpu; what is finished is kept."
_LESS_WORK = "Free memory or set DMDBT_WORKERS=1, then run the command again."
# A second thread in a busy worker costs up to nine times more CPU than it saves.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
# What one image freed serves the next. By default glibc gives the memory of large arrays back, and the kernel clears it
# anew each time: up to a quarter of the time of extracting features. Other C libraries look at neither.
_KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(2**29), "MALLOC_MMAP_THRESHOLD_": str(2**25)}


def map_cases(
    function: Callable[[Argument], Result],
    items: Sequence[Argument],
    *,
    description: str,
    name: Callable[[Argument], str] = str,
    preload: Sequence[str] = (),
    on_result: Callable[[Argument, Result], None] | None = None,
    on_failure: Callable[[Argument, InputDataError], None] | None = None,
    workers: int | None = None,
    seconds: float | None = None,
    memory: int | None = None,
    start: str = "forkserver",
) -> list[Result]:
    """Call a function on every item, in worker processes with one thread each.

    Parameters
    ----------
    function
        Picklable: a function of a module, or a `functools.partial` of one. Its result should be small.
    items
        One per case.
    description
        Label of the progress bar.
    name
        What an item is called in an error.
    preload
        Modules to import once, before the workers fork.
    on_result
        Called here as soon as an item is done, in whatever order that happens.
    on_failure
        Called here as soon as an item turns out to be bad data, which is then not raised.
    workers
        Number of worker processes; `worker_count` by default.
    seconds, memory
        Limits for files of others: how long an item may take, and how many bytes of address space a worker may take
        beyond that of its libraries, where the platform has such a limit. The parameters ``reading.seconds`` and
        ``reading.memory_gib``. With either, an item that crashes its worker is bad data.
    start
        Start method of `multiprocessing`: with ``spawn`` the workers have nothing of `preload`, and do not wait for it.

    Returns
    -------
    list
        The results in the order of `items`, without those that were handed to `on_failure`.

    Raises
    ------
    DmdbtError
        The first failure among the items, in their order, after every item was tried; how many failed in all is
        added as a note. ``CASE-TIME``, ``CASE-MEMORY`` and ``CASE-CRASH`` where an item exceeded a limit or crashed.
    SystemResourceError
        A worker died or found no memory, or the disk is full; names the item. What had not begun is not tried.
    TypeError
        The function, an item or a result cannot be pickled.
    """
    _choose(preload)
    size = max(1, min(workers or worker_count(), len(items)))
    found: _Found[Argument, Result] = _Found(name, seconds, memory, on_result, on_failure)
    with (
        WorkerPool(function, items, size=size, seconds=seconds, memory=memory, start=start) as pool,
        tqdm(desc=description, total=len(items), unit="case", disable=None) as bar,
    ):
        for position, outcome in pool:
            if position is None:
                raise _no_start(description, outcome)
            found.enter(position, items[position], outcome)
            if found.resource_errors:
                pool.begin_no_more()
            bar.update()
    found.check(len(items))
    return [found.results[number] for number in sorted(found.results)]


def begin_workers(preload: Sequence[str]) -> None:
    """Begin to import modules for all workers of this process, beside what it goes on to do.

    Once this or `map_cases` was called, no other `preload` counts.
    """
    _choose(preload)
    forkserver.ensure_running()


def _choose(preload: Sequence[str]) -> None:
    os.environ.update({key: os.environ.get(key, value) for key, value in (_ONE_THREAD | _KEEP_MEMORY).items()})
    multiprocessing.get_context("forkserver").set_forkserver_preload(list(preload))


@dataclass
class _Found(Generic[Argument, Result]):
    """Results and failures so far, by the position of the item."""

    name: Callable[[Argument], str]
    seconds: float | None
    memory: int | None
    on_result: Callable[[Argument, Result], None] | None
    on_failure: Callable[[Argument, InputDataError], None] | None
    results: dict[int, Result] = field(default_factory=dict)
    failures: dict[int, DmdbtError] = field(default_factory=dict)
    resource_errors: dict[int, DmdbtError] = field(default_factory=dict)

    def enter(self, position: int, item: Argument, outcome: Outcome) -> None:
        """Note an outcome; raise what is neither bad data nor the fault of the machine."""
        try:
            if isinstance(outcome, Done):
                self.results[position] = outcome.value
                if self.on_result:
                    self.on_result(item, outcome.value)
                return
            error = _failure(self.name(item), outcome, self.seconds, self.memory)
            if not self.on_failure or not isinstance(error, InputDataError):
                raise error
            self.on_failure(item, error)
        except SystemResourceError as exc:
            self.resource_errors[position] = exc
        except DmdbtError as exc:
            self.failures[position] = exc
        except OSError as exc:
            self.resource_errors[position] = file_error(exc, self.name(item))

    def check(self, n_items: int) -> None:
        """Raise the first failure, with a note of the others; those of the machine come first."""
        errors = [group[number] for group in (self.resource_errors, self.failures) for number in sorted(group)]
        if len(errors) > 1:
            errors[0].add_note(f"{len(errors)} of {n_items} cases failed:")
            for other in errors[1:]:
                errors[0].add_note(str(other))
        if errors:
            raise errors[0]


def _failure(name: str, outcome: Outcome, seconds: float | None, memory: int | None) -> BaseException:
    """Return the error that says why an item did not come out."""
    remedy = "Check the files; if they are right, raise reading.{} in params.yaml."
    if isinstance(outcome, Raised):
        if outcome.card:
            return SystemResourceError(f"{name}: expected a card with room for it, got: {outcome.card} {_OTHER_CARD}")
        if not outcome.no_memory:
            return _noted(outcome, f"{name}, in a worker process")
        if memory is None:
            return SystemResourceError(f"{name}: expected enough memory, got none. {_LESS_WORK}")
        code, remedy, limit = "CASE-MEMORY", remedy.format("memory_gib"), f"{memory / 2**30:.4g} GiB"
        cause = f"expected an examination within {limit} of memory, found that it takes more (reading.memory_gib)"
    elif isinstance(outcome, Died):
        if not outcome.crashed or (seconds is None and memory is None):
            expected = "expected its worker process to finish"
            return SystemResourceError(f"{name}: {expected}, but it ended with {outcome.ending}. {_LESS_WORK}")
        code, remedy = "CASE-CRASH", "Export the files of this case again."
        cause = f"expected a file that can be decoded, found that it ended the decoder with signal {outcome.ending}"
    else:
        code, remedy = "CASE-TIME", remedy.format("seconds")
        cause = f"expected an examination within {seconds:g} s, found none (reading.seconds)"
    return InputDataError(code, case=name, cause=cause, remedy=remedy)


def _no_start(description: str, outcome: Outcome) -> BaseException:
    """Return the error for a worker that could not begin; no case is to blame."""
    if isinstance(outcome, Raised) and not outcome.no_memory:
        return _noted(outcome, f"{description}, at the start of a worker process")
    found = outcome.ending if isinstance(outcome, Died) else "no memory"
    return SystemResourceError(
        f"{description}: expected a worker process to start, got: {found}. Free memory, set DMDBT_WORKERS=1 or raise "
        "reading.memory_gib in params.yaml, then run the command again."
    )


def _noted(outcome: Raised, where: str) -> BaseException:
    """The exception of a worker, which has lost its traceback on the way."""
    if not isinstance(outcome.error, DmdbtError):  # whose message says all that the user needs
        outcome.error.add_note(f"{where}:\n{outcome.trace}")
    return outcome.error
