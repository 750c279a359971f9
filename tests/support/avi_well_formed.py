"""AVI files as programs write them, with the gray levels or the refusal that they have to give."""

import struct
from dataclasses import dataclass, field

import cv2
import numpy as np

from tests.support import avi_corpus as made
from tests.support.avi_corpus import (
    AUDIO,
    COLUMNS,
    FULL,
    GRAY_PALETTE,
    INFO_NOT_UTF8,
    LIMITED,
    ROWS,
    avi,
    bitmap_header,
    chunk,
    dib,
    encode,
    index,
    jpegs,
    listed,
    palette,
    stream,
    volume,
)

SLICES, ODD = volume(), volume(47, 65)
COLORS = np.stack([SLICES, SLICES, 255 - SLICES], axis=-1)
RGB = b"\0\0\0\0"
JPEGS = jpegs(SLICES, quality=95)
MJPG = bitmap_header(ROWS, COLUMNS, 24, b"MJPG")
PALETTED = bitmap_header(ROWS, COLUMNS, 8, RGB, extra=palette())
EMPTY = [*JPEGS[:3], b"", *JPEGS[4:]]

# Largest errors, in gray levels. A conversion to the limited range has 219 levels for 256: half a level, rounded twice.
EXACT, ROUNDED = 0, 1
JPEG = 4  # quantization at quality 95, and ringing at the breast's edge
CODED = 24  # lossy codecs with a quantizer of 2 or the like, at a sharp edge
RANGE_MISTAKEN = 2.5  # mean; a range that is taken for the other one is 10 levels off


@dataclass
class Variant:
    """A file, and what is expected of it: slices within `bound`, or the code of a refusal."""

    name: str
    make: object
    expected: object = field(default_factory=lambda: SLICES)
    bound: int = EXACT
    flags: tuple[str, ...] = ()
    limits: dict = field(default_factory=dict)
    code: str = ""

    def __str__(self):
        return self.name


def encoded(codec, pixel_format, *, slices=SLICES, title="", bound=EXACT, flags=(), code="", **options):
    name = "-".join(part for part in (codec, pixel_format, title) if part)
    return Variant(
        name, lambda path: encode(path, slices, codec, pixel_format, **options), slices, bound, flags, code=code
    )


def written(name, content, *, expected=SLICES, bound=EXACT, flags=(), limits=None, code=""):
    def make(path):
        path.write_bytes(content)
        return path

    return Variant(name, make, expected, bound, flags, limits or {}, code)


def by_opencv(fourcc, backend, bound):
    def make(path):
        size, color = (COLUMNS, ROWS), backend == cv2.CAP_OPENCV_MJPEG
        writer = cv2.VideoWriter(str(path), backend, cv2.VideoWriter_fourcc(*fourcc) if fourcc else 0, 10, size, color)
        assert writer.isOpened()
        for image in SLICES:
            writer.write(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if color else image)
        writer.release()
        return path

    return Variant(f"opencv-{fourcc or 'raw'}-{backend}", make, SLICES, bound)


def rgb(slices):
    return np.repeat(slices[..., None], 3, axis=-1)


def uncompressed():
    yield from (encoded("rawvideo", name) for name in ("gray", "bgr24", "bgra", "pal8"))
    yield from (encoded("rawvideo", name, slices=ODD, title="odd") for name in ("gray", "bgr24", "bgra", "pal8"))
    for name in ("yuv420p", "yuv422p", "yuyv422", "uyvy422", "yvyu422", "nv12", "nv21", "yuv410p"):
        yield encoded("rawvideo", name, bound=ROUNDED)
        yield encoded("rawvideo", name, slices=ODD, title="odd", bound=ROUNDED)
    for name in ("yuv420p", "nv12"):
        yield encoded("rawvideo", name, luma=True, title="full", flags=("range-contradicts",))
    top_down = bitmap_header(-ROWS, COLUMNS, 8, RGB, extra=palette())
    odd = bitmap_header(47, 65, 8, RGB, extra=palette())
    inverse = bitmap_header(ROWS, COLUMNS, 8, RGB, extra=palette(GRAY_PALETTE[::-1]))
    yield written("palette-bottom-up", avi(dib(SLICES), PALETTED))
    yield written("palette-top-down", avi(dib(SLICES, top_down=True), top_down))
    yield written("palette-odd-width", avi(dib(ODD), odd), expected=ODD)
    yield written("palette-odd-width-without-padding", avi(dib(ODD, pad=1), odd), expected=ODD)
    yield written("palette-inverse", avi(dib(255 - SLICES), inverse))
    shades = SLICES // 16
    nibbles = [(image[:, 0::2] << 4 | image[:, 1::2])[::-1].tobytes() for image in shades]
    sixteen = bitmap_header(ROWS, COLUMNS, 4, RGB, used=16, extra=palette(GRAY_PALETTE[::17]))
    yield written("palette-of-16", avi(nibbles, sixteen), expected=shades * 17)
    for fourcc in (b"Y800", b"Y8  ", b"GREY"):
        gray = avi(dib(ODD, top_down=True, pad=1), bitmap_header(47, 65, 8, fourcc))
        yield written(f"gray-{fourcc.decode().strip()}", gray, expected=ODD)
        padded = avi(dib(ODD, top_down=True), bitmap_header(47, 65, 8, fourcc))
        yield written(f"gray-{fourcc.decode().strip()}-padded", padded, expected=ODD)
    for rows, top in ((47, False), (-47, True)):
        for channels in (3, 4):
            frames = dib(ODD, channels=channels, top_down=top)
            name = f"bgr-{8 * channels}-{'top-down' if top else 'bottom-up'}"
            yield written(name, avi(frames, bitmap_header(rows, 65, 8 * channels, RGB)), expected=ODD)


