import itertools
import struct

import numpy as np
import pydicom
import pytest

from dmdbt.errors import InputDataError
from dmdbt.readers import Limits, open_volume
from dmdbt.readers.dicom import SYNTAXES, BtoVolume, DicomFolderVolume
from tests.support import dicom_corpus as corpus
from tests.support.dicom_corpus import in_stack, item, lut, noise, shown, write, write_slices, write_tomosynthesis

WINDOW = (2048, 4096)
PIXELS = noise(12, (5, 24, 20))
LOSSLESS = [*corpus.NATIVE, corpus.RLE, corpus.LOSSLESS, corpus.LOSSLESS_SV1, corpus.LS, corpus.J2K, corpus.LOSSY_J2K]


def levels(gray):
    return np.rint(gray * 255).astype(np.uint8)


def read(path):
    with BtoVolume(path, Limits()) as volume:
        slices = np.stack(list(volume))
        assert slices.dtype == np.uint8
        assert slices.shape == (volume.n_slices, volume.rows, volume.columns)
        return slices, volume.provenance, volume.flags


def refused(path, message):
    with pytest.raises(InputDataError, match=message) as caught:
        read(path)
    assert "CANARY" not in str(caught.value)


def refused_folder(files, message, limits=None):
    with pytest.raises(InputDataError, match=message):
        with DicomFolderVolume(files, limits or Limits()) as volume:
            list(volume)


# One file


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda uid: SYNTAXES[uid].name)
def test_every_lossless_syntax_gives_all_slices(tmp_path, syntax, bits):
    # Native frames of an odd number of bytes, if of 8 bits; GDCM's encoder fails at them.
    pixels = noise(bits, (3, 15, 13 if syntax in corpus.NATIVE else 14))
    window = (1 << (bits - 1), 1 << bits)
    path = write_tomosynthesis(tmp_path / "a.dcm", pixels, bits=bits, syntax=syntax, window=window)
    slices, provenance, _ = read(path)
    np.testing.assert_array_equal(slices, levels(shown(pixels, window=window)))
    assert provenance == {
        "container": "dicom multi-frame",
        "codec": SYNTAXES[syntax].name,
        "slice_order": "in-stack position",
        "first_slice": "",
        "bits_stored": bits,
        "photometric_interpretation": "MONOCHROME2",
        "device": "",
        "voi": "window LINEAR",
        "stated_laterality": "L",
        "stated_orientation": "",
        "stated_view": "MLO",
    }


def test_a_volume_can_be_read_twice_and_through_the_common_door(tmp_path):
    with open_volume(write_tomosynthesis(tmp_path / "a.dcm", PIXELS)) as volume:
        first, second = np.stack(list(volume)), np.stack(list(volume))
    np.testing.assert_array_equal(first, second)


def test_the_orientation_is_found_at_the_top_level_and_in_the_functional_groups(tmp_path):
    of_frame = item(PatientOrientation=["A", "R"])
    groups = [
        item(PatientOrientationInFrameSequence=[of_frame], FrameContentSequence=[in_stack(1 + n)]) for n in range(5)
    ]
    for options in ({"groups": groups}, {"PatientOrientation": ["A", "R"]}):
        _, provenance, _ = read(write_tomosynthesis(tmp_path / "a.dcm", PIXELS, **options))
        assert provenance["stated_orientation"] == "A\\R"
    (tmp_path / "slices").mkdir()
    write_slices(tmp_path / "slices", PIXELS, PatientOrientation=["P", "FL"])
    with open_volume(tmp_path / "slices") as volume:
        assert volume.provenance["stated_orientation"] == "P\\FL"


def test_attributes_of_the_top_level_are_found_too(tmp_path):
    options = {"WindowCenter": 1000, "WindowWidth": 900, "RescaleSlope": 2, "RescaleIntercept": -50}
    path = write_tomosynthesis(tmp_path / "a.dcm", PIXELS, window=None, rescale=None, **options)
    slices, _, _ = read(path)
    np.testing.assert_array_equal(slices, levels(shown(PIXELS, window=(1000, 900), rescale=(2, -50))))


def test_functional_groups_go_before_the_top_level(tmp_path):
    options = {"WindowCenter": 1, "WindowWidth": 2, "RescaleSlope": 3, "RescaleIntercept": 4}
    slices, _, _ = read(write_tomosynthesis(tmp_path / "a.dcm", PIXELS, window=(3000, 900), rescale=(2, 5), **options))
    np.testing.assert_array_equal(slices, levels(shown(PIXELS, window=(3000, 900), rescale=(2, 5))))


