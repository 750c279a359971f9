"""Write files that appear whole or not at all, name them by their content, and know their format again."""

import csv
import hashlib
import json
import os
import re
import shutil
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TEMPORARY = ".tmp"  # part of the name of what is not finished, which begins with a dot


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; on success the file is synced and renamed to `path`.

    The suffix of `path` stays last in the temporary name, for writers that go by it. A failure removes the
    temporary file and leaves what stood at `path` before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{TEMPORARY}{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a new temporary folder beside `path`; on success it takes the place of `path`."""
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{TEMPORARY}{path.suffix}")
    remove_unfinished(path)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        shutil.rmtree(path, ignore_errors=True)
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_unfinished(path: Path) -> None:
    """Remove what processes that were killed while they wrote the file or folder `path` left beside it."""
    name = re.compile(rf"\.{re.escape(path.stem)}\.\d+{re.escape(TEMPORARY + path.suffix)}")
    for left in path.parent.iterdir() if path.parent.is_dir() else ():
        if not name.fullmatch(left.name):
            continue
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 with Unix line ends."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, content: object) -> None:
    """Write `content` with sorted keys: equal content gives equal bytes. NaN is refused (`ValueError`)."""
    write_text(path, json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n")


def write_rows(path: Path, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Write a CSV table as UTF-8 with Unix line ends; without rows, the header alone. None gives an empty cell."""
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def no_file(path: Path) -> str:
    """Say what is in place of a file: nothing, a folder, or a name that differs in case or normalization alone."""
    if path.is_dir():
        return "a folder"
    lost: list[str] = []
    while not path.is_dir() and path != path.parent:
        lost, path = [path.name, *lost], path.parent
    found: list[str] = []
    for name in lost:
        names = [entry.name for entry in path.iterdir()] if path.is_dir() else []
        alike = [other for other in names if _plain(other) == _plain(name) and (found or other != name)]
        if not alike:
            return "no file"
        found, path = [*found, alike[0]], path / alike[0]
    return f"no file of this name but {'/'.join(found)}, which differs in case or in how accents are stored"


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def other_format(content: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    """Compare the keys ``format`` and ``version``; return the cause of an error, empty if they are as expected."""
    wanted, found = ([of.get(key) for key in ("format", "version")] for of in (expected, content))
    return "" if found == wanted else f"expected format {wanted[0]} {wanted[1]}, found {found[0]} {found[1]}"


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_state(path: Path) -> tuple[int, ...]:
    """Return inode, size and both times of change, which another content changes; nothing if there is no file."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
