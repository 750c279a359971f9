"""Files that public users report: what deviates from the standard and still has one meaning is read, with a flag."""

import struct

import numpy as np
import pydicom
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_sequence
from pydicom.tag import Tag

from dmdbt.errors import InputDataError
from dmdbt.readers import read_mammogram
from dmdbt.readers.dicom.volume import BtoVolume, DicomFolderVolume
from dmdbt.readers.limits import Limits
from tests.support import dicom_corpus as corpus
from tests.support.dicom_corpus import in_stack, item, lut, noise, shown, write, write_slices, write_tomosynthesis

PIXELS = noise(12)
SLICES = noise(12, (5, 24, 20))
WINDOW = (2048, 4096)


def gray(values, white=65535):
    return np.rint(np.asarray(values) * white)


def read(path, *flags):
    """Read a mammogram; its flags are these, and perhaps that it has no window."""
    mammogram = read_mammogram(path)
    assert set(mammogram.flags) - {"no-voi"} == set(flags)
    return mammogram.pixels


def read_volume(opened, *flags):
    with opened as volume:
        slices = np.stack(list(volume))
    assert set(volume.flags) == set(flags)
    return slices, volume.provenance


def change(path, keyword, content, *, vr=None):
    """Replace the bytes of an element, and its VR."""
    dataset = pydicom.dcmread(path)
    raw = dataset.get_item(keyword)
    tag = raw.tag if isinstance(raw, RawDataElement) else Tag(keyword)
    with pydicom.config.disable_value_validation():
        dataset[tag] = RawDataElement(tag, vr or raw.VR, len(content), content, 0, False, True)
        dataset.save_as(path)
    return path


# Lookup tables, padding, and what a VR says of signs


@pytest.mark.parametrize(("stated", "held"), [(16, 12), (14, 12), (16, 10), (12, 8), (16, 8), (16, 15)])
def test_white_of_a_table_is_what_its_entries_can_hold(tmp_path, stated, held):
    entries = np.arange(4096) >> (12 - min(held, 12)) << max(held - 12, 0)
    path = write(tmp_path / "a.dcm", PIXELS, VOILUTSequence=[lut(entries, bits=stated)])
    np.testing.assert_array_equal(read(path, "lut-bits"), gray(entries[PIXELS] / ((1 << held) - 1)))


def test_a_table_that_uses_all_stated_bits_has_no_flag(tmp_path):
    entries = np.linspace(0, 40000, 4096).astype(int)  # dark, but of 16 bits
    path = write(tmp_path / "a.dcm", PIXELS, VOILUTSequence=[lut(entries, bits=16)])
    np.testing.assert_array_equal(read(path), entries[PIXELS])


def test_the_table_of_a_frame_is_scaled_by_its_entries(tmp_path):
    groups = [item(FrameVOILUTSequence=[item(VOILUTSequence=[lut(np.arange(4096), bits=16)])]) for _ in SLICES]
    path = write_tomosynthesis(tmp_path / "a.dcm", SLICES, groups=groups, window=None)
    slices, _ = read_volume(BtoVolume(path, Limits()), "lut-bits", "slice-order-unstated")
    np.testing.assert_array_equal(slices, gray(SLICES / 4095, 255))


def test_the_table_of_the_slices_of_a_folder_is_scaled_by_its_entries(tmp_path):
    files = write_slices(tmp_path, SLICES, VOILUTSequence=[lut(np.arange(4096), bits=16)])
    slices, _ = read_volume(DicomFolderVolume(files, Limits()), "lut-bits")
    np.testing.assert_array_equal(slices, gray(SLICES / 4095, 255))


@pytest.mark.parametrize("items", [[], [item()]])
def test_a_table_without_content_gives_way_to_the_window(tmp_path, items):
    path = write(tmp_path / "a.dcm", PIXELS, VOILUTSequence=items, WindowCenter=2000, WindowWidth=800)
    np.testing.assert_array_equal(read(path), gray(shown(PIXELS, window=(2000, 800))))


def as_unknown(path, keyword):
    """Write a sequence as an element of unknown type, whose value is in implicit VR (PS3.5, 6.2.2)."""
    dataset, content = pydicom.dcmread(path), DicomBytesIO()
    content.is_little_endian, content.is_implicit_VR = True, True
    write_sequence(content, dataset[keyword], ["iso8859"])
    return change(path, keyword, content.getvalue(), vr="UN")


def test_sequences_of_unknown_type_are_read(tmp_path):
    entries = np.arange(4096)[::-1] * 16
    path = write(tmp_path / "a.dcm", PIXELS, VOILUTSequence=[lut(entries)])
    np.testing.assert_array_equal(read(as_unknown(path, "VOILUTSequence")), entries[PIXELS])
    path = write_tomosynthesis(tmp_path / "b.dcm", SLICES)
    for keyword in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        as_unknown(path, keyword)
    slices, provenance = read_volume(BtoVolume(path, Limits()))
    np.testing.assert_array_equal(slices, gray(shown(SLICES, window=WINDOW), 255))
    assert provenance["slice_order"] == "in-stack position"


