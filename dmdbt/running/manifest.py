"""The manifest of an output folder that is made item by item, and the journal of a run that did not end.

The folder MUST hold ``manifest.json`` with ``format`` ("dmdbt items"), ``version`` (1) and ``items``: for every item,
by its name, its ``key`` and its ``outputs``: of every file or folder of it the number of ``files``, their ``bytes`` and
a ``sha256``. The key is a SHA-256 of all that decides the content: the input files, the parameters, the code and its
libraries. After a run that did not end there is ``journal.jsonl``, too: a line for every item that the run was about
to write (``doubtful``: what stands there may be its work or what was there before), and one for every item that it
finished.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from dmdbt.files import sha256, write_json
from dmdbt.running.fingerprint import digest

MANIFEST, JOURNAL = "manifest.json", "journal.jsonl"
_FORMAT, _VERSION = "dmdbt items", 1


@dataclass(frozen=True)
class Size:
    """Size of a file, or of all files of a folder; `sha256` is then that of their names and contents."""

    files: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Record:
    """Entry of an item in the manifest or the journal."""

    key: str
    outputs: dict[str, Size]


class Journal:
    """Writes what happens to the items, so that a run that is killed need not begin anew."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / JOURNAL

    def __enter__(self) -> Self:
        self._file = self._path.open("a", encoding="utf-8")
        self._file.write("\n")  # the last line may be cut off
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def mark_pending(self, names: Iterable[str]) -> None:
        """Note that outputs are about to be written: until they are done, sizes alone prove nothing there."""
        self._file.writelines(json.dumps({"doubtful": name}) + "\n" for name in names)
        self._file.flush()
        os.fsync(self._file.fileno())

    def mark_done(self, name: str, record: Record) -> None:
        """Note that an item is finished."""
        self._file.write(json.dumps({"name": name} | asdict(record)) + "\n")
        self._file.flush()


def write_manifest(folder: Path, records: Mapping[str, Record]) -> None:
    """Write the manifest of a run that ended, in place of its journal."""
    content = {"format": _FORMAT, "version": _VERSION, "items": {name: asdict(r) for name, r in records.items()}}
    write_json(folder / MANIFEST, content)
    (folder / JOURNAL).unlink(missing_ok=True)


def read_records(folder: Path) -> tuple[dict[str, Record], set[str]]:
    """Records of the manifest, then of the journal of a run that did not end; and whose outputs are doubtful."""
    records, doubtful = read_manifest(folder / MANIFEST), set[str]()
    journal = folder / JOURNAL
    for line in journal.read_text(encoding="utf-8", errors="replace").splitlines() if journal.is_file() else []:
        try:
            content = json.loads(line)
            if "doubtful" in content:
                doubtful.add(content["doubtful"])
            else:
                records[content["name"]] = _record(content)
                doubtful.discard(content["name"])
        except (ValueError, KeyError, TypeError):  # empty, or cut off by a kill: its item is still doubtful
            continue
    return records, doubtful


def read_manifest(path: Path) -> dict[str, Record]:
    """Records of a manifest; none if it is missing, damaged or of another format: everything is then foreign."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if (content["format"], content["version"]) != (_FORMAT, _VERSION):
            return {}
        return {name: _record(entry) for name, entry in content["items"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def measure(path: Path) -> Size:
    """Size and content of a file or folder."""
    files = _files(path)
    contents = [[file.relative_to(path).as_posix(), sha256(file)] for file in files]
    return Size(len(files), sum(file.stat().st_size for file in files), digest(contents))


def is_intact(folder: Path, record: Record, *, thoroughly: bool) -> bool:
    """Whether an item's files are as recorded: in number and size, and in content if `thoroughly`."""
    for output, size in record.outputs.items():
        files = _files(folder / output)
        if not all(file.is_file() for file in files):
            return False
        if (len(files), sum(file.stat().st_size for file in files)) != (size.files, size.bytes):
            return False
        if thoroughly and measure(folder / output) != size:
            return False
    return True


def _files(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def _record(content: dict[str, Any]) -> Record:
    return Record(content["key"], {output: Size(**size) for output, size in content["outputs"].items()})
