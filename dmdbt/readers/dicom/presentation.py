"""From stored values to what a radiologist sees (PS3.3 C.11): one lookup table, for every step sees a value alone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import expit

from dmdbt.errors import InputDataError
from dmdbt.readers.dicom.header import REMEDY, Tags
from dmdbt.readers.dicom.pixel_data import Layout, stored_values

_BLOCK = 64  # rows that are looked up at a time, so that their indices stay in the cache of the processor


@dataclass(frozen=True)
class Chain:
    """The presentation chain of a frame.

    Attributes
    ----------
    stored
        Every value that can be stored, ascending; shape (2^BitsStored,) as all arrays here.
    values
        The same after the modality transformation.
    padding
        Whether a stored value marks a pixel that is none.
    gray
        After the VOI transformation, 0 to 1, before any inversion; None without a VOI transformation.
    inverted
        MONOCHROME1: the lowest value is shown white.
    voi
        ``table``, ``window`` and its function, or ``none``.
    flags
        ``lut-bits`` (a VOI table's entries need fewer bits than its descriptor says, and white is what these can hold),
        ``no-voi``, ``several-windows``, ``presentation-shape-contradicts`` (the header's Presentation LUT Shape denies
        its Photometric Interpretation, which is followed).
    """

    stored: np.ndarray
    values: np.ndarray
    padding: np.ndarray
    gray: np.ndarray | None
    inverted: bool
    voi: str
    flags: frozenset[str]

    def over(self, low: float, high: float) -> "Chain":
        """Show what lies between two modality values, if nothing else is stated; `high` is above `low`."""
        if self.gray is not None:
            return self
        return replace(self, gray=np.clip((self.values - low) / (high - low), 0, 1))

    def range_of(self, seen: np.ndarray) -> tuple[float, float]:
        """Lowest and highest modality value of the pixels that occur, padding left out; (inf, -inf) without any.

        Parameters
        ----------
        seen
            bool, whether a stored value occurs.
        """
        values = self.values[seen & ~self.padding]
        return (float(values.min()), float(values.max())) if values.size else (math.inf, -math.inf)

    def table(self, white: int) -> np.ndarray:
        """Gray level of every stored value: uint8 or uint16, 0 is black, `white` white; padding is black."""
        if self.gray is None:
            raise ValueError("expected a chain with a VOI transformation, or one that went through over()")
        gray = 1 - self.gray if self.inverted else self.gray
        gray = np.where(self.padding, 0, gray)
        return np.rint(np.clip(gray, 0, 1) * white).astype(np.uint8 if white < 256 else np.uint16)


def read_chain(groups: Sequence[Tags], layout: Layout, file: str) -> Chain:
    """Read the presentation chain of a frame.

    Parameters
    ----------
    groups
        Where its attributes may stand, the most specific first: the frame's functional groups, the shared ones, the
        top level.
    layout
        Of the pixels.
    file
        Name of the file, for the messages.

    Raises
    ------
    InputDataError
        A rescale, window or table that is not one.
    """
    stored = np.arange(layout.lowest, layout.lowest + (1 << layout.stored))
    values = _modality(groups, stored, layout, file)
    gray, voi, flags = _voi(groups, values, layout, file)
    inverted = layout.photometric == "MONOCHROME1"
    shape = groups[-1].text("PresentationLUTShape")
    # C.8.11.3: INVERSE goes with MONOCHROME1 and says the same, IDENTITY with MONOCHROME2; neither inverts again.
    if shape and (shape == "INVERSE") != inverted:
        flags.add("presentation-shape-contradicts")
    padding = _padding(groups[-1], stored, layout)
    return Chain(stored, values, padding, gray, inverted, voi, frozenset(flags))


def mark_seen(seen: np.ndarray, frame: np.ndarray, layout: Layout) -> None:
    """Set `seen` (bool, shape (2^BitsStored,)) where a stored value occurs in a frame."""
    seen[frame if layout.lowest == 0 else frame.astype(np.int32) - layout.lowest] = True


def look_up(table: np.ndarray, frame: np.ndarray, layout: Layout) -> np.ndarray:
    """Gray levels of a frame; shape (H, W), type of the table."""
    gray = np.empty(frame.shape, table.dtype)
    for start in range(0, len(frame), _BLOCK):
        gray[start : start + _BLOCK] = table[frame[start : start + _BLOCK].astype(np.intp) - layout.lowest]
    return gray


def _nearest(groups: Sequence[Tags], table: str, *numbers: str) -> tuple[Tags | None, list[Tags]]:
    """Return the most specific group with a table or numbers, and its tables; an item without any element is none."""
    for number in numbers:
        for group in groups:
            tables = [item for item in group.items(table) if "LUTDescriptor" in item or "LUTData" in item]
            if tables or number in group:
                return group, tables
    return None, []


def _modality(groups: Sequence[Tags], stored: np.ndarray, layout: Layout, file: str) -> np.ndarray:
    """Modality LUT, else rescale (C.11.1), of the most specific group that has either."""
    holder, tables = _nearest(groups, "ModalityLUTSequence", "RescaleSlope", "RescaleIntercept")
    if tables:
        return _entries(tables[0], stored, layout, file)[0]
    slope, intercept = 1.0, 0.0
    if holder is not None:
        slope, intercept = holder.number("RescaleSlope"), holder.number("RescaleIntercept", 0)
    if not (math.isfinite(slope) and math.isfinite(intercept) and slope > 0):
        cause = f"expected a finite rescale with a slope above 0, found slope {slope} and intercept {intercept}"
        raise InputDataError("DICOM-RESCALE", file=file, cause=cause, remedy=REMEDY)
    return slope * stored + intercept


def _voi(
    groups: Sequence[Tags], values: np.ndarray, layout: Layout, file: str
) -> tuple[np.ndarray | None, str, set[str]]:
    """VOI LUT, else window (C.11.2), of the most specific group that has either: gray from 0 to 1, its name, flags."""
    holder, tables = _nearest(groups, "VOILUTSequence", "WindowWidth", "WindowCenter")
    if tables:
        output, bits, held = _entries(tables[0], np.rint(values), layout, file)
        flags = {"several-windows"} if len(tables) > 1 else set()
        return output / ((1 << held) - 1), "table", flags | ({"lut-bits"} if held < bits else set())
    if holder is None:
        return None, "none", {"no-voi"}
    function = holder.text("VOILUTFunction") or "LINEAR"
    flags = {"several-windows"} if len(holder.texts("WindowWidth")) > 1 else set()
    center, width = holder.number("WindowCenter"), holder.number("WindowWidth")
    return _window(values, center, width, function, file), f"window {function}", flags


def _window(values: np.ndarray, center: float, width: float, function: str, file: str) -> np.ndarray:
    """Apply a window (C.11.2.1.2 and C.11.2.1.3)."""
    smallest = 1 if function == "LINEAR" else 0  # which the other functions must exceed
    if not (math.isfinite(center) and math.isfinite(width)) or width < smallest or width == 0:
        cause = f"expected a finite window of a width above {smallest}, found center {center} and width {width}"
        raise InputDataError("DICOM-WINDOW", file=file, cause=cause, remedy=REMEDY)
    if function == "LINEAR":
        if width == 1:
            return (values > center - 0.5).astype(np.float64)
        gray = (values - (center - 0.5)) / (width - 1) + 0.5
    elif function == "LINEAR_EXACT":
        gray = (values - center) / width + 0.5
    elif function == "SIGMOID":
        gray = expit(4 * (values - center) / width)
    else:
        cause = f"expected VOI LUT Function LINEAR, LINEAR_EXACT or SIGMOID, found {function}"
        raise InputDataError("DICOM-VOI", file=file, cause=cause, remedy=REMEDY)
    return np.clip(gray, 0, 1)


def _entries(item: Tags, inputs: np.ndarray, layout: Layout, file: str) -> tuple[np.ndarray, int, int]:
    """Look inputs up in a LUT (C.11.1.1 and C.11.2.1.1), whose ends hold beyond them; also its bits as stated and held.

    Some writers state the bits in which the entries are stored, 16, and not those that they take.
    """
    descriptor = item.integers("LUTDescriptor")
    data = item.raw("LUTData") if len(descriptor) == 3 and "LUTData" in item else []
    count, first, bits = descriptor if len(descriptor) == 3 else (0, 0, 0)
    count, first = count % 65536 or 65536, first % 65536
    if first > 32767 and (layout.signed or inputs[0] < 0):
        first -= 65536
    table = _lut_data(data, count, bits)
    if not 8 <= bits <= 16 or len(table) != count or table.max() >= 1 << bits:
        largest = f" up to {table.max()}" if table.size else ""
        cause = f"expected {count} entries of {bits} bits in a lookup table, found {len(table)}{largest}"
        raise InputDataError("DICOM-LUT", file=file, cause=cause, remedy=REMEDY)
    index = np.clip(inputs - first, 0, count - 1).astype(np.intp)
    return table[index].astype(np.float64), bits, max(1, int(table.max()).bit_length())


def _lut_data(data: bytes | list[int], count: int, bits: int) -> np.ndarray:
    """Entries as numbers; bytes are words in little endian, or single bytes if a table of 8 bits has no room."""
    if not isinstance(data, bytes):
        return np.array(data, np.int64)
    kind: Any = "<u2" if len(data) == 2 * count or bits > 8 else "u1"
    table = np.frombuffer(data[: len(data) // 2 * 2], kind).astype(np.int64)
    return table[:count] if kind == "u1" and len(data) == count + count % 2 else table


def _padding(top: Tags, stored: np.ndarray, layout: Layout) -> np.ndarray:
    """Pixel Padding Value, or the range up to its limit (C.7.5.1.1.2): words under the same rule as the pixels."""
    if "PixelPaddingValue" not in top:
        return np.zeros(stored.shape, bool)
    ends = [name for name in ("PixelPaddingValue", "PixelPaddingRangeLimit") if name in top]
    words = np.array([top.word(name) for name in ends], np.int32)
    values = stored_values(words, layout, 16)
    if values is None:  # none that can be stored
        values = words.astype(np.int16) if layout.signed else words
    low, high = values.min(), values.max()
    return (stored >= low) & (stored <= high)
