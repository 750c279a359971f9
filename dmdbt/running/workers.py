"""Map a function over cases in worker processes, in order, with a progress bar."""

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from tqdm import tqdm

from dmdbt.errors import DmdbtError, ParameterError, SurroundingsError

Item = TypeVar("Item")
Result = TypeVar("Result")

# A second thread in a busy worker costs up to nine times more CPU than it saves.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def worker_count() -> int:
    """Return the number of worker processes: ``DMDBT_WORKERS``, or one per usable core.

    It decides how long the work takes, never what comes out, and so is no parameter of DVC.
    """
    text = os.environ.get("DMDBT_WORKERS", "")
    if not text:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not text.isdecimal() or int(text) < 1:
        raise ParameterError(
            "DMDBT_WORKERS", expected="a whole number from 1", found=text, remedy="Unset it to use every core."
        )
    return int(text)


def map_cases(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    description: str,
    name: Callable[[Item], str] = str,
    preload: Sequence[str] = (),
    on_result: Callable[[Item, Result], None] | None = None,
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
        Called here, in the order of `items`, as soon as an item and all before it are done.

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
        A worker died.
    """
    workers = min(worker_count(), len(items))
    os.environ.update({key: os.environ.get(key, value) for key, value in _ONE_THREAD.items()})
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    results: list[Result] = []
    failures: list[DmdbtError] = []
    with ProcessPoolExecutor(workers or 1, mp_context=context) as pool:
        futures = [pool.submit(function, item) for item in items]
        for item, future in zip(tqdm(items, desc=description, unit="case", disable=None), futures, strict=True):
            try:
                results.append(future.result())
                if on_result:
                    on_result(item, results[-1])
            except DmdbtError as exc:
                failures.append(exc)
            except BrokenProcessPool as exc:
                raise SurroundingsError(
                    f"{name(item)}: expected its worker to finish, but a worker process was killed. "
                    "Free memory or set DMDBT_WORKERS=1, then run the command again."
                ) from exc
    if failures:
        if len(failures) > 1:
            failures[0].add_note(f"{len(failures)} of {len(items)} cases failed:")
            for other in failures[1:]:
                failures[0].add_note(str(other))
        raise failures[0]
    return results
