"""The order of a volume's slices: what numbers them is compared with where they lie (PS3.3 C.7.6.2 and C.7.6.16).

Positions decide where both say something else: they are geometry, while numbers are often given anew, by archives and
by whoever removes names. Along a line they have no direction; that is taken from the numbers, as far as they go.
"""

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, TypeVar

import numpy as np

from dmdbt.errors import InputDataError
from dmdbt.readers.dicom.header import REMEDY, Tags
from dmdbt.readers.limits import SliceOrder

End = Literal["paddle", "detector", ""]
_Positions = list[float] | None
_T = TypeVar("_T")
_UNEVEN = 1.5  # times the smallest distance of two slices: beyond, a slice may be missing between them
_LEAST_NORMAL = 1e-3  # of two unit vectors it is 1; of zeros, or of one direction twice, there is none
_UPRIGHT = 0.3  # least share of the head's direction in that of the stack, for the upper end to be the paddle's


class Order(NamedTuple):
    """The order of T slices.

    Attributes
    ----------
    indices
        Of the slices as they are stored, the first in order first.
    source
        What decided: ``in-stack position``, ``dimension index``, ``instance number``, ``plane position`` or
        ``frame order``.
    first
        Where the first slice lies, if the positions tell: at the compression ``paddle`` or at the ``detector``.
    flags
        ``slice-numbers-gap`` (numbers leave out some, but distances are even), ``slice-order-contradicts`` (numbers
        and positions), ``slice-order-unstated``, ``slice-positions-equal`` (of some slices, whose numbers decide),
        ``slice-spacing-uneven``, ``slice-end-unknown`` (a direction is asked for, and the positions do not tell it).
    """

    indices: list[int]
    source: str
    first: End = ""
    flags: frozenset[str] = frozenset()


def order_slices(
    numbers: Sequence[float | None], corners: np.ndarray | None, normal: np.ndarray | None, *, source: str
) -> Order | None:
    """Order slices by number, and by position where the numbers repeat, are missing, or contradict the positions.

    Parameters
    ----------
    numbers
        T ordinals; None for a slice that has none.
    corners
        Image Position (Patient) of each slice in mm, float of shape (T, 3); None if some slice has none.
    normal
        Unit normal of the slices, shape (3,); None for the axis on which the corners differ most.
    source
        Name of the numbers.

    Returns
    -------
    Order or None
        None if neither tells the slices apart.
    """
    flags = set()
    places = None if corners is None else np.round(corners @ _axis(corners, normal), 6)
    known = np.array([math.nan if number is None else number for number in numbers])
    by_number = np.argsort(known) if len(set(numbers) - {None}) == len(numbers) else None
    if places is not None and len(np.unique(places)) < len(places):
        flags.add("slice-positions-equal")
        places = None
    if corners is None or places is None:
        return None if by_number is None else Order(by_number.tolist(), source, flags=frozenset(flags))
    if _are_uneven(places):
        flags.add("slice-spacing-uneven")
    steps = np.empty(0) if by_number is None else np.diff(places[by_number])
    if by_number is not None and ((steps > 0).all() or (steps < 0).all()):
        indices = by_number
    else:
        flags |= set() if by_number is None else {"slice-order-contradicts"}
        indices, source = np.argsort(-places if _fall(places, known) else places), "plane position"
    return Order(indices.tolist(), source, _first_end(corners[indices]), frozenset(flags))


def turned(order: Order, wanted: SliceOrder) -> Order:
    """Turn the order around if the first slice lies at the other end than is wanted."""
    if wanted == "as_stored":
        return order
    if not order.first:
        return order._replace(flags=order.flags | {"slice-end-unknown"})
    first: End = "paddle" if wanted == "from_paddle" else "detector"
    return order if first == order.first else order._replace(indices=order.indices[::-1], first=first)