def test_every_frame_may_have_its_own_window(tmp_path):
    windows = [(1000 + 300 * index, 2000) for index in range(5)]
    groups = [
        item(FrameContentSequence=[in_stack(index + 1)], FrameVOILUTSequence=[item(WindowCenter=c, WindowWidth=w)])
        for index, (c, w) in enumerate(windows)
    ]
    slices, _, flags = read(write_tomosynthesis(tmp_path / "a.dcm", PIXELS, groups=groups))
    for index, window in enumerate(windows):
        np.testing.assert_array_equal(slices[index], levels(shown(PIXELS[index], window=window)))
    assert flags == ["voi-varies"]


def test_tables_of_frames_are_told_apart_by_their_entries(tmp_path):
    tables = [np.arange(4096) * 16, 65535 - np.arange(4096) * 16]
    groups = [
        item(
            FrameContentSequence=[in_stack(index + 1)],
            FrameVOILUTSequence=[item(VOILUTSequence=[lut(tables[index % 2])])],
        )
        for index in range(5)
    ]
    slices, _, _ = read(write_tomosynthesis(tmp_path / "a.dcm", PIXELS, groups=groups, window=None))
    for index in range(5):
        np.testing.assert_array_equal(slices[index], levels(tables[index % 2][PIXELS[index]] / 65535))


def test_without_a_voi_the_whole_volume_has_one_range(tmp_path):
    pixels = PIXELS // np.array([4, 3, 2, 5, 6])[:, None, None] + 100
    pixels[:, 0, 0] = 4095
    path = write_tomosynthesis(tmp_path / "a.dcm", pixels, window=None, PixelPaddingValue=4095)
    slices, provenance, flags = read(path)
    np.testing.assert_array_equal(slices, levels(shown(pixels, padding=[4095])))
    assert provenance["voi"] == "none"
    assert flags == ["no-voi"]


@pytest.mark.parametrize("signed", [False, True])
def test_monochrome1_and_signed_volumes_are_shown_right(tmp_path, signed):
    pixels = noise(12, (3, 24, 20), signed=signed)
    options = {"signed": signed, "PhotometricInterpretation": "MONOCHROME1", "window": (100, 3000)}
    slices, _, _ = read(write_tomosynthesis(tmp_path / "a.dcm", pixels, **options))
    np.testing.assert_array_equal(slices, levels(shown(pixels, window=(100, 3000), negative=True)))


ORDER = [3, 1, 5, 2, 4]  # of the frames in the file
CORNERS = [[10.0, -7.0 - 2 * place, 30.0] for place in ORDER]


@pytest.mark.parametrize(
    ("groups", "how", "order"),
    [
        ([item(FrameContentSequence=[in_stack(n)]) for n in ORDER], "in-stack position", ORDER),
        ([item(FrameContentSequence=[item(DimensionIndexValues=[1, n])]) for n in ORDER], "dimension index", ORDER),
        (
            [item(PlanePositionSequence=[item(ImagePositionPatient=corner)]) for corner in CORNERS],
            "plane position",
            [-place for place in ORDER],
        ),
        (
            [
                item(
                    PlanePositionSequence=[item(ImagePositionPatient=corner)],
                    PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 0, 1])],  # normal (0, -1, 0)
                )
                for corner in CORNERS
            ],
            "plane position",
            ORDER,
        ),
        ([item() for _ in ORDER], "frame order", range(5)),
        ([], "frame order", range(5)),
    ],
)
@pytest.mark.parametrize("syntax", [corpus.EXPLICIT, corpus.LS])
def test_slices_come_in_the_order_of_the_stack(tmp_path, syntax, groups, how, order):
    path = write_tomosynthesis(tmp_path / "a.dcm", PIXELS, groups=groups, syntax=syntax)
    slices, provenance, flags = read(path)
    np.testing.assert_array_equal(slices, levels(shown(PIXELS[np.argsort(order)], window=WINDOW)))
    assert provenance["slice_order"] == how
    assert ("slice-order-unstated" in flags) == (how == "frame order")


