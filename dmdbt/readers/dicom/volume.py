"""Tomosynthesis volumes stored as DICOM: a multi-frame object, or a folder of single slices."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from dmdbt.errors import InputDataError
from dmdbt.readers.closing import Opened
from dmdbt.readers.dicom.file import DicomFile
from dmdbt.readers.dicom.header import REMEDY, Tags
from dmdbt.readers.dicom.pixel_data import Layout
from dmdbt.readers.dicom.presentation import Chain, look_up, mark_seen, read_chain
from dmdbt.readers.dicom.slice_order import Order, order_slices, slice_normal, stack_order, turned
from dmdbt.readers.dicom.sop_classes import (
    check_slice,
    check_tomosynthesis_object,
    stated_device,
    stated_orientation,
    stated_view,
)
from dmdbt.readers.limits import Limits, check_limit, check_volume_size

_WHITE = 255
_GIB = 1 << 30
_GROUPS = ("FrameVOILUTSequence", "PixelValueTransformationSequence")
_SHOWN = ("RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth", "VOILUTFunction")
_NUMBERS_REMEDY = "Keep one volume per folder; if this is one, convert its slices in order to 001.png, 002.png, ..."
_OF_THE_SLICE = ("PixelPaddingValue", "PixelPaddingRangeLimit", "PresentationLUTShape")
_TABLES = ("ModalityLUTSequence", "VOILUTSequence")

# A slice as stored, and where the attributes of its presentation may stand.
_Stored = tuple[np.ndarray, list[Tags]]


class _DicomVolume(Opened):
    """Base of both kinds of volume: limits, presentation, and the checks that need the pixels.

    Attributes
    ----------
    flags
        ``burned-in-annotation-unknown``, ``codestream-bits``, ``no-voi``, ``presentation-shape-contradicts``,
        ``several-windows``, ``voi-varies`` (slices are shown differently), and those of
        `dmdbt.readers.dicom.file.DicomFile` and `dmdbt.readers.dicom.slice_order.Order`.
    """

    n_slices: int
    rows: int
    columns: int
    provenance: dict[str, str | int]
    flags: list[str]
    _file: str
    _layout: Layout

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield uint8 slices of shape (H, W); without a VOI the volume is decoded twice, to find its range."""
        low, high = self._range() if self.provenance["voi"] == "none" else (0.0, 1.0)
        darkest, brightest = _WHITE, 0
        for frame, chain in self._chained():
            table = chain.over(low, high).table(_WHITE)
            image = look_up(table, frame, self._layout)
            darkest, brightest = min(darkest, int(image.min())), max(brightest, int(image.max()))
            yield image
        if darkest == brightest:
            raise self._constant()

    def _slices(self) -> Iterator[_Stored]:
        """Yield the slices in order."""
        raise NotImplementedError

    def _range(self) -> tuple[float, float]:
        """Lowest and highest modality value in the whole volume, padding left out."""
        ends = []
        for frame, chain in self._chained():
            seen = np.zeros(chain.stored.shape, bool)
            mark_seen(seen, frame, self._layout)
            ends.append(chain.range_of(seen))
        low, high = min(end[0] for end in ends), max(end[1] for end in ends)
        if not low < high:
            raise self._constant()
        return low, high

    def _chained(self) -> Iterator[tuple[np.ndarray, Chain]]:
        """Slices with their presentation, which most often is the same for all."""
        chain, key, first, first_voi = None, None, None, None
        for frame, groups in self._slices():
            own = _chain_key(groups)
            if chain is None or own != key:
                chain, key = read_chain(groups, self._layout, self._file), own
                first, first_voi = (first, first_voi) if first else (chain, own[0])
                self._flag(*chain.flags, *(["voi-varies"] if own[0] != first_voi else []))
                if (chain.gray is None) != (first.gray is None):
                    cause = "expected a VOI in all slices or in none, found it in some"
                    raise InputDataError("DBT-VOI", file=self._file, cause=cause, remedy=REMEDY)
            yield frame, chain

    def _flag(self, *flags: str) -> None:
        self.flags[:] = sorted({*self.flags, *flags})

    def _constant(self) -> InputDataError:
        cause = "expected a volume, found one gray level in all of its pixels"
        return InputDataError("DICOM-CONSTANT", file=self._file, cause=cause, remedy=REMEDY)


