"""How large a file may be before it is refused: headers are not to be trusted with the memory of a machine."""

from dataclasses import dataclass
from typing import Literal

from dmdbt.errors import InputDataError

EmptyFrames = Literal["error", "repeat", "skip"]
SliceOrder = Literal["as_stored", "from_paddle", "from_detector"]


@dataclass(frozen=True)
class Limits:
    """Limits of what a reader accepts; the section ``reading`` of ``params.yaml`` has the same fields.

    Attributes
    ----------
    empty_frames
        What an AVI's empty frame is: damage, a repetition of the one before it, or nothing.
    slice_order
        Of a DICOM volume whose positions tell where the compression paddle is: as its numbers say, or from one end.
    dm_megapixels, slice_megapixels
        Most pixels of a mammogram and of a slice, in millions.
    slices
        Most slices of a volume.
    volume_gigapixels
        Most pixels of a volume, in thousands of millions.
    file_gib
        Largest file or folder of a volume.
    seconds
        That the reading of a case may take.
    memory_gib
        Address space of the process that reads a case.
    """

    empty_frames: EmptyFrames = "error"
    slice_order: SliceOrder = "as_stored"
    dm_megapixels: float = 64
    slice_megapixels: float = 33.5
    slices: int = 1000
    volume_gigapixels: float = 4
    file_gib: float = 8
    seconds: float = 120
    memory_gib: float = 4


def check_limit(name: str, value: float, limits: Limits, *, what: str, file: str) -> None:
    """Refuse what exceeds a limit.

    Parameters
    ----------
    name
        Of a field of `Limits`.
    value
        In the unit of that field.
    limits
        See there.
    what
        What is too much, such as ``pixels per slice``.
    file
        Name of the file.

    Raises
    ------
    InputDataError
        Names the value, the limit and the parameter.
    """
    limit = getattr(limits, name)
    if value > limit:
        cause = f"expected {what} up to {limit:g} ({name}), found {value:.6g}"
        remedy = f"Check the file; if it is right, raise reading.{name} in params.yaml."
        raise InputDataError("TOO-LARGE", file=file, cause=cause, remedy=remedy)


def check_volume_size(n_slices: int, rows: int, columns: int, limits: Limits, *, file: str) -> None:
    """Refuse a volume of too many slices or pixels, by its header; see `check_limit`."""
    pixels = rows * columns
    check_limit("slices", n_slices, limits, what="slices", file=file)
    check_limit("slice_megapixels", pixels / 1e6, limits, what="megapixels per slice", file=file)
    check_limit("volume_gigapixels", n_slices * pixels / 1e9, limits, what="gigapixels", file=file)
