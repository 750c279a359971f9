"""The technical part of a DICOM header: an allow-list of elements, so that nothing about the patient is ever held."""

import errno
import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
from pydicom import config
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import Tag

from dmdbt.errors import InputDataError

REMEDY = "Export the image again, unchanged, as DICOM; if there is no other, convert what is shown to gray PNG."
# fmt: off
_ALLOWED = (
    "ImageType", "SOPClassUID", "Manufacturer", "ManufacturerModelName", "InstanceNumber", "Modality",
    "PresentationIntentType", "SeriesInstanceUID", "Laterality", "ImageLaterality", "ViewPosition", "ViewCodeSequence",
    "PatientOrientation", "InConcatenationTotalNumber",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
    "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "Rows", "Columns", "BitsAllocated",
    "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit",
    "BurnedInAnnotation", "WindowCenter", "WindowWidth", "RescaleIntercept", "RescaleSlope", "VOILUTFunction",
    "ModalityLUTSequence", "VOILUTSequence", "PresentationLUTShape", "ImagePositionPatient", "ImageOrientationPatient",
)
# fmt: on
_HOLOGIC_CREATORS = [0x7E010000 | block for block in range(0x10, 0x100)]
_OVERLAY_BITS = [0x60000102 + (group << 16) for group in range(0, 0x20, 2)]  # Overlay Bit Position, PS3.3 C.9.2
ALLOWED_TAGS = frozenset([*(int(Tag(keyword)) for keyword in _ALLOWED), *_HOLOGIC_CREATORS, *_OVERLAY_BITS])
_PIXEL_DATA = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_OF_THE_MACHINE = (errno.EIO, errno.ENOSPC, errno.ESTALE)
_LARGEST = 64 << 20  # bytes of an element of the header; the functional groups of 1000 slices need about one hundredth


class Tags:
    """Elements of a DICOM data set. What breaks a rule of PS3.5 and still has one meaning is read.

    A number that is none is an `InputDataError` that names the element and its value.

    Parameters
    ----------
    dataset
        Its elements are converted when they are asked for.
    file
        Name of the file, for the messages.
    little
        Whether the data set is in little endian.
    """

    def __init__(self, dataset: Dataset, file: str, *, little: bool = True) -> None:
        self._dataset, self._file, self._little = dataset, file, little

    def __contains__(self, keyword: str) -> bool:
        return keyword in self._dataset and bool(self._values(keyword))

    def text(self, keyword: str, default: str = "") -> str:
        """First value as text in upper case, as PS3.5 asks of codes, without the blanks around it."""
        values = self.texts(keyword)
        return values[0] if values else default

    def texts(self, keyword: str) -> list[str]:
        """All values as text in upper case."""
        return [str(value).strip().upper() for value in self._values(keyword)]

    def number(self, keyword: str, default: float | None = None) -> float:
        """First value as a number, NaN and infinity included; without `default` the element is required."""
        return self._first(keyword, float, default)

    def integer(self, keyword: str | int, default: int | None = None) -> int:
        """First value as a whole number; without `default` the element is required."""
        return self._first(keyword, _whole, default)

    def word(self, keyword: str) -> int:
        """First value of an element of VR US or SS, of which writers confuse the two, as 16 bits without sign."""
        return self.integer(keyword) % 65536

    def integers(self, keyword: str) -> list[int]:
        """All values as whole numbers."""
        with self._reading(keyword, "whole numbers"):
            return [_whole(value) for value in self._values(keyword)]

    def numbers(self, keyword: str) -> list[float]:
        """All values as finite numbers."""
        with self._reading(keyword, "finite numbers"):
            return [_finite(value) for value in self._values(keyword)]

    def raw(self, keyword: str) -> bytes | list[int]:
        """Bytes of an element of VR OW, as words in little endian, or the numbers of one of VR US or SS as unsigned."""
        with self._reading(keyword):
            value = self._dataset[keyword].value
            if not isinstance(value, bytes):
                return [int(entry) % 65536 for entry in _several(value)]
            return value if self._little else np.frombuffer(value, ">u2").astype("<u2").tobytes()

    def items(self, keyword: str) -> list["Tags"]:
        """Items of a sequence."""
        if keyword not in self._dataset:
            return []
        with self._reading(keyword):
            items = list(self._dataset[keyword].value or [])
            if not all(isinstance(item, Dataset) for item in items):
                raise TypeError("not a sequence")
        return [Tags(item, self._file, little=self._little) for item in items]

    def overlay_bits(self) -> list[int]:
        """Positions of the bits of a pixel that hold overlays (PS3.5, 8.1.2), with 0 for overlays of their own."""
        return [self.integer(tag) for tag in _OVERLAY_BITS if tag in self._dataset]

    def is_hologic_capture(self) -> bool:
        """Whether the private elements stand here in which Hologic hides the true pixels."""
        for tag in _HOLOGIC_CREATORS:
            if tag in self._dataset:
                with self._reading(tag):
                    if "HOLOGIC" in str(self._dataset[tag].value).upper():
                        return True
        return False

    def _first(self, keyword: str | int, kind: Callable[[Any], Any], default: float | None) -> Any:
        values = self._values(keyword)
        if values:
            with self._reading(keyword, "a number" if kind is float else "a whole number"):
                return kind(values[0])
        if default is None:
            cause = f"expected a complete image, found no {keyword}"
            raise InputDataError("DICOM-ATTRIBUTES", file=self._file, cause=cause, remedy=REMEDY)
        return default

    def _values(self, keyword: str | int) -> list[Any]:
        if keyword not in self._dataset:
            return []
        with self._reading(keyword):
            return _several(self._dataset[keyword].value)

    @contextmanager
    def _reading(self, element: str | int, rule: str = "a value of its type") -> Iterator[None]:
        """Let pydicom convert an element as well as it can; what it cannot convert ends the file, with its value."""
        try:
            with warnings.catch_warnings(), config.disable_value_validation():
                warnings.simplefilter("ignore")
                yield
        except (InputDataError, MemoryError):
            raise
        except Exception as exc:  # pydicom raises whatever it meets, StopIteration and RecursionError included
            name = element if isinstance(element, str) else f"({element >> 16:04X},{element & 0xFFFF:04X})"
            stored = getattr(self._dataset.get_item(element), "value", None)
            value = stored.decode("latin-1") if isinstance(stored, bytes) else str(stored)
            cause = f"expected {rule} in {name}, found {value[:40]!r}"
            raise InputDataError("DICOM-HEADER", file=self._file, cause=cause, remedy=REMEDY) from exc


