"""Map a function over cases in worker processes, in order, with a progress bar."""

import errno
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from tqdm import tqdm

from dmdbt.errors import DmdbtError, SurroundingsError
from dmdbt.running.environment import worker_count

Argument = TypeVar("Argument")
Result = TypeVar("Result")

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)

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
    workers: int | None = None,
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
    workers
        Number of worker processes; `worker_count` by default.

    Returns
    -------
    list
        The results in the order of `items`.

    Raises
    ------
    DmdbtError
        The first failure among the items, in their order, after every item was tried; how many failed in all is
        added as a note.
    SurroundingsError
        A worker died, or the disk is full. What had not begun is not tried.
    """
    workers = min(workers or worker_count(), len(items))
    os.environ.update({key: os.environ.get(key, value) for key, value in (_ONE_THREAD | _KEEP_MEMORY).items()})
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    results: dict[int, Result] = {}
    failures: dict[int, DmdbtError] = {}
    with ProcessPoolExecutor(workers or 1, mp_context=context) as pool:
        position = {pool.submit(function, item): number for number, item in enumerate(items)}
        bar = tqdm(as_completed(position), desc=description, total=len(items), unit="case", disable=None)
        for future in bar:
            number = position[future]
            try:
                results[number] = future.result()
                if on_result:
                    on_result(items[number], results[number])
            except DmdbtError as exc:
                failures[number] = exc
            except (BrokenProcessPool, OSError) as exc:
                pool.shutdown(wait=False, cancel_futures=True)
                raise _lost(name(items[number]), exc) from exc
    if failures:
        raise _first([failures[number] for number in sorted(failures)], len(items))
    return [results[number] for number in range(len(items))]


def _lost(name: str, error: BrokenProcessPool | OSError) -> Exception:
    """What a failure of the machine is called; any other error stays what it is."""
    if isinstance(error, BrokenProcessPool):
        return SurroundingsError(
            f"{name}: expected its worker to finish, but a worker process was killed. "
            "Free memory or set DMDBT_WORKERS=1, then run the command again."
        )
    if error.errno in DISK_FULL:
        return SurroundingsError(
            f"{name}: expected room for its output, got: {error.strerror}. Free disk space, then run the command "
            "again: what is finished is kept."
        )
    return error


def _first(failures: Sequence[DmdbtError], n_items: int) -> DmdbtError:
    """The first failure, with a note of the others."""
    if len(failures) > 1:
        failures[0].add_note(f"{len(failures)} of {n_items} cases failed:")
        for other in failures[1:]:
            failures[0].add_note(str(other))
    return failures[0]
