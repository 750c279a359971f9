"""What the AVI files of the tests are made of: encoders, a writer of RIFF byte by byte, damage."""

import io
import struct
from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import ColorRange
from PIL import Image

N_SLICES, ROWS, COLUMNS = 8, 48, 64
GRAY_PALETTE = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
INFO_NOT_UTF8 = b"INFOISFT\x06\0\0\0M\xfcller"


def volume(rows=ROWS, columns=COLUMNS, n_slices=N_SLICES):
    """A simulated breast: smooth, another in every slice, on black air (a third of the pixels)."""
    row, column = np.mgrid[:rows, :columns].astype(float)
    slices = []
    for number in range(n_slices):
        smooth = 130 + 60 * np.sin(row / 9 + number / 3) + 40 * np.cos(column / 13 - number / 4)
        slices.append(np.where(column < columns * 2 / 3, smooth, 0))
    return np.rint(np.stack(slices)).clip(0, 255).astype(np.uint8)


# Encoders


def encode(path, slices, codec, pixel_format, *, luma=False, color_range=None, options=None, audio=None, mux=None):
    """Write with libav; with `luma` the gray levels become the luma as they are, else libav converts them."""
    with av.open(path, "w", format="avi", options=mux or {}) as container:
        sound = container.add_stream("pcm_s16le", rate=8000, layout="mono") if audio == "first" else None
        stream = container.add_stream(codec, rate=Fraction(10))
        stream.height, stream.width, stream.pix_fmt = *slices.shape[1:3], pixel_format
        stream.codec_context.thread_count = 1
        stream.codec_context.options = options or {}
        if color_range is not None:
            stream.codec_context.color_range = color_range
        if audio == "last":
            sound = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        for image in slices:
            container.mux(stream.encode(video_frame(image, pixel_format, luma=luma, color_range=color_range)))
            if sound:
                silence = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
                silence.sample_rate = 8000
                container.mux(sound.encode(silence))
        container.mux(stream.encode())
    return path


def video_frame(image, pixel_format, *, luma=False, color_range=None):
    if pixel_format == "pal8":
        return av.VideoFrame.from_ndarray((image, np.insert(GRAY_PALETTE, 0, 255, axis=1)), format="pal8")
    if luma:
        frame = av.VideoFrame(image.shape[1], image.shape[0], pixel_format)
        for number, plane in enumerate(frame.planes):
            padded = np.full((plane.height, plane.line_size), 128, np.uint8)
            if number == 0:
                padded[:, : image.shape[1]] = image
            plane.update(padded.tobytes())
    else:
        frame = av.VideoFrame.from_ndarray(image, format="gray" if image.ndim == 2 else "rgb24")
        frame = frame.reformat(format=pixel_format, dst_color_range=color_range)
    if color_range is not None:
        frame.color_range = color_range
    return frame


def jpegs(slices, **options):
    """Every slice as a JPEG file by Pillow."""
    return [still(image, "JPEG", **options) for image in slices]


def still(image, kind, **options):
    content = io.BytesIO()
    Image.fromarray(image).save(content, kind, **options)
    return content.getvalue()


# RIFF, byte by byte


def chunk(kind, content):
    return kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def listed(kind, *parts, outer=b"LIST"):
    return chunk(outer, kind + b"".join(parts))


def bitmap_header(rows, columns, bits, fourcc, *, used=0, extra=b""):
    return struct.pack("<IiiHH4sIiiII", 40, columns, rows, 1, bits, fourcc, 0, 0, 0, used, 0) + extra


def stream_header(length, *, kind=b"vids", handler=b"\0\0\0\0", rect=(64, 48)):
    fields = struct.pack("<4s4sIHHIIIIIIiI", kind, handler, 0, 0, 0, 0, 1, 10, 0, length, 0, -1, 0)
    return fields + struct.pack("<4h", 0, 0, *rect)


def stream(frames, strf, *, length=None, extra=b""):
    return listed(
        b"strl", chunk(b"strh", stream_header(len(frames) if length is None else length)), chunk(b"strf", strf), extra
    )


AUDIO = listed(
    b"strl",
    chunk(b"strh", stream_header(0, kind=b"auds")),
    chunk(b"strf", struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16)),
)


