import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from dmdbt.errors import InputDataError
from dmdbt.readers import Limits, open_volume, volume_files
from tests.support import dicom_corpus
from tests.support.clinic import write_avi
from tests.support.pictures import write_deep_png, write_tiff

SLICES = np.random.default_rng(0).integers(0, 256, (12, 24, 32)).astype(np.uint8)
WORDS = np.random.default_rng(1).integers(0, 65536, (24, 32)).astype(np.uint16)


def write_folder(folder, names, slices=SLICES):
    folder.mkdir(exist_ok=True)
    for name, image in zip(names, slices, strict=False):
        Image.fromarray(image).save(folder / name)
    return folder


def read(path, limits=None):
    with open_volume(path, *([limits] if limits else [])) as volume:
        return np.stack(list(volume)), volume


@pytest.mark.parametrize(
    "names",
    [
        [f"{number}.png" for number in range(1, 13)],
        [f"slice_{number:03d}.png" for number in range(12)],
        [f"case7_{number}_L.tif" for number in range(95, 107)],
    ],
)
def test_slices_are_ordered_by_the_number_in_their_names(tmp_path, names):
    pixels, volume = read(write_folder(tmp_path / "a", names))
    np.testing.assert_array_equal(pixels, SLICES)
    assert (volume.n_slices, volume.rows, volume.columns) == SLICES.shape
    assert volume.provenance["slice_order"] == "number in the file name"
    assert volume.flags == (["starts-late"] if "case7" in names[0] else [])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["1.png", "2.png", "4.png"], "without a gap, found none with number 3"),
        (["0001.png", "0003.png"], "without a gap, found none with number 2"),
        (["1.png", "01.png", "2.png"], "without a gap, found none with number 3"),
        (["a.png", "b.png"], "differ in one number, found other differences"),
        (["a1.png", "b2.png"], "found other differences"),
        (["1.png", "2.jpg"], "found other differences"),
        (["1_1.png", "2_2.png"], "found 2 that differ"),
    ],
)
def test_names_that_give_no_order_or_leave_a_gap_are_refused(tmp_path, names, message):
    with pytest.raises(
        InputDataError, match=f"E-FOLDER-ORDER file=a .*{message} .*Name the slices alike".replace(" file", " .*file")
    ):
        open_volume(write_folder(tmp_path / "a", names))


def test_jpeg_slices_are_those_that_pillow_decodes(tmp_path):
    folder = write_folder(tmp_path / "a", [f"{number}.jpg" for number in range(12)])
    pixels, volume = read(folder)
    np.testing.assert_array_equal(pixels[3], np.array(Image.open(folder / "3.jpg")))
    assert volume.provenance["codec"] == "jpeg"


