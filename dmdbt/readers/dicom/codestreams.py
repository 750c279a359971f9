"""Size and precision of compressed frames, read from their own headers without decoding them."""

import struct
from dataclasses import dataclass

_JPEG_FRAMES = {marker for marker in range(0xC0, 0xD0) if marker not in (0xC4, 0xC8, 0xCC)} | {0xF7}
_ALONE = {0x01, *range(0xD0, 0xD8)}  # markers without a segment
_RLE_HEADER = 64
# The frame headers of ITU-T T.81 and T.87 that each transfer syntax allows (PS3.5, 8.2.1 and 8.2.3).
_PROCESSES = {
    "JPEG Baseline": {0xC0},
    "JPEG Extended": {0xC0, 0xC1},
    "JPEG Lossless": {0xC3},
    "JPEG Lossless SV1": {0xC3},
    "JPEG-LS Lossless": {0xF7},
    "JPEG-LS Near Lossless": {0xF7},
}


class CodestreamError(Exception):
    """A codestream is damaged; the message goes after "found"."""


@dataclass(frozen=True)
class Codestream:
    """Size and samples of a compressed frame; `signed` is None where the format does not say."""

    rows: int
    columns: int
    bits: int
    signed: bool | None = None


def describe(name: str, content: bytes) -> Codestream:
    """Read the headers of a JPEG, JPEG-LS or JPEG 2000 codestream of one gray frame.

    Parameters
    ----------
    name
        Of the transfer syntax.
    content
        A whole frame; a byte of padding after the end marker is allowed.

    Raises
    ------
    CodestreamError
        Not such a codestream, not gray, or not complete.
    """
    end = content.rstrip(b"\0")
    if not end.endswith(b"\xff\xd9"):
        raise CodestreamError("no end marker")
    try:
        return _jpeg2000(end) if name.startswith("JPEG 2000") else _jpeg(name, end)
    except (struct.error, IndexError) as exc:
        raise CodestreamError("headers that break off") from exc


def check_rle(content: bytes, planes: int) -> None:
    """Check the header of an RLE frame (PS3.5, G.5): one segment for each byte of a pixel, in order and not empty.

    Raises
    ------
    CodestreamError
        The header contradicts the frame.
    """
    if len(content) < _RLE_HEADER:
        raise CodestreamError("an RLE header that breaks off")
    count, *offsets = struct.unpack("<16L", content[:_RLE_HEADER])
    if count != planes:
        raise CodestreamError(f"{count} RLE segments instead of {planes}")
    ends = [*offsets[1:count], len(content)]
    if offsets[0] != _RLE_HEADER or any(start >= end for start, end in zip(offsets[:count], ends, strict=True)):
        raise CodestreamError("RLE segments out of order")
    if any(offsets[count:]):
        raise CodestreamError("RLE offsets without a segment")


def _jpeg(name: str, content: bytes) -> Codestream:
    """Walk the marker segments up to the only scan."""
    if content[:2] != b"\xff\xd8":
        raise CodestreamError("no start marker")
    position, found = 2, None
    while True:
        marker, start, length = _segment(content, position)
        if marker in _JPEG_FRAMES:
            if found is not None or marker not in _PROCESSES[name]:
                raise CodestreamError(f"a frame header FF{marker:02X}, which {name} does not allow")
            found = _jpeg_frame(content[start : start + length - 2])
        if marker == 0xDA:
            break
        position = start + length - 2
    if found is None:
        raise CodestreamError("a scan without a frame header")
    _check_scan(name, content, start, length)
    return found


def _segment(content: bytes, position: int) -> tuple[int, int, int]:
    """Marker, start of its parameters, and length as stored, which counts itself."""
    if content[position] != 0xFF:
        raise CodestreamError("no marker where one must be")
    while content[position + 1] == 0xFF:
        position += 1
    marker = content[position + 1]
    if marker in _ALONE or marker in (0x00, 0xD8, 0xD9):
        raise CodestreamError(f"a marker FF{marker:02X} among the headers")
    (length,) = struct.unpack_from(">H", content, position + 2)
    if length < 2 or position + 2 + length > len(content):
        raise CodestreamError("headers that break off")
    return marker, position + 4, length