class BtoVolume(_DicomVolume):
    """A multi-frame Breast Tomosynthesis Image, its frames ordered by their position in the stack.

    Raises
    ------
    InputDataError
        At opening: another object, a part of a volume, a header that contradicts itself, fewer or more frames than
        stated. While iterating: a damaged frame, or nothing but one gray level.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        self._dicom = DicomFile(path, limits)
        try:
            self._open(limits)
        except BaseException:
            self.close()
            raise

    def _open(self, limits: Limits) -> None:
        dicom, tags = self._dicom, self._dicom.tags
        self._file = dicom.file
        flags = check_tomosynthesis_object(tags, dicom.file)
        self._layout = layout = dicom.layout()
        self.n_slices, self.rows, self.columns = layout.frames, layout.rows, layout.columns
        check_volume_size(self.n_slices, self.rows, self.columns, limits, file=self._file)
        self._shared = tags.items("SharedFunctionalGroupsSequence")[:1]
        self._per_frame = tags.items("PerFrameFunctionalGroupsSequence")
        if len(self._per_frame) not in (0, layout.frames):
            cause = f"expected functional groups for {layout.frames} frames, found them for {len(self._per_frame)}"
            raise InputDataError("DBT-GROUPS", file=dicom.file, cause=cause, remedy=REMEDY)
        stored = stack_order(self._per_frame, self._shared, layout.frames, dicom.file)
        self._order = order = turned(stored, limits.slice_order)
        self._frames = dicom.frames(layout)
        self.provenance = {
            "container": "dicom multi-frame",
            "codec": dicom.syntax.name,
            "slice_order": order.source,
            "first_slice": order.first,
            "bits_stored": layout.stored,
            "photometric_interpretation": layout.photometric,
            "voi": read_chain(self._groups(order.indices[0]), layout, dicom.file).voi,
            "device": stated_device(tags),
            "stated_orientation": stated_orientation(tags),
            **stated_view(tags),
        }
        self.flags = sorted(flags | order.flags)

    def close(self) -> None:
        """Close the file."""
        self._dicom.close()

    def _slices(self) -> Iterator[_Stored]:
        for index in self._order.indices:
            yield self._frames[index], self._groups(index)
        self._flag(*self._dicom.flags)

    def _groups(self, index: int) -> list[Tags]:
        """Where a frame's presentation may stand: its own functional groups, the shared ones, the top level."""
        holders = [*self._per_frame[index : index + 1], *self._shared]
        return [*(item for holder in holders for name in _GROUPS for item in holder.items(name)), self._dicom.tags]