@pytest.mark.parametrize("fragments", [1, 3])
@pytest.mark.parametrize("has_table", [False, True])
@pytest.mark.parametrize("syntax", [corpus.LS, corpus.LOSSLESS_SV1, corpus.J2K])
def test_frames_are_found_with_and_without_an_offset_table(tmp_path, syntax, has_table, fragments):
    codestreams = [corpus.compress(syntax, frame, 12) for frame in PIXELS]
    content = pydicom.encaps.encapsulate(codestreams, fragments_per_frame=fragments, has_bot=has_table)
    slices, _, _ = read(write_tomosynthesis(tmp_path / "a.dcm", PIXELS, syntax=syntax, content=content))
    np.testing.assert_array_equal(slices, levels(shown(PIXELS, window=WINDOW)))


def test_frames_out_of_order_in_the_offset_table_are_refused(tmp_path):
    content = bytearray(corpus.pixel_data(PIXELS, corpus.LS, 12))
    offsets = struct.unpack("<5L", content[8:28])
    content[8:28] = struct.pack("<5L", offsets[0], offsets[2], offsets[1], *offsets[3:])
    path = write_tomosynthesis(tmp_path / "a.dcm", PIXELS, syntax=corpus.LS, content=bytes(content))
    refused(path, r"E-DICOM-FRAMES .*expected 5 frames .*found 5 fragments and an offset table of \[0, ")


def test_bytes_in_big_endian_words_are_swapped_back(tmp_path):
    pixels = noise(8, (4, 15, 13))  # an odd number of bytes: frames begin within a word
    content = pixels.astype(np.uint8).tobytes()
    words = np.frombuffer(content, "<u2").astype(">u2").tobytes()
    options = {"bits": 8, "syntax": corpus.BIG, "content": words, "vr": "OW", "window": (128, 256)}
    slices, _, _ = read(write_tomosynthesis(tmp_path / "a.dcm", pixels, **options))
    np.testing.assert_array_equal(slices, levels(shown(pixels, window=(128, 256))))


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"sop_class": "1.2.840.10008.5.1.4.1.1.13.1.4"}, "E-DBT-PROJECTIONS .*found the projections"),
        ({"sop_class": "1.2.840.10008.5.1.4.1.1.13.1.5"}, "E-DBT-PROJECTIONS .*found the projections"),
        ({"sop_class": "1.2.840.10008.5.1.4.1.1.7.3"}, "E-DICOM-SECONDARY .*thumbnail"),
        ({"sop_class": corpus.MAMMOGRAM}, "E-DBT-MAMMOGRAM .*found a mammogram .*column dm"),
        (
            {"sop_class": corpus.CT, "Modality": "CT"},
            "E-DBT-SOP-CLASS .*expected Breast Tomosynthesis .*found CT",
        ),
        ({"sop_class": corpus.CT}, "E-DBT-SLICE .*found a single slice .*folder"),
        (
            {"ImageType": ["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "GENERATED_2D"], "NumberOfFrames": 1},
            "E-DBT-SYNTHESIZED .*found a 2D image synthesized",
        ),
        (
            {"ImageType": ["DERIVED", "PRIMARY", "TOMO_2D"], "sop_class": corpus.MAMMOGRAM},
            "E-DBT-SYNTHESIZED .*found a 2D image synthesized",
        ),
        ({"NumberOfFrames": 1}, "E-DBT-FEW-SLICES .*expected at least 2 slices, found 1"),
        ({"NumberOfFrames": None}, "E-DBT-FEW-SLICES"),
        ({"NumberOfFrames": 4}, "E-DBT-GROUPS .*for 4 frames, found them for 5"),
        ({"NumberOfFrames": 4, "groups": []}, "E-DICOM-LENGTH .*for 4 frames, found 4800"),
        ({"NumberOfFrames": 6, "groups": []}, "E-DICOM-LENGTH .*expected 5760 bytes for 6 frames"),
        ({"InConcatenationTotalNumber": 3}, "E-DBT-PART .*found one of 3 parts"),
        ({"BurnedInAnnotation": "YES"}, "E-DICOM-BURNED-IN"),
        ({"SamplesPerPixel": 3}, "E-DICOM-GRAY"),
        ({"window": (90000, 2)}, "E-DICOM-CONSTANT .*expected a volume"),
        ({"window": (9, 0)}, "E-DICOM-WINDOW"),
        ({"rescale": (0, 0)}, "E-DICOM-RESCALE"),
        ({"content": b"", "PixelData": None}, "E-DICOM-NO-PIXELS"),
        (
            {"groups": [item(FrameContentSequence=[in_stack(n)]) for n in (1, 2, 2, 4, 5)]},
            "E-DBT-ORDER .*found some at the same",
        ),
        (
            {"groups": [item(FrameContentSequence=[in_stack(1)])] + [item()] * 4},
            "E-DBT-ORDER .*in 5 frames, found it in 1",
        ),
        (
            {"groups": [item(FrameContentSequence=[item(StackID=str(n), InStackPositionNumber=n)]) for n in range(5)]},
            "E-DBT-ORDER .*found several",
        ),
        (
            {"groups": [item(PlanePositionSequence=[item(ImagePositionPatient=[1, n])]) for n in range(5)]},
            "E-DBT-ORDER .*expected three coordinates",
        ),
    ],
)
def test_a_volume_that_cannot_be_trusted_is_refused(tmp_path, attributes, message):
    refused(write_tomosynthesis(tmp_path / "a.dcm", PIXELS, **attributes), message)