def stack_order(per_frame: Sequence[Tags], shared: Sequence[Tags], count: int, file: str) -> Order:
    """Order the frames of a multi-frame object by In-Stack Position Number, else Dimension Index Values, and position.

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

    Raises
    ------
    InputDataError
        Some frames have a position and others none, or neither numbers nor positions tell the frames apart, or there
        are several stacks.
    """
    if len({group.text("StackID") for group in _content(per_frame)}) > 1:
        raise _error("expected one stack of slices", "several", file)
    ways: dict[str, Callable[[], _Positions]] = {
        "in-stack position": lambda: _in_stack(per_frame, file),
        "dimension index": lambda: _dimension(per_frame, file),
    }
    named = ((how, positions) for how, find in ways.items() if (positions := find()) is not None)
    source, numbers = next(named, ("plane position", []))
    corners, normal = _plane(per_frame, shared, file)
    if not numbers and corners is None:
        return Order(list(range(count)), "frame order", flags=frozenset({"slice-order-unstated"}))
    order = order_slices(numbers or [None] * count, corners, normal, source=source)
    if order is None:
        raise _error(
            f"expected {count} slices at different places along their normal ({source})", "some at the same", file
        )
    return order


def _axis(corners: np.ndarray, normal: np.ndarray | None) -> np.ndarray:
    return np.eye(3)[int(np.ptp(corners, axis=0).argmax())] if normal is None else normal


def _fall(places: np.ndarray, numbers: np.ndarray) -> bool:
    """Whether places fall while numbers rise, in most pairs of slices; NaN where a slice has no number."""
    agreement = np.sign(np.subtract.outer(places, places) * np.subtract.outer(numbers, numbers))
    return bool(np.nansum(agreement) < 0)


def _are_uneven(places: np.ndarray) -> bool:
    steps = np.diff(np.sort(places))
    return bool(steps.max() > _UNEVEN * steps.min())


def _first_end(corners: np.ndarray) -> End:
    """Tell the end of the first slice: a breast is pressed from above or from the middle, so the paddle is higher.

    The third axis of the patient points to the head (C.7.6.2.1.1). A stack that lies level tells nothing.
    """
    rise = corners[-1] - corners[0]
    if abs(rise[2]) < _UPRIGHT * np.linalg.norm(rise):
        return ""
    return "detector" if rise[2] > 0 else "paddle"


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


def _plane(per_frame: Sequence[Tags], shared: Sequence[Tags], file: str) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Corners of the frames, float of shape (T, 3), and the normal of the first; each None if not stated."""
    keyword = "ImagePositionPatient"
    holders = [item for group in per_frame for item in group.items("PlanePositionSequence")[:1] if keyword in item]
    corners = _all_or_none([item.numbers(keyword) for item in holders], per_frame, keyword, file)
    if corners is None:
        return None, None
    if any(len(corner) != 3 for corner in corners):
        raise _error(f"expected three coordinates in {keyword}", "another number of them", file)
    groups = [*shared, *per_frame[:1]]
    return np.array(corners), slice_normal(
        [item for group in groups for item in group.items("PlaneOrientationSequence")]
    )


def slice_normal(holders: Sequence[Tags]) -> np.ndarray | None:
    """Return the unit normal of the slices, shape (3,), by the first Image Orientation (Patient) that has one."""
    axes = [found for item in holders if len(found := item.numbers("ImageOrientationPatient")) == 6]
    normals = [np.cross(axis[:3], axis[3:]) for axis in axes]
    return next((normal / length for normal in normals if (length := np.linalg.norm(normal)) > _LEAST_NORMAL), None)


def _all_or_none(found: list[_T], per_frame: Sequence[Tags], keyword: str, file: str) -> list[_T] | None:
    if found and len(found) != len(per_frame):
        raise _error(f"expected {keyword} in {len(per_frame)} frames", f"it in {len(found)}", file)
    return found or None


def _error(expected: str, found: str, file: str) -> InputDataError:
    return InputDataError("DBT-ORDER", file=file, cause=f"{expected}, found {found}", remedy=REMEDY)
