"""TIFF and PNG files, written byte by byte from their specifications."""

import struct
import zlib

_COLOR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # of PNG, by the number of channels


def write_tiff(path, pixels, *, orientation=1, order="<", white_is_zero=False, compressed=False, others=()):
    """Write gray pixels (H, W) in one strip, in the sample format of their type; `others`: pairs of tag and value."""
    rows, columns = pixels.shape
    stored = pixels.astype(pixels.dtype.newbyteorder(order))
    content = zlib.compress(stored.tobytes()) if compressed else stored.tobytes()
    content += b"\0" * (len(content) % 2)
    tags = {
        256: columns,
        257: rows,
        258: 8 * pixels.itemsize,
        259: 8 if compressed else 1,
        262: 0 if white_is_zero else 1,
        273: 8,
        274: orientation,
        277: 1,
        278: rows,
        279: len(content),
        339: {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind],
    }
    tags |= dict(others)
    directory = struct.pack(f"{order}H", len(tags))
    for tag, value in tags.items():
        directory += struct.pack(f"{order}HHLL", tag, 4, 1, value)  # LONG
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}L", 8 + len(content))
    path.write_bytes(head + content + directory + bytes(4))
    return path


def write_deep_png(path, pixels):
    """Write 16-bit channels, shape (H, W, 1 to 4)."""
    rows, columns, channels = pixels.shape
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in pixels)
    chunks = {
        b"IHDR": struct.pack(">LLBBBBB", columns, rows, 16, _COLOR_TYPES[channels], 0, 0, 0),
        b"IDAT": zlib.compress(lines),
        b"IEND": b"",
    }
    content = b"\x89PNG\r\n\x1a\n"
    for name, data in chunks.items():
        content += struct.pack(">L", len(data)) + name + data + struct.pack(">L", zlib.crc32(name + data))
    path.write_bytes(content)
    return path