def test_a_constant_volume_is_refused_with_and_without_a_window(tmp_path):
    constant = np.full((3, 24, 20), 9)
    for window in (WINDOW, None):
        refused(write_tomosynthesis(tmp_path / "a.dcm", constant, window=window), "E-DICOM-CONSTANT")


def test_a_window_in_some_frames_only_is_refused(tmp_path):
    groups = [item(FrameVOILUTSequence=[item(WindowCenter=9, WindowWidth=9)]), item(), item(), item(), item()]
    refused(write_tomosynthesis(tmp_path / "a.dcm", PIXELS, window=None, groups=groups), "E-DBT-VOI .*found it in some")


@pytest.mark.parametrize("frames", [4, 6])
@pytest.mark.parametrize("syntax", [corpus.RLE, corpus.LS, corpus.LOSSLESS_SV1, corpus.J2K])
def test_a_compressed_volume_of_another_number_of_frames_is_refused(tmp_path, syntax, frames):
    path = write_tomosynthesis(tmp_path / "a.dcm", PIXELS, syntax=syntax, groups=[], NumberOfFrames=frames)
    refused(path, f"E-DICOM-FRAMES .*expected {frames} frames as the header says, found 5 fragments")


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda uid: SYNTAXES[uid].name)
def test_a_volume_cut_off_anywhere_is_refused(tmp_path, syntax):
    path = write_tomosynthesis(tmp_path / "a.dcm", PIXELS, syntax=syntax)
    content = path.read_bytes()
    for share in (0.3, 0.5, 0.7, 0.9, 0.995):
        path.write_bytes(content[: int(len(content) * share)])
        refused(path, "E-D(ICOM|BT)-(TRUNCATED|NO-PIXELS|HEADER|SOP-CLASS)")


def test_one_damaged_frame_ends_the_volume(tmp_path):
    codestreams = [corpus.compress(corpus.J2K, frame, 12) for frame in PIXELS]
    codestreams[3] = codestreams[3][:100] + b"\xff\xd9"
    content = pydicom.encaps.encapsulate(codestreams)
    path = write_tomosynthesis(tmp_path / "a.dcm", PIXELS, syntax=corpus.J2K, content=content)
    with BtoVolume(path, Limits()) as volume:
        slices = iter(volume)
        assert len(list(itertools.islice(slices, 3))) == 3
        with pytest.raises(InputDataError, match="E-DICOM-CODESTREAM .*in frame 4"):
            next(slices)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(slices=4), r"up to 4 \(slices\), found 5"),
        (Limits(slice_megapixels=0.0004), r"\(slice_megapixels\)"),
        (Limits(volume_gigapixels=1e-6), r"\(volume_gigapixels\)"),
        (Limits(file_gib=1e-6), r"\(file_gib\)"),
    ],
)
def test_a_volume_above_a_limit_is_refused_before_it_is_decoded(tmp_path, limits, message):
    path = write_tomosynthesis(tmp_path / "a.dcm", PIXELS, syntax=corpus.J2K)
    with pytest.raises(InputDataError, match=f"E-TOO-LARGE .*{message}"):
        BtoVolume(path, limits)
    refused_folder(write_slices(tmp_path / "slices", PIXELS), f"E-TOO-LARGE .*{message}", limits)


# A folder of slices


