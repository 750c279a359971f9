"""Work that goes case by case: what is finished is kept, what was finished once is restored.

An item is computed only if neither the output folder nor DVC's local cache has one of its key (see
`dmdbt.running.manifest`). So a pair that is added costs one pair's work, and a parameter that is set back costs copies.
``DMDBT_REDO=1`` computes everything. A folder holds its items and its manifest, nothing else: the rest is removed.
"""

import os
import re
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Generic, TypeVar

from tqdm import tqdm

from dmdbt.errors import InputDataError, SystemResourceError
from dmdbt.files import TEMPORARY, sha256, whole_file
from dmdbt.running.dvc_cache import cached_folders
from dmdbt.running.environment import redo, worker_count
from dmdbt.running.fingerprint import code_fingerprint, digest
from dmdbt.running.manifest import (
    JOURNAL,
    MANIFEST,
    Journal,
    Record,
    Size,
    is_intact,
    measure,
    read_manifest,
    read_records,
    write_manifest,
)
from dmdbt.running.workers import map_cases

Payload = TypeVar("Payload")
_UNFINISHED = re.compile(rf"\..+\.\d+{re.escape(TEMPORARY)}(\..*)?")  # names of `dmdbt.files.whole_file`


@dataclass(frozen=True)
class Item(Generic[Payload]):
    """A unit of work of a stage."""

    name: str  # unique in the stage; what it is called in errors
    payload: Payload  # what the stage's function is called with
    inputs: tuple[Path, ...]  # files that it reads
    outputs: tuple[str, ...]  # files or folders that it writes, relative to the output folder


@dataclass(frozen=True)
class Step(Generic[Payload]):
    """The work of a stage, item by item.

    Attributes
    ----------
    description
        Label of the progress bar and of the printed account.
    items
        None where a cohort has no image of the kind, such as no volume: the folder then holds its manifest alone, and
        the stages that follow find it. That a cohort has no case at all is refused when its table is read.
    function
        Picklable; called in a worker process with an item's payload and the output folder, it writes the item's
        outputs, each whole or not at all.
    parameters
        All that decides what comes out, beside the inputs and the code, which `code_fingerprint` finds.
    size
        About how many bytes an item's outputs take.
    preload
        See `map_cases`.
    at_once
        Call `function` with a list of at most so many payloads instead, for work that is faster together. Where it
        fails, none of these items counts as finished.
    workers
        See `map_cases`.
    """

    description: str
    items: Sequence[Item[Payload]]
    function: Callable[[Any, Path], None]
    parameters: Mapping[str, object]
    size: Callable[[Payload], int] = lambda _: 0
    preload: Sequence[str] = ()
    at_once: int | None = None
    workers: int | None = None


@dataclass(frozen=True)
class Account:
    """How many items were computed, restored from DVC's cache, and kept; how many foreign files were removed."""

    computed: int
    restored: int
    kept: int
    removed: int


def make_items(
    folder: Path,
    step: Step[Payload],
    *,
    on_failure: Callable[[Payload, InputDataError], None] | None = None,
    seconds: float | None = None,
    memory: int | None = None,
    restore: bool = True,
    start: str = "forkserver",
    users_folder: bool = False,
) -> Account:
    """Bring an output folder up to date: compute what is neither there nor in DVC's cache, remove what is foreign.

    Parameters
    ----------
    folder
        Made if it is missing. If the work fails or is killed, what was finished stays and is kept by the next run.
    step
        The items and how to compute them.
    on_failure
        Called with a payload that turns out to be bad data, which is then not raised. Its item does not count as
        finished, what was left of its outputs is removed (but see `users_folder`), and the next run computes it again.
        Not with `at_once`.
    seconds, memory, start
        See `map_cases`.
    restore
        Whether DVC's cache may have the items.
    users_folder
        Whether somebody may have changed the folder. Then an output is kept if its content is as it was written, not
        its size alone, and nothing is removed but outputs that an item had before and has no more: neither what no run
        has made, nor the earlier outputs of an item that fails.

    Raises
    ------
    ValueError
        Two items have a name or an output in common; or both `at_once` and `on_failure` are given.
    SystemResourceError
        The disk has no room for what is to be computed; nothing was begun.
    DmdbtError
        As the step's function and `map_cases` raise it.
    """
    _check(step.items)
    if step.at_once is not None and on_failure:
        raise ValueError(f"make_items: expected at_once or on_failure, got both ({step.description})")
    folder.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    keys, anew = _keys(step), redo()
    before, doubtful = read_records(folder)
    thorough = set(before) if users_folder else doubtful
    records = {} if anew else _kept(folder, keys, before, thorough)
    n_kept = len(records)
    with Journal(folder) as journal:
        wanted = {name: key for name, key in keys.items() if name not in records}
        journal.mark_pending(wanted)
        for name, record in _restored(folder, wanted) if restore and not anew else ():
            records[name] = record
            journal.mark_done(name, record)
        n_restored = len(records) - n_kept
        todo, at_once = [item for item in step.items if item.name not in records], step.at_once or 1
        _check_disk(folder, [step.size(item.payload) for item in todo], step.description)

        def enter(group: Sequence[Item[Payload]], outputs: Sequence[dict[str, Size]]) -> None:
            for item, sizes in zip(group, outputs, strict=True):
                records[item.name] = Record(keys[item.name], sizes)
                journal.mark_done(item.name, records[item.name])

        map_cases(
            partial(_compute, function=step.function, folder=folder, listed=step.at_once is not None),
            [todo[start : start + at_once] for start in range(0, len(todo), at_once)],
            description=step.description,
            name=lambda group: ", ".join(item.name for item in group),
            preload=step.preload,
            on_result=enter,
            on_failure=on_failure and (lambda group, error: on_failure(group[0].payload, error)),
            workers=step.workers,
            seconds=seconds,
            memory=memory,
            start=start,
        )
    mine = {output for name, record in records.items() for output in record.outputs}
    if users_folder:
        made = {output for name in records for output in _outputs(before.get(name))}
        removed = sum(_remove(folder / output) for output in made - mine)
        others = before
    else:
        removed, others = _prune(folder, mine), {}
    write_manifest(folder, others | records)
    account = Account(computed=len(records) - n_kept - n_restored, restored=n_restored, kept=n_kept, removed=removed)
    print(f"{step.description}: " + ", ".join(f"{number} {what}" for what, number in asdict(account).items()))
    return account


