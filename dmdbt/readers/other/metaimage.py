"""Tomosynthesis volumes stored as MetaImage: a text header (.mhd) beside a raw file, or before the pixels (.mha)."""

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os.path import realpath  # Path.resolve fails on a link that leads to itself
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO

import numpy as np

from dmdbt.errors import InputDataError
from dmdbt.readers.closing import Opened
from dmdbt.readers.limits import Limits, check_limit, check_volume_size

QUARTER_TURNS = "QuarterTurns"  # a key of this project: written by its importers, ignored by other readers
_CHUNK = 1 << 20  # bytes that are inflated at a time
_HEADER_SIZE = 65536  # bytes, more than any header has
_LAST_KEY = "ElementDataFile"  # ends the header, by the specification
_TYPES = {
    "MET_UCHAR": "u1",
    "MET_CHAR": "i1",
    "MET_USHORT": "u2",
    "MET_SHORT": "i2",
    "MET_UINT": "u4",
    "MET_INT": "i4",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_REMEDY = "Export the volume again as MetaImage: 3 dimensions, one channel, in one raw file."
_CONTROL = re.compile(rb"[\0-\x08\x0b\x0c\x0e-\x1f]")  # what no text has
_NUMBER = re.compile(r"\d{1,15}", re.ASCII)
_LONGEST_NAME = 255  # bytes, in the file systems of Linux
_ORDER_KEYS = ("ElementByteOrderMSB", "BinaryDataByteOrderMSB")
_TRUTH = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}  # as MetaIO writes and reads it


@dataclass(frozen=True)
class _Layout:
    """Where the pixels are: shape (T, H, W) as stored, and the number of bytes before them."""

    shape: tuple[int, int, int]
    dtype: np.dtype
    data: Path
    offset: int
    quarter_turns: int
    compressed: bool


class MetaImageVolume(Opened):
    """A MetaImage file as a `dmdbt.readers.Volume`, and a context manager; holds a few slices at a time.

    ``DimSize`` is x, y, z: columns, rows, slices. Values that are not 8-bit are mapped to 0..255 by the full range,
    minimum to maximum of the whole volume, rounded; they are read twice for that. The key ``QuarterTurns`` (see
    `QUARTER_TURNS`) turns each slice counter-clockwise.

    Without a key for the byte order it is little-endian. Pixels may be compressed by zlib, as Slicer and ITK write
    them. ``provenance["range"]`` appears with the first slice.

    Raises
    ------
    InputDataError
        At opening: a key is missing, contradictory or not supported, the raw file is missing, lies elsewhere or is
        not exactly as long as the header says. While iterating: a value is not finite, all are equal, or compressed
        pixels are damaged, fewer or more than the header says.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        self._file = path.name
        self._layout = _read_layout(path)
        n_slices, *size = self._layout.shape
        rows, columns = size[::-1] if self._layout.quarter_turns % 2 else size
        self.n_slices, self.rows, self.columns = n_slices, rows, columns
        check_volume_size(n_slices, rows, columns, limits, file=path.name)
        check_limit("file_gib", self._layout.data.stat().st_size / 2**30, limits, what="GiB", file=path.name)
        self.provenance: dict[str, str | int] = {
            "container": "metaimage",
            "codec": self._layout.dtype.name,
            "slice_order": "stored order",
        }
        self.flags: list[str] = []

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield uint8 slices of shape (H, W) in the order of the file."""
        turns = self._layout.quarter_turns
        if self._layout.dtype == np.uint8:
            yield from (np.ascontiguousarray(np.rot90(stored, turns)) for stored in self._stored())
            return
        low, high = self._range()
        self.provenance["range"] = f"{low:.6g} to {high:.6g}"
        for stored in self._stored():
            gray = np.rint((stored.astype(np.float64) - low) * (255 / (high - low))).astype(np.uint8)
            yield np.ascontiguousarray(np.rot90(gray, turns))

    def _stored(self) -> Iterator[np.ndarray]:
        """Yield the values of each slice as stored."""
        _, rows, columns = self._layout.shape
        size = rows * columns * self._layout.dtype.itemsize
        with self._layout.data.open("rb") as file:
            file.seek(self._layout.offset)
            source = _Inflated(file, self._file) if self._layout.compressed else file
            for number in range(1, self.n_slices + 1):
                content = source.read(size)
                if len(content) < size:
                    raise _error(self._file, "MHD-LENGTH", f"expected {self.n_slices} slices, found {number - 1}")
                yield np.frombuffer(content, self._layout.dtype).reshape(rows, columns)
            if source.read(1):
                raise _error(self._file, "MHD-LENGTH", f"expected {self.n_slices} slices, found more")

    def _range(self) -> tuple[float, float]:
        """Lowest and highest value of the volume."""
        low, high = np.inf, -np.inf
        for number, stored in enumerate(self._stored(), start=1):
            if not np.isfinite(stored).all():
                raise _error(self._file, "MHD-NOT-FINITE", f"expected finite values, found others in slice {number}")
            low, high = min(low, float(stored.min())), max(high, float(stored.max()))
        if not np.isfinite(high - low):
            cause = f"expected a range that is a number, found {low:g} to {high:g}"
            raise _error(self._file, "MHD-NOT-FINITE", cause)
        if low == high:
            raise _error(self._file, "MHD-CONSTANT", f"expected an image, found {low:g} everywhere")
        return low, high


