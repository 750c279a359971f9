"""Frames of a DICOM file's pixel data: found and checked without decoding, then decoded one at a time."""

import struct
import warnings
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from dmdbt.errors import InputDataError
from dmdbt.readers.dicom.codestreams import CodestreamError, check_rle, describe
from dmdbt.readers.dicom.header import REMEDY, Tags
from dmdbt.readers.dicom.stderr import captured_errors
from dmdbt.readers.dicom.transfer_syntaxes import Syntax

_ITEM, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
_UNDEFINED = 0xFFFFFFFF
_LONG_FORMS = (b"OB", b"OW", b"UN")
_RLE = "RLE Lossless"
_REST = 1024  # bytes behind the last fragment, at most, where the delimiter is missing
_STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51")

Span = tuple[int, int]  # offset in the file and length, both in bytes


@dataclass(frozen=True)
class Layout:
    """Image Pixel Module (PS3.3 C.7.6.3) of gray frames.

    Attributes
    ----------
    frames, rows, columns
        T, H, W.
    allocated, stored
        Bits of a pixel: as it is stored, and those that count.
    signed
        Two's complement.
    photometric
        MONOCHROME1 or MONOCHROME2.
    overlay
        Mask of the bits above those stored in which the header says that an overlay lies (PS3.5, 8.1.2).
    """

    frames: int
    rows: int
    columns: int
    allocated: int
    stored: int
    signed: bool
    photometric: str
    overlay: int = 0

    @property
    def lowest(self) -> int:
        """Smallest value that can be stored."""
        return -(1 << (self.stored - 1)) if self.signed else 0

    @property
    def frame_bytes(self) -> int:
        """Size of a frame that is not compressed."""
        return self.rows * self.columns * self.allocated // 8


def read_pixel_description(tags: Tags, file: str) -> Layout:
    """Read the description of the pixels.

    Raises
    ------
    InputDataError
        It is incomplete, not gray, or contradicts itself.
    """
    samples, photometric = tags.integer("SamplesPerPixel", 1), tags.text("PhotometricInterpretation")
    if samples != 1 or photometric not in ("MONOCHROME1", "MONOCHROME2"):
        cause = f"expected gray pixels, found {samples} samples per pixel and {photometric or 'no'} photometric value"
        raise InputDataError("DICOM-GRAY", file=file, cause=cause, remedy=REMEDY)
    rows, columns = tags.integer("Rows"), tags.integer("Columns")
    frames = stated_frames(tags)
    if min(rows, columns, frames) < 1:
        cause = f"expected rows, columns and frames, found {rows} x {columns} x {frames}"
        raise InputDataError("DICOM-SIZE", file=file, cause=cause, remedy=REMEDY)
    allocated, stored = tags.integer("BitsAllocated"), tags.integer("BitsStored")
    high, representation = tags.integer("HighBit"), tags.integer("PixelRepresentation", 0)
    if allocated not in (8, 16) or not 8 <= stored <= allocated or high != stored - 1 or representation not in (0, 1):
        cause = (
            "expected 8 to 16 stored bits in 8 or 16 allocated ones, the highest one below the number stored, "
            f"found {stored} in {allocated}, highest {high}, representation {representation}"
        )
        raise InputDataError("DICOM-BITS", file=file, cause=cause, remedy=REMEDY)
    overlay = sum({1 << position for position in tags.overlay_bits() if stored <= position < allocated})
    return Layout(frames, rows, columns, allocated, stored, bool(representation), photometric, overlay)


def stored_values(words: np.ndarray, layout: Layout, bits: int) -> np.ndarray | None:
    """Leave out the bits above those stored where they say nothing of a value (PS3.5, 8.1.1).

    Parameters
    ----------
    words
        int32, not negative: the values as they lie in memory.
    layout
        Says what the bits above may hold: an overlay, or the sign.
    bits
        Of a word.

    Returns
    -------
    ndarray of int32 or None
        None if a bit above those stored is neither.
    """
    sign, unnamed = 1 << (layout.stored - 1), ((1 << bits) - 1 & ~layout.overlay) >> layout.stored
    above = words >> layout.stored & unnamed
    means_nothing = above == 0
    if layout.signed:
        means_nothing |= (above == unnamed) & (words & sign > 0)
    if not means_nothing.all():
        return None
    values = words & (2 * sign - 1)
    return (values ^ sign) - sign if layout.signed else values


