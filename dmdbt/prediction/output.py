"""The output folder of predictions: one run at a time works in it, and nothing of others is lost there.

``.state`` in it belongs to the runs. It holds ``run.json``, with ``format`` ("dmdbt prediction run"), ``version`` (1),
a digest of the ``source`` and the names of the ``tables`` that were written; the lock; examinations; digests of the
requests; and ``work``, with images of the pairs in work.
"""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dmdbt.errors import ParameterError, file_error, is_no_room
from dmdbt.files import other_format, write_json
from dmdbt.prediction.requests import Request
from dmdbt.running import digest, folder_lock, read_records

CASES, STATE, WORK = "cases", ".state", "work"
_RUN: dict[str, str | int] = {"format": "dmdbt prediction run", "version": 1}
_LISTED = 5  # cases, in an error


@contextmanager
def claimed(output: Path, root: Path, requests: Sequence[Request]) -> Iterator[Path]:
    """Yield the folder `STATE` of an output folder that no other run uses meanwhile.

    Tables of an earlier run are removed, because they would contradict what this one computes; see `note_tables`.

    Parameters
    ----------
    output
        See `dmdbt.prediction.cases.predict_cases`.
    root
        Folder from which the paths of the requests start: what the results there are of.
    requests
        The pairs.

    Raises
    ------
    ParameterError
        The folder cannot be written, or holds something else: results of other files or of other pairs, too.
    SystemResourceError
        Another run works in it, or there is no room.
    """
    state, names = output / STATE, {request.case.case_id for request in requests}
    files = [(request.case.dm, request.case.dbt) for request in requests if request.alone]
    run = _RUN | {"source": digest([os.path.realpath(root), files])}
    try:
        output.mkdir(parents=True, exist_ok=True)
        is_new = not any(path.is_file() or path.is_symlink() for path in output.rglob("*") if path.name != "lock")
        links = [
            path for path in (state, output / CASES, *(state.iterdir() if state.is_dir() else ())) if path.is_symlink()
        ]
        if not is_new and (links or not _earlier_run(state)):
            raise _other_folder(output, "a new or empty folder, or one that dmdbt predict has written")
        state.mkdir(exist_ok=True)
        if is_new:
            write_json(state / "run.json", run)
        (state / "lock").touch()
    except OSError as error:
        if is_no_room(error):
            raise file_error(error, str(output)) from None
        raise _other_folder(f"{output} ({error.strerror})", "a folder that can be written") from None
    with folder_lock(output, state / "lock"):
        earlier, results = _earlier_run(state), read_records(output / CASES)[0].keys()
        if results and earlier["source"] != run["source"]:
            found = f"{output} with {len(results)} results of other files"
            raise _other_folder(found, "results of the files asked for")
        if others := sorted(results - names):
            found = f"{output} with {len(others)} others, such as {', '.join(others[:_LISTED])}"
            raise _other_folder(found, "results of the pairs asked for")
        for name in earlier.get("tables", []):
            (output / Path(name).name).unlink(missing_ok=True)
        write_json(state / "run.json", run)
        shutil.rmtree(state / WORK, ignore_errors=True)
        (state / WORK).mkdir()
        try:
            yield state
        finally:
            shutil.rmtree(state / WORK, ignore_errors=True)


def note_tables(state: Path, names: Sequence[str]) -> None:
    """Note the names of the tables that are about to be written, so that the next run removes no others."""
    write_json(state / "run.json", _earlier_run(state) | {"tables": list(names)})


def _earlier_run(state: Path) -> dict[str, Any]:
    """Return what an earlier run has noted of itself; nothing if the folder is of something else."""
    try:
        content: dict[str, Any] = json.loads((state / "run.json").read_text(encoding="utf-8"))
        return {} if other_format(content, _RUN) or "source" not in content else content
    except (FileNotFoundError, NotADirectoryError, ValueError, AttributeError):
        return {}


def _other_folder(found: object, expected: str) -> ParameterError:
    return ParameterError("--output", expected=expected, found=str(found), remedy="Name another folder.")