@pytest.mark.parametrize("sop_class", [corpus.CT, corpus.TOMOSYNTHESIS])
@pytest.mark.parametrize("syntax", [corpus.IMPLICIT, corpus.EXPLICIT, corpus.LOSSLESS_SV1, corpus.J2K])
def test_slices_of_a_folder_come_by_instance_number(tmp_path, syntax, sop_class):
    files = write_slices(tmp_path, PIXELS, numbers=[13, 11, 15, 12, 14], syntax=syntax, sop_class=sop_class)
    with DicomFolderVolume(files, Limits()) as volume:
        slices = np.stack(list(volume))
        assert (volume.n_slices, volume.rows, volume.columns) == (5, 24, 20)
    np.testing.assert_array_equal(slices, levels(shown(PIXELS[[1, 3, 0, 4, 2]], window=WINDOW)))
    assert volume.provenance["container"] == "dicom slices"
    assert volume.provenance["slice_order"] == "instance number"
    assert volume.provenance["codec"] == SYNTAXES[syntax].name
    assert set(volume.flags) <= {"codestream-bits"}


def test_a_folder_without_a_voi_has_one_range(tmp_path):
    pixels = PIXELS // np.array([4, 3, 2, 5, 6])[:, None, None] + 100
    with DicomFolderVolume(write_slices(tmp_path, pixels, WindowCenter=None, WindowWidth=None), Limits()) as volume:
        np.testing.assert_array_equal(np.stack(list(volume)), levels(shown(pixels)))
    assert volume.flags == ["no-voi"]


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ([1, 2, 3, 4, 6], "E-DBT-NUMBERS .*1 to 6 without a gap, found 5 slices"),
        ([1, 2, 3, 4, 4], "E-DBT-NUMBERS .*file=004.dcm .*found number 4 again"),
        ([1, 2, 3, 4, None], "E-DBT-NUMBERS .*file=004.dcm .*found none"),
    ],
)
def test_a_folder_with_missing_or_repeated_slices_is_refused(tmp_path, numbers, message):
    refused_folder(write_slices(tmp_path, PIXELS, numbers=numbers), message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"SeriesInstanceUID": "1.2.4"}, "E-DBT-SERIES .*file=004.dcm"),
        ({"syntax": corpus.IMPLICIT}, "E-DBT-SERIES .*file=004.dcm"),
        ({"sop_class": corpus.TOMOSYNTHESIS}, "E-DBT-SERIES .*file=004.dcm"),
        ({"ImageLaterality": "R"}, "E-DBT-SERIES .*file=004.dcm"),
        ({"BitsStored": 16, "HighBit": 15}, "E-DBT-SERIES .*file=004.dcm"),
        ({"Modality": "CT"}, "E-DBT-SOP-CLASS .*expected slices of Modality MG, found CT"),
        ({"sop_class": corpus.MAMMOGRAM}, "E-DBT-MAMMOGRAM .*file=004.dcm"),
        ({"sop_class": "1.2.840.10008.5.1.4.1.1.13.1.4"}, "E-DBT-PROJECTIONS"),
        ({"sop_class": corpus.SECONDARY}, "E-DICOM-SECONDARY"),
        ({"NumberOfFrames": 2}, "E-DBT-FRAMES .*expected one slice per file of a folder, found 2"),
        ({"Rows": 23}, "E-DBT-SERIES .*file=004.dcm"),
        ({"PixelData": bytes(10)}, "E-DICOM-LENGTH .*file=004.dcm .*found 10"),
    ],
)
def test_a_folder_with_a_slice_of_another_kind_is_refused(tmp_path, options, message):
    files = write_slices(tmp_path, PIXELS)
    attributes = {"sop_class": corpus.CT, "SeriesInstanceUID": "1.2.3", "WindowCenter": 9, "WindowWidth": 9} | options
    write(files[4], PIXELS[4], InstanceNumber=5, **attributes)
    refused_folder(files, message)


def test_one_slice_is_no_folder(tmp_path):
    refused_folder(write_slices(tmp_path, PIXELS)[:1], "E-DBT-FEW-SLICES .*found 1")


def test_a_slice_that_is_replaced_while_reading_is_refused(tmp_path):
    files = write_slices(tmp_path, PIXELS)
    with DicomFolderVolume(files, Limits()) as volume:
        write(files[4], PIXELS[4][:9], InstanceNumber=5, sop_class=corpus.CT)
        with pytest.raises(InputDataError, match="E-DBT-SERIES .*found another"):
            list(volume)