@pytest.mark.parametrize("kind", ["VOILUTSequence", "ModalityLUTSequence"])
def test_entries_of_a_table_are_unsigned_whatever_their_type(tmp_path, kind):
    entries = np.arange(4096) * 16  # up to 65520
    as_signed = lut(entries)
    del as_signed.LUTData
    as_signed.add_new("LUTData", "SS", entries.astype(np.uint16).astype(np.int16).tolist())
    path = write(tmp_path / "a.dcm", PIXELS, **{kind: [as_signed]})
    values = entries[PIXELS]
    whole = values / 65535 if kind == "VOILUTSequence" else (values - values.min()) / np.ptp(values)
    np.testing.assert_array_equal(read(path), gray(whole))


@pytest.mark.parametrize(("vr", "syntax"), [("SS", corpus.EXPLICIT), ("US", corpus.EXPLICIT), ("SS", corpus.IMPLICIT)])
@pytest.mark.parametrize(("signed", "padding"), [(False, 65535), (False, 40000), (True, -2000), (True, -1)])
def test_padding_has_the_sign_of_the_pixels_whatever_its_type(tmp_path, vr, syntax, signed, padding):
    pixels = noise(12).astype(np.int64) + 100
    pixels[:8] = padding
    path = write(tmp_path / "a.dcm", pixels, bits=16, signed=signed, syntax=syntax)
    dataset = pydicom.dcmread(path)
    dataset.add_new("PixelPaddingValue", vr, padding % 65536 - (65536 if vr == "SS" and padding % 65536 > 32767 else 0))
    dataset.save_as(path)
    found = read(path)
    assert not found[:8].any()
    np.testing.assert_array_equal(found, gray(shown(pixels, padding=[padding])))


def test_a_range_of_padding_may_be_stated_as_signed(tmp_path):
    pixels = noise(12).astype(np.int64)
    pixels[:4], pixels[4:8] = 65535, 65000
    path = write(tmp_path / "a.dcm", pixels, bits=16)
    dataset = pydicom.dcmread(path)
    dataset.add_new("PixelPaddingValue", "SS", -1)
    dataset.add_new("PixelPaddingRangeLimit", "US", 65000)
    dataset.save_as(path)
    np.testing.assert_array_equal(read(path), gray(shown(pixels, padding=[65535, 65000])))


@pytest.mark.parametrize("stored_as", [0x0830, 0xF830])
@pytest.mark.parametrize("stated_as", [0x0830, 0xF830])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_may_lack_the_sign_above_the_stored_bits_like_pixels(tmp_path, stored_as, stated_as, photometric):
    """Both words are -2000 in 12 bits; white air is what is seen where they are not taken for the same."""
    values = np.random.default_rng(0).integers(-1000, 2048, (24, 20))
    values[:8] = -2000
    words = np.where(values == -2000, stored_as, values % 65536)
    options = {"PhotometricInterpretation": photometric, "WindowCenter": 500, "WindowWidth": 3000}
    path = write(tmp_path / "a.dcm", words, signed=True, content=words.astype("<u2").tobytes(), **options)
    dataset = pydicom.dcmread(path)
    dataset.add_new("PixelPaddingValue", "US", stated_as)
    dataset.save_as(path)
    expected = shown(values, window=(500, 3000), padding=[-2000], negative=photometric == "MONOCHROME1")
    np.testing.assert_array_equal(read(path, *(["sign-extension"] if stored_as == 0x0830 else [])), gray(expected))


@pytest.mark.parametrize("padded", [[0], [1, 2, 3, 4], [1, 3]])
@pytest.mark.parametrize("window", [WINDOW, None])
def test_each_slice_of_a_folder_has_its_own_padding(tmp_path, padded, window):
    """C.7.5.1.1.2: 4095 is padding in the slices that say so, and the brightest value in the others."""
    pixels = SLICES.copy()
    pixels[:, :6] = 4095
    options = {} if window else {"WindowCenter": None, "WindowWidth": None}
    files = write_slices(tmp_path, pixels, **options)
    for number in padded:
        dataset = pydicom.dcmread(files[number])
        dataset.add_new("PixelPaddingValue", "US", 4095)
        dataset.save_as(files[number])
    slices, _ = read_volume(DicomFolderVolume(files, Limits()), *([] if window else ["no-voi"]))
    expected = shown(pixels, window=window or (2048, 4096)) if window else pixels / 4095
    for number in padded:
        expected[number] = np.where(pixels[number] == 4095, 0, expected[number])
    np.testing.assert_array_equal(slices, gray(expected, 255))


@pytest.mark.parametrize("place", ["frame", "shared"])
def test_the_window_or_table_of_the_nearest_group_counts(tmp_path, place):
    """C.7.6.16: what stands in the functional groups is what a frame has; elements beside them are of no frame."""
    near_window = item(FrameVOILUTSequence=[item(WindowCenter=2000, WindowWidth=800)])
    near_rescale = item(
        PixelValueTransformationSequence=[item(RescaleSlope=2, RescaleIntercept=-500, RescaleType="US")]
    )
    stray = {"VOILUTSequence": [lut(np.arange(4096)[::-1] * 16)], "ModalityLUTSequence": [lut(np.arange(4096)[::-1])]}
    for keyword, near, expected in (
        ("VOILUTSequence", near_window, shown(SLICES, window=(2000, 800))),
        ("ModalityLUTSequence", near_rescale, shown(SLICES, rescale=(2, -500))),
    ):
        options = {"groups": [near] * 5, "window": None, "rescale": None}
        if place == "shared":
            options = {"groups": [], "SharedFunctionalGroupsSequence": [near]}
        path = write_tomosynthesis(tmp_path / "a.dcm", SLICES, **options, **{keyword: stray[keyword]})
        flags = {"slice-order-unstated"} | ({"no-voi"} if near is near_rescale else set())
        slices, _ = read_volume(BtoVolume(path, Limits()), *flags)
        assert np.abs(slices - gray(expected, 255)).max() <= 1  # rounding of a half


