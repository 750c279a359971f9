"""The structure of an AVI file, without decoding: what its headers state, and what it holds.

A RIFF file is a tree of chunks: a FourCC, a size, content padded to an even length. An AVI file is a ``RIFF`` chunk of
form ``AVI ``, with the lists ``hdrl`` (headers of the streams) and ``movi`` (their data: chunks ``##db`` and ``##dc``
of a video stream, where ## is its number, at times inside lists ``rec ``). OpenDML adds ``RIFF`` chunks of form
``AVIX``, each with a ``movi`` of its own, so that a file may be longer than 1 GB; the number of frames in ``avih`` is
then that of the first one alone, and is not read here; its rows and columns are, against those of the stream.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from dmdbt.errors import InputDataError

# Uncompressed frames by their FourCC, or by the number of their compression in a bitmap's header.
_NOT_GRAY = {b"RAW ": "the FourCC RAW, which states no layout", b"\3\0\0\0": "colors by bit masks (BI_BITFIELDS)"}
REMEDY = "Export the volume again as an uncompressed, MJPEG or FFV1 AVI."
_MOST_PADDING = 1 << 20  # bytes; some writers fill the last block of a file with zeros
_MOST_HEADER = 1 << 16  # bytes of a chunk that is read
_LISTS = (b"RIFF", b"LIST")
_BITMAP_HEADER = struct.Struct("<IiiHH4s12xI4x")  # BITMAPINFOHEADER, without what is not used
_MAIN_SIZE = struct.Struct("<32xII")  # AVIMAINHEADER up to columns and rows
_STREAM_HEADER = struct.Struct("<4s28xI")  # AVISTREAMHEADER up to its length


class Chunk(NamedTuple):
    """Where the data of a frame are in the file, in bytes."""

    offset: int
    size: int


@dataclass(frozen=True)
class RiffLayout:
    """Headers of an AVI file for its only video stream, and where its data are.

    Attributes
    ----------
    fourcc
        Of the codec; ``....`` for uncompressed RGB or palette.
    rows, columns
        H, W.
    bit_count
        Bits per pixel, which is reliable for uncompressed frames of 8 bits or fewer.
    palette_entries
        Colors that follow the header.
    chunks
        One per frame, in the order of the file; those of size 0 are empty frames.
    """

    fourcc: str
    rows: int
    columns: int
    bit_count: int
    palette_entries: int
    chunks: tuple[Chunk, ...]


def read_riff(path: Path, *, most_frames: int) -> RiffLayout:
    """Walk an AVI file: only its headers and the heads of its chunks are read.

    Parameters
    ----------
    path
        An AVI file.
    most_frames
        The walk ends after one more than this number of frames, which are then not compared with the header's.

    Raises
    ------
    InputDataError
        No AVI file; a chunk longer than what holds it; not one video stream; headers that make no sense; a palette
        that changes; no frames, or another number than stated.
    """
    if not path.is_file():
        cause = "expected a file, found a folder or a device"
        raise InputDataError("DBT-NOT-AVI", file=path.name, cause=cause, remedy=REMEDY)
    with path.open("rb") as file:
        return _Walk(file, path.name, most_frames).layout()


class _Node(NamedTuple):
    kind: bytes  # FourCC; of a list that of its content
    start: int
    end: int


@dataclass
class _Walk:
    """A walk through a file, and what it has found so far."""

    file: BinaryIO
    name: str
    most_frames: int
    streams: int = 0
    video: int = -1  # number of the video stream
    stated: int = 0  # its length in frames
    format: bytes = b""  # its `strf`
    main_size: tuple[int, int] = (0, 0)  # columns and rows by the file's header; 0 where a writer left them out
    opendml: int | None = None  # frames of all RIFF chunks, if stated
    chunks: list[Chunk] = field(default_factory=list)

    def layout(self) -> RiffLayout:
        in_first = 0
        for number, riff in enumerate(self._riffs()):
            for node in self._children(riff):
                if node.kind == b"hdrl":
                    self._read_headers(node)
                elif node.kind == b"movi" and not self._read_frames(node):
                    return self._checked_format()
            in_first = in_first if number else len(self.chunks)
        self._check_count(in_first)
        return self._checked_format()

    def _error(self, code: str, cause: str) -> InputDataError:
        return InputDataError(code, file=self.name, cause=cause, remedy=REMEDY)

    def _bytes(self, start: int, size: int) -> bytes:
        self.file.seek(start)
        return self.file.read(size)

    def _riffs(self) -> Iterator[_Node]:
        """Yield the RIFF chunks of which the file consists."""
        end = self.file.seek(0, 2)
        head = self._bytes(0, 12)
        if head[:4] != b"RIFF" or head[8:] != b"AVI ":
            raise self._error("DBT-NOT-AVI", "expected a RIFF file of type AVI, found something else")
        start, form = 0, b"AVI "
        while end - start > _MOST_PADDING or self._bytes(start, end - start).strip(b"\0"):
            riff = self._node(start, end, code="AVI-TRUNCATED")
            if riff.kind != form or self._bytes(start, 4) != b"RIFF":
                raise self._error("AVI-TRAILING", f"expected the end of the file at byte {start}, found other data")
            yield riff
            start, form = riff.end + riff.end % 2, b"AVIX"

    def _node(self, start: int, end: int, *, code: str = "AVI-CHUNK") -> _Node:
        """Return the chunk at `start`, which has to end by `end`."""
        head = self._bytes(start, 12)
        if end - start < 8 or len(head) < 8:
            raise self._error(code, f"expected a chunk at byte {start}, found {end - start} bytes")
        kind, (size,) = head[:4], struct.unpack_from("<I", head, 4)
        if size > end - start - 8:
            raise self._error(code, f"expected {size} bytes in the chunk at byte {start}, found {end - start - 8}")
        if kind not in _LISTS:
            return _Node(kind, start + 8, start + 8 + size)
        if size < 4:
            raise self._error(code, f"expected a list at byte {start}, found {size} bytes")
        return _Node(head[8:], start + 12, start + 8 + size)

    def _children(self, parent: _Node) -> Iterator[_Node]:
        start = parent.start
        while start < parent.end:
            node = self._node(start, parent.end)
            yield node
            start = node.end + node.end % 2

    def _read_headers(self, headers: _Node) -> None:
        """Read the list ``hdrl``: find the one video stream."""
        videos = 0
        for node in self._children(headers):
            if node.kind == b"strl":
                videos += self._read_stream(node)
            elif node.kind == b"avih" and node.end - node.start >= _MAIN_SIZE.size:
                self.main_size = _MAIN_SIZE.unpack(self._bytes(node.start, _MAIN_SIZE.size))
            elif node.kind == b"odml":
                self._read_opendml(node)
        if videos != 1:
            raise self._error("AVI-STREAMS", f"expected one video stream, found {videos}")

    def _read_stream(self, stream: _Node) -> bool:
        """Read a list ``strl``; returns whether it is a video stream."""
        parts = [node for node in self._children(stream) if node.kind in (b"strh", b"strf")]
        if [node.kind for node in parts] != [b"strh", b"strf"]:
            raise self._error("AVI-HEADER", "expected a header and a format per stream, found otherwise")
        header, content = (self._bytes(node.start, min(node.end - node.start, _MOST_HEADER)) for node in parts)
        if len(header) < _STREAM_HEADER.size:
            cause = f"expected a stream's header of at least {_STREAM_HEADER.size} bytes, found {len(header)}"
            raise self._error("AVI-HEADER", cause)
        kind, length = _STREAM_HEADER.unpack_from(header)
        if kind == b"vids":
            self.video, self.stated, self.format = self.streams, length, content
        self.streams += 1
        return kind == b"vids"

    def _read_opendml(self, headers: _Node) -> None:
        for node in self._children(headers):
            if node.kind == b"dmlh" and node.end - node.start >= 4:
                (self.opendml,) = struct.unpack("<I", self._bytes(node.start, 4))

    def _read_frames(self, parent: _Node) -> bool:
        """Note the video stream's chunks in ``movi`` or one of its ``rec ``; return False when there are too many."""
        if self.video < 0:
            raise self._error("AVI-HEADER", "expected the streams' headers before their data, found none")
        number = b"%02d" % self.video
        for node in self._children(parent):
            if node.kind == b"rec " and parent.kind == b"movi":
                self._read_frames(node)
            elif node.kind == number + b"pc":
                raise self._error("AVI-PALETTE", "expected one palette for all slices, found one that changes")
            elif node.kind in (number + b"db", number + b"dc"):
                self.chunks.append(Chunk(node.start, node.end - node.start))
            elif node.kind[:2] == number:
                raise self._error("AVI-CHUNK", f"expected frames of the video stream, found a chunk {_text(node.kind)}")
            if len(self.chunks) > self.most_frames:
                return False
        return True

    def _check_count(self, in_first: int) -> None:
        found = len(self.chunks)
        if self.video < 0:
            raise self._error("AVI-STREAMS", "expected one video stream, found no headers")
        stated = self.stated
        if self.opendml == found and stated == in_first:
            stated = found  # some writers count the frames of the first RIFF alone
        if stated != found or found == 0:
            raise self._error("AVI-COUNT", f"expected {stated or 'some'} frames as the header says, found {found}")

    def _checked_format(self) -> RiffLayout:
        if len(self.format) < _BITMAP_HEADER.size:
            cause = f"expected a video format of at least {_BITMAP_HEADER.size} bytes, found {len(self.format)}"
            raise self._error("AVI-HEADER", cause)
        size, columns, rows, _, bits, fourcc, used = _BITMAP_HEADER.unpack_from(self.format)
        if columns < 1 or rows == 0:
            raise self._error("AVI-HEADER", f"expected pixels, found {rows} rows and {columns} columns")
        if self.main_size not in ((0, 0), (columns, abs(rows))):
            cause = f"expected {self.main_size[1]} x {self.main_size[0]} pixels as the file's header says"
            raise self._error("AVI-HEADER", f"{cause}, found {abs(rows)} x {columns} in the stream's")
        if fourcc in _NOT_GRAY:
            cause = f"expected frames that have one meaning as gray, found {_NOT_GRAY[fourcc]}"
            remedy = "Export the volume as uncompressed 8-bit gray (Y800), or as a folder of PNG slices."
            raise InputDataError("AVI-CODEC", file=self.name, cause=cause, remedy=remedy)
        present = max(len(self.format) - max(size, _BITMAP_HEADER.size), 0) // 4
        entries = min(present, used or 256)
        return RiffLayout(_text(fourcc), abs(rows), columns, bits, entries, tuple(self.chunks))


def _text(fourcc: bytes) -> str:
    """A FourCC in printable characters."""
    return "".join(chr(byte) if 32 < byte < 127 else "." for byte in fourcc)
