"""A lock, so that no two runs write into one folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dmdbt.errors import SystemResourceError


@contextmanager
def folder_lock(folder: Path, path: Path) -> Iterator[None]:
    """Hold the lock file `path` of a folder; it is free again when this process ends, however it ends.

    A file system without locks is used without one.

    Raises
    ------
    SystemResourceError
        Another process holds it.
    """
    with path.open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            found = f"process {file.read().strip() or 'of unknown number'}"
            remedy = "Wait until it has ended, or name another folder."
            raise SystemResourceError(
                f"{folder}: expected no other run in this folder, found {found}. {remedy}"
            ) from None
        except OSError:
            pass  # some network file systems have no locks
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
