"""One interface to every kind of tomosynthesis volume."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Protocol

import numpy as np

from dmdbt.errors import InputDataError
from dmdbt.readers.avi import AviVolume
from dmdbt.readers.containers import container, visible_entries
from dmdbt.readers.image_folder import ImageFolderVolume
from dmdbt.readers.limits import Limits
from dmdbt.readers.metaimage import MetaImageVolume, metaimage_data

MIN_SLICES = 2
_DEFAULT = Limits()


class Volume(Protocol):
    """A reconstructed volume, read one slice at a time.

    Attributes
    ----------
    n_slices, rows, columns
        T, H, W.
    provenance
        How the slices are stored: ``container``, ``codec``, ``slice_order`` and more. No identifier.
    flags
        What is unusual but no fault, as short slugs; complete after the last slice.
    """

    n_slices: int
    rows: int
    columns: int
    provenance: dict[str, str | int]
    flags: list[str]

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield uint8 slices of shape (H, W) in their stored order: all of them, or raise."""


# Who reads a file of a container, and who reads a folder of such files. DICOM: one line each.
_FILES: dict[str, Callable[[Path, Limits], AbstractContextManager[Volume]]] = {
    "avi": AviVolume,
    "metaimage": MetaImageVolume,
}
_FOLDERS: dict[str, Callable[[Sequence[Path], Limits], AbstractContextManager[Volume]]] = {
    "image": ImageFolderVolume,
}
_KINDS = "an AVI, MetaImage or DICOM file, or a folder of slices"
_FOLDER_REMEDY = "Keep the slices of one volume, and nothing else, in a folder of its own."


def open_volume(path: Path, limits: Limits = _DEFAULT) -> AbstractContextManager[Volume]:
    """Open a tomosynthesis volume; what it is, its first bytes say, not its name.

    Parameters
    ----------
    path
        An AVI file, a MetaImage header, or a folder of slice images. Names that start with a dot are ignored in a
        folder; nothing else may be in it.
    limits
        What is too large, and what an empty frame is.

    Raises
    ------
    InputDataError
        The file is missing, of an unknown kind, damaged, or has fewer than two slices.
    """
    if not path.exists():
        cause = "expected a tomosynthesis volume, found no file"
        raise InputDataError("DBT-MISSING", file=path.name, cause=cause, remedy="Correct the path in cases.csv.")
    volume = _open_folder(path, limits) if path.is_dir() else _open_file(path, limits)
    with ExitStack() as opened:
        entered = opened.enter_context(volume)
        if entered.n_slices < MIN_SLICES:
            cause = f"expected at least {MIN_SLICES} slices, found {entered.n_slices}"
            raise InputDataError("DBT-FEW-SLICES", file=path.name, cause=cause, remedy="Export the whole volume.")
        opened.pop_all()
    return volume


def volume_files(path: Path) -> list[Path]:
    """Return the files that a volume consists of, sorted; nothing is decoded.

    Never fails on what is damaged: it returns what there is, of a MetaImage header that cannot be read the header
    alone, of a missing volume nothing.
    """
    if path.is_dir():
        return [entry for entry in visible_entries(path) if entry.is_file()]
    if not path.is_file():
        return []
    try:
        data = metaimage_data(path) if container(path) == "metaimage" else None
    except InputDataError:
        data = None
    return sorted([path, data]) if data is not None and data.is_file() else [path]


def _open_file(path: Path, limits: Limits) -> AbstractContextManager[Volume]:
    kind = container(path)
    if kind not in _FILES and path.suffix.lower() == ".avi":
        kind = "avi"  # whose reader says what is wrong with it
    if kind not in _FILES:
        what = "a file of no known kind" if kind == "unknown" else f"a single {kind} file"
        cause = f"expected {_KINDS}, found {path.suffix or 'no suffix'} and {what}"
        raise InputDataError("DBT-KIND", file=path.name, cause=cause, remedy="Export the volume as one of these.")
    return _FILES[kind](path, limits)


def _open_folder(folder: Path, limits: Limits) -> AbstractContextManager[Volume]:
    entries = visible_entries(folder)
    if not entries:
        cause = "expected a folder of slices, found nothing in it"
        raise InputDataError("FOLDER-EMPTY", file=folder.name, cause=cause, remedy=_FOLDER_REMEDY)
    kinds = {entry: "folder" if entry.is_dir() else str(container(entry)) for entry in entries}
    foreign = [entry.name for entry, kind in kinds.items() if kind not in _FOLDERS]
    if foreign:
        cause = f"expected slices alone, found {len(foreign)} that are none: {', '.join(foreign[:3])}"
        raise InputDataError("FOLDER-CONTENT", file=folder.name, cause=cause, remedy=_FOLDER_REMEDY)
    if len(found := sorted(set(kinds.values()))) > 1:
        cause = f"expected slices of one kind, found {' and '.join(found)}"
        raise InputDataError("FOLDER-MIXED", file=folder.name, cause=cause, remedy=_FOLDER_REMEDY)
    return _FOLDERS[found[0]](entries, limits)
