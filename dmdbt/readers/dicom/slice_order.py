"""The order of a volume's frames, by what their functional groups say of position."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from dmdbt.errors import InputDataError
from dmdbt.readers.dicom.header import REMEDY, Tags

_Positions = list[float] | None
_T = TypeVar("_T")


def stack_order(per_frame: Sequence[Tags], shared: Sequence[Tags], count: int, file: str) -> tuple[list[int], str]:
    """Order frames by In-Stack Position Number, else Dimension Index Values, else plane position (PS3.3 C.7.6.16).

    Parameters
    ----------
    per_frame
        Functional groups of each frame, or none.
    shared
        Functional groups of all frames.
    count
        Number of frames.
    file
        Name of the file, for the messages.

    Returns
    -------
    order
        Indices of the frames, the first slice first.
    how
        ``in-stack position``, ``dimension index``, ``plane position`` or ``frame order``.

    Raises
    ------
    InputDataError
        Some frames have a position and others none, or two have the same, or there are several stacks.
    """
    if len({group.text("StackID") for group in _content(per_frame)}) > 1:
        raise _error("expected one stack of slices", "several", file)
    ways: dict[str, Callable[[], _Positions]] = {
        "in-stack position": lambda: _in_stack(per_frame, file),
        "dimension index": lambda: _dimension(per_frame, file),
        "plane position": lambda: _plane(per_frame, shared, file),
    }
    for how, find in ways.items():
        positions = find()
        if positions is not None:
            if len(set(positions)) != count:
                raise _error(f"expected {count} slices at different places ({how})", f"{len(set(positions))}", file)
            return sorted(range(count), key=positions.__getitem__), how
    return list(range(count)), "frame order"


def _content(per_frame: Sequence[Tags]) -> list[Tags]:
    return [item for group in per_frame for item in group.items("FrameContentSequence")[:1]]


def _in_stack(per_frame: Sequence[Tags], file: str) -> _Positions:
    keyword = "InStackPositionNumber"
    holders = [group for group in _content(per_frame) if keyword in group]
    return _all_or_none([float(group.integer(keyword)) for group in holders], per_frame, keyword, file)


def _dimension(per_frame: Sequence[Tags], file: str) -> _Positions:
    """Take the one index that varies; several of them have no order that all tools agree on."""
    keyword = "DimensionIndexValues"
    indices = [group.integers(keyword) for group in _content(per_frame) if keyword in group]
    indices = _all_or_none(indices, per_frame, keyword, file) or []
    if not indices or len({len(index) for index in indices}) != 1:
        return None
    varying = [column for column in zip(*indices, strict=True) if len(set(column)) > 1]
    return [float(value) for value in varying[0]] if len(varying) == 1 else None


def _plane(per_frame: Sequence[Tags], shared: Sequence[Tags], file: str) -> _Positions:
    """Distance along the normal of the slices, or along the axis on which their corners differ most."""
    keyword = "ImagePositionPatient"
    holders = [item for group in per_frame for item in group.items("PlanePositionSequence")[:1] if keyword in item]
    corners = _all_or_none([item.numbers(keyword) for item in holders], per_frame, keyword, file)
    if corners is None:
        return None
    if any(len(corner) != 3 for corner in corners):
        raise _error(f"expected three coordinates in {keyword}", "another number of them", file)
    points = np.array(corners)
    groups = [*shared, *per_frame[:1]]
    axes = [
        item.numbers("ImageOrientationPatient") for group in groups for item in group.items("PlaneOrientationSequence")
    ]
    if axes and len(axes[0]) == 6:
        normal = np.cross(axes[0][:3], axes[0][3:])
    else:
        normal = np.eye(3)[int(np.ptp(points, axis=0).argmax())]
    return [float(distance) for distance in np.round(points @ normal, 6)]


def _all_or_none(found: list[_T], per_frame: Sequence[Tags], keyword: str, file: str) -> list[_T] | None:
    if found and len(found) != len(per_frame):
        raise _error(f"expected {keyword} in {len(per_frame)} frames", f"it in {len(found)}", file)
    return found or None


def _error(expected: str, found: str, file: str) -> InputDataError:
    return InputDataError("DBT-ORDER", file=file, cause=f"{expected}, found {found}", remedy=REMEDY)
