"""Damaged AVI files, and the message that each has to give."""

import struct

import av
import numpy as np

from tests.support import avi_corpus as made
from tests.support.avi_corpus import (
    AUDIO,
    COLUMNS,
    GRAY_PALETTE,
    ROWS,
    avi,
    bitmap_header,
    chunk,
    cut,
    dib,
    encode,
    hole,
    jpegs,
    listed,
    one_byte,
    palette,
    still,
    stream,
    stream_header,
    tail_lost,
    zeroed,
)
from tests.support.avi_well_formed import JPEGS, MJPG, PALETTED, RGB, SLICES, Variant, not_interleaved, rgb, written

WHOLE = avi(JPEGS, MJPG)
FIRST = WHOLE.index(b"movi") + 4  # where the first frame's chunk begins
RAW = bitmap_header(ROWS, COLUMNS, 8, b"Y800")
FRAMES = dib(SLICES, top_down=True)


def replaced(content, position, new):
    return content[:position] + new + content[position + len(new) :]


def number(value):
    return struct.pack("<I", value)


def shortened():
    for share in (0.01, 0.1, 0.3, 0.5, 0.9, 0.999):
        yield f"cut-at-{share}", WHOLE[: int(len(WHOLE) * share)], "E-AVI-TRUNCATED .*expected .* bytes"
    boundary = FIRST + sum(8 + len(frame) + len(frame) % 2 for frame in JPEGS[:5])
    yield "cut-on-a-frame", WHOLE[:boundary], "E-AVI-TRUNCATED"
    yield "cut-on-a-frame-sizes-mended", avi(JPEGS[:5], MJPG, length=8), "E-AVI-COUNT .*expected 8 frames .*found 5"
    opendml = avi(JPEGS, MJPG, segments=3, odml=8)
    yield "opendml-cut", opendml[:-100], "E-AVI-TRUNCATED"
    second = opendml.index(b"AVIX") - 8
    yield "opendml-without-its-end", opendml[:second], "E-AVI-COUNT .*expected 8 frames .*found 3"
    yield "opendml-length-of-the-first", avi(JPEGS, MJPG, segments=3, length=3), "E-AVI-COUNT"
    yield "twelve-bytes", WHOLE[:12], "E-AVI-TRUNCATED"
    yield "empty-riff", b"RIFF" + number(4) + b"AVI ", "E-AVI-STREAMS .*found no headers"


def disguised():
    no_avi = "E-DBT-NOT-AVI .*expected a RIFF file of type AVI"
    yield "no-bytes", b"", no_avi
    yield "eleven-bytes", WHOLE[:11], no_avi
    yield "text", b"Tomosynthesis, right breast\n" * 40, no_avi
    yield "playlist", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", no_avi
    yield "concatenation", b"ffconcat version 1.0\nfile other.avi\n", no_avi
    yield "png", still(SLICES[0], "PNG"), no_avi
    yield "sound", listed(b"WAVE", chunk(b"fmt ", bytes(16)), outer=b"RIFF"), no_avi
    yield "dicom", bytes(128) + b"DICM" + bytes(100), "E-DICOM-"


def streams():
    one = stream(JPEGS, MJPG)
    yield "audio-only", avi([], MJPG, streams=AUDIO), "E-AVI-STREAMS .*expected one video stream, found 0"
    yield "two-videos", avi(JPEGS, MJPG, streams=one + one), "E-AVI-STREAMS .*found 2"
    yield "no-streams", avi(JPEGS, MJPG, streams=b""), "E-AVI-STREAMS .*found 0"
    yield "no-frames", avi([], MJPG), "E-AVI-COUNT .*expected some frames .*found 0"
    yield "no-frames-but-stated", avi([], MJPG, length=8), "E-AVI-COUNT .*expected 8 frames .*found 0"
    yield "all-frames-empty", avi([b""] * 8, MJPG), "E-AVI-EMPTY .*found 8 of them empty"
    for length in (0, 7, 9, 0xFFFFFFFF):
        yield f"length-{length}", avi(JPEGS, MJPG, length=length), "E-AVI-COUNT .*as the header says, found 8"
    for name, fourcc, found in (("raw", b"RAW ", "the FourCC RAW,"), ("bit-masks", b"\3\0\0\0", "colors by bit masks")):
        yield f"codec-{name}", avi(FRAMES, bitmap_header(ROWS, COLUMNS, 32, fourcc)), f"E-AVI-CODEC .*{found} .*Y800"
    yield "unknown-codec", avi(JPEGS, bitmap_header(ROWS, COLUMNS, 24, b"ABCD")), "E-AVI-CODEC .*found ABCD"
    yield "another-codec", avi(JPEGS, bitmap_header(ROWS, COLUMNS, 24, b"H264")), "E-AVI-DAMAGED"
    yield "frame-of-another-stream", replaced(WHOLE, FIRST, b"01dc"), "E-AVI-COUNT .*found 7"
    yield "frame-of-no-kind", replaced(WHOLE, FIRST, b"00xx"), "E-AVI-CHUNK .*found a chunk 00xx"
    yield "palette-changes", replaced(WHOLE, FIRST, b"00pc"), "E-AVI-PALETTE .*one that changes"