def jpeg():
    for name in ("yuvj420p", "yuvj422p", "yuvj444p"):
        yield encoded("mjpeg", name, luma=True, bound=CODED, options={"qmin": "2", "qmax": "2"})
        yield encoded("mjpeg", name, slices=ODD, luma=True, title="odd", bound=CODED)
    limited = {"strict": "unofficial", "qmin": "1", "qmax": "2"}
    yield encoded("mjpeg", "yuv420p", color_range=LIMITED, title="limited", bound=CODED, options=limited)
    yield encoded("mjpeg", "yuv420p", color_range=FULL, title="full", bound=CODED, options={"qmin": "1", "qmax": "2"})
    yield encoded("ljpeg", "bgr24", title="lossless")
    yield encoded("ljpeg", "yuvj420p", luma=True, title="lossless")
    yield written("jpeg-gray", avi(JPEGS, MJPG), bound=JPEG)
    yield written("jpeg-padded", avi([image + bytes(7) for image in JPEGS], MJPG), bound=JPEG)
    yield written("jpeg-without-tables", avi([without_tables(image) for image in JPEGS], MJPG), bound=JPEG)
    for fourcc in (b"jpeg", b"mjpg", b"JPEG"):
        content = avi(JPEGS, bitmap_header(ROWS, COLUMNS, 24, fourcc))
        yield written(f"jpeg-as-{fourcc.decode()}", content, bound=JPEG)
    yield written("rate-0", avi(JPEGS, MJPG).replace(struct.pack("<II", 1, 10), bytes(8), 1), bound=JPEG)
    yield written("jpeg-progressive", avi(jpegs(SLICES, quality=95, progressive=True), MJPG), bound=JPEG)
    for sampling in (0, 1, 2):
        frames = jpegs(rgb(SLICES), quality=95, subsampling=sampling)
        yield written(f"jpeg-color-sampling-{sampling}", avi(frames, MJPG), bound=JPEG)


def without_tables(image):
    """A JPEG without its Huffman tables, which are those of the standard (T.81, Annex K), as cameras write them."""
    while (start := image.find(b"\xff\xc4")) >= 0:
        (length,) = struct.unpack_from(">H", image, start + 2)
        image = image[:start] + image[start + 2 + length :]
    return image