def _check(items: Sequence[Item[Payload]]) -> None:
    outputs = [output for item in items for output in item.outputs]
    if len({item.name for item in items}) < len(items) or len(set(outputs)) < len(outputs):
        raise ValueError(f"make_items: expected items with names and outputs of their own, got {len(items)} items")


def _check_disk(folder: Path, sizes: Sequence[int], description: str) -> None:
    needed, free = sum(sizes), shutil.disk_usage(folder).free
    if needed > free:
        raise SystemResourceError(
            f"{description}: expected about {needed / 1e9:.2f} GB of free disk for {len(sizes)} items, got "
            f"{free / 1e9:.2f} GB. Free disk space (DVC's cache takes as much again), then run the command again: "
            "what is finished is kept."
        )


def _keys(step: Step[Payload]) -> dict[str, str]:
    common = code_fingerprint(step.function, step.parameters)
    with ThreadPoolExecutor(worker_count()) as threads:
        keys = threads.map(partial(_key, common=common), step.items)
        description = f"{step.description}: inputs"
        bar = tqdm(keys, desc=description, total=len(step.items), unit="case", leave=False, disable=None)
        return dict(zip((item.name for item in step.items), bar, strict=True))


def _key(item: Item[Payload], *, common: str) -> str:
    return digest([common, item.outputs, [_content(path) for path in item.inputs]])


def _content(path: Path) -> str | None:
    """Return the SHA-256 of a file; None if there is none, or it cannot be read, which the function will tell."""
    try:
        return sha256(path) if path.is_file() else None
    except PermissionError:
        return None


def _kept(
    folder: Path, keys: Mapping[str, str], known: Mapping[str, Record], thorough: Collection[str]
) -> dict[str, Record]:
    """Records of the items that are in the folder as they should be. Whoever reads an item checks its content."""
    found = {name: known[name] for name, key in keys.items() if name in known and known[name].key == key}
    with ThreadPoolExecutor(worker_count()) as threads:
        intact = threads.map(lambda name: is_intact(folder, found[name], thoroughly=name in thorough), found)
        return {name: record for (name, record), is_there in zip(found.items(), intact, strict=True) if is_there}


def _outputs(record: Record | None) -> Collection[str]:
    return record.outputs if record else ()


def _compute(
    items: Sequence[Item[Payload]], *, function: Callable[[Any, Path], None], folder: Path, listed: bool
) -> list[dict[str, Size]]:
    """Call the function once for all items; return the sizes of the outputs of each."""
    payloads = [item.payload for item in items]
    function(payloads if listed else payloads[0], folder)
    return [{output: measure(folder / output) for output in item.outputs} for item in items]


def _restored(folder: Path, wanted: Mapping[str, str]) -> Iterator[tuple[str, Record]]:
    """Copy items of these keys out of DVC's local cache, newest folder first."""
    missing = dict(wanted)
    for cached in cached_folders(folder, MANIFEST) if missing else ():
        records = read_manifest(cached[MANIFEST])
        found = {name: record for name, record in records.items() if missing.get(name) == record.key}
        contents = _by_output(cached) if found else {}
        for name, record in found.items():
            if _restore(folder, record, contents):
                del missing[name]
                yield name, record
        if not missing:
            return


def _by_output(cached: Mapping[str, Path]) -> dict[str, dict[str, Path]]:
    """Return by file and by folder the files in it, by their path."""
    contents: dict[str, dict[str, Path]] = {}
    for path, place in cached.items():
        for output in (path, *map(str, PurePosixPath(path).parents)):
            contents.setdefault(output, {})[path] = place
    return contents


def _restore(folder: Path, record: Record, contents: Mapping[str, Mapping[str, Path]]) -> bool:
    """Whether all files of an item were in the cache, and undamaged."""
    for output, size in record.outputs.items():
        sources = contents.get(output, {})
        if len(sources) != size.files or not all(place.is_file() for place in sources.values()):
            return False
        shutil.rmtree(folder / output, ignore_errors=True)
        for path, place in sources.items():
            with whole_file(folder / path) as temporary:
                shutil.copyfile(place, temporary)
        if measure(folder / output) != size:
            return False
    return True


def _sweep(folder: Path) -> None:
    """Remove what a killed run left half-written."""
    for path in list(folder.rglob(f".*{TEMPORARY}*")):
        if _UNFINISHED.fullmatch(path.name):
            _remove(path)


def _remove(path: Path) -> bool:
    """Remove a file, a link or a folder; return whether there was one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
        return True
    there = os.path.lexists(path)
    path.unlink(missing_ok=True)
    return there


def _prune(folder: Path, outputs: Iterable[str]) -> int:
    """Remove what is no output, then empty folders; return how many files it was."""
    mine = {folder / output for output in (*outputs, MANIFEST, JOURNAL)}
    removed = 0
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif not any(parent in mine for parent in (path, *path.parents)):
            path.unlink()
            removed += 1
    return removed