def headers():
    yield "format-too-short", avi(JPEGS, MJPG[:30]), "E-AVI-HEADER .*format of at least 40 bytes, found 30"
    short = listed(b"strl", chunk(b"strh", stream_header(8)[:20]), chunk(b"strf", MJPG))
    yield "header-too-short", avi(JPEGS, MJPG, streams=short), "E-AVI-HEADER .*at least 36 bytes, found 20"
    alone = listed(b"strl", chunk(b"strh", stream_header(8)))
    yield "format-missing", avi(JPEGS, MJPG, streams=alone), "E-AVI-HEADER .*a header and a format"
    start = WHOLE.index(b"LIST", 24)
    movi = WHOLE.index(b"movi") - 8
    swapped = listed(b"AVI ", WHOLE[movi:], WHOLE[start:movi], outer=b"RIFF")
    yield "frames-first", swapped, "E-AVI-HEADER .*headers before their data"
    yield "no-columns", avi(JPEGS, bitmap_header(ROWS, 0, 24, b"MJPG")), "E-AVI-HEADER .*48 rows and 0 columns"
    yield "negative-columns", avi(JPEGS, bitmap_header(ROWS, -64, 24, b"MJPG")), "E-AVI-HEADER .*-64 columns"
    yield "no-rows", avi(JPEGS, bitmap_header(0, COLUMNS, 24, b"MJPG")), "E-AVI-HEADER .*found 0 rows"
    contradicting = avi(FRAMES, RAW, size=(65, ROWS))
    yield "sizes-contradict", contradicting, "E-AVI-HEADER .*expected 48 x 65 .*found 48 x 64 in the stream's"
    huge = "E-TOO-LARGE .*pixels per slice up to 33.5 .slice_megapixels., found 4294.84"
    yield "65535-x-65535", avi(FRAMES, bitmap_header(65535, 65535, 8, b"Y800")), huge
    yield "most-rows", avi(FRAMES, bitmap_header(-(1 << 31), COLUMNS, 8, b"Y800")), "E-TOO-LARGE"
    for columns, rows in ((64, 49), (65, 48), (5000, 5000)):
        content = avi(FRAMES, bitmap_header(rows, columns, 8, b"Y800"))
        yield f"raw-of-{columns}-x-{rows}", content, "E-AVI-(RAW-SIZE|DAMAGED)"
    for rows in (2 * ROWS, ROWS // 2, 5000):
        content = avi(JPEGS, bitmap_header(rows, COLUMNS, 24, b"MJPG"))
        yield f"jpeg-of-other-than-{rows}-rows", content, "E-AVI-(CHANGE|DAMAGED)"


def chunks():
    for name, position in {"riff": 4, "headers": 16, "frames": WHOLE.index(b"movi") - 4, "frame": FIRST + 4}.items():
        for size in (0xFFFFFFFF, 0x7FFFFFFF):
            yield (
                f"{name}-of-{size}-bytes",
                replaced(WHOLE, position, number(size)),
                "E-AVI-(CHUNK|TRUNCATED) .*expected",
            )
    yield "riff-of-no-bytes", replaced(WHOLE, 4, number(0)), "E-AVI-(CHUNK|TRUNCATED)"
    movi = WHOLE.index(b"movi") - 4
    longer = replaced(replaced(WHOLE, 4, number(len(WHOLE) - 4)), movi, number(len(WHOLE) - movi)) + b"rest"
    yield "rest-of-a-chunk", longer, "E-AVI-CHUNK .*expected a chunk at byte .*found 4 bytes"
    yield "text-damaged", avi(JPEGS, MJPG, before=chunk(b"LIST", b"INFOabcd")), "E-AVI-DAMAGED .*damage after 0"
    yield "list-of-two-bytes", replaced(WHOLE, 16, number(2)), "E-AVI-CHUNK .*expected a list"
    yield "frame-one-byte-longer", replaced(WHOLE, FIRST + 4, number(len(JPEGS[0]) + 2)), "E-AVI-(CHUNK|COUNT)"
    yield "other-data-behind", WHOLE + b"more than an AVI file", "E-AVI-TRAILING|E-AVI-TRUNCATED"
    yield "another-avi-behind", WHOLE + WHOLE, "E-AVI-TRAILING .*found other data"
    yield "form-avix-first", replaced(WHOLE, 8, b"AVIX"), "E-DBT-NOT-AVI"
    nested = listed(b"rec ", listed(b"rec ", *(chunk(b"00dc", frame) for frame in JPEGS)))
    yield "record-in-a-record", with_frames(nested), "E-AVI-COUNT .*expected 8 frames .*found 0"
    # libav looks into a chunk that it does not know, finds a frame there, and with its size skips the next one.
    length = len(JPEGS[0]) + len(JPEGS[0]) % 2
    hidden = chunk(b"abcd", b"00dc" + number(length + 8 + len(JPEGS[4])) + JPEGS[0])
    shown = [chunk(b"00dc", frame) for frame in JPEGS]
    content = with_frames(b"".join([*shown[:4], hidden, *shown[4:]]))
    for name, order in {
        "exchanged": (0, 1, 5, 3, 4, 2),
        "short": (0, 1, 3, 4, 5),
    }.items():
        yield f"index-{name}", not_interleaved([*order, *range(6, 16)]), "E-AVI-DAMAGED .*libav found another frame"
    yield "frame-in-another-chunk", content, "E-AVI-DAMAGED .*after 4: libav found another frame"


def with_frames(data):
    """The whole file with other content of its list ``movi``."""
    return listed(b"AVI ", WHOLE[12 : WHOLE.index(b"movi") - 8], listed(b"movi", data), outer=b"RIFF")


def pixels():
    large, color = jpegs(made.volume(64, 80), quality=95), jpegs(rgb(SLICES), quality=95)
    yield "size-changes", avi([*JPEGS[:4], *large[4:]], MJPG), "E-AVI-(CHANGE .*64 x 80.* in slice 5|DAMAGED)"
    yield "kind-changes", avi([*JPEGS[:4], *color[4:]], MJPG), "E-AVI-CHANGE .*same kind .* in slice 5"
    pngs = [still(image, "PNG") for image in (*SLICES[:4], *made.volume(64, 80)[4:])]
    yield "png-size-changes", avi(pngs, bitmap_header(ROWS, COLUMNS, 24, b"MPNG")), "E-AVI-(CHANGE|DAMAGED)"
    bomb = still(np.zeros((12000, 12000), np.uint8), "PNG")
    yield "png-bomb", avi([bomb] * 8, bitmap_header(ROWS, COLUMNS, 24, b"MPNG")), "E-AVI-DAMAGED"
    yield (
        "jpeg-bomb",
        avi([replaced(f, f.index(b"\xff\xc0") + 5, b"\xff\xdc\xff\xdc") for f in JPEGS], MJPG),
        "E-AVI-DAMAGED",
    )
    yield "palette-missing", avi(dib(SLICES), PALETTED[:40]), "E-AVI-PALETTE .*found 0 in slice 1"
    short = bitmap_header(ROWS, COLUMNS, 8, RGB, used=200, extra=palette(GRAY_PALETTE[:200]))
    yield "palette-too-short", avi(dib(SLICES), short), "E-AVI-PALETTE .*found 200"
    yield "palette-unused", avi(dib(SLICES), replaced(PALETTED, 32, number(200))), "E-AVI-PALETTE .*found 200"
    lost = bitmap_header(ROWS, COLUMNS, 8, RGB, used=256, extra=palette(GRAY_PALETTE[:16]))
    yield "palette-cut", avi(dib(SLICES), lost), "E-AVI-PALETTE .*found 16"
    for name, damage in {"shorter": cut, "lost-tail": tail_lost, "longer": lambda frame: frame + bytes(4)}.items():
        yield (
            f"raw-{name}",
            avi([*FRAMES[:4], damage(FRAMES[4]), *FRAMES[5:]], RAW),
            "E-AVI-RAW-SIZE .*expected .*3072 bytes",
        )
    yield "raw-all-longer", avi([frame + bytes(64) for frame in FRAMES], RAW), "E-AVI-RAW-SIZE .*found 3136"


def frames():
    """One damaged frame per codec and kind of damage."""
    damages = (cut, tail_lost, zeroed, hole, one_byte)
    for codec, name, options, unnoticed in (
        ("mjpeg", "yuvj420p", {}, ()),
        ("mpeg4", "yuv420p", {}, ()),
        ("msmpeg4v2", "yuv420p", {}, ()),
        ("msmpeg4v3", "yuv420p", {}, ()),
        ("libx264", "yuv420p", {"g": "1"}, ()),
        ("huffyuv", "rgb24", {}, ()),
        ("huffyuv", "yuv422p", {}, ()),
        ("ffvhuff", "gray", {}, ()),
        ("ffvhuff", "yuv420p", {}, ()),
        ("ffv1", "gray", {}, ()),
        ("ffv1", "gray", {"level": "0"}, ()),
        ("ffv1", "gray", {"level": "1"}, ()),
        ("png", "gray", {}, ()),
        ("msrle", "pal8", {}, ()),
        ("zlib", "bgr24", {}, ()),
        ("utvideo", "gbrp", {}, (hole,)),  # no checksum, and any bits are a frame
        ("cinepak", "gray", {}, ()),
    ):
        for damage in damages:
            if damage not in unnoticed:
                yield damaged_frame(codec, name, options, damage)
    for codec in ("libx264", "mpeg4", "msmpeg4v3"):
        name = f"{codec}-without-its-first-frame"
        yield rewrapped(name, codec, lambda frames, strf: (frames[1:], strf), "E-AVI-(DAMAGED|COUNT)")
    skipped = b"\0\0\1\xb6\x50\0"  # vop_coded 0: show the last frame again
    code = "E-AVI-COUNT .*expected 8 slices as the file has frames, found 7"
    yield rewrapped("mpeg4-frame-not-coded", "mpeg4", lambda f, strf: ([*f[:4], skipped, *f[5:]], strf), code)
    small = bitmap_header(ROWS, COLUMNS, 24, b"FMP4")
    large = made.volume(240, 256)  # as many pixels as the decoder may take, without the borders that it adds
    yield rewrapped("mpeg4-larger", "mpeg4", lambda f, _: (f, small), "E-AVI-DAMAGED .*allocate memory", slices=large)


def rewrapped(name, codec, change, code, *, slices=SLICES):
    """Frames and format of a file by libav, changed, in a file around them."""

    def make(path):
        path.write_bytes(avi(*change(*made.parts(encode(path, slices, codec, "yuv420p")))))
        return path

    return Variant(name, make, code=code)


def damaged_frame(codec, pixel_format, options, damage):
    def make(path):
        frames, strf = made.parts(encode(path, SLICES, codec, pixel_format, options=options))
        path.write_bytes(avi([*frames[:4], damage(frames[4]), *frames[5:]], strf))
        return path

    code = "E-AVI-(DAMAGED .*expected 8 slices, found damage after|COLOR|COUNT)"
    return Variant("-".join([codec, pixel_format, *options.values(), damage.__name__]), make, code=code)


def in_another_container(kind):
    def make(path):
        with av.open(path, "w", format=kind) as container:
            video = container.add_stream("mjpeg", rate=10)
            video.height, video.width, video.pix_fmt = ROWS, COLUMNS, "yuvj420p"
            for image in SLICES:
                container.mux(video.encode(made.video_frame(image, "yuvj420p")))
            container.mux(video.encode())
        return path

    return Variant(f"{kind}-in-disguise", make, code="E-DBT-NOT-AVI")


def too_large():
    for limits, message in (
        ({"slices": 7}, "slices up to 7 .slices., found 8"),
        ({"slice_megapixels": 0.003}, "pixels per slice up to 0.003"),
        ({"volume_gigapixels": 0.00002}, "pixels up to 2e-05 .volume_gigapixels."),
        ({"file_gib": 0.000001}, "GiB in the file up to 1e-06 .file_gib."),
    ):
        code = f"E-TOO-LARGE .*{message}.*raise reading.{next(iter(limits))} in params.yaml"
        yield written(f"limit-of-{next(iter(limits))}", WHOLE, limits=limits, code=code)


STRUCTURES = (shortened, disguised, streams, headers, chunks, pixels)
DAMAGED = [
    *(written(name, content, code=code) for part in STRUCTURES for name, content, code in part()),
    *frames(),
    *(in_another_container(kind) for kind in ("mp4", "matroska", "mpegts")),
    *too_large(),
]