class _Inflated:
    """Bytes of a zlib or gzip stream, whose checksum is verified where it ends."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file, self._name, self._engine = file, name, zlib.decompressobj(zlib.MAX_WBITS | 32)

    def read(self, size: int) -> bytes:
        """Inflate up to so many bytes; fewer at the end."""
        parts: list[bytes] = []
        try:
            while size and not self._engine.eof:
                chunk = self._engine.unconsumed_tail or self._file.read(_CHUNK)
                if not chunk:
                    raise _error(self._name, "MHD-COMPRESSED", "expected a whole zlib stream, found its beginning")
                parts.append(self._engine.decompress(chunk, size))
                size -= len(parts[-1])
        except zlib.error as exc:
            raise _error(self._name, "MHD-COMPRESSED", "expected a whole zlib stream, found a damaged one") from exc
        return b"".join(parts)


def metaimage_fields(path: Path) -> dict[str, str]:
    """Read the keys and values of a MetaImage header, up to ``ElementDataFile``.

    Raises
    ------
    InputDataError
        It is no text of the form ``Key = value``, a key has two values, or the last key is missing.
    """
    return _fields(path)[0]


def metaimage_data(path: Path) -> Path | None:
    """Return the file beside a header that holds the pixels: None if it is the same file; InputDataError as above."""
    name = metaimage_fields(path)[_LAST_KEY]
    if name.upper() == "LOCAL":
        return None
    if name.upper().startswith("LIST") or "%" in name:
        raise _error(path.name, "MHD-DATA-FILE", f"expected one raw file, found {_cut(name.split()[0])}")
    if len(name.encode()) > _LONGEST_NAME or "\0" in name:
        raise _error(path.name, "MHD-DATA-FILE", f"expected the name of a file, found {_cut(name)!r}")
    data = path.parent / name
    beside = name == PurePosixPath(name).name == PureWindowsPath(name).name
    if not beside or Path(realpath(data)).parent != Path(realpath(path)).parent:
        raise _error(path.name, "MHD-DATA-FILE", "expected a raw file beside the header, found another folder")
    return data


def _error(file: str, code: str, cause: str) -> InputDataError:
    return InputDataError(code, file=file, cause=cause, remedy=_REMEDY)


def _fields(path: Path) -> tuple[dict[str, str], int]:
    """Return the keys and values, and the number of bytes that the header takes."""
    with path.open("rb") as file:
        head = file.read(_HEADER_SIZE)
    fields: dict[str, str] = {}
    position = 0
    while _LAST_KEY not in fields:
        line, newline, _ = head[position:].partition(b"\n")
        position += len(line) + len(newline)
        key, equals, value = (part.strip() for part in _text(line).partition("="))
        if not line.strip() and newline:
            continue
        if not equals or not key or " " in key or _CONTROL.search(line):
            raise _error(path.name, "MHD-HEADER", f"expected lines Key = value that end with {_LAST_KEY}, found others")
        if fields.setdefault(key, value) != value:
            raise _error(path.name, "MHD-HEADER", f"expected one value of {key}, found two")
    return fields, position


def _text(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:  # the specification names no encoding
        return line.decode("latin-1")


def _read_layout(path: Path) -> _Layout:
    fields, length = _fields(path)
    _check_kind(fields, file=path.name)
    columns, rows, n_slices = _dimensions(fields, file=path.name)
    dtype = _dtype(fields, file=path.name)
    inside = metaimage_data(path)
    data, start = (path, length) if inside is None else (inside, 0)
    if not data.is_file():
        raise _error(path.name, "MHD-DATA-FILE", f"expected {data.name} beside the header, found no such file")
    needed, found = n_slices * rows * columns * dtype.itemsize, data.stat().st_size
    skipped = _number(fields, "HeaderSize", 0, file=path.name)
    compressed = _truth(fields, "CompressedData")
    if compressed is None:
        cause = f"expected True or False for CompressedData, found {_cut(fields['CompressedData'])}"
        raise _error(path.name, "MHD-HEADER", cause)
    if compressed:  # whose length is known when it is read
        skipped, needed = 0, _number(fields, "CompressedDataSize", found - start, file=path.name)
    offset = found - needed if skipped == -1 else start + skipped
    if offset < start or offset + needed != found:
        cause = f"expected {start + max(skipped, 0) + needed} bytes as the header says, found {found}"
        raise _error(path.name, "MHD-LENGTH", cause)
    turns = _number(fields, QUARTER_TURNS, 0, file=path.name)
    return _Layout((n_slices, rows, columns), dtype, data, offset, turns % 4, compressed)


def _cut(text: str | None) -> str:
    return str(text)[:50]


def _check_kind(fields: Mapping[str, str], *, file: str) -> None:
    """Refuse what would be read wrongly: several channels, or text."""
    expected = {"ObjectType": "Image", "BinaryData": "True", "ElementNumberOfChannels": "1"}
    for key, value in expected.items():
        is_binary = key == "BinaryData" and _truth(fields, key)
        if fields.get(key, value).lower() != value.lower() and not is_binary:
            raise _error(file, "MHD-KIND", f"expected {key} = {value}, found {_cut(fields[key])}")


def _dimensions(fields: Mapping[str, str], *, file: str) -> tuple[int, int, int]:
    sizes = fields.get("DimSize", "").split()
    if (
        fields.get("NDims") != "3"
        or len(sizes) != 3
        or not all(_NUMBER.fullmatch(size) and int(size) for size in sizes)
    ):
        found = f"NDims = {_cut(fields.get('NDims'))}, DimSize = {_cut(' '.join(sizes))}"
        raise _error(file, "MHD-DIMENSIONS", f"expected NDims = 3 and DimSize = columns rows slices, found {found}")
    columns, rows, n_slices = map(int, sizes)
    return columns, rows, n_slices


def _dtype(fields: Mapping[str, str], *, file: str) -> np.dtype:
    kind = fields.get("ElementType", "none")
    if kind not in _TYPES:
        raise _error(file, "MHD-TYPE", f"expected ElementType as one of {', '.join(_TYPES)}, found {_cut(kind)}")
    orders = {_truth(fields, key) for key in _ORDER_KEYS if key in fields}
    if len(orders) > 1 or None in orders:
        raise _error(file, "MHD-BYTE-ORDER", f"expected True or False for {' and '.join(_ORDER_KEYS)}, found otherwise")
    return np.dtype(_TYPES[kind]).newbyteorder(">" if True in orders else "<")


def _truth(fields: Mapping[str, str], key: str) -> bool | None:
    """Return what a key says, False if it is not there, None if that is neither."""
    return _TRUTH.get(fields.get(key, "False").lower())


def _number(fields: Mapping[str, str], key: str, default: int, *, file: str) -> int:
    text = fields.get(key, str(default))
    if not _NUMBER.fullmatch(text) and text != "-1":
        raise _error(file, "MHD-HEADER", f"expected a whole number from -1 for {key}, found {_cut(text)}")
    return int(text)