def _jpeg_frame(segment: bytes) -> Codestream:
    bits, rows, columns, components = struct.unpack_from(">BHHB", segment)
    if components != 1 or len(segment) != 9:
        raise CodestreamError(f"{components} color components")
    return Codestream(rows, columns, bits)


def _check_scan(name: str, content: bytes, start: int, length: int) -> None:
    """Check the scan's parameters, and that no marker interrupts its data."""
    if length != 8 or content[start] != 1:
        raise CodestreamError("a scan of several components")
    selection = content[start + 3]
    if name == "JPEG Lossless SV1" and selection != 1:
        raise CodestreamError(f"predictor {selection}, which {name} does not allow")
    if name == "JPEG-LS Lossless" and selection != 0:
        raise CodestreamError(f"an error of {selection} gray levels, which {name} does not allow")
    # JPEG stuffs FF00, JPEG-LS a zero bit; only restart markers may stand within.
    stuffed = 0x7F if name.startswith("JPEG-LS") else 0x00
    data, position = content[start + length - 2 : -2], -1
    while (position := data.find(b"\xff", position + 1)) >= 0:
        following = data[position + 1] if position + 1 < len(data) else 0xFF
        if following > stuffed and not 0xD0 <= following <= 0xD7:
            raise CodestreamError(f"a marker FF{following:02X} within the data")


def _jpeg2000(content: bytes) -> Codestream:
    """Read SIZ and follow the tile-parts to the end (ITU-T T.800, A.4 and A.5)."""
    if content[:4] != b"\xff\x4f\xff\x51":
        raise CodestreamError("no start of a JPEG 2000 codestream")
    size = struct.unpack_from(">HH8LH", content, 4)
    width, height, x0, y0, tile_width, tile_height, tile_x0, tile_y0 = size[2:10]
    if size[10] != 1 or size[0] != 41:
        raise CodestreamError(f"{size[10]} color components")
    depth, step_x, step_y = content[42:45]
    if (step_x, step_y) != (1, 1) or not (tile_x0 <= x0 < width and tile_y0 <= y0 < height) or not tile_width:
        raise CodestreamError("a size that contradicts itself")
    if not tile_height or tile_x0 + tile_width <= x0 or tile_y0 + tile_height <= y0:
        raise CodestreamError("tiles that contradict the size")
    tiles = -(-(width - tile_x0) // tile_width) * -(-(height - tile_y0) // tile_height)
    _check_tiles(content, tiles)
    return Codestream(height - y0, width - x0, (depth & 0x7F) + 1, bool(depth & 0x80))


def _check_tiles(content: bytes, tiles: int) -> None:
    """Check that the tile-parts fill the codestream exactly and that no tile is missing; a decoder pads those."""
    position = 2
    while content[position : position + 2] != b"\xff\x90":
        position += 2 + _length(content, position)
    seen = set()
    while content[position : position + 2] == b"\xff\x90":
        tile, length = struct.unpack_from(">HL", content, position + 4)
        if length == 0:  # the last tile-part reaches to the end
            length = len(content) - 2 - position
        if length < 14 or tile >= tiles:
            raise CodestreamError("a tile-part that contradicts the size")
        seen.add(tile)
        position += length
    if position != len(content) - 2 or len(seen) != tiles:
        raise CodestreamError("tile-parts that do not fill the codestream")


def _length(content: bytes, position: int) -> int:
    (marker, length) = struct.unpack_from(">HH", content, position)
    if marker < 0xFF4F or length < 2:
        raise CodestreamError("no marker where one must be")
    return int(length)