def stated_frames(tags: Tags) -> int:
    """Return the number of frames: of an object without it, or with 0, it is 1."""
    return tags.integer("NumberOfFrames", 1) or 1


class Frames:
    """Frames of an open file, as stored.

    Parameters
    ----------
    stream
        Stands at the element PixelData.
    layout, syntax
        What the header says.
    file
        Name of the file, for the messages.
    flags
        Takes what is unusual and yet has one meaning: ``codestream-bits`` (a compressed frame has another number of
        bits than the header says), ``delimiter-missing`` (after whole frames), ``offset-table`` (it contradicts whole
        fragments), ``overlay-bits``, ``pixel-data-length`` (excess bytes after the frames, or no padding byte),
        ``sign-extension`` (negative values without it).

    Raises
    ------
    InputDataError
        There are no pixels, or fewer or more bytes or frames than the header says.
    """

    def __init__(self, stream: BinaryIO, layout: Layout, syntax: Syntax, file: str, flags: set[str]) -> None:
        self._stream, self._layout, self._syntax, self._file, self._flags = stream, layout, syntax, file, flags
        self._start = stream.tell()
        self._size = stream.seek(0, 2)
        self._is_words, length = self._element()
        self._spans = self._encapsulated() if syntax.plugin else self._native(length)
        if syntax.plugin and length != _UNDEFINED:
            raise self._error("DICOM-LENGTH", "expected encapsulated frames", f"{length} bytes that are not")

    def __getitem__(self, index: int) -> np.ndarray:
        """Decode a frame.

        Returns
        -------
        ndarray of uint8, uint16, int8 or int16, shape (H, W)
            Every value lies in the range of the stored bits.

        Raises
        ------
        InputDataError
            The frame is damaged, or has bits above those stored.
        """
        content = b"".join(self._read(span) for span in self._spans[index])
        frame = self._decoded(content, index) if self._syntax.plugin else self._plain(content, index)
        layout = self._layout
        low, high = int(frame.min()), int(frame.max())
        if low < layout.lowest or high >= layout.lowest + (1 << layout.stored):
            return self._stored_bits(frame, index)
        return frame

    def _stored_bits(self, frame: np.ndarray, index: int) -> np.ndarray:
        """Leave out the bits above those stored where they say nothing of a value, with a flag."""
        words = frame.view(f"u{frame.itemsize}").astype(np.int32)
        values = stored_values(words, self._layout, 8 * frame.itemsize)
        if values is None:
            expected = f"expected {self._layout.stored}-bit values"
            raise self._error("DICOM-VALUES", expected, f"{frame.min()} to {frame.max()} in frame {index + 1}")
        self._flags.add("overlay-bits" if self._layout.overlay else "sign-extension")
        return values.astype(frame.dtype)

    def _element(self) -> tuple[bool, int]:
        """Whether PixelData holds words, and its length; the stream is left at its value."""
        self._stream.seek(self._start)
        big = self._syntax.name.endswith("Big Endian")
        head = self._stream.read(8)
        if len(head) == 8 and head[:4] == (b"\x7f\xe0\x00\x10" if big else b"\xe0\x7f\x10\x00"):
            if self._syntax.name.startswith("Implicit"):
                return True, int(struct.unpack("<L", head[4:])[0])
            tail = self._stream.read(4)
            if len(tail) == 4 and head[4:6] in _LONG_FORMS:
                return head[4:6] == b"OW", int(struct.unpack(">L" if big else "<L", tail)[0])
        raise self._error("DICOM-NO-PIXELS", "expected an element PixelData", "none, or one of another type")

    def _native(self, length: int) -> list[list[Span]]:
        """Spans of frames that follow each other without gaps."""
        size, frames = self._layout.frame_bytes, self._layout.frames
        start = self._stream.tell()
        expected = size * frames + size * frames % 2
        if not size * frames <= length < expected + size:  # a frame more is another number of frames
            raise self._error("DICOM-LENGTH", f"expected {expected} bytes for {frames} frames", f"{length}")
        if length != expected:
            self._flags.add("pixel-data-length")
        if start + size * frames > self._size:
            raise self._error("DICOM-TRUNCATED", f"expected {length} bytes of pixels", f"{self._size - start}")
        return [[(start + index * size, size)] for index in range(frames)]

    def _encapsulated(self) -> list[list[Span]]:
        """Spans of the fragments of each compressed frame (PS3.5, A.4)."""
        table, *fragments = self._items()
        starts = self._frame_starts(table, fragments)
        ends = [*starts[1:], len(fragments)]
        return [fragments[start:end] for start, end in zip(starts, ends, strict=True)]

    def _items(self) -> list[Span]:
        """The offset table and the fragments, up to the delimiter that a whole file has."""
        items: list[Span] = []
        while True:
            head = self._stream.read(8)
            tag, position = head[:4], self._stream.tell()
            # Some writers leave out the delimiter, or write zeros for it.
            if items and self._size - position < _REST and not (head + self._stream.read(_REST)).strip(b"\0"):
                self._flags.add("delimiter-missing")
                return items
            self._stream.seek(position)
            length = struct.unpack("<L", head[4:])[0] if len(head) == 8 else 0
            if len(head) < 8 or position + length > self._size:
                raise self._error("DICOM-TRUNCATED", "expected a delimiter after the frames", "the end of the file")
            if tag == _END and length == 0 and items:
                return items
            if tag != _ITEM or length % 2:
                raise self._error("DICOM-FRAMES", "expected fragments of even length", "something else among them")
            items.append((position, length))
            self._stream.seek(position + length)

    def _frame_starts(self, table: Span, fragments: list[Span]) -> list[int]:
        """Index of the first fragment of each frame."""
        offsets = np.frombuffer(self._read(table), "<u4").tolist() if table[1] % 4 == 0 else [-1]
        places = {position - 8 - table[0] - table[1]: index for index, (position, _) in enumerate(fragments)}
        stated = [places.get(offset, -1) for offset in offsets]
        if self._are_starts(stated):
            return stated
        starts = self._whole_fragments(fragments)
        # A table that is none may be overruled by fragments that are frames, not one that names other frames.
        named = offsets and (self._are_starts(sorted(stated)) or len(fragments) > len(starts))
        if not self._are_starts(starts) or not fragments or named:
            found = f"{len(fragments)} fragments and an offset table of {offsets[:4]}"
            raise self._error("DICOM-FRAMES", f"expected {self._layout.frames} frames as the header says", found)
        if offsets:
            self._flags.add("offset-table")
        return starts

    def _are_starts(self, starts: list[int]) -> bool:
        return len(starts) == self._layout.frames and starts[0] == 0 and sorted(set(starts)) == starts

    def _whole_fragments(self, fragments: list[Span]) -> list[int]:
        """First fragments of the frames where no offset says them."""
        if self._layout.frames == 1:
            return [0]
        if len(fragments) == self._layout.frames or self._syntax.name == _RLE:
            return list(range(len(fragments)))
        heads = [self._read((position, 4)) for position, _ in fragments]
        return [index for index, head in enumerate(heads) if head.startswith(_STARTS)]

    def _read(self, span: Span) -> bytes:
        self._stream.seek(span[0])
        return self._stream.read(span[1])

    def _plain(self, content: bytes, index: int) -> np.ndarray:
        layout = self._layout
        kind = "i" if layout.signed else "u"
        order = ">" if self._syntax.name.endswith("Big Endian") else "<"
        if order == ">" and self._is_words and layout.allocated == 8:
            content = self._swapped(index)
        if len(content) != layout.frame_bytes:
            raise self._error("DICOM-TRUNCATED", f"expected {layout.frame_bytes} bytes", f"{len(content)}")
        frame = np.frombuffer(content, f"{order}{kind}{layout.allocated // 8}")
        return frame.astype(frame.dtype.newbyteorder("="), copy=False).reshape(layout.rows, layout.columns)

    def _swapped(self, index: int) -> bytes:
        """Bytes of an 8-bit frame that is stored as big endian words."""
        start, size = self._spans[index][0]
        first = self._spans[0][0][0]
        odd = (start - first) % 2
        words = np.frombuffer(self._read((start - odd, (odd + size + 1) // 2 * 2)), ">u2")
        return words.astype("<u2").tobytes()[odd : odd + size]

    def _decoded(self, content: bytes, index: int) -> np.ndarray:
        """Decode a compressed frame whose own headers agree with the file's."""
        bits, is_offset = self._check_codestream(content, index)
        layout = self._layout
        codes = self._run_plugin(content, bits, index)
        if not layout.signed:
            return codes
        values = codes.astype(np.int32)
        sign = 1 << (bits - 1)
        return (values - sign if is_offset else (values & (sign - 1)) - (values & sign)).astype(np.int16)

    def _run_plugin(self, content: bytes, bits: int, index: int) -> np.ndarray:
        """Unsigned values; what a decoder raises, warns of or only prints is damage."""
        layout = self._layout
        expected = f"expected {layout.rows} x {layout.columns} decodable pixels"
        with captured_errors() as printed:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    codes, _ = get_decoder(UID(self._syntax.uid)).as_array(
                        encapsulate([content], has_bot=False), index=0, **self._options(bits)
                    )
            except (KeyboardInterrupt, SystemExit, MemoryError):
                raise
            except BaseException as exc:  # StopIteration, and the panics of decoders in Rust, which are no Exception
                raise self._error("DICOM-PIXELS", expected, f"{type(exc).__name__} in frame {index + 1}") from exc
            complaint = printed()
        if complaint:
            raise self._error("DICOM-PIXELS", expected, f"damage that the decoder reports in frame {index + 1}")
        return codes

    def _options(self, bits: int) -> dict[str, Any]:
        """Describe an unsigned frame of the bits of its codestream to pydicom; signs are this module's work."""
        return {
            "raw": True,
            "validate": False,  # it warns of a frame that happens to be as long as one that is not compressed
            "decoding_plugin": self._syntax.plugin,
            "rows": self._layout.rows,
            "columns": self._layout.columns,
            "number_of_frames": 1,
            "samples_per_pixel": 1,
            "photometric_interpretation": "MONOCHROME2",
            "bits_allocated": self._layout.allocated,
            "bits_stored": bits,
            "pixel_representation": 0,
            "pixel_keyword": "PixelData",
            "apply_j2k_sign_correction": False,
            "apply_jls_sign_correction": False,
            "correct_unused_bits": False,
        }

    def _check_codestream(self, content: bytes, index: int) -> tuple[int, bool]:
        """Bits of a sample, and whether signed values are stored with an offset."""
        layout = self._layout
        try:
            if self._syntax.name == _RLE:
                check_rle(content, layout.allocated // 8)
                return layout.allocated, False
            own = describe(self._syntax.name, content)
        except CodestreamError as exc:
            expected = f"expected a whole codestream of {self._syntax.name}"
            raise self._error("DICOM-CODESTREAM", expected, f"{exc} in frame {index + 1}") from exc
        # Of signed values whose sign the codestream does not know, all stored bits are needed.
        least = layout.stored if layout.signed and own.signed is None else 1
        fits = least <= own.bits <= layout.allocated and own.signed in (None, layout.signed)
        if (own.rows, own.columns) != (layout.rows, layout.columns) or not fits:
            sign = "" if own.signed is None else " signed" if own.signed else " unsigned"
            expected = f"expected {layout.rows} x {layout.columns} pixels of {layout.stored} bits as in the header"
            found = f"{own.rows} x {own.columns} of {own.bits}{sign} bits in the codestream of frame {index + 1}"
            raise self._error("DICOM-CODESTREAM", expected, found)
        if own.bits != layout.stored:
            self._flags.add("codestream-bits")
        return own.bits, own.signed is not None

    def _error(self, code: str, expected: str, found: str) -> InputDataError:
        return InputDataError(code, file=self._file, cause=f"{expected}, found {found}", remedy=REMEDY)
