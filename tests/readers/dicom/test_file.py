import contextlib
import io
import struct
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image, ImageOps

from dmdbt.errors import InputDataError
from dmdbt.readers import Limits, open_volume, read_mammogram
from dmdbt.readers.dicom import SYNTAXES, is_available, is_dicom
from dmdbt.readers.dicom.file import DicomFile
from dmdbt.readers.dicom.header import ALLOWED_TAGS
from tests.support import dicom_corpus as corpus
from tests.support.dicom_corpus import noise, shown, write, write_tomosynthesis
from tests.support.pictures import write_deep_png, write_tiff

LOSSLESS = [*corpus.NATIVE, corpus.RLE, corpus.LOSSLESS, corpus.LOSSLESS_SV1, corpus.LS, corpus.J2K, corpus.LOSSY_J2K]
PIXELS = noise(12)


def levels(gray):
    return np.rint(gray * 65535).astype(np.uint16)


def refused(path, message):
    with pytest.raises(InputDataError, match=message) as caught:
        read_mammogram(path)
    assert "CANARY" not in str(caught.value)
    return caught.value


def cut(path, share):
    """Leave the first share of a file's bytes."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


# What is read


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda uid: SYNTAXES[uid].name)
def test_every_lossless_syntax_and_depth_gives_the_stored_values(tmp_path, syntax, bits, signed):
    pixels = noise(bits, signed=signed, seed=bits)
    mammogram = read_mammogram(write(tmp_path / "a.dcm", pixels, bits=bits, syntax=syntax, signed=signed))
    np.testing.assert_array_equal(mammogram.pixels, levels(shown(pixels)))
    assert mammogram.provenance["transfer_syntax"] == syntax
    assert mammogram.provenance["bits_stored"] == bits


@pytest.mark.parametrize("syntax", [corpus.EXPLICIT, corpus.BIG, corpus.RLE, corpus.LS])
def test_an_odd_number_of_single_bytes_is_padded_and_read(tmp_path, syntax):
    pixels = noise(8, (39, 29))
    mammogram = read_mammogram(write(tmp_path / "a.dcm", pixels, bits=8, syntax=syntax))
    np.testing.assert_array_equal(mammogram.pixels, levels(shown(pixels)))
    assert mammogram.flags == ("no-voi",)


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda uid: SYNTAXES[uid].name)
def test_every_syntax_goes_with_a_window_and_monochrome1(tmp_path, syntax):
    options = {"WindowCenter": 1500, "WindowWidth": 2500, "PhotometricInterpretation": "MONOCHROME1"}
    mammogram = read_mammogram(write(tmp_path / "a.dcm", PIXELS, syntax=syntax, **options))
    np.testing.assert_array_equal(mammogram.pixels, levels(shown(PIXELS, window=(1500, 2500), negative=True)))


def test_lossy_jpeg_stays_within_its_error(tmp_path):
    smooth = np.add.outer(np.arange(64) * 2, np.arange(64))
    mammogram = read_mammogram(write(tmp_path / "a.dcm", smooth, bits=8, syntax=corpus.JPEG))
    assert np.abs(mammogram.pixels.astype(int) - levels(shown(smooth))).max() <= 4 * 257


def test_near_lossless_jpeg_ls_stays_within_its_error(tmp_path):
    content = pydicom.encaps.encapsulate([corpus.jpeg_ls_codestream(PIXELS, 12, error=3)])
    path = write(
        tmp_path / "a.dcm", PIXELS, syntax=corpus.NEAR_LS, content=content, WindowCenter=2048, WindowWidth=4096
    )
    difference = read_mammogram(path).pixels / 65535 - shown(PIXELS, window=(2048, 4096))
    assert 0 < np.abs(difference).max() <= 3.1 / 4095
    error = refused(write(tmp_path / "a.dcm", PIXELS, syntax=corpus.LS, content=content), "E-DICOM-CODESTREAM")
    assert "an error of 3 gray levels, which JPEG-LS Lossless does not allow" in error.cause


@pytest.mark.parametrize("syntax", [corpus.RLE, corpus.LOSSLESS, corpus.LS, corpus.J2K])
def test_a_frame_in_several_fragments_is_one_frame(tmp_path, syntax):
    codestream = corpus.compress(syntax, PIXELS, 12)
    content = pydicom.encaps.encapsulate([codestream], fragments_per_frame=3)
    path = write(tmp_path / "a.dcm", PIXELS, syntax=syntax, content=content)
    np.testing.assert_array_equal(read_mammogram(path).pixels, levels(shown(PIXELS)))


def test_a_codestream_of_more_bits_than_are_stored_is_read_and_flagged(tmp_path):
    # GDCM writes all allocated bits, JPEG-LS here the stored ones.
    for syntax, flagged in ((corpus.LOSSLESS_SV1, True), (corpus.J2K, True), (corpus.LS, False)):
        flags = read_mammogram(write(tmp_path / "a.dcm", PIXELS, syntax=syntax)).flags
        assert ("codestream-bits" in flags) == flagged


def test_a_preamble_that_is_a_tiff_header_does_not_hide_a_dicom_file(tmp_path):
    path = write(tmp_path / "a.dcm", PIXELS)
    content = path.read_bytes()
    path.write_bytes(b"II*\0" + content[4:])
    np.testing.assert_array_equal(read_mammogram(path).pixels, levels(shown(PIXELS)))


def test_what_the_header_says_of_the_view_is_passed_on(tmp_path):
    path = write(tmp_path / "a.dcm", PIXELS, ImageLaterality="R", ViewPosition="CC")
    provenance = read_mammogram(path).provenance
    assert (provenance["stated_laterality"], provenance["stated_view"]) == ("R", "CC")
    provenance = read_mammogram(write(tmp_path / "a.dcm", PIXELS, ImageLaterality="B")).provenance
    assert (provenance["stated_laterality"], provenance["stated_view"]) == ("", "")


@pytest.mark.parametrize(
    ("stated", "expected"),
    [(["P", "L"], "P\\L"), (["A", "FR"], "A\\FR"), (["P"], ""), (["P", "X"], ""), ([], ""), (["", ""], "")],
)
def test_the_orientation_of_the_header_is_passed_on_if_it_is_one(tmp_path, stated, expected):
    path = write(tmp_path / "a.dcm", PIXELS, PatientOrientation=stated)
    assert read_mammogram(path).provenance["stated_orientation"] == expected


def test_flags_tell_what_is_unusual(tmp_path):
    options = {"BurnedInAnnotation": None, "ImageType": ["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "GENERATED_2D"]}
    flags = read_mammogram(write(tmp_path / "a.dcm", PIXELS, **options)).flags
    assert flags == ("burned-in-annotation-unknown", "no-voi", "synthesized-2d")


# What is not read


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"sop_class": "1.2.840.10008.5.1.4.1.1.1.2.1"}, "E-DM-FOR-PROCESSING .*raw detector data"),
        ({"PresentationIntentType": "FOR PROCESSING"}, "E-DM-FOR-PROCESSING .*raw detector data"),
        ({"sop_class": corpus.TOMOSYNTHESIS}, "E-DM-VOLUME .*found a tomosynthesis volume .*column dbt"),
        ({"sop_class": corpus.SECONDARY, "Modality": "OT"}, "E-DICOM-SECONDARY .*thumbnail .*convert it to 16-bit"),
        ({"sop_class": f"{corpus.SECONDARY}.3", "Modality": None}, "E-DICOM-SECONDARY .*thumbnail"),
        ({"sop_class": corpus.CT}, rf"E-DM-SOP-CLASS .*found CT Image Storage \({corpus.CT}\)"),
        ({"sop_class": corpus.CR}, "E-DM-SOP-CLASS .*CR or DX of the view CC or MLO, found Computed Radiography"),
        ({"sop_class": "1.2.840.10008.5.1.4.1.1.1.1.1", "ViewPosition": "CC"}, "E-DM-FOR-PROCESSING"),
        ({"BurnedInAnnotation": "YES"}, "E-DICOM-BURNED-IN .*found Burned In Annotation YES"),
        ({"NumberOfFrames": 2}, "E-DM-FRAMES .*expected one image, found 2 frames"),
        ({"content": b"", "PixelData": None}, "E-DICOM-NO-PIXELS .*expected an element PixelData, found none"),
        ({"PixelData": b"\0\0"}, "E-DICOM-LENGTH .*expected 960 bytes for 1 frames, found 2"),
        ({"PixelData": bytes(1920)}, "E-DICOM-LENGTH .*expected 960 bytes for 1 frames, found 1920"),
        ({"Rows": 25}, "E-DICOM-LENGTH .*expected 1000 bytes for 1 frames, found 960"),
        ({"Rows": 0}, "E-DICOM-SIZE .*found 0 x 20"),
        ({"Rows": None}, "E-DICOM-ATTRIBUTES .*found no Rows"),
        ({"BitsStored": None}, "E-DICOM-ATTRIBUTES .*found no BitsStored"),
        ({"HighBit": 15}, "E-DICOM-BITS .*found 12 in 16, highest 15"),
        ({"BitsStored": 17, "HighBit": 16}, "E-DICOM-BITS .*found 17 in 16"),
        ({"BitsAllocated": 32}, "E-DICOM-BITS .*found 12 in 32"),
        ({"PixelRepresentation": 2}, "E-DICOM-BITS .*representation 2"),
        ({"BitsStored": 11, "HighBit": 10}, "E-DICOM-VALUES .*expected 11-bit values, found 0 to 4095 in frame 1"),
        ({"SamplesPerPixel": 3}, "E-DICOM-GRAY .*found 3 samples per pixel"),
        ({"PhotometricInterpretation": "RGB"}, "E-DICOM-GRAY .*and RGB"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "E-DICOM-GRAY .*and PALETTE COLOR"),
        ({"PhotometricInterpretation": None}, "E-DICOM-GRAY .*and no photometric"),
        ({"RescaleSlope": 0, "RescaleIntercept": 0}, "E-DICOM-RESCALE .*slope 0.0"),
        ({"RescaleSlope": -1, "RescaleIntercept": 0}, "E-DICOM-RESCALE .*slope -1.0"),
        ({"RescaleIntercept": 5}, "E-DICOM-ATTRIBUTES .*found no RescaleSlope"),
        ({"WindowCenter": 1, "WindowWidth": 0}, "E-DICOM-WINDOW .*width above 1, found center 1.0 and width 0.0"),
        ({"WindowCenter": 1, "WindowWidth": 0.5}, "E-DICOM-WINDOW .*width 0.5"),
        ({"WindowCenter": 1, "WindowWidth": -5, "VOILUTFunction": "SIGMOID"}, "E-DICOM-WINDOW .*width -5.0"),
        ({"WindowCenter": 1}, "E-DICOM-ATTRIBUTES .*found no WindowWidth"),
        ({"WindowCenter": 1, "WindowWidth": 9, "VOILUTFunction": "CUBIC"}, "E-DICOM-VOI .*found CUBIC"),
        ({"WindowCenter": 90000, "WindowWidth": 9}, "E-DICOM-CONSTANT .*found one gray level"),
        ({"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 4095}, "E-DICOM-CONSTANT"),
        ({"VOILUTSequence": [corpus.item(LUTDescriptor=[9, 0, 16])]}, "E-DICOM-LUT .*found 0"),
        ({"VOILUTSequence": [corpus.lut([1, 2, 3], data=b"\1\0")]}, "E-DICOM-LUT .*expected 3 entries .*found 1"),
        ({"VOILUTSequence": [corpus.lut([1, 999], bits=9)]}, "E-DICOM-LUT .*2 entries of 9 bits .*found 2 up to 999"),
        ({"VOILUTSequence": [corpus.lut([1, 2], bits=32)]}, "E-DICOM-LUT .*of 32 bits"),
        ({"ModalityLUTSequence": [corpus.lut([1, 2], data=b"")]}, "E-DICOM-LUT .*expected 2 entries"),
    ],
)
def test_a_mammogram_that_cannot_be_trusted_is_refused(tmp_path, attributes, message):
    refused(write(tmp_path / "a.dcm", PIXELS, **attributes), message)


@pytest.mark.parametrize(
    ("element", "content", "message"),
    [
        ("RescaleSlope", b"NaN ", "E-DICOM-RESCALE .*slope nan"),
        ("RescaleSlope", b"inf ", "E-DICOM-RESCALE .*slope inf"),
        ("RescaleSlope", b"wide", "E-DICOM-HEADER .*expected .* in RescaleSlope, found 'wide'"),
        ("WindowCenter", b"NaN ", "E-DICOM-WINDOW .*center nan"),
        ("WindowWidth", b"NaN ", "E-DICOM-WINDOW .*width nan"),
        ("Rows", b"\1\0\2", "E-DICOM-HEADER .*expected a value of its type in Rows, found"),
    ],
)
def test_numbers_that_are_none_are_refused(tmp_path, element, content, message):
    values = {"RescaleSlope": 1, "RescaleIntercept": 0, "WindowCenter": 2000, "WindowWidth": 800}
    path = write(tmp_path / "a.dcm", PIXELS, **values)
    dataset = pydicom.dcmread(path)
    raw = dataset.get_item(element)
    dataset[element] = raw._replace(value=content, length=len(content))
    with contextlib.suppress(UserWarning):
        dataset.save_as(path)
    refused(path, message)


def test_a_constant_image_is_refused(tmp_path):
    refused(write(tmp_path / "a.dcm", np.full((24, 20), 700)), "E-DICOM-CONSTANT .*found one gray level")


def test_padding_does_not_make_an_image_of_a_constant(tmp_path):
    pixels = 700 + PIXELS % 2
    pixels[:9] = 0
    options = {"PixelPaddingValue": 0, "WindowCenter": 100, "WindowWidth": 9}
    refused(write(tmp_path / "a.dcm", pixels, **options), "E-DICOM-CONSTANT .*in all pixels that are not padding")


def test_the_thumbnail_of_a_hologic_capture_is_refused(tmp_path):
    path = write(tmp_path / "a.dcm", PIXELS)
    dataset = pydicom.dcmread(path)
    dataset.private_block(0x7E01, "HOLOGIC, Inc.", create=True).add_new(0x10, "OB", bytes(100))
    dataset.save_as(path)
    refused(path, "E-DICOM-SECONDARY .*thumbnail")


@pytest.mark.parametrize("syntax", [*LOSSLESS, corpus.NEAR_LS, corpus.JPEG], ids=lambda uid: SYNTAXES[uid].name)
def test_a_file_cut_off_anywhere_is_refused(tmp_path, syntax):
    pixels = noise(8)
    for share in (0.05, 0.2, 0.4, 0.6, 0.8, 0.99):
        path = cut(write(tmp_path / "a.dcm", pixels, bits=8, syntax=syntax), share)
        refused(path, "E-D(ICOM|M)-(TRUNCATED|NO-PIXELS|ATTRIBUTES|SYNTAX|SOP-CLASS|NOT-DICOM|HEADER)")


@pytest.mark.parametrize(
    ("uid", "message"),
    [
        ("1.2.840.10008.1.2.4.201", "E-DICOM-SYNTAX .*found 1.2.840.10008.1.2.4.201 .*JPEG 2000 Lossless"),
        ("1.2.840.10008.1.2.4.100", "E-DICOM-SYNTAX .*found 1.2.840.10008.1.2.4.100"),
        ("1.2.3", "E-DICOM-SYNTAX .*found 1.2.3"),
    ],
)
def test_a_transfer_syntax_that_is_not_read_is_named(tmp_path, uid, message):
    refused(write(tmp_path / "a.dcm", PIXELS, syntax=uid, content=pydicom.encaps.encapsulate([b"\0\0"])), message)


def test_a_decoder_that_is_missing_is_named(tmp_path):
    if is_available(SYNTAXES[corpus.EXTENDED]):
        pytest.skip("the optional decoder of JPEG Extended is installed")
    content = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xd9"])
    message = r"E-DICOM-PLUGIN .*JPEG Extended \(1.2.840.10008.1.2.4.51\).*pip install pylibjpeg pylibjpeg-libjpeg"
    refused(write(tmp_path / "a.dcm", PIXELS, syntax=corpus.EXTENDED, content=content), message)


def test_every_other_syntax_is_decoded_by_the_pinned_packages():
    assert [syntax.name for syntax in SYNTAXES.values() if not is_available(syntax)] in ([], ["JPEG Extended"])


def damaged(syntax, change):
    return pydicom.encaps.encapsulate([change(corpus.compress(syntax, PIXELS, 12))])


@pytest.mark.parametrize("syntax", [corpus.LOSSLESS_SV1, corpus.LS, corpus.J2K], ids=lambda uid: SYNTAXES[uid].name)
@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda code: code.rstrip(b"\0")[:-2], "no end marker"),
        (lambda code: b"\0\0" + code[2:], "no start"),
        (lambda code: code[:10] + b"\xff\xd9", "."),
    ],
)
def test_a_codestream_without_start_or_end_is_refused(tmp_path, syntax, change, found):
    path = write(tmp_path / "a.dcm", PIXELS, syntax=syntax, content=damaged(syntax, change))
    refused(path, f"E-DICOM-CODESTREAM .*expected a whole codestream of {SYNTAXES[syntax].name}, found .*{found}")


@pytest.mark.parametrize(
    ("syntax", "message"),
    [
        (corpus.LOSSLESS_SV1, "E-DICOM-PIXELS .*found damage that the decoder reports in frame 1"),
        (corpus.LS, "E-DICOM-PIXELS .*in frame 1"),
        (corpus.J2K, "E-DICOM-CODESTREAM .*found tile-parts that do not fill the codestream in frame 1"),
    ],
)
def test_a_codestream_cut_off_but_ended_is_refused_without_a_word_on_the_screen(tmp_path, capfd, syntax, message):
    content = damaged(syntax, lambda code: code[: len(code) * 2 // 3] + b"\xff\xd9")
    refused(write(tmp_path / "a.dcm", PIXELS, syntax=syntax, content=content), message)
    assert capfd.readouterr() == ("", "")


def with_predictor(code, number):
    at = code.index(b"\xff\xda")
    return code[: at + 7] + bytes([number]) + code[at + 8 :]


@pytest.mark.parametrize(
    ("syntax", "change", "message"),
    [
        (corpus.LOSSLESS_SV1, lambda code: with_predictor(code, 4), "found predictor 4, which JPEG Lossless SV1"),
        (
            corpus.LOSSLESS_SV1,
            lambda code: code[:-60] + b"\xff\xc4" + code[-58:],
            "found a marker FFC4 within the data",
        ),
        (corpus.LS, lambda code: code[:-60] + b"\xff\xf8" + code[-58:], "found a marker FFF8 within the data"),
        (corpus.LS, lambda code: code[:-60] + b"\xff\xd9" + code[-58:], "found a marker FFD9 within the data"),
    ],
)
def test_a_scan_that_its_syntax_forbids_is_refused(tmp_path, syntax, change, message):
    path = write(tmp_path / "a.dcm", PIXELS, syntax=syntax, content=damaged(syntax, change))
    refused(path, f"E-DICOM-CODESTREAM .*{message}")


def test_another_predictor_is_read_in_the_syntax_that_allows_it(tmp_path):
    content = damaged(corpus.LOSSLESS_SV1, lambda code: with_predictor(code, 2))
    path = write(tmp_path / "a.dcm", PIXELS, bits=16, syntax=corpus.LOSSLESS, content=content)
    assert read_mammogram(path).pixels.shape == PIXELS.shape


def test_what_pydicom_only_warns_of_is_refused():
    with pytest.raises(InputDataError, match="E-DICOM-HEADER .*expected a header according to PS3.5"):
        DicomFile(BUNDLED / "SC_rgb_jpeg.dcm", Limits())


def test_rle_runs_beyond_the_frame_are_refused_without_a_word_on_the_screen(tmp_path, capfd):
    content = damaged(corpus.RLE, lambda code: code[:64] + b"\x81\0" * 200 + code[464:])
    refused(
        write(tmp_path / "a.dcm", PIXELS, syntax=corpus.RLE, content=content), "E-DICOM-(PIXELS|CODESTREAM) .*frame 1"
    )
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("syntax", [corpus.LOSSLESS_SV1, corpus.LS, corpus.J2K], ids=lambda uid: SYNTAXES[uid].name)
@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"Rows": 20, "Columns": 24}, "expected 20 x 24 pixels of 12 bits .*found 24 x 20 of"),
        ({"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}, "expected 24 x 20 pixels of 8 bits .*found 24 x 20 of 1"),
    ],
)
def test_a_codestream_of_another_size_or_depth_is_refused(tmp_path, syntax, attributes, message):
    path = write(tmp_path / "a.dcm", PIXELS, syntax=syntax, **attributes)
    refused(path, f"E-DICOM-CODESTREAM .*{message}")


def test_a_jpeg2000_of_the_other_sign_is_refused(tmp_path):
    path = write(tmp_path / "a.dcm", PIXELS, syntax=corpus.J2K, PixelRepresentation=1)
    refused(path, "E-DICOM-CODESTREAM .*found 24 x 20 of 16 unsigned bits")


@pytest.mark.parametrize(
    ("syntax", "stated"),
    [(corpus.LOSSLESS_SV1, corpus.JPEG), (corpus.LS, corpus.LOSSLESS), (corpus.J2K, corpus.LS)],
)
def test_a_codestream_of_another_kind_than_stated_is_refused(tmp_path, syntax, stated):
    content = pydicom.encaps.encapsulate([corpus.compress(syntax, PIXELS, 12)])
    refused(write(tmp_path / "a.dcm", PIXELS, syntax=stated, content=content), "E-DICOM-CODESTREAM")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda code: code[:40], "an RLE header that breaks off"),
        (lambda code: b"\1" + code[1:], "1 RLE segments instead of 2"),
        (lambda code: code[:4] + b"\x60" + code[5:], "RLE segments out of order"),
        (lambda code: code[:20] + b"\1" + code[21:], "RLE offsets without a segment"),
    ],
)
def test_an_rle_header_that_contradicts_the_frame_is_refused(tmp_path, change, message):
    path = write(tmp_path / "a.dcm", PIXELS, syntax=corpus.RLE, content=damaged(corpus.RLE, change))
    refused(path, f"E-DICOM-CODESTREAM .*{message} in frame 1")


def test_rle_runs_that_end_early_are_refused(tmp_path):
    content = damaged(corpus.RLE, lambda code: code[: len(code) // 4 * 3])
    refused(write(tmp_path / "a.dcm", PIXELS, syntax=corpus.RLE, content=content), "E-DICOM-PIXELS .*in frame 1")


@pytest.mark.parametrize("syntax", [corpus.RLE, corpus.LS])
def test_more_frames_than_stated_are_refused(tmp_path, syntax):
    content = corpus.pixel_data(np.stack([PIXELS, PIXELS]), syntax, 12)
    path = write(tmp_path / "a.dcm", PIXELS, syntax=syntax, content=content)
    refused(path, "E-DICOM-FRAMES .*expected 1 frames as the header says, found 2 fragments")


def test_compressed_frames_without_encapsulation_are_refused(tmp_path):
    path = write(tmp_path / "a.dcm", PIXELS, syntax=corpus.LS)
    content = path.read_bytes()
    at = content.index(b"\xe0\x7f\x10\x00") + 8
    path.write_bytes(content[:at] + (len(content) - at - 4).to_bytes(4, "little") + content[at + 4 :])
    refused(path, "E-DICOM-LENGTH .*expected encapsulated frames")


def test_what_is_no_mammogram_file_is_refused(tmp_path):
    path = tmp_path / "a.dcm"
    refused(path, "E-DM-MISSING .*file=a.dcm")
    path.write_bytes(b"GIF89a" * 100)
    refused(path, "E-DM-NOT-DICOM .*file=a.dcm .*Export the mammogram again")
    path.write_bytes(b"")
    refused(path, "E-DM-NOT-DICOM")
    path.write_bytes(write(tmp_path / "b.dcm", PIXELS, syntax=corpus.IMPLICIT).read_bytes()[132:])
    refused(path, "E-DICOM-UNREADABLE .*expected a DICOM file with preamble")


def test_a_deflated_file_that_is_cut_or_damaged_is_refused(tmp_path):
    path = write(tmp_path / "a.dcm", PIXELS, syntax=corpus.DEFLATED)
    content = bytearray(path.read_bytes())
    start = 144 + int(pydicom.dcmread(path).file_meta.FileMetaInformationGroupLength)
    path.write_bytes(content[:-9])
    refused(path, "E-DICOM-TRUNCATED .*expected the end of a deflated data set")
    content[start] = 7  # a kind of block that does not exist
    path.write_bytes(content)
    refused(path, "E-DICOM-TRUNCATED .*expected a deflated data set, found damage")


# Limits


@pytest.mark.parametrize("syntax", [corpus.EXPLICIT, corpus.J2K])
def test_a_mammogram_above_the_limit_is_refused_before_it_is_decoded(tmp_path, syntax):
    path = write(tmp_path / "a.dcm", PIXELS, syntax=syntax, Rows=40000, Columns=40000)
    refused(path, r"E-TOO-LARGE .*up to 64 \(dm_megapixels\), found 1600 .*reading.dm_megapixels")


def test_a_file_above_the_limit_is_refused(tmp_path):
    path = write(tmp_path / "a.dcm", PIXELS)
    with pytest.raises(InputDataError, match="E-TOO-LARGE .*file_gib"):
        read_mammogram(path, Limits(file_gib=1e-6))


def test_a_deflate_bomb_is_refused_before_it_is_inflated(tmp_path, monkeypatch):
    written = []

    class Counting(tempfile.SpooledTemporaryFile):
        def write(self, content):
            written.append(len(content))
            return super().write(content)

    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", Counting)
    path = write(tmp_path / "a.dcm", PIXELS, syntax=corpus.DEFLATED)
    head = path.read_bytes()[: 144 + int(pydicom.dcmread(path).file_meta.FileMetaInformationGroupLength)]

    def bomb(size):
        engine = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        path.write_bytes(head + engine.compress(bytes(size)) + engine.flush())

    bomb(50_000_000)
    with pytest.raises(InputDataError, match="E-TOO-LARGE .*GiB when inflated up to 0.01"):
        read_mammogram(path, Limits(file_gib=0.01))
    assert sum(written) < 0.02 * 2**30
    written.clear()
    bomb(200_000_000)
    refused(path, "E-TOO-LARGE .*at most 100 times its compressed size, found more")
    assert 0 < sum(written) < 128 * 2**20


# Privacy


def test_no_element_outside_the_list_is_held(tmp_path):
    path = write_tomosynthesis(tmp_path / "a.dcm", np.stack([PIXELS, PIXELS]))
    with DicomFile(path, Limits()) as dicom:
        held = set(dicom.tags._dataset.keys())
    assert held
    assert held <= ALLOWED_TAGS
    assert not any(pydicom.datadict.keyword_for_tag(tag).startswith(("Patient", "Study")) for tag in held)


# Files that ship inside pydicom: of other modalities, many damaged


BUNDLED = Path(pydicom.__file__).parent / "data/test_files"


def test_real_files_are_read_or_refused_without_a_word_on_the_screen(capfd):
    read = 0
    for path in sorted(path for path in BUNDLED.rglob("*") if path.is_file()):
        for reader in (read_mammogram, open_volume):
            with contextlib.suppress(InputDataError):
                reader(path)
        with contextlib.suppress(InputDataError), DicomFile(path, Limits()) as dicom:
            layout = dicom.layout()
            frames = dicom.frames(layout)
            for index in range(layout.frames):
                assert frames[index].shape == (layout.rows, layout.columns)
            read += 1
    assert capfd.readouterr() == ("", "")
    assert read >= 40


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("MR_small_jp2klossless.dcm", "MR_small.dcm"),
        ("MR_small_jpeg_ls_lossless.dcm", "MR_small.dcm"),
        ("MR_small_RLE.dcm", "MR_small.dcm"),
        ("MR_small_bigendian.dcm", "MR_small.dcm"),
        ("MR_small_implicit.dcm", "MR_small.dcm"),
    ],
)
def test_real_files_of_the_same_image_in_other_syntaxes_are_equal(name, reference):
    frames = []
    for path in (BUNDLED / name, BUNDLED / reference):
        with DicomFile(path, Limits()) as dicom:
            frames.append(dicom.frames(dicom.layout())[0])
    np.testing.assert_array_equal(*frames)
    raw = pydicom.dcmread(BUNDLED / reference).PixelData
    np.testing.assert_array_equal(frames[1], np.frombuffer(raw, "<i2").reshape(64, 64))


# Pictures


def png(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, options.pop("format", "PNG"), **options)
    return buffer.getvalue()


GRAY = Image.fromarray(noise(8).astype(np.uint8))
COLORLESS = GRAY.convert("RGB")


@pytest.mark.parametrize("name", ["a.png", "a.tif", "misnamed.dcm"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_gray_pictures_are_read_by_their_content(tmp_path, name, dtype):
    pixels = noise(8 * np.dtype(dtype).itemsize).astype(dtype)
    path = tmp_path / name
    Image.fromarray(pixels).save(path, "TIFF" if name == "a.tif" else "PNG")
    mammogram = read_mammogram(path)
    np.testing.assert_array_equal(mammogram.pixels, pixels.astype(np.uint16) * (257 if dtype == np.uint8 else 1))
    assert mammogram.provenance["kind"] == ("tiff" if name == "a.tif" else "png")
    assert mammogram.provenance["bits_stored"] == 8 * np.dtype(dtype).itemsize
    assert not is_dicom(path)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_tiff_whose_white_is_zero_is_inverted(tmp_path, dtype):
    pixels = noise(8 * np.dtype(dtype).itemsize).astype(dtype)
    Image.fromarray(pixels).save(tmp_path / "a.tif", tiffinfo={262: 0})
    with Image.open(tmp_path / "a.tif") as image:
        stated = image.tag_v2[262]
        on_disk = np.frombuffer((tmp_path / "a.tif").read_bytes()[image.tag_v2[273][0] :], dtype, pixels.size)
    white = np.iinfo(dtype).max
    expected = (white - on_disk if stated == 0 else on_disk).astype(np.uint16) * (65535 // white)
    np.testing.assert_array_equal(read_mammogram(tmp_path / "a.tif").pixels.ravel(), expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("orientation", [1, *range(2, 9), 9])
@pytest.mark.parametrize("white_is_zero", [False, True])
def test_a_tiff_is_read_as_it_is_stored(tmp_path, dtype, order, compressed, orientation, white_is_zero):
    pixels, white = noise(8 * np.dtype(dtype).itemsize).astype(dtype), np.iinfo(dtype).max
    options = {"orientation": orientation, "order": order, "compressed": compressed, "white_is_zero": white_is_zero}
    mammogram = read_mammogram(write_tiff(tmp_path / "a.tif", pixels, **options))
    shown = (white - pixels if white_is_zero else pixels).astype(np.uint16) * (65535 // white)
    np.testing.assert_array_equal(mammogram.pixels, shown)
    assert mammogram.flags == (("orientation-tag",) if 2 <= orientation <= 8 else ())


@pytest.mark.parametrize("white_is_zero", [False, True])
def test_a_tiff_of_four_bits_is_stretched(tmp_path, white_is_zero):
    pixels = noise(8)  # two of four bits each
    others = [(256, 40), (258, 4)]
    write_tiff(tmp_path / "a.tif", pixels.astype(np.uint8), white_is_zero=white_is_zero, others=others)
    levels = np.stack([pixels >> 4, pixels & 15], axis=2).reshape(24, 40)
    shown = 65535 // 15 * (15 - levels if white_is_zero else levels)
    np.testing.assert_array_equal(read_mammogram(tmp_path / "a.tif").pixels, shown)


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_a_png_is_read_as_it_is_stored(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    GRAY.save(tmp_path / "a.png", exif=exif)
    mammogram = read_mammogram(tmp_path / "a.png")
    np.testing.assert_array_equal(mammogram.pixels, np.asarray(GRAY) * np.uint16(257))
    assert mammogram.flags == (("orientation-tag",) if orientation > 1 else ())


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_sixteen_bits_in_colors_are_refused_since_their_low_bytes_would_be_lost(tmp_path, channels):
    pixels = np.repeat(noise(16)[..., None], channels, axis=2)
    pixels[..., 3:] = 65535
    write_deep_png(tmp_path / "a.png", pixels)
    refused(tmp_path / "a.png", "E-DM-NOT-GRAY .*expected a gray picture of 8 or 16 bits without sign, found .*16 bits")
    write_deep_png(tmp_path / "a.png", pixels[..., :1])
    np.testing.assert_array_equal(read_mammogram(tmp_path / "a.png").pixels, pixels[..., 0])


@pytest.mark.parametrize(("dtype", "kind"), [("i1", "8 signed"), ("i2", "16 signed"), ("f4", "32 floating")])
def test_a_tiff_of_values_with_a_sign_is_refused(tmp_path, dtype, kind):
    write_tiff(tmp_path / "a.tif", noise(7).astype(dtype))
    refused(tmp_path / "a.tif", f"E-DM-NOT-GRAY .*of {kind} bits")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "LA"])
def test_a_color_picture_with_nothing_but_gray_is_gray(tmp_path, mode):
    GRAY.convert(mode).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_mammogram(tmp_path / "a.png").pixels, np.asarray(GRAY) * np.uint16(257))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (png(ImageOps.colorize(GRAY, "black", "red")), "E-DM-NOT-GRAY .*found mode RGB"),
        (png(ImageOps.colorize(GRAY, "black", "red").convert("P")), "E-DM-NOT-GRAY .*found mode P"),
        (png(Image.merge("LA", (GRAY, GRAY))), "E-DM-NOT-GRAY .*found mode LA"),
        (png(GRAY.convert("1")), "E-DM-NOT-GRAY .*found mode 1"),
        (png(GRAY.convert("F"), format="TIFF"), "E-DM-NOT-GRAY .*found mode F"),
        (png(GRAY, format="TIFF", save_all=True, append_images=[GRAY]), "E-DM-PAGES .*found 2"),
        (png(COLORLESS, format="TIFF", save_all=True, append_images=[COLORLESS]), "E-DM-PAGES .*found 2"),
        (png(COLORLESS, save_all=True, append_images=[GRAY.convert("RGB").rotate(180)]), "E-DM-PAGES .*found 2"),
        (png(GRAY)[:300], "E-DM-PICTURE .*expected a readable PNG file, found OSError"),
        (png(GRAY, format="TIFF")[:300], "E-DM-PICTURE .*expected a readable TIFF file"),
        (b"\x89PNG\r\n\x1a\n and then nothing", "E-DM-PICTURE .*expected a readable PNG file"),
        (png(Image.new("L", (20, 20), 7)), "E-DM-CONSTANT .*found one gray level"),
    ],
)
def test_a_picture_that_cannot_be_trusted_is_refused(tmp_path, content, message):
    (tmp_path / "a.png").write_bytes(content)
    refused(tmp_path / "a.png", message)


@pytest.mark.parametrize("size", [9000, 60000])
def test_a_picture_above_the_limit_is_refused(tmp_path, size):
    content = bytearray(png(GRAY))
    content[16:24] = struct.pack(">2L", size, size)
    content[29:33] = struct.pack(">L", zlib.crc32(content[12:29]))
    (tmp_path / "a.png").write_bytes(content)
    refused(tmp_path / "a.png", r"E-TOO-LARGE .*\(dm_megapixels\)")
