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
from dmdbt.readers.dicom.slice_order import stack_order
from dmdbt.readers.dicom.sop_classes import check_slice, check_tomosynthesis_object, stated_view
from dmdbt.readers.limits import Limits, check_limit

_WHITE = 255
_MEGA, _GIGA, _GIB = 1_000_000, 1_000_000_000, 1 << 30
_GROUPS = ("FrameVOILUTSequence", "PixelValueTransformationSequence")
_SHOWN = ("RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth", "VOILUTFunction")
_TABLES = ("ModalityLUTSequence", "VOILUTSequence")

# A slice as stored, and where the attributes of its presentation may stand.
_Stored = tuple[np.ndarray, list[Tags]]


class _DicomVolume(Opened):
    """What both kinds of volume share: limits, presentation, and the checks that need the pixels.

    Attributes
    ----------
    flags
        ``burned-in-annotation-unknown``, ``codestream-bits``, ``no-voi``, ``presentation-shape-contradicts``,
        ``several-windows``, ``slice-order-unstated`` (multi-frame without any position), ``voi-varies`` (slices are
        shown differently).
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
        chain, key, first = None, None, None
        for frame, groups in self._slices():
            own = _chain_key(groups)
            if chain is None or own != key:
                chain, key = read_chain(groups, self._layout, self._file), own
                first = first or chain
                self._flag(*chain.flags)
                if chain is not first:
                    self._flag("voi-varies")
                if (chain.gray is None) != (first.gray is None):
                    cause = "expected a VOI in all slices or in none, found it in some"
                    raise InputDataError("DBT-VOI", file=self._file, cause=cause, remedy=REMEDY)
            yield frame, chain

    def _flag(self, *flags: str) -> None:
        self.flags[:] = sorted({*self.flags, *flags})

    def _check_limits(self, limits: Limits) -> None:
        size = self.rows * self.columns
        check_limit("slices", self.n_slices, limits, what="slices", file=self._file)
        check_limit("slice_megapixels", size / _MEGA, limits, what="megapixels per slice", file=self._file)
        total = size * self.n_slices / _GIGA
        check_limit("volume_gigapixels", total, limits, what="gigapixels", file=self._file)

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
        self._check_limits(limits)
        self._shared = tags.items("SharedFunctionalGroupsSequence")[:1]
        self._per_frame = tags.items("PerFrameFunctionalGroupsSequence")
        if len(self._per_frame) not in (0, layout.frames):
            cause = f"expected functional groups for {layout.frames} frames, found them for {len(self._per_frame)}"
            raise InputDataError("DBT-GROUPS", file=dicom.file, cause=cause, remedy=REMEDY)
        self._order, slice_order = stack_order(self._per_frame, self._shared, layout.frames, dicom.file)
        self._frames = dicom.frames(layout)
        self.provenance = {
            "container": "dicom multi-frame",
            "codec": dicom.syntax.name,
            "slice_order": slice_order,
            "bits_stored": layout.stored,
            "photometric_interpretation": layout.photometric,
            "voi": read_chain(self._groups(self._order[0]), layout, dicom.file).voi,
            **stated_view(tags),
        }
        self.flags = sorted(flags | ({"slice-order-unstated"} if slice_order == "frame order" else set()))

    def close(self) -> None:
        """Close the file."""
        self._dicom.close()

    def _slices(self) -> Iterator[_Stored]:
        for index in self._order:
            yield self._frames[index], self._groups(index)
        self._flag(*self._frames.flags)

    def _groups(self, index: int) -> list[Tags]:
        """Where a frame's presentation may stand: its own functional groups, the shared ones, the top level."""
        holders = [*self._per_frame[index : index + 1], *self._shared]
        return [*(item for holder in holders for name in _GROUPS for item in holder.items(name)), self._dicom.tags]


class DicomFolderVolume(_DicomVolume):
    """Single-frame slices in a folder, ordered by Instance Number.

    Parameters
    ----------
    files
        All files of the volume, in any order, at least two.

    Raises
    ------
    InputDataError
        A file is no slice or damaged; the slices differ in series, size, bits or transfer syntax, or their numbers
        have a gap or a duplicate.
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
        self._numbered: dict[int, Path] = {}
        alike: tuple[object, ...] | None = None
        for file in files:
            found = self._examine(file)
            alike = alike or found
            if found != alike:
                cause = "expected slices of one series, size, depth and transfer syntax, found another"
                raise InputDataError("DBT-SERIES", file=file.name, cause=cause, remedy="Keep one volume per folder.")
        self._check_numbers()
        self.n_slices = len(files)
        self._check_limits(limits)
        self.provenance["voi"] = self._first_voi()

    def _examine(self, file: Path) -> tuple[object, ...]:
        """Check a slice's header; return what all slices have in common."""
        with DicomFile(file, self._limits) as dicom:
            self._flag(*check_slice(dicom.tags, dicom.file))
            self._layout = layout = dicom.layout()
            self.rows, self.columns = layout.rows, layout.columns
            number = dicom.tags.integer("InstanceNumber")
            if number in self._numbered:
                cause = f"expected every Instance Number once, found {number} again"
                raise InputDataError("DBT-NUMBERS", file=file.name, cause=cause, remedy="Keep one volume per folder.")
            self._numbered[number] = file
            view = stated_view(dicom.tags)
            self.provenance = {
                "container": "dicom slices",
                "codec": dicom.syntax.name,
                "slice_order": "instance number",
                "bits_stored": layout.stored,
                "photometric_interpretation": layout.photometric,
                **view,
            }
            return dicom.tags.text("SeriesInstanceUID"), dicom.tags.text("SOPClassUID"), layout, dicom.syntax, str(view)

    def _check_numbers(self) -> None:
        low, high, count = min(self._numbered), max(self._numbered), len(self._numbered)
        if high - low + 1 != count:
            cause = f"expected Instance Numbers {low} to {high} without a gap, found {count} slices"
            raise InputDataError("DBT-NUMBERS", file=self._file, cause=cause, remedy="Export the whole volume.")

    def _first_voi(self) -> str:
        with DicomFile(self._numbered[min(self._numbered)], self._limits) as dicom:
            return read_chain([dicom.tags], self._layout, dicom.file).voi

    def _slices(self) -> Iterator[_Stored]:
        for _, path in sorted(self._numbered.items()):
            with DicomFile(path, self._limits) as dicom:
                self._file = path.name
                if dicom.layout() != self._layout:
                    cause = "expected the slice that was there at first, found another"
                    raise InputDataError("DBT-SERIES", file=path.name, cause=cause, remedy="Read the volume again.")
                frames = dicom.frames(self._layout)
                yield frames[0], [dicom.tags]
                self._flag(*frames.flags)


def _chain_key(groups: Sequence[Tags]) -> list[tuple[object, ...]]:
    """Tell presentations apart without making their tables."""
    numbers: list[tuple[object, ...]] = [
        (keyword, *group.texts(keyword)) for group in groups for keyword in _SHOWN if keyword in group
    ]
    items = [item for group in groups for keyword in _TABLES for item in group.items(keyword)]
    return numbers + [(*item.integers("LUTDescriptor"), item.raw("LUTData")) for item in items if "LUTData" in item]
