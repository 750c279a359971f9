import io
from fractions import Fraction

import av
import numpy as np
import pytest
import simplejpeg
from PIL import Image

from dmdbt.errors import InputDataError
from dmdbt.readers import open_volume
from dmdbt.readers.other.jpeg import luma

ROWS, COLUMNS = 50, 70


def picture(rows=ROWS, columns=COLUMNS, seed=0):
    row, column = np.mgrid[:rows, :columns]
    noise = np.random.default_rng(seed).normal(0, 8, (rows, columns))
    return np.clip(120 + 90 * np.sin(row / 7) * np.cos(column / 9) + noise, 0, 255).astype(np.uint8)


def encoded(image, **options):
    content = io.BytesIO()
    Image.fromarray(image).save(content, "JPEG", **options)
    return content.getvalue()


def by_libav(image):
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.height, encoder.width = image.shape
    encoder.pix_fmt, encoder.time_base = "yuvj420p", Fraction(1, 10)
    frame = av.VideoFrame.from_ndarray(image, format="gray").reformat(format="yuvj420p")
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


def with_thumbnail(image):
    """A comment that holds another JPEG file, its end marker included."""
    return encoded(image, comment=encoded(image[::4, ::4]))


WHOLE = {
    **{f"quality {quality}": encoded(picture(), quality=quality) for quality in (1, 30, 75, 95, 100)},
    "optimized": encoded(picture(), optimize=True),
    "progressive": encoded(picture(), progressive=True),
    "restart markers": encoded(picture(), restart_marker_blocks=3),
    "restart markers and progressive": encoded(picture(), restart_marker_rows=1, progressive=True),
    "colors": encoded(np.repeat(picture()[..., None], 3, axis=2), quality=95),
    "one block": encoded(picture(8, 8)),
    "one gray level": encoded(np.full((64, 64), 7, np.uint8)),
    "thumbnail": with_thumbnail(picture()),
    "data behind the file": encoded(picture()) + encoded(picture(16, 16)),
    "fill bytes before the end": encoded(picture())[:-2] + b"\xff\xff\xff\xd9",
}


@pytest.mark.parametrize("content", WHOLE.values(), ids=WHOLE)
def test_whole_files_of_every_kind_have_the_luma_that_pillow_decodes(content):
    np.testing.assert_array_equal(luma(content), np.asarray(Image.open(io.BytesIO(content)).convert("L")))


@pytest.mark.parametrize("seed", range(40))
def test_whole_files_of_any_content_are_read(seed):
    rng = np.random.default_rng(seed)
    image = picture(*rng.integers(1, 90, 2), seed)
    luma(encoded(image, quality=int(rng.integers(1, 101)), progressive=bool(seed % 2)))
    if image.shape[1] > 16:  # in narrower ones libav's threads write wrong numbers of restart markers
        luma(by_libav(image))


def with_fewer_rows(content, rows):
    """State fewer rows than the data have: the rest is left over behind the last block."""
    frame = content.index(b"\xff\xc0")
    return content[: frame + 5] + rows.to_bytes(2) + content[frame + 7 :]


def test_a_few_bytes_behind_the_last_block_are_noticed_though_libjpeg_is_content():
    content = with_fewer_rows(encoded(np.full((72, 24), 7, np.uint8)), 64)  # three blocks of six bits are left over
    assert simplejpeg.decode_jpeg(content, colorspace="GRAY", strict=True).shape == (64, 24, 1)
    with pytest.raises(ValueError, match="data behind the last block"):
        luma(content)


def test_many_bytes_behind_the_last_block_are_noticed():
    with pytest.raises(ValueError, match="extraneous bytes"):
        luma(with_fewer_rows(encoded(picture(64, 64)), 32))


def test_a_slice_of_which_blocks_are_missing_or_left_over_is_refused(tmp_path):
    whole = encoded(picture(64, 64))
    for number, damaged in enumerate((with_fewer_rows(whole, 72), whole[:600] + bytes(40) + whole[640:])):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "1.jpg").write_bytes(encoded(picture(72 if number == 0 else 64, 64)))
        (folder / "2.jpg").write_bytes(damaged)
        with open_volume(folder) as volume, pytest.raises(InputDataError, match="E-SLICE-UNREADABLE .*file=2.jpg"):
            list(volume)