def other_codecs():
    full = {"bound": CODED, "luma": True, "title": "full", "flags": ("range-contradicts",)}
    for codec in ("mpeg4", "msmpeg4v2", "msmpeg4v3"):
        options = {"qmin": "1", "qmax": "2"}
        yield encoded(codec, "yuv420p", bound=CODED, options=options)
        yield encoded(codec, "yuv420p", options=options, **full)
    yield encoded("mpeg4", "yuv420p", title="b-frames", bound=CODED, options={"bf": "2", "qmax": "2"})
    for name in ("yuv420p", "yuv444p", "nv12"):
        yield encoded("libx264", name, bound=CODED)
        yield encoded("libx264", name, **full)
    yield encoded("libx264", "gray", bound=CODED, flags=("range-contradicts",))
    yield encoded("libx264", "yuvj420p", luma=True, bound=CODED)
    yield encoded("libx264", "yuv420p", title="limited", color_range=LIMITED, bound=CODED)
    yield encoded("libx264", "yuv420p", title="stated-full", color_range=FULL, bound=CODED)
    yield encoded("libx264", "yuv444p", title="odd", slices=ODD, bound=CODED)
    for codec, names in {
        "huffyuv": ("rgb24", "bgra"),
        "ffvhuff": ("gray", "gbrp"),
        "ffv1": ("gray", "bgr0", "bgra"),
        "png": ("gray", "rgb24", "rgba", "pal8"),
        "msrle": ("pal8",),
        "utvideo": ("gbrp", "gbrap"),
    }.items():
        for name in names:
            yield encoded(codec, name)
            yield encoded(codec, name, slices=ODD, title="odd")
    yield encoded("zlib", "bgr24")
    for codec, names in {
        "huffyuv": ("yuv422p",),
        "ffvhuff": ("yuv420p", "yuv444p"),
        "ffv1": ("yuv420p", "yuv444p"),
        "utvideo": ("yuv420p", "yuv422p", "yuv444p"),
    }.items():
        yield from (encoded(codec, name, bound=ROUNDED) for name in names)
    for title, options in {
        "version-1": {"level": "1"},
        "version-3-checksums": {"level": "3", "slicecrc": "1", "slices": "4"},
        "version-3": {"level": "3", "slicecrc": "0"},
        "range-coder": {"coder": "1"},
    }.items():
        yield encoded("ffv1", "gray", title=title, options=options)
    yield encoded("cinepak", "gray", bound=CODED)
    yield encoded("cinepak", "rgb24", bound=CODED)
    for fourcc in ("MJPG", "XVID", "DIVX", "FMP4"):
        yield by_opencv(fourcc, cv2.CAP_FFMPEG, CODED)
    yield by_opencv("FFV1", cv2.CAP_FFMPEG, EXACT)
    yield by_opencv("HFYU", cv2.CAP_FFMPEG, ROUNDED)
    yield by_opencv("", cv2.CAP_FFMPEG, EXACT)
    yield by_opencv("MJPG", cv2.CAP_OPENCV_MJPEG, JPEG)


def containers():
    both = stream(JPEGS, MJPG) + AUDIO
    for name, content in {
        "index": avi(JPEGS, MJPG, after=index(JPEGS)),
        "not-interleaved": not_interleaved([*range(16)]),
        "junk": avi(JPEGS, MJPG, before=chunk(b"JUNK", bytes(1001)), extra=chunk(b"strn", b"slices\0")),
        "lists-of-records": avi(JPEGS, MJPG, rec=True),
        "uncompressed-chunks": avi(JPEGS, MJPG, kind=b"00db"),
        "opendml": avi(JPEGS, MJPG, segments=3, odml=8),
        "opendml-length-of-the-first": avi(JPEGS, MJPG, segments=3, length=3, odml=8),
        "zeros-at-the-end": avi(JPEGS, MJPG) + bytes(2048),
        "not-utf-8": avi(JPEGS, MJPG, after=chunk(b"LIST", INFO_NOT_UTF8)),
        "audio-header": avi(JPEGS, MJPG, streams=both),
        "audio-header-first": avi(JPEGS, MJPG, kind=b"01dc", streams=AUDIO + stream(JPEGS, MJPG)),
    }.items():
        yield written(name, content, bound=JPEG)
    yield encoded("ffv1", "gray", title="audio", audio="last")
    yield encoded("ffv1", "gray", title="audio-first", audio="first")
    yield written(
        "many-slices", avi(JPEGS * 26, MJPG), expected=np.tile(SLICES, (26, 1, 1)), bound=JPEG, flags=("many-slices",)
    )
    yield written("few-slices", avi(JPEGS[:2], MJPG), expected=SLICES[:2], bound=JPEG, flags=("few-slices",))


def not_interleaved(order):
    """All frames, then the sound, and an index with its entries in that order: libav goes by an index then."""
    sound = [bytes(1600)] * 8
    entries = [index([*JPEGS, *sound])[8:][16 * number :][:16] for number in range(16)]
    entries = [*entries[:8], *(b"01wb" + entry[4:] for entry in entries[8:])]
    data = [*(chunk(b"00dc", frame) for frame in JPEGS), *(chunk(b"01wb", part) for part in sound)]
    content = avi([], MJPG, streams=stream(JPEGS, MJPG) + AUDIO)
    headers = content[12 : content.index(b"movi") - 8]
    idx1 = chunk(b"idx1", b"".join(entries[number] for number in order))
    return listed(b"AVI ", headers, listed(b"movi", *data), idx1, outer=b"RIFF")


