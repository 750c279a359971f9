"""One interface to every kind of tomosynthesis volume."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import numpy as np

from dmdbt.errors import InputDataError
from dmdbt.readers.avi import AviVolume
from dmdbt.readers.dicom import is_dicom
from dmdbt.readers.limits import Limits
from dmdbt.readers.tomosynthesis import open_dicom_volume

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


def open_volume(path: Path, limits: Limits = _DEFAULT) -> AbstractContextManager[Volume]:
    """Open a tomosynthesis volume.

    Parameters
    ----------
    path
        An AVI file, or a multi-frame DICOM file.
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
    if path.is_file() and is_dicom(path):
        return open_dicom_volume(path, limits)
    if path.suffix.lower() != ".avi":
        cause = f"expected an .avi file, found {path.suffix or 'no suffix'}"
        raise InputDataError("DBT-KIND", file=path.name, cause=cause, remedy="Export the volume as AVI.")
    volume = AviVolume(path, limits)
    if volume.n_slices < MIN_SLICES:
        volume.close()
        cause = f"expected at least {MIN_SLICES} slices, found {volume.n_slices}"
        raise InputDataError("DBT-FEW-SLICES", file=path.name, cause=cause, remedy="Export the whole volume.")
    return volume