def test_a_table_of_a_frame_counts_before_a_window_beside_it_and_above_it(tmp_path):
    entries = np.arange(4096) * 16
    near = item(FrameVOILUTSequence=[item(VOILUTSequence=[lut(entries)], WindowCenter=7, WindowWidth=9)])
    options = {"groups": [near] * 5, "WindowCenter": 3, "WindowWidth": 4}
    path = write_tomosynthesis(tmp_path / "a.dcm", SLICES, **options)
    slices, provenance = read_volume(BtoVolume(path, Limits()), "slice-order-unstated")
    np.testing.assert_array_equal(slices, gray(entries[SLICES] / 65535, 255))
    assert provenance["voi"] == "table"


# Two sources of the order

HEIGHTS = [3.0, 1.0, 5.0, 2.0, 4.0]


def placed(height):
    return item(PlanePositionSequence=[item(ImagePositionPatient=[0.0, 0.0, height])])


@pytest.mark.parametrize("rising", [True, False])
def test_a_folder_whose_numbers_contradict_the_positions_is_read_by_position(tmp_path, rising):
    heights = np.array([0.0, 1, 2, 3, 4]) * (1 if rising else -1)
    files = write_slices(tmp_path, SLICES, numbers=[1, 3, 2, 4, 5])
    for file, height in zip(files, heights, strict=True):
        put(file, ImagePositionPatient=[0, 0, float(height)])
    slices, provenance = read_volume(DicomFolderVolume(files, Limits()), "slice-order-contradicts")
    np.testing.assert_array_equal(slices, gray(shown(SLICES, window=WINDOW), 255))
    assert provenance["slice_order"] == "plane position"
    assert provenance["first_slice"] == ("detector" if rising else "paddle")


def put(file, **attributes):
    dataset = pydicom.dcmread(file)
    for keyword, value in attributes.items():
        if value is None:
            del dataset[keyword]
        else:
            setattr(dataset, keyword, value)
    dataset.save_as(file)


@pytest.mark.parametrize("numbers", [[1, 1, 1, 1, 1], [None] * 5, [1, 2, 2, 3, 4], [None, 1, 2, 3, 4]])
def test_a_folder_without_usable_numbers_is_read_by_position(tmp_path, numbers):
    files = write_slices(tmp_path, SLICES, numbers=numbers)
    for file, height in zip(files, HEIGHTS, strict=True):
        put(file, ImagePositionPatient=[7, 7, height])
    slices, provenance = read_volume(DicomFolderVolume(files, Limits()))
    np.testing.assert_array_equal(slices, gray(shown(SLICES[np.argsort(HEIGHTS)], window=WINDOW), 255))
    assert provenance["slice_order"] == "plane position"


@pytest.mark.parametrize("numbers", [[1, 2, 3, 3, 5], [1, 1, 1, 1, 2], [1, None, 3, 4, 5], [900, 2, 2, 3, 4]])
@pytest.mark.parametrize("rising", [True, False])
@pytest.mark.parametrize("falling", [True, False])
def test_numbers_keep_the_direction_as_far_as_they_go(tmp_path, numbers, rising, falling):
    """A dynamic image has the other sign if its volume is read from the other end."""
    numbers = [number and 1000 - number for number in numbers] if falling else numbers
    files = write_slices(tmp_path, SLICES, numbers=numbers)
    for file, height in zip(files, range(5), strict=True):
        put(
            file, ImagePositionPatient=[0, height if rising else -height, 0], ImageOrientationPatient=[1, 0, 0, 0, 0, 1]
        )
    slices, provenance = read_volume(DicomFolderVolume(files, Limits()))
    np.testing.assert_array_equal(slices, gray(shown(SLICES[::-1] if falling else SLICES, window=WINDOW), 255))
    assert provenance["slice_order"] == "plane position"


@pytest.mark.parametrize("plane", [[0] * 6, [0, 1, 0, 0, 1, 0], None])
def test_an_orientation_that_is_none_leaves_the_order_to_the_positions(tmp_path, plane):
    files = write_slices(tmp_path / "a", SLICES, numbers=[7] * 5)
    for file, height in zip(files, HEIGHTS, strict=True):
        put(file, ImagePositionPatient=[0, 0, height])
        if plane:
            put(file, ImageOrientationPatient=plane)
    groups = [placed(height) for height in HEIGHTS]
    for group in groups:
        group.PlaneOrientationSequence = [item(ImageOrientationPatient=plane)] if plane else []
    for opened in (DicomFolderVolume(files, Limits()), BtoVolume(stacked(tmp_path, groups), Limits())):
        slices, _ = read_volume(opened)
        np.testing.assert_array_equal(slices, gray(shown(SLICES[np.argsort(HEIGHTS)], window=WINDOW), 255))


