"""Open a tomosynthesis volume of any kind."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import numpy as np

from dmdbt.errors import InputDataError
from dmdbt.files import no_file
from dmdbt.imaging.volume import MIN_SLICES, Volume
from dmdbt.readers.avi.volume import AviVolume
from dmdbt.readers.containers import container, visible_entries
from dmdbt.readers.dicom.volume import BtoVolume, DicomFolderVolume
from dmdbt.readers.limits import Limits
from dmdbt.readers.other.image_folder import ImageFolderVolume
from dmdbt.readers.other.metaimage import MetaImageVolume, metaimage_data

_FEW, _MANY = 8, 200  # slices of a clinical volume: 25 to 90 of 1 mm, some of 0.5 mm
_DEFAULT = Limits()


# Who reads a file of a container, and who reads a folder of such files.
_FILES: dict[str, Callable[[Path, Limits], AbstractContextManager[Volume]]] = {
    "avi": AviVolume,
    "dicom": BtoVolume,
    "metaimage": MetaImageVolume,
}
_FOLDERS: dict[str, Callable[[Sequence[Path], Limits], AbstractContextManager[Volume]]] = {
    "dicom": DicomFolderVolume,
    "image": ImageFolderVolume,
}
_INDEX = "DICOMDIR"  # lists the files of a medium (PS3.10, 8.6), and is none of its slices
_KINDS = "an AVI, MetaImage or DICOM file, or a folder of slices"
_FOLDER_REMEDY = "Keep the slices of one volume, and nothing else, in a folder of its own."


def open_volume(path: Path | str, limits: Limits = _DEFAULT) -> AbstractContextManager[Volume]:
    """Open a tomosynthesis volume; what it is, its first bytes say, not its name.

    The volume is used in a ``with`` statement, and iterating over it yields its slices, uint8 of shape (H, W); see
    `dmdbt.imaging.volume.Volume`. `read_volume` returns all of them.

    Parameters
    ----------
    path
        An AVI file, a multi-frame DICOM file, a MetaImage header, or a folder of slices: single-frame DICOM files, or
        images. Names that start with a dot are ignored in a folder; nothing else may be in it.
    limits
        What is too large, and what an empty frame is.

    Raises
    ------
    InputDataError
        The file is missing, of an unknown kind, damaged, or has fewer than two slices.
    """
    path = Path(path)
    if not path.exists():
        cause = f"expected a tomosynthesis volume, found {no_file(path)}"
        remedy = "Correct the path in the table or on the command line."
        raise InputDataError("DBT-MISSING", file=path.name, cause=cause, remedy=remedy)
    volume = _open_folder(path, limits) if path.is_dir() else _open_file(path, limits)
    with ExitStack() as opened:
        entered = opened.enter_context(volume)
        if entered.n_slices < MIN_SLICES:
            cause = f"expected at least {MIN_SLICES} slices, found {entered.n_slices}"
            raise InputDataError("DBT-FEW-SLICES", file=path.name, cause=cause, remedy="Export the whole volume.")
        entered.flags += ["few-slices"] if entered.n_slices < _FEW else []
        entered.flags += ["many-slices"] if entered.n_slices > _MANY else []
        opened.pop_all()
    return volume


def read_volume(path: Path | str, limits: Limits = _DEFAULT) -> np.ndarray:
    """Read all slices of a tomosynthesis volume, uint8 of shape (T, H, W); InputDataError as `open_volume`."""
    with open_volume(path, limits) as volume:
        return np.stack(list(volume))


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
    foreign = [entry.name for entry, kind in kinds.items() if kind not in _FOLDERS or entry.name == _INDEX]
    if foreign:
        cause = f"expected slices alone, found {len(foreign)} that are none: {', '.join(foreign[:3])}"
        raise InputDataError("FOLDER-CONTENT", file=folder.name, cause=cause, remedy=_FOLDER_REMEDY)
    if len(found := sorted(set(kinds.values()))) > 1:
        cause = f"expected slices of one kind, found {' and '.join(found)}"
        raise InputDataError("FOLDER-MIXED", file=folder.name, cause=cause, remedy=_FOLDER_REMEDY)
    return _FOLDERS[found[0]](entries, limits)