def empty_frames():
    flags, few = ("empty-frames",), ("empty-frames", "few-slices")
    repeat, skip = {"empty_frames": "repeat"}, {"empty_frames": "skip"}
    repeated = SLICES[[0, 1, 2, 2, 4, 5, 6, 7]]
    yield written("empty-repeat", avi(EMPTY, MJPG), expected=repeated, bound=JPEG, flags=flags, limits=repeat)
    yield written("empty-skip", avi(EMPTY, MJPG), expected=np.delete(SLICES, 3, 0), bound=JPEG, flags=few, limits=skip)
    last = avi([*JPEGS, b"", b""], MJPG)
    ends = SLICES[[*range(8), 7, 7]]
    yield written("empty-last-repeat", last, expected=ends, bound=JPEG, flags=flags, limits=repeat)
    yield written("empty-last-skip", last, bound=JPEG, flags=flags, limits=skip)
    yield written("empty-first-skip", avi([b"", *JPEGS], MJPG), bound=JPEG, flags=flags, limits=skip)
    yield written(
        "empty-first-repeat", avi([b"", *JPEGS], MJPG), limits=repeat, code="E-AVI-EMPTY .*found 1 of them empty"
    )
    yield written("empty-error", avi(EMPTY, MJPG), code="E-AVI-EMPTY .*set reading.empty_frames")
    for codec, code in (("mpeg4", ""), ("libx264", "E-AVI-EMPTY .*shows frame")):
        for policy in (repeat, skip):
            yield Variant(
                f"empty-{codec}-{policy['empty_frames']}",
                lambda path, codec=codec: with_an_empty_frame(path, codec),
                SLICES[[0, 1, 2, 3, 3, 4, 5, 6, 7]] if policy is repeat else SLICES,
                CODED,
                flags,
                policy,
                code if policy is repeat else "",
            )


def with_an_empty_frame(path, codec):
    options = {"qmin": "1", "qmax": "2"} if codec == "mpeg4" else {}
    frames, strf = made.parts(encode(path, SLICES, codec, "yuv420p", options=options))
    path.write_bytes(avi([*frames[:4], b"", *frames[4:]], strf))
    return path


def refused():
    for codec, name in (
        ("snow", "gray"),
        ("magicyuv", "gray"),
        ("jpegls", "gray"),
        ("mpeg2video", "yuv420p"),
        ("wmv1", "yuv420p"),
        ("flv1", "yuv420p"),
        ("jpeg2000", "gray"),
        ("zmbv", "pal8"),
    ):
        yield encoded(codec, name, code="E-AVI-CODEC .*expected a codec such as MJPG, found")
    for codec, name in (
        ("ffv1", "gray16le"),
        ("ffv1", "gray10le"),
        ("ffv1", "yuv420p10le"),
        ("ffv1", "ya8"),
        ("ffvhuff", "gray16le"),
        ("png", "gray16be"),
        ("png", "monob"),
        ("msvideo1", "rgb555le"),
        ("rawvideo", "rgb555le"),
    ):
        yield encoded(codec, name, code="E-AVI-PIXELS .*expected 8-bit gray pixels, found")
    for codec, name in (
        ("rawvideo", "bgr24"),
        ("mjpeg", "yuvj420p"),
        ("ffv1", "yuv420p"),
        ("png", "rgb24"),
        ("zlib", "bgr24"),
    ):
        yield encoded(codec, name, slices=COLORS, title="colors", code="E-AVI-COLOR .*found colors in slice 1")
    colored = bitmap_header(ROWS, COLUMNS, 8, RGB, extra=palette(GRAY_PALETTE * [1, 1, 0]))
    yield written("palette-of-colors", avi(dib(SLICES), colored), code="E-AVI-COLOR")
    yield written(
        "codec-dib", avi(dib(SLICES, channels=3), bitmap_header(ROWS, COLUMNS, 24, b"DIB ")), code="E-AVI-CODEC .*DIB"
    )
    yield written("one-slice", avi(JPEGS[:1], MJPG), code="E-DBT-FEW-SLICES .*at least 2 slices, found 1")
    # libav's encoder does not pad rows, which its decoder takes for damage.
    yield encoded("zlib", "bgr24", slices=ODD, title="odd", code="E-AVI-DAMAGED")
    # Gray without a stated range, whose first slice has no dark pixel and a later one has.
    mixed = np.concatenate([np.maximum(SLICES, 20)[:4], SLICES[4:]])
    yield encoded("ffv1", "yuv420p", slices=mixed, luma=True, title="two-ranges", code="E-AVI-RANGE .*in slice 5")


WELL_FORMED = [*uncompressed(), *jpeg(), *other_codecs(), *containers(), *empty_frames(), *refused()]