class DicomFolderVolume(_DicomVolume):
    """Single-frame slices in a folder, ordered by Instance Number and Image Position (Patient), see `order_slices`.

    Parameters
    ----------
    files
        All files of the volume, in any order, at least two.

    Raises
    ------
    InputDataError
        A file is no slice or damaged; the slices differ in series, size, bits or transfer syntax; or their numbers
        have a gap or a duplicate, and their positions do not make up for it.
    """

    def __init__(self, files: Sequence[Path], limits: Limits) -> None:
        if len(files) < 2:
            cause = f"expected at least 2 slices, found {len(files)}"
            raise InputDataError("DBT-FEW-SLICES", cause=cause, remedy="Export the whole volume.")
        self._limits = limits
        self._file = files[0].name
        check_limit("slices", len(files), limits, what="slices", file=self._file)
        size = sum(file.stat().st_size for file in files) / _GIB
        check_limit("file_gib", size, limits, what="GiB in the folder", file=self._file)
        self.flags = []
        self._numbers: list[int | None] = []
        self._corners: list[list[float]] = []
        self._normal: np.ndarray | None = None
        alike: tuple[object, ...] | None = None
        for file in files:
            found = self._examine(file)
            alike = alike or found
            if found != alike:
                cause = "expected slices of one series, size, depth and transfer syntax, found another"
                raise InputDataError("DBT-SERIES", file=file.name, cause=cause, remedy="Keep one volume per folder.")
        order = turned(self._ordered(files), limits.slice_order)
        self._files = [files[index] for index in order.indices]
        self._flag(*order.flags)
        self.n_slices = len(files)
        check_volume_size(self.n_slices, self.rows, self.columns, limits, file=self._file)
        self.provenance |= {"slice_order": order.source, "first_slice": order.first, "voi": self._first_voi()}

    def _examine(self, file: Path) -> tuple[object, ...]:
        """Check a slice's header; return what all slices have in common."""
        with DicomFile(file, self._limits) as dicom:
            self._flag(*check_slice(dicom.tags, dicom.file))
            self._layout = layout = dicom.layout()
            self.rows, self.columns = layout.rows, layout.columns
            self._numbers.append(dicom.tags.integer("InstanceNumber") if "InstanceNumber" in dicom.tags else None)
            self._corners.append(dicom.tags.numbers("ImagePositionPatient"))
            self._normal = slice_normal([dicom.tags]) if self._normal is None else self._normal
            view = stated_view(dicom.tags)
            self.provenance = {
                "container": "dicom slices",
                "codec": dicom.syntax.name,
                "bits_stored": layout.stored,
                "photometric_interpretation": layout.photometric,
                "device": stated_device(dicom.tags),
                "stated_orientation": stated_orientation(dicom.tags),
                **view,
            }
            return dicom.tags.text("SeriesInstanceUID"), dicom.tags.text("SOPClassUID"), layout, dicom.syntax, str(view)

    def _ordered(self, files: Sequence[Path]) -> Order:
        """Order the slices; a gap in their numbers is a lost slice unless their distances are even."""
        numbers = [number for number in self._numbers if number is not None]
        corners = np.array(self._corners) if all(len(corner) == 3 for corner in self._corners) else None
        order = order_slices(self._numbers, corners, self._normal, source="instance number")
        if order is None:
            places = range(len(files))
            again = next(place for place in places if self._numbers[place] in (None, *self._numbers[:place]))
            found = "none" if self._numbers[again] is None else f"number {self._numbers[again]} again"
            cause = f"expected an Instance Number or a position of its own in every slice, found {found}"
            raise InputDataError("DBT-NUMBERS", file=files[again].name, cause=cause, remedy=_NUMBERS_REMEDY)
        low, high = min(numbers, default=0), max(numbers, default=0)
        if order.source == "plane position" or high - low + 1 == len(numbers):
            return order
        if corners is None or order.flags & {"slice-spacing-uneven", "slice-positions-equal"}:
            cause = f"expected Instance Numbers {low} to {high} without a gap, found {len(numbers)} slices"
            raise InputDataError("DBT-NUMBERS", file=self._file, cause=cause, remedy="Export the whole volume.")
        return order._replace(flags=order.flags | {"slice-numbers-gap"})

    def _first_voi(self) -> str:
        with DicomFile(self._files[0], self._limits) as dicom:
            return read_chain([dicom.tags], self._layout, dicom.file).voi

    def _slices(self) -> Iterator[_Stored]:
        for path in self._files:
            with DicomFile(path, self._limits) as dicom:
                self._file = path.name
                if dicom.layout() != self._layout:
                    cause = "expected the slice that was there at first, found another"
                    raise InputDataError("DBT-SERIES", file=path.name, cause=cause, remedy="Read the volume again.")
                yield dicom.frames(self._layout)[0], [dicom.tags]
                self._flag(*dicom.flags)


def _chain_key(groups: Sequence[Tags]) -> tuple[list[object], list[object]]:
    """Tell presentations apart without making their tables: the windows and tables, and what else a slice has."""
    numbers: list[object] = [
        (keyword, *group.texts(keyword)) for group in groups for keyword in _SHOWN if keyword in group
    ]
    items = [item for group in groups for keyword in _TABLES for item in group.items(keyword)]
    tables = [(*item.integers("LUTDescriptor"), item.raw("LUTData")) for item in items if "LUTData" in item]
    return numbers + tables, [groups[-1].texts(keyword) for keyword in _OF_THE_SLICE]
