"""Files of this machine that a form may name: those inside one folder, wherever their links lead."""

import os
from pathlib import Path, PurePosixPath

from dmdbt.service.refused import RefusedError


def permitted_path(folder: Path | None, text: str) -> Path:
    """Return the file or folder of slices that a form names.

    Parameters
    ----------
    folder
        The permitted folder; None if there is none.
    text
        A path relative to it.

    Returns
    -------
    Path
        Absolute and without links. Whether there is such a file, its reader says.

    Raises
    ------
    RefusedError
        403: the path, or what a link of it or in it leads to, lies outside the folder. What is there is not told.
    """
    parts = PurePosixPath(text)
    if folder is None or parts.is_absolute() or ".." in parts.parts or "\0" in text:
        raise _outside()
    root = Path(os.path.realpath(folder))
    try:
        path = _inside(root / parts, root)
        for found in path.iterdir() if path.is_dir() else ():  # a MetaImage's reader wants its data beside its header
            _inside(found, root)
    except OSError as exc:  # a name that is too long, a folder that may not be read
        raise _outside() from exc
    return path


def _inside(path: Path, root: Path) -> Path:
    real = Path(os.path.realpath(path))
    if not real.is_relative_to(root):
        raise _outside()
    return real


def _outside() -> RefusedError:
    cause = "expected a path relative to the permitted folder that leads to a file inside it, found another"
    return RefusedError(
        403, "PATH", cause=cause, remedy="Copy the file there, or send it; see --folder of dmdbt serve."
    )