def test_the_first_orientation_of_a_folder_decides(tmp_path):
    files = write_slices(tmp_path, SLICES, numbers=[7] * 5)
    for file, height in zip(files, HEIGHTS, strict=True):
        put(file, ImagePositionPatient=[0, 0, height], ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    put(files[-1], ImageOrientationPatient=[0, 1, 0, 0, 0, 1])
    slices, _ = read_volume(DicomFolderVolume(files, Limits()))
    np.testing.assert_array_equal(slices, gray(shown(SLICES[np.argsort(HEIGHTS)], window=WINDOW), 255))


def test_numbers_with_gaps_are_read_where_the_distances_are_even(tmp_path):
    files = write_slices(tmp_path, SLICES, numbers=[10, 20, 30, 40, 50])
    for file, height in zip(files, range(5), strict=True):
        put(file, ImagePositionPatient=[0, 0, height])
    slices, _ = read_volume(DicomFolderVolume(files, Limits()), "slice-numbers-gap")
    np.testing.assert_array_equal(slices, gray(shown(SLICES, window=WINDOW), 255))
    put(files[4], ImagePositionPatient=[0, 0, 5])
    with pytest.raises(InputDataError, match="E-DBT-NUMBERS .*10 to 50 without a gap"):
        DicomFolderVolume(files, Limits())


def test_equal_positions_leave_the_order_to_the_numbers(tmp_path):
    files = write_slices(tmp_path, SLICES, numbers=[5, 4, 3, 2, 1])
    for file in files:
        put(file, ImagePositionPatient=[1, 2, 3])
    slices, provenance = read_volume(DicomFolderVolume(files, Limits()), "slice-positions-equal")
    np.testing.assert_array_equal(slices, gray(shown(SLICES[::-1], window=WINDOW), 255))
    assert (provenance["slice_order"], provenance["first_slice"]) == ("instance number", "")


def test_an_uneven_distance_is_flagged(tmp_path):
    groups = [placed(height) for height in (0, 1, 2, 4, 5)]
    path = write_tomosynthesis(tmp_path / "a.dcm", SLICES, groups=groups)
    read_volume(BtoVolume(path, Limits()), "slice-spacing-uneven")


@pytest.mark.parametrize(
    ("numbers", "heights", "order", "source", "flags"),
    [
        ([1, 2, 3, 4, 5], [2, 0, 3, 1, 4], [1, 3, 0, 2, 4], "plane position", {"slice-order-contradicts"}),
        ([1, 2, 3, 4, 5], [4, 3, 2, 1, 0], [0, 1, 2, 3, 4], "in-stack position", set()),
        ([1, 2, 3, 4, 5], [7, 7, 7, 7, 7], [0, 1, 2, 3, 4], "in-stack position", {"slice-positions-equal"}),
        ([1, 2, 2, 4, 5], [4, 3, 2, 1, 0], [0, 1, 2, 3, 4], "plane position", set()),
        ([3, 3, 3, 3, 3], [4, 3, 2, 1, 0], [4, 3, 2, 1, 0], "plane position", set()),
    ],
)
def test_frames_are_ordered_by_both_of_their_positions(tmp_path, numbers, heights, order, source, flags):
    groups = [placed(height) for height in heights]
    for group, number in zip(groups, numbers, strict=True):
        group.FrameContentSequence = [in_stack(number)]
    path = write_tomosynthesis(tmp_path / "a.dcm", SLICES, groups=groups)
    slices, provenance = read_volume(BtoVolume(path, Limits()), *flags)
    np.testing.assert_array_equal(slices, gray(shown(SLICES[order], window=WINDOW), 255))
    assert provenance["slice_order"] == source


@pytest.mark.parametrize(
    ("wanted", "tilt", "order", "flags"),
    [
        ("as_stored", 0.8, [0, 1, 2, 3, 4], []),
        ("from_detector", 0.8, [0, 1, 2, 3, 4], []),  # heights rise: the first slice is the lowest
        ("from_paddle", 0.8, [4, 3, 2, 1, 0], []),
        ("from_paddle", 0.0, [0, 1, 2, 3, 4], ["slice-end-unknown"]),
    ],
)
def test_the_end_that_a_stack_starts_from_can_be_chosen(tmp_path, wanted, tilt, order, flags):
    """A stack of an oblique view is tilted, and the paddle is its upper end; a level one tells nothing."""
    across = (1 - tilt**2) ** 0.5
    corners = [[across * step, 0.0, tilt * step] for step in range(5)]
    limits = Limits(slice_order=wanted)
    files = write_slices(tmp_path / "slices", SLICES)
    for file, corner in zip(files, corners, strict=True):
        put(file, ImagePositionPatient=[float(f"{value:.6g}") for value in corner])
    groups = [item(PlanePositionSequence=[item(ImagePositionPatient=corner)]) for corner in corners]
    for number, group in enumerate(groups):
        group.FrameContentSequence = [in_stack(number + 1)]
    for opened in (DicomFolderVolume(files, limits), BtoVolume(stacked(tmp_path, groups), limits)):
        slices, _ = read_volume(opened, *flags)
        np.testing.assert_array_equal(slices, gray(shown(SLICES[order], window=WINDOW), 255))


def stacked(folder, groups):
    return write_tomosynthesis(folder / "a.dcm", SLICES, groups=groups)


# Fields that repeat what the data say


@pytest.mark.parametrize("syntax", [corpus.LS, corpus.J2K, corpus.LOSSLESS_SV1])
@pytest.mark.parametrize(("held", "stated"), [(12, 16), (12, 14), (10, 12)])
def test_a_codestream_of_fewer_bits_than_are_stored_is_read(tmp_path, syntax, held, stated):
    pixels = noise(held)
    path = write(tmp_path / "a.dcm", pixels, bits=held, syntax=syntax, BitsStored=stated, HighBit=stated - 1)
    bits = held if syntax == corpus.LS else 16  # GDCM writes all allocated bits, JPEG-LS here those that are held
    flags = ["codestream-bits"] if bits != stated else []
    np.testing.assert_array_equal(read(path, *flags), gray(shown(pixels)))


def narrow(frame, bits):
    """A JPEG 2000 codestream of fewer than 16 bits: GDCM writes 16, and the level shift (T.800, G.1) is changed."""
    code = bytearray(corpus.compress(corpus.J2K, frame + (1 << 15) - (1 << (bits - 1)), 16))
    assert code[42] == 15  # Ssiz, one below the number of bits
    code[42] = bits - 1
    return bytes(code)


@pytest.mark.parametrize(("held", "stated"), [(12, 16), (14, 16), (10, 12)])
def test_jpeg_2000_of_fewer_bits_than_are_stored_is_read(tmp_path, held, stated):
    options = {"syntax": corpus.J2K, "BitsStored": stated, "HighBit": stated - 1}
    pixels, slices = noise(held), noise(held, (3, 24, 20))
    path = write(tmp_path / "a.dcm", pixels, content=encapsulate([narrow(pixels, held)]), **options)
    np.testing.assert_array_equal(read(path, "codestream-bits"), gray(shown(pixels)))
    content, window = encapsulate([narrow(frame, held) for frame in slices]), (1 << (held - 1), 1 << held)
    path = write_tomosynthesis(tmp_path / "b.dcm", slices, content=content, window=window, **options)
    found, _ = read_volume(BtoVolume(path, Limits()), "codestream-bits")
    np.testing.assert_array_equal(found, gray(shown(slices, window=window), 255))


def test_signed_values_need_all_their_bits_where_the_codestream_has_no_sign(tmp_path):
    path = write(tmp_path / "a.dcm", noise(12), syntax=corpus.LS, PixelRepresentation=1, BitsStored=14, HighBit=13)
    with pytest.raises(InputDataError, match="E-DICOM-CODESTREAM .*of 14 bits as in the header, found 24 x 20 of 12"):
        read_mammogram(path)


@pytest.mark.parametrize("excess", [2, 200, 512, 958])
def test_excess_bytes_after_the_pixels_are_left_out(tmp_path, excess):
    content = corpus.pixel_data(PIXELS[None], corpus.EXPLICIT, 12) + bytes(excess)
    path = write(tmp_path / "a.dcm", PIXELS, content=content)
    np.testing.assert_array_equal(read(path, "pixel-data-length"), gray(shown(PIXELS)))
    content = corpus.pixel_data(SLICES, corpus.EXPLICIT, 12) + bytes(excess)
    path = write_tomosynthesis(tmp_path / "b.dcm", SLICES, content=content)
    slices, _ = read_volume(BtoVolume(path, Limits()), "pixel-data-length")
    np.testing.assert_array_equal(slices, gray(shown(SLICES, window=WINDOW), 255))


def test_an_odd_number_of_bytes_may_lack_its_padding(tmp_path):
    pixels = noise(8, (39, 29))
    path = write(tmp_path / "a.dcm", pixels, bits=8)
    content = path.read_bytes()
    assert len(content) % 2 == 0
    element = content.index(b"\xe0\x7f\x10\x00OB")
    head = content[: element + 8] + struct.pack("<L", 39 * 29)
    path.write_bytes(head + content[element + 12 : -1])
    np.testing.assert_array_equal(read(path, "pixel-data-length"), gray(shown(pixels)))


@pytest.mark.parametrize("syntax", [corpus.EXPLICIT, corpus.IMPLICIT, corpus.BIG, corpus.LS])
@pytest.mark.parametrize("wrong", [12, -8, -1000])
def test_a_wrong_length_of_the_file_meta_information_is_flagged(tmp_path, syntax, wrong):
    path = write(tmp_path / "a.dcm", PIXELS, syntax=syntax)
    content = bytearray(path.read_bytes())
    (stated,) = struct.unpack_from("<L", content, 140)
    struct.pack_into("<L", content, 140, max(0, stated + wrong))
    path.write_bytes(content)
    np.testing.assert_array_equal(read(path, "meta-length"), gray(shown(PIXELS)))


@pytest.mark.parametrize("syntax", [corpus.EXPLICIT, corpus.IMPLICIT, corpus.LS])
def test_elements_of_group_2_that_its_length_does_not_count_are_passed_over(tmp_path, syntax):
    path = write(tmp_path / "a.dcm", PIXELS, syntax=syntax)
    content = path.read_bytes()
    end = 144 + struct.unpack_from("<L", content, 140)[0]
    private = b"\2\0\0\1UI\6\x001.2.3\0" + b"\2\0\2\1OB\0\0\4\0\0\0\1\2\3\4"
    for more in (private, content[132:end]):  # the second begins the data set with group 2 again
        path.write_bytes(content[:end] + more + content[end:])
        np.testing.assert_array_equal(read(path, "meta-length"), gray(shown(PIXELS)))


@pytest.mark.parametrize(
    "offsets",
    [
        *([0, 0, 0, 0, 0], [8, 0, 16, 24, 32], [0, 4, 8, 12, 16], [0, 1 << 30, 8, 8, 8]),
        *([0], [0, 8], [0, 8, 16, 24, 32, 40]),
    ],
)
def test_an_offset_table_that_is_none_gives_way_to_whole_fragments(tmp_path, offsets):
    content = corpus.pixel_data(SLICES, corpus.LS, 12)
    assert content[4:8] == struct.pack("<L", 20)
    table = struct.pack(f"<L{len(offsets)}L", 4 * len(offsets), *offsets)
    path = write_tomosynthesis(tmp_path / "a.dcm", SLICES, syntax=corpus.LS, content=content[:4] + table + content[28:])
    slices, _ = read_volume(BtoVolume(path, Limits()), "offset-table")
    np.testing.assert_array_equal(slices, gray(shown(SLICES, window=WINDOW), 255))


def test_an_offset_table_of_one_entry_is_refused_where_frames_have_several_fragments(tmp_path):
    codestreams = [corpus.compress(corpus.J2K, frame, 12) for frame in SLICES]
    content = encapsulate(codestreams, fragments_per_frame=2, has_bot=False)
    content = content[:4] + struct.pack("<2L", 4, 0) + content[8:]
    path = write_tomosynthesis(tmp_path / "a.dcm", SLICES, syntax=corpus.J2K, content=content)
    with pytest.raises(InputDataError, match="E-DICOM-FRAMES .*found 10 fragments and an offset table of"):
        BtoVolume(path, Limits())


@pytest.mark.parametrize("rest", [b"", bytes(8), bytes(600)])
@pytest.mark.parametrize("syntax", [corpus.LS, corpus.J2K, corpus.RLE])
def test_whole_fragments_may_lack_the_delimiter(tmp_path, syntax, rest):
    path = write_tomosynthesis(tmp_path / "a.dcm", SLICES, syntax=syntax)
    content = path.read_bytes()
    assert content.endswith(b"\xfe\xff\xdd\xe0\0\0\0\0")
    path.write_bytes(content[:-8] + rest)
    with BtoVolume(path, Limits()) as volume:
        slices = np.stack(list(volume))
    assert "delimiter-missing" in volume.flags
    np.testing.assert_array_equal(slices, gray(shown(SLICES, window=WINDOW), 255))
    path = write(tmp_path / "b.dcm", noise(16), bits=16, syntax=syntax)
    path.write_bytes(path.read_bytes()[:-8] + rest)
    np.testing.assert_array_equal(read(path, "delimiter-missing"), gray(shown(noise(16))))


@pytest.mark.parametrize("syntax", [corpus.LS, corpus.J2K])
def test_an_empty_last_fragment_is_passed_over(tmp_path, syntax):
    content = corpus.pixel_data(noise(16)[None], syntax, 16) + b"\xfe\xff\0\xe0\0\0\0\0"
    path = write(tmp_path / "a.dcm", noise(16), bits=16, syntax=syntax, content=content)
    np.testing.assert_array_equal(read(path), gray(shown(noise(16))))


def test_a_file_that_ends_after_a_fragment_is_refused_where_frames_are_missing(tmp_path):
    path = write_tomosynthesis(tmp_path / "a.dcm", SLICES, syntax=corpus.LS)
    content = path.read_bytes()
    last = content.rindex(b"\xfe\xff\x00\xe0")
    path.write_bytes(content[:last])
    with pytest.raises(InputDataError, match="E-DICOM-FRAMES .*expected 5 frames"):
        BtoVolume(path, Limits())


def test_zero_frames_are_one(tmp_path):
    path = write(tmp_path / "a.dcm", PIXELS, NumberOfFrames=0)
    np.testing.assert_array_equal(read(path, "number-of-frames"), gray(shown(PIXELS)))


def test_an_overlay_in_the_bits_above_is_left_out(tmp_path):
    words = PIXELS.astype(np.int64) | (np.arange(20) % 3 == 0) << 12
    path = write(tmp_path / "a.dcm", words)
    with pytest.raises(InputDataError, match="E-DICOM-VALUES .*expected 12-bit values"):
        read_mammogram(path)
    dataset = pydicom.dcmread(path)
    dataset.add_new(0x60020100, "US", 16)
    dataset.add_new(0x60020102, "US", 12)
    dataset.save_as(path)
    np.testing.assert_array_equal(read(path, "overlay-bits"), gray(shown(PIXELS)))


@pytest.mark.parametrize("bit", [12, 13, 15, 60])
def test_an_overlay_in_some_bits_says_nothing_of_others(tmp_path, bit):
    """Values of 14 bits whose header says 12: the bits 12 and 13 are the pixels', unless an overlay is named there."""
    words = noise(14)
    path = write(tmp_path / "a.dcm", words, bits=16, BitsStored=12, HighBit=11)
    dataset = pydicom.dcmread(path)
    dataset.add_new(0x60000102, "US", bit)
    dataset.save_as(path)
    with pytest.raises(InputDataError, match="E-DICOM-VALUES .*expected 12-bit values"):
        read_mammogram(path)
    dataset.add_new(0x60020102, "US", 12)
    dataset.add_new(0x60040102, "US", 13)
    dataset.save_as(path)
    np.testing.assert_array_equal(read(path, "overlay-bits"), gray(shown(words & 4095)))


def test_signs_may_stop_at_the_stored_bits(tmp_path):
    values = noise(12, signed=True)
    values[0, :2] = -1, -2048
    words = np.where(np.arange(20) % 2, values, values & 0xFFF)  # some extended, some not
    path = write(tmp_path / "a.dcm", words, signed=True, content=words.astype("<i2").tobytes())
    np.testing.assert_array_equal(read(path, "sign-extension"), gray(shown(values)))
    words[5, 5] = 0x1000
    write(tmp_path / "a.dcm", words, signed=True, content=words.astype("<i2").tobytes())
    with pytest.raises(InputDataError, match="E-DICOM-VALUES"):
        read_mammogram(path)


# Values that break a rule and decide nothing


@pytest.mark.parametrize("syntax", [corpus.EXPLICIT, corpus.IMPLICIT, corpus.BIG, corpus.LS])
@pytest.mark.parametrize(
    "said", ["ISO-IR 100", "ISO IR 100", "ISO_IR 192\\ISO_IR 100", "ISO_IR 999", "LATIN1", "\\", "\xff"]
)
def test_a_character_set_decides_no_pixel(tmp_path, said, syntax):
    path = write(tmp_path / "a.dcm", PIXELS, syntax=syntax, SpecificCharacterSet="ISO_IR 192")
    content, element = path.read_bytes(), b"\0\x08\0\x05" if syntax == corpus.BIG else b"\x08\0\x05\0"
    start = content.index(element)
    value = said.encode("latin-1") + b" " * (len(said) % 2)
    assert content[start + 8 : start + 18] == b"ISO_IR 192"
    kind = struct.pack(">2sH", b"CS", len(value)) if syntax == corpus.BIG else struct.pack("<2sH", b"CS", len(value))
    kind = struct.pack("<L", len(value)) if syntax == corpus.IMPLICIT else kind
    path.write_bytes(content[: start + 4] + kind + value + content[start + 18 :])
    np.testing.assert_array_equal(read(path), gray(shown(PIXELS)))


@pytest.mark.parametrize("syntax", [corpus.EXPLICIT, corpus.IMPLICIT])
@pytest.mark.parametrize("keyword", ["WindowCenter", "Rows", "BitsStored", "ImageType"])
def test_an_element_that_stands_twice_is_refused(tmp_path, syntax, keyword):
    values = {"WindowCenter": 2048, "WindowWidth": 4096, "ImageType": ["ORIGINAL", "PRIMARY"]}
    path = write(tmp_path / "a.dcm", PIXELS, syntax=syntax, **values)
    content, tag = path.read_bytes(), Tag(keyword)
    start = content.index(struct.pack("<2H", tag.group, tag.element), 132)
    length = ("<L", content, start + 4) if syntax == corpus.IMPLICIT else ("<H", content, start + 6)
    size = 8 + struct.unpack_from(*length)[0]
    path.write_bytes(content[: start + size] + content[start:])
    with pytest.raises(InputDataError, match=f"E-DICOM-HEADER .*expected every element once .*found {keyword} twice"):
        read_mammogram(path)


@pytest.mark.parametrize("uid", ["1.2.840.10008.00.3788", "1.2.3.-29", "a1b2c3", "anonymous", "1." + "2" * 64, ""])
def test_a_series_may_have_an_identifier_that_breaks_the_rules(tmp_path, uid):
    files = write_slices(tmp_path, SLICES)
    for file in files:
        change(file, "SeriesInstanceUID", uid.encode() + b"\0" * (len(uid) % 2))
    slices, _ = read_volume(DicomFolderVolume(files, Limits()))
    np.testing.assert_array_equal(slices, gray(shown(SLICES, window=WINDOW), 255))


@pytest.mark.parametrize(
    ("keyword", "content"),
    [
        ("NumberOfFrames", b"1.0 "),
        ("InstanceNumber", b"00000000000000000001"),
        ("PhotometricInterpretation", b"monochrome2 "),
        ("BurnedInAnnotation", b"no"),
        ("Modality", b"mg"),
        ("ImageLaterality", b"left or maybe right "),
        ("PresentationLUTShape", b"a very long value of a code string"),
    ],
)
def test_an_element_may_break_a_rule_of_form(tmp_path, keyword, content):
    path = write(tmp_path / "a.dcm", PIXELS, NumberOfFrames=1, InstanceNumber=1, ImageLaterality="L")
    put(path, PresentationLUTShape="IDENTITY")
    np.testing.assert_array_equal(read(change(path, keyword, content)), gray(shown(PIXELS)))


@pytest.mark.parametrize("sop_class", [corpus.CT, corpus.TOMOSYNTHESIS])
def test_slices_may_lack_their_series_and_be_for_processing(tmp_path, sop_class):
    """As VICTRE's are: without a window too, so that the range of the volume becomes black to white."""
    options = dict.fromkeys(["SeriesInstanceUID", "WindowCenter", "WindowWidth"]) | {"sop_class": sop_class}
    values = SLICES // 2 + 700
    files = write_slices(tmp_path, values, numbers=range(5), PresentationIntentType="FOR PROCESSING", **options)
    slices, _ = read_volume(DicomFolderVolume(files, Limits()), "no-voi")
    np.testing.assert_array_equal(slices, gray(shown(values), 255))


@pytest.mark.parametrize(
    ("written", "function"), [(b"linear", "LINEAR"), (b"linear_exact", "LINEAR_EXACT"), (b"Sigmoid ", "SIGMOID")]
)
def test_a_function_of_the_window_may_be_written_in_lower_case(tmp_path, written, function):
    path = write(tmp_path / "a.dcm", PIXELS, WindowCenter=2000, WindowWidth=800, VOILUTFunction="LINEAR")
    expected = gray(shown(PIXELS, window=(2000, 800), function=function))
    assert np.abs(read(change(path, "VOILUTFunction", written)) - expected).max() <= 1  # rounding of a half


def test_numbers_may_be_longer_than_their_type_allows(tmp_path):
    values = {"WindowCenter": 2000.5, "WindowWidth": 800.25, "RescaleSlope": 1.5, "RescaleIntercept": -100.125}
    path = write(tmp_path / "a.dcm", PIXELS, **values)
    for keyword, value in values.items():
        change(path, keyword, f"{value:.20f}".encode().ljust(26))
    np.testing.assert_array_equal(read(path), gray(shown(PIXELS, window=(2000.5, 800.25), rescale=(1.5, -100.125))))
    files = write_slices(tmp_path / "slices", SLICES, numbers=[None] * 5)
    for file, height in zip(files, HEIGHTS, strict=True):
        put(file, ImagePositionPatient=[0, 0, 0])
        change(file, "ImagePositionPatient", f"0\\0\\{height:.21f}".encode().ljust(28))
    slices, _ = read_volume(DicomFolderVolume(files, Limits()))
    np.testing.assert_array_equal(slices, gray(shown(SLICES[np.argsort(HEIGHTS)], window=WINDOW), 255))


def test_a_long_code_of_the_view_ends_no_file(tmp_path):
    with pydicom.config.disable_value_validation():
        code = item(CodeValue="a code of more than sixteen characters", CodeMeaning="cranio-caudal")
        path = write(tmp_path / "a.dcm", PIXELS, ViewCodeSequence=[code, item(CodeValue="R-10242")])
    assert read_mammogram(path).provenance["stated_view"] == "CC"


@pytest.mark.parametrize("said", ["yes", "Yes", "YES "])
def test_burned_in_text_is_refused_however_it_is_written(tmp_path, said):
    path = change(write(tmp_path / "a.dcm", PIXELS), "BurnedInAnnotation", said.encode().ljust(4))
    with pytest.raises(InputDataError, match="E-DICOM-BURNED-IN"):
        read_mammogram(path)


@pytest.mark.parametrize(
    ("keyword", "content", "message"),
    [
        ("WindowCenter", b"12,5", r"expected a number in WindowCenter, found '12,5'"),
        ("NumberOfFrames", b"1.5 ", r"expected .* in NumberOfFrames, found '1\.5'"),
        ("RescaleSlope", b"wide", r"expected .* in RescaleSlope, found 'wide'"),
    ],
)
def test_what_decides_pixels_is_quoted(tmp_path, keyword, content, message):
    values = {"WindowCenter": 1, "WindowWidth": 9, "RescaleSlope": 1, "RescaleIntercept": 0, "NumberOfFrames": 1}
    path = change(write(tmp_path / "a.dcm", PIXELS, **values), keyword, content)
    with pytest.raises(InputDataError, match=f"E-DICOM-HEADER .*{message}"):
        read_mammogram(path)


# Objects that an archive has no other of


def test_a_synthesized_image_in_a_tomosynthesis_object_is_a_mammogram(tmp_path):
    options = {"ImageType": ["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "GENERATED_2D"]}
    path = write(tmp_path / "a.dcm", PIXELS[None], sop_class=corpus.TOMOSYNTHESIS, **options)
    np.testing.assert_array_equal(read(path, "synthesized-2d"), gray(shown(PIXELS)))
    with pytest.raises(InputDataError, match="E-DBT-SYNTHESIZED .*column dm"):
        BtoVolume(path, Limits())


def test_a_digitized_film_is_read_from_a_secondary_capture(tmp_path):
    path = write(tmp_path / "a.dcm", PIXELS, sop_class=corpus.SECONDARY)
    np.testing.assert_array_equal(read(path, "digitized-film"), gray(shown(PIXELS)))
    write(path, noise(8), bits=8, sop_class=corpus.SECONDARY)
    with pytest.raises(InputDataError, match="E-DICOM-SECONDARY"):
        read_mammogram(path)


@pytest.mark.parametrize("sop_class", [corpus.CR, corpus.DX])
@pytest.mark.parametrize(
    "view", [{"ViewPosition": "MLO"}, {"ViewCodeSequence": [item(CodeValue="R-10242", CodeMeaning="CC")]}]
)
def test_a_mammogram_of_another_class_is_read_if_it_states_its_view(tmp_path, sop_class, view):
    path = write(tmp_path / "a.dcm", PIXELS, sop_class=sop_class, **view)
    np.testing.assert_array_equal(read(path, "other-sop-class"), gray(shown(PIXELS)))