def test_what_starts_with_a_dot_is_ignored_and_nothing_else(tmp_path):
    folder = write_folder(tmp_path / "a", ["1.png", "2.png"])
    (folder / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    assert len(read(folder)[0]) == 2
    assert [path.name for path in volume_files(folder)] == ["1.png", "2.png"]
    (folder / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    with pytest.raises(InputDataError, match="E-FOLDER-CONTENT .*found 1 that are none: Thumbs.db .*of its own"):
        open_volume(folder)


def test_a_name_that_is_no_utf_8_can_be_told_everywhere(tmp_path):
    folder = write_folder(tmp_path / "a", ["1.png", "2.png"])
    (folder / os.fsdecode(b"\xe4.txt")).write_bytes(b"")
    with pytest.raises(InputDataError, match=r"E-FOLDER-CONTENT .*found 1 that are none: \\udce4.txt") as caught:
        open_volume(folder)
    assert str(caught.value).encode()


def test_a_dicomdir_among_slices_is_named(tmp_path):
    files = dicom_corpus.write_slices(tmp_path / "a", dicom_corpus.noise(12, (3, 24, 20)))
    dicom_corpus.write(files[0].with_name("DICOMDIR"), SLICES[0], sop_class="1.2.840.10008.1.3.10")
    with pytest.raises(InputDataError, match="E-FOLDER-CONTENT .*found 1 that are none: DICOMDIR .*of its own"):
        open_volume(tmp_path / "a")


def test_a_folder_in_a_folder_is_refused(tmp_path):
    folder = write_folder(tmp_path / "a", ["1.png", "2.png"])
    (folder / "more").mkdir()
    with pytest.raises(InputDataError, match="E-FOLDER-CONTENT .*more"):
        open_volume(folder)


def test_a_link_to_nowhere_in_a_folder_is_refused(tmp_path):
    folder = write_folder(tmp_path / "a", ["1.png", "2.png"])
    (folder / "3.png").symlink_to("nowhere")
    with pytest.raises(InputDataError, match="E-FOLDER-CONTENT .*3.png"):
        open_volume(folder)
    assert [path.name for path in volume_files(folder)] == ["1.png", "2.png"]


def test_a_folder_of_images_and_dicom_slices_is_refused(tmp_path):
    folder = write_folder(tmp_path / "a", ["1.png", "2.png"])
    (folder / "3.dcm").write_bytes(bytes(128) + b"DICM" + bytes(8))
    with pytest.raises(InputDataError, match="E-FOLDER-(MIXED .*dicom and image|CONTENT .*3.dcm)"):
        open_volume(folder)


def test_an_empty_folder_is_no_volume(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / ".hidden").write_bytes(b"")
    with pytest.raises(InputDataError, match="E-FOLDER-EMPTY .*file=a .*found nothing"):
        open_volume(tmp_path / "a")


def test_one_image_is_no_volume(tmp_path):
    with pytest.raises(InputDataError, match="E-DBT-FEW-SLICES .*found 1"):
        open_volume(write_folder(tmp_path / "a", ["1.png"]))
    with pytest.raises(InputDataError, match="E-DBT-KIND .*found .png and a single image file"):
        open_volume(tmp_path / "a" / "1.png")


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
@pytest.mark.parametrize("share", [0.2, 0.6, 0.97])
def test_a_slice_that_is_cut_off_is_refused(tmp_path, suffix, share):
    folder = write_folder(tmp_path / "a", [f"{number}.{suffix}" for number in range(4)])
    content = (folder / f"2.{suffix}").read_bytes()
    (folder / f"2.{suffix}").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(InputDataError, match=rf"E-(SLICE-UNREADABLE .*file=2.{suffix}|FOLDER-CONTENT)"):
        read(folder)


def test_a_first_slice_without_a_header_is_refused(tmp_path):
    folder = write_folder(tmp_path / "a", ["1.png", "2.png"])
    (folder / "1.png").write_bytes((folder / "1.png").read_bytes()[:12])
    with pytest.raises(InputDataError, match="E-SLICE-UNREADABLE .*file=1.png"):
        open_volume(folder)


def test_a_changed_byte_in_a_png_is_noticed_by_its_checksum(tmp_path):
    folder = write_folder(tmp_path / "a", ["1.png", "2.png"])
    content = bytearray((folder / "2.png").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "2.png").write_bytes(content)
    with pytest.raises(InputDataError, match="E-SLICE-UNREADABLE .*file=2.png .*damaged"):
        read(folder)


def test_equal_red_green_and_blue_are_gray_and_others_are_refused(tmp_path):
    folder = write_folder(tmp_path / "a", ["1.png", "2.png"], np.repeat(SLICES[..., None], 3, axis=3))
    np.testing.assert_array_equal(read(folder)[0], SLICES[:2])
    color = np.dstack([SLICES[0], SLICES[1], SLICES[2]])
    Image.fromarray(color).save(folder / "2.png")
    with pytest.raises(InputDataError, match="E-SLICE-COLOR .*file=2.png .*colors"):
        read(folder)
    Image.fromarray(np.dstack([SLICES[0]] * 4)).save(folder / "2.png")
    with pytest.raises(InputDataError, match="E-SLICE-COLOR .*mode RGBA"):
        read(folder)


def test_sixteen_bits_are_refused_for_nobody_knows_the_window(tmp_path):
    folder = write_folder(tmp_path / "a", ["1.png", "2.png"])
    Image.fromarray(SLICES[0].astype(np.uint16) * 200).save(folder / "2.png")
    with pytest.raises(
        InputDataError, match="E-SLICE-BITS .*expected 8 bits per pixel without sign, found mode I;16 of 16 bits"
    ):
        read(folder)


@pytest.mark.parametrize("size", [10000, 30000])  # Pillow warns of the one and refuses the other
@pytest.mark.parametrize("name", ["1.png", "2.png"])
def test_a_picture_bomb_is_too_large_and_not_damaged(tmp_path, name, size):
    folder = write_folder(tmp_path / "a", ["1.png", "2.png"])
    content = bytearray((folder / name).read_bytes())
    content[16:24] = struct.pack(">2L", size, size)
    content[29:33] = struct.pack(">L", zlib.crc32(content[12:29]))
    (folder / name).write_bytes(content)
    with pytest.raises(InputDataError, match=r"E-TOO-LARGE .*\(slice_megapixels\), found far more"):
        read(folder)


def test_a_slice_of_another_size_is_refused(tmp_path):
    folder = write_folder(tmp_path / "a", ["1.png", "2.png"])
    Image.fromarray(SLICES[0, :20]).save(folder / "2.png")
    with pytest.raises(InputDataError, match="E-SLICE-SIZE .*expected 24 x 32 pixels .*found 20 x 32"):
        read(folder)


def test_a_file_of_several_pages_is_refused(tmp_path):
    folder = write_folder(tmp_path / "a", ["1.tif", "2.tif"])
    pages = [Image.fromarray(image) for image in SLICES[:3]]
    pages[0].save(folder / "2.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(InputDataError, match="E-SLICE-FRAMES .*expected one image per file, found 3"):
        read(folder)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
@pytest.mark.parametrize("orientation", range(1, 10))
def test_a_tag_that_asks_to_turn_the_image_is_flagged_and_not_followed(tmp_path, suffix, orientation):
    names = [f"1.{suffix}", f"2.{suffix}"]
    image = np.repeat(np.arange(0, 240, 10, np.uint8), 32).reshape(24, 32)  # smooth, for JPEG
    folder = write_folder(tmp_path / "a", names, [image, image])
    for name in names:
        if suffix == "tif":
            write_tiff(folder / name, image, orientation=orientation)
        else:
            exif = Image.Exif()
            exif[0x0112] = orientation
            Image.open(folder / name).save(folder / name, exif=exif)
    pixels, volume = read(folder)
    assert (volume.rows, volume.columns) == image.shape
    assert np.abs(pixels - image.astype(int)).max() <= (2 if suffix == "jpg" else 0)
    assert volume.flags == (["few-slices", "orientation-tag"] if 2 <= orientation <= 8 else ["few-slices"])


def test_slices_with_a_sign_or_more_bits_in_their_colors_are_refused(tmp_path):
    for kind, write in {
        "mode RGB of 16 bits": lambda path: write_deep_png(path, np.repeat(WORDS[..., None], 3, axis=2)),
        "mode RGBA of 16 bits": lambda path: write_deep_png(path, np.dstack([WORDS, np.full_like(WORDS, 65535)])),
        "mode L of 8 signed bits": lambda path: write_tiff(path, SLICES[0].astype(np.int8)),
    }.items():
        for name in ("1.png", "2.png"):
            write(write_folder(tmp_path / "a", []) / name)
        with pytest.raises(
            InputDataError, match=f"E-SLICE-BITS .*expected 8 bits per pixel without sign, found {kind}"
        ):
            read(tmp_path / "a")


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(slices=3), r"slices up to 3 \(slices\), found 12"),
        (Limits(slice_megapixels=1e-4), r"megapixels per slice up to 0.0001 .*found 0.000768"),
        (Limits(volume_gigapixels=1e-6), "gigapixels up to"),
        (Limits(file_gib=1e-6), "GiB up to"),
    ],
)
def test_a_folder_over_a_limit_is_refused(tmp_path, limits, message):
    folder = write_folder(tmp_path / "a", [f"{number}.png" for number in range(12)])
    with pytest.raises(InputDataError, match=f"E-TOO-LARGE .*file=a .*{message}"):
        open_volume(folder, limits)


def test_the_content_tells_the_container_and_not_the_name(tmp_path):
    avi = write_avi(tmp_path / "a.mhd", SLICES)
    np.testing.assert_array_equal(read(avi)[0], SLICES)
    assert volume_files(avi) == [avi]
    assert volume_files(tmp_path / "missing") == []