def avi(
    frames,
    strf,
    *,
    kind=b"00dc",
    length=None,
    extra=b"",
    streams=None,
    before=b"",
    after=b"",
    rec=False,
    segments=1,
    odml=None,
    size=None,
):
    """An AVI file: `frames` are the contents of its chunks, `strf` the header of the format.

    `extra` goes behind the strf, `before` and `after` around the list of frames; `segments` is the number of RIFF
    chunks, `odml` the number of frames in OpenDML's header, `size` columns and rows in the file's header.
    """
    streams = stream(frames, strf, length=length, extra=extra) if streams is None else streams
    total = b"" if odml is None else listed(b"odml", chunk(b"dmlh", struct.pack("<62I", odml, *[0] * 61)))
    avih = struct.pack("<14I", 100000, 0, 0, 0x10, len(frames), 0, 1, 0, *(size or main_size(strf)), 0, 0, 0, 0)
    headers = listed(b"hdrl", chunk(b"avih", avih), streams, total)
    each = max(1, -(-len(frames) // segments))
    parts = [frames[start : start + each] for start in range(0, len(frames), each)] or [[]]
    data = [b"".join(listed(b"rec ", chunk(kind, f)) if rec else chunk(kind, f) for f in part) for part in parts]
    riff = listed(b"AVI ", headers, before, listed(b"movi", data[0]), after, outer=b"RIFF")
    return riff + b"".join(listed(b"AVIX", listed(b"movi", more), outer=b"RIFF") for more in data[1:])


def main_size(strf):
    columns, rows = struct.unpack_from("<ii", strf, 4) if len(strf) >= 12 else (0, 0)
    return max(columns, 0), abs(rows)


def index(frames, kind=b"00dc"):
    """The list ``idx1``."""
    position, entries = 4, b""
    for content in frames:
        entries += kind + struct.pack("<3I", 0x10, position, len(content))
        position += 8 + len(content) + len(content) % 2
    return chunk(b"idx1", entries)


def dib(slices, *, top_down=False, channels=1, pad=4):
    """Uncompressed frames as Windows stores them: the last row first, rows padded to 4 bytes."""
    frames = []
    for image in slices:
        pixels = image if channels == 1 or image.ndim == 3 else np.repeat(image[..., None], channels, axis=2)
        rows = pixels.reshape(len(image), -1)
        rows = np.pad(rows, ((0, 0), (0, -rows.shape[1] % pad)))
        frames.append((rows if top_down else rows[::-1]).tobytes())
    return frames


def palette(colors=GRAY_PALETTE):
    return np.pad(colors, ((0, 0), (0, 1))).astype(np.uint8).tobytes()


def parts(path):
    """Frames and strf of a file that `encode` wrote, for another file around them."""
    content = path.read_bytes()
    start = content.index(b"strf")
    strf = content[start + 8 : start + 8 + struct.unpack_from("<I", content, start + 4)[0]]
    position = content.index(b"movi") + 4
    frames = []
    while content[position : position + 2] == b"00":
        size = struct.unpack_from("<I", content, position + 4)[0]
        frames.append(content[position + 8 : position + 8 + size])
        position += 8 + size + size % 2
    return frames, strf


# Damage to the bytes of a frame or file


def cut(frame):
    return frame[: len(frame) // 2]


def tail_lost(frame):
    return frame[:-8]


def zeroed(frame):
    return bytes(len(frame))


def hole(frame):
    start = len(frame) // 2
    length = min(40, start - 4)
    return frame[:start] + bytes(length) + frame[start + length :]


def one_byte(frame):
    return frame[:1]


def mutated(frames, strf, seed, **options):
    """An AVI file with some random changes: to its bytes, or to a frame of it while the structure stays right."""
    rng = np.random.default_rng(seed)
    if rng.random() < 0.5:
        return changed(avi(frames, strf, **options), rng)
    number = int(rng.integers(0, len(frames)))
    if rng.random() < 0.1:
        return avi(frames, changed(strf, rng), size=main_size(strf), **options)
    return avi([*frames[:number], changed(frames[number], rng), *frames[number + 1 :]], strf, **options)


def changed(content, rng):
    """Flip bits, insert, remove, zero or replace bytes at random places."""
    content = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        # The headers are a small part of a file, and the more interesting one.
        place = int(rng.integers(0, max(1, min(len(content), 400) if rng.random() < 0.4 else len(content))))
        length = int(rng.choice([1, 2, 4, 16, 300]))
        kind = rng.integers(0, 6)
        if kind == 0:
            content[place : place + 1] = bytes(
                byte ^ 1 << int(rng.integers(0, 8)) for byte in content[place : place + 1]
            )
        elif kind == 1:
            content[place:place] = rng.bytes(length)
        elif kind == 2:
            del content[place : place + length]
        elif kind == 3:
            content[place : place + length] = bytes(max(0, min(length, len(content) - place)))
        elif kind == 4:
            content[place : place + length] = rng.bytes(max(0, min(length, len(content) - place)))
        else:
            content[place : place + 4] = rng.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x10000]).astype("<u4").tobytes()
    return bytes(content)


LIMITED, FULL = ColorRange.MPEG, ColorRange.JPEG