@contextmanager
def strict(file: str, expected: str) -> Iterator[None]:
    """Turn what pydicom raises or warns of into an `InputDataError`: structure that is damaged, before any element.

    A failing disk is no fault of the data.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", module=r"pydicom\.charset")  # it decides no pixel, and no text is read
            yield
    except (InputDataError, MemoryError):
        raise
    except Exception as exc:  # see above
        if isinstance(exc, OSError) and exc.errno in _OF_THE_MACHINE:
            raise
        # A warning speaks of tags, types and lengths; the words of an exception may quote a value.
        found = str(exc)[:100] if isinstance(exc, Warning) else f"damage ({type(exc).__name__})"
        raise InputDataError(
            "DICOM-HEADER", file=file, cause=f"expected {expected}, found {found}", remedy=REMEDY
        ) from exc


def read_tags(stream: BinaryIO, *, implicit: bool, little: bool, file: str) -> Tags:
    """Read the allowed elements of a data set up to its pixels, where the stream is left.

    Raises
    ------
    InputDataError
        The header is malformed, or has an element twice.
    """
    seen: list[int] = []

    def is_end(tag: int, _vr: object, _length: int) -> bool:
        seen.append(tag)
        return tag in _PIXEL_DATA

    with strict(file, "a header according to PS3.5"):
        dataset = read_dataset(
            stream,
            is_implicit_VR=implicit,
            is_little_endian=little,
            stop_when=is_end,
            defer_size=_LARGEST,
            specific_tags=list(ALLOWED_TAGS),
        )
        kept = Dataset()
        for tag in dataset.keys() & ALLOWED_TAGS:
            kept[tag] = dataset.get_item(tag)
        kept.set_original_encoding(implicit, little, "iso8859")
    # Of two elements pydicom keeps the last.
    if twice := [tag for tag, count in Counter(seen).items() if count > 1 and tag in ALLOWED_TAGS]:
        cause = f"expected every element once (PS3.5, 7.1), found {keyword_for_tag(twice[0])} twice"
        raise InputDataError("DICOM-HEADER", file=file, cause=cause, remedy=REMEDY)
    return Tags(kept, file, little=little)


def _several(value: Any) -> list[Any]:
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str | bytes) else [value]


def _whole(value: Any) -> int:
    number = float(value)
    if not number.is_integer():
        raise ValueError("not a whole number")
    return int(number)


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("not finite")
    return number
