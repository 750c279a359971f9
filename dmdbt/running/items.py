"""The books of a stage that works case by case: what is finished is kept, what was finished once is restored.

An output folder of such a stage persists between runs and MUST hold ``manifest.json`` with ``format`` ("dmdbt items"),
``version`` (1) and ``items``: for every item, by its name, its ``key`` and its ``outputs``: of every file or folder of
it the number of ``files``, their ``bytes`` and a ``sha256``. The key is a SHA-256 of all that decides the content: the
input files, the parameters and the code. The folder holds nothing else, but for ``journal.jsonl`` after a run that did
not end: one line per item that it finished.

An item is computed only if neither the folder nor DVC's local cache has one of its key. So a pair that is added costs
one pair's work, and a parameter that is set back costs copies. ``DMDBT_REDO=1`` computes everything.
"""

import ast
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any, Generic, TypeVar

from tqdm import tqdm

from dmdbt.files import TEMPORARY, sha256, whole_file, write_json
from dmdbt.running.dvc_cache import cached_folders
from dmdbt.running.workers import map_cases, worker_count

Subject = TypeVar("Subject")

_FORMAT, _VERSION = "dmdbt items", 1
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_MANIFEST, _JOURNAL = "manifest.json", "journal.jsonl"


@dataclass(frozen=True)
class Item(Generic[Subject]):
    """A unit of work of a stage.

    Attributes
    ----------
    name
        Unique in the stage; what it is called in errors.
    subject
        What the stage's function is called with.
    inputs
        The files that it reads.
    outputs
        The files or folders that it writes, relative to the output folder.
    """

    name: str
    subject: Subject
    inputs: tuple[Path, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Account:
    """How many items were computed, restored from DVC's cache, and kept; how many foreign files were removed."""

    computed: int
    restored: int
    kept: int
    removed: int


@dataclass(frozen=True)
class _Size:
    """Of a file, or of all files of a folder; `sha256` is then that of their names and contents."""

    files: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class _Record:
    """What the books say of an item."""

    key: str
    outputs: dict[str, _Size]


def make_items(
    folder: Path,
    items: Sequence[Item[Subject]],
    function: Callable[[Subject, Path], None],
    *,
    recipe: str,
    description: str,
    preload: Sequence[str] = (),
) -> Account:
    """Bring an output folder up to date: compute what is neither there nor in DVC's cache, remove what is foreign.

    Parameters
    ----------
    folder
        Made if it is missing. If the work fails or is killed, what was finished stays and is kept by the next run.
    items
        At least one.
    function
        Picklable; called in a worker process with an item's subject and `folder`, it writes the item's outputs, each
        whole or not at all.
    recipe
        All but the inputs that decides what comes out; see `recipe`.
    description
        Of the progress bar and of the printed account.
    preload
        See `map_cases`.

    Raises
    ------
    ValueError
        There is no item, or two have a name or an output in common.
    DmdbtError
        As `function` and `map_cases` raise it.
    """
    _check(items)
    folder.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    keys = _keys(items, recipe, description)
    redo = os.environ.get("DMDBT_REDO") == "1"
    records = {} if redo else _kept(folder, keys)
    n_kept = len(records)
    with (folder / _JOURNAL).open("a", encoding="utf-8") as journal:
        journal.write("\n")  # the last line may be cut off

        def note(name: str, record: _Record) -> None:
            records[name] = record
            journal.write(json.dumps({"name": name} | asdict(record)) + "\n")
            journal.flush()

        if not redo:
            for name, record in _restored(folder, {n: key for n, key in keys.items() if n not in records}):
                note(name, record)
        n_restored = len(records) - n_kept
        todo = [item for item in items if item.name not in records]
        map_cases(
            partial(_compute, function=function, folder=folder, keys=keys),
            todo,
            description=description,
            name=lambda item: item.name,
            preload=preload,
            on_result=lambda item, record: note(item.name, record),
        )
    removed = _prune(folder, items)
    content = {"format": _FORMAT, "version": _VERSION, "items": {name: asdict(r) for name, r in records.items()}}
    write_json(folder / _MANIFEST, content)
    (folder / _JOURNAL).unlink()
    account = Account(computed=len(todo), restored=n_restored, kept=n_kept, removed=removed)
    print(f"{description}: " + ", ".join(f"{number} {what}" for what, number in asdict(account).items()))
    return account


def recipe(modules: Sequence[str], parameters: Mapping[str, object]) -> str:
    """Digest of code and parameters.

    Parameters
    ----------
    modules
        Dotted names of modules and packages. Comments, docstrings and blanks in them do not count.
    parameters
        Of types that JSON knows.
    """
    code = {file.as_posix(): _code(path) for name in modules for file, path in _sources(name)}
    return _digest([code, dict(parameters)])


def _sources(module: str) -> Iterator[tuple[Path, Path]]:
    """The Python files of a module or package: what they are called in the project, and where they are."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ValueError(f"recipe: expected the name of a module, got {module}")
    home, name = Path(spec.origin), Path(*module.split("."))
    if spec.submodule_search_locations is None:
        yield name, home
    else:
        for path in sorted(home.parent.rglob("*.py")):
            yield name / path.relative_to(home.parent), path


def _check(items: Sequence[Item[Subject]]) -> None:
    outputs = [output for item in items for output in item.outputs]
    if not items or len({item.name for item in items}) < len(items) or len(set(outputs)) < len(outputs):
        raise ValueError(f"make_items: expected items with names and outputs of their own, got {len(items)} items")


def _code(file: Path) -> str:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return ast.dump(tree)


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _keys(items: Sequence[Item[Subject]], recipe: str, description: str) -> dict[str, str]:
    with ThreadPoolExecutor(worker_count()) as threads:
        keys = threads.map(partial(_key, recipe=recipe), items)
        bar = tqdm(keys, desc=f"{description}: inputs", total=len(items), unit="case", leave=False, disable=None)
        return dict(zip((item.name for item in items), bar, strict=True))


def _kept(folder: Path, keys: Mapping[str, str]) -> dict[str, _Record]:
    """Records of the items that are in the folder as they should be."""
    known = _read_books(folder)
    found = {name: known[name] for name, key in keys.items() if name in known and known[name].key == key}
    return {name: record for name, record in found.items() if _is_intact(folder, record)}


def _key(item: Item[Subject], *, recipe: str) -> str:
    return _digest([recipe, item.outputs, [sha256(path) if path.is_file() else None for path in item.inputs]])


def _compute(
    item: Item[Subject], *, function: Callable[[Subject, Path], None], folder: Path, keys: dict[str, str]
) -> _Record:
    function(item.subject, folder)
    return _Record(keys[item.name], {output: _measured(folder / output) for output in item.outputs})


def _files(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def _measured(path: Path) -> _Size:
    files = _files(path)
    contents = [[file.relative_to(path).as_posix(), sha256(file)] for file in files]
    return _Size(len(files), sum(file.stat().st_size for file in files), _digest(contents))


def _is_intact(folder: Path, record: _Record) -> bool:
    """Whether numbers and sizes of the files are as recorded. Whoever reads the content checks it."""
    for output, size in record.outputs.items():
        files = _files(folder / output)
        if not all(file.is_file() for file in files):
            return False
        if (len(files), sum(file.stat().st_size for file in files)) != (size.files, size.bytes):
            return False
    return True


def _read_books(folder: Path) -> dict[str, _Record]:
    """Records of the manifest, then of the journal of a run that did not end."""
    records = _read_manifest(folder / _MANIFEST)
    journal = folder / _JOURNAL
    for line in journal.read_text(encoding="utf-8").splitlines() if journal.is_file() else []:
        try:
            content = json.loads(line)
        except json.JSONDecodeError:  # empty, or cut off by a kill: its item is computed again
            continue
        records[content["name"]] = _record(content)
    return records


def _read_manifest(path: Path) -> dict[str, _Record]:
    """Records of a manifest; none if it is missing, damaged or of another format: everything is then foreign."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if (content["format"], content["version"]) != (_FORMAT, _VERSION):
            return {}
        return {name: _record(entry) for name, entry in content["items"].items()}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _record(content: dict[str, Any]) -> _Record:
    return _Record(content["key"], {output: _Size(**size) for output, size in content["outputs"].items()})


def _restored(folder: Path, wanted: dict[str, str]) -> Iterator[tuple[str, _Record]]:
    """Copy items of these keys out of DVC's local cache, newest folder first."""
    wanted = dict(wanted)
    for cached in cached_folders(folder, _MANIFEST) if wanted else ():
        records = _read_manifest(cached[_MANIFEST])
        found = {name: record for name, record in records.items() if wanted.get(name) == record.key}
        contents = _by_output(cached) if found else {}
        for name, record in found.items():
            if _restore(folder, record, contents):
                del wanted[name]
                yield name, record
        if not wanted:
            return


def _by_output(cached: Mapping[str, Path]) -> dict[str, dict[str, Path]]:
    """Of every file and every folder the files in it, by their path."""
    contents: dict[str, dict[str, Path]] = {}
    for path, place in cached.items():
        for output in (path, *map(str, PurePosixPath(path).parents)):
            contents.setdefault(output, {})[path] = place
    return contents


def _restore(folder: Path, record: _Record, contents: Mapping[str, Mapping[str, Path]]) -> bool:
    """Whether all files of an item were in the cache, and undamaged."""
    for output, size in record.outputs.items():
        sources = contents.get(output, {})
        if len(sources) != size.files or not all(place.is_file() for place in sources.values()):
            return False
        shutil.rmtree(folder / output, ignore_errors=True)
        for path, place in sources.items():
            with whole_file(folder / path) as temporary:
                shutil.copyfile(place, temporary)
        if _measured(folder / output) != size:
            return False
    return True


def _sweep(folder: Path) -> None:
    """Remove what a killed run left half-written."""
    for path in list(folder.rglob(f".*{TEMPORARY}*")):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _prune(folder: Path, items: Sequence[Item[Subject]]) -> int:
    """Remove what is no item's, then empty folders; return how many files it was."""
    mine = {folder / output for item in items for output in item.outputs} | {folder / _MANIFEST, folder / _JOURNAL}
    removed = 0
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif not any(parent in mine for parent in (path, *path.parents)):
            path.unlink()
            removed += 1
    return removed
