import gzip
import json
import zlib

import numpy as np
import pytest

from dmdbt.errors import InputDataError
from dmdbt.imaging import write_slices
from dmdbt.readers import Limits, open_volume, volume_files
from dmdbt.readers.other import metaimage_fields
from tests.support.clinic import write_mhd

VALUES = np.random.default_rng(0).normal(5, 2, (6, 12, 16))
GRAY = np.rint((VALUES - VALUES.min()) / np.ptp(VALUES) * 255)
CODE = zlib.compress(VALUES.tobytes())


def read(path):
    with open_volume(path) as volume:
        return np.stack(list(volume)), volume


@pytest.mark.parametrize(
    ("element_type", "dtype"),
    [
        ("MET_CHAR", "i1"),
        ("MET_USHORT", "<u2"),
        ("MET_SHORT", "<i2"),
        ("MET_UINT", "<u4"),
        ("MET_INT", "<i4"),
        ("MET_FLOAT", "<f4"),
        ("MET_DOUBLE", "<f8"),
    ],
)
def test_values_are_mapped_by_the_full_range_of_the_volume(tmp_path, element_type, dtype):
    stored = (VALUES * 10).astype(dtype)
    pixels, volume = read(write_mhd(tmp_path / "a.mhd", stored, element_type))
    wide = stored.astype(np.float64)
    expected = np.rint((wide - wide.min()) / (wide.max() - wide.min()) * 255)
    assert np.abs(pixels - expected).max() <= 1  # a tie of the rounding
    assert (pixels.min(), pixels.max(), pixels.dtype) == (0, 255, np.uint8)
    assert volume.provenance["range"] == f"{wide.min():.6g} to {wide.max():.6g}"
    assert volume.provenance["codec"] == np.dtype(dtype).name


def test_the_manifest_of_decoded_slices_holds_the_range(tmp_path):
    with open_volume(write_mhd(tmp_path / "a.mhd", VALUES)) as volume:
        write_slices(volume, tmp_path / "slices", quality=95)
    provenance = json.loads((tmp_path / "slices" / "manifest.json").read_text())["provenance"]
    assert provenance == {
        "container": "metaimage",
        "codec": "float64",
        "slice_order": "stored order",
        "range": f"{VALUES.min():.6g} to {VALUES.max():.6g}",
    }


def test_eight_bits_stay_as_they_are(tmp_path):
    stored = np.random.default_rng(0).integers(40, 90, (5, 7, 9)).astype(np.uint8)
    pixels, volume = read(write_mhd(tmp_path / "a.mhd", stored, "MET_UCHAR"))
    np.testing.assert_array_equal(pixels, stored)
    assert (volume.n_slices, volume.rows, volume.columns) == (5, 7, 9)
    assert "range" not in volume.provenance


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_the_raw_file_may_have_a_name_with_accents(tmp_path, encoding):
    path = write_mhd(tmp_path / "a.mhd", VALUES, ElementDataFile="NAME")
    path.write_bytes(path.read_bytes().replace(b"NAME", "Schicht_\u00e4.raw".encode(encoding)))
    (tmp_path / "Schicht_\u00e4.raw").write_bytes(VALUES.tobytes())
    np.testing.assert_array_equal(read(path)[0], GRAY)
    assert volume_files(path) == sorted([path, tmp_path / "Schicht_\u00e4.raw"])


@pytest.mark.parametrize(("yes", "no"), [("True", "False"), ("T", "F"), ("t", "f"), ("1", "0"), ("TRUE", "false")])
def test_true_and_false_may_be_written_as_metaio_takes_them(tmp_path, yes, no):
    order = {"BinaryDataByteOrderMSB": None, "ElementByteOrderMSB": yes, "BinaryData": yes}
    path = write_compressed(tmp_path / "a.mha", VALUES, zlib.compress(VALUES.astype(">f8").tobytes()), **order)
    path.write_bytes(path.read_bytes().replace(b"CompressedData = True", f"CompressedData = {yes}".encode()))
    np.testing.assert_array_equal(read(path)[0], GRAY)
    order = {"BinaryDataByteOrderMSB": no, "CompressedData": no}
    np.testing.assert_array_equal(read(write_mhd(tmp_path / "b.mhd", VALUES, **order))[0], GRAY)


def test_a_range_beyond_all_numbers_is_refused(tmp_path):
    values = VALUES.copy()
    values[0, 0, :2] = -1.7e308, 1.7e308
    with pytest.raises(InputDataError, match=r"E-MHD-NOT-FINITE .*found -1.7e\+308 to 1.7e\+308"):
        read(write_mhd(tmp_path / "a.mhd", values))


@pytest.mark.parametrize("key", ["ElementByteOrderMSB", "BinaryDataByteOrderMSB"])
def test_the_byte_order_is_that_of_the_header(tmp_path, key):
    order = {"BinaryDataByteOrderMSB": None, key: "True"}
    big, _ = read(write_mhd(tmp_path / "b.mhd", VALUES.astype(">f8"), **order))
    np.testing.assert_array_equal(big, GRAY)


@pytest.mark.parametrize("size", ["4", "-1"])
def test_bytes_before_the_pixels_are_skipped(tmp_path, size):
    path = write_mhd(tmp_path / "b.mhd", VALUES, HeaderSize=size)
    path.with_suffix(".raw").write_bytes(b"\7" * 4 + VALUES.tobytes())
    np.testing.assert_array_equal(read(path)[0], GRAY)


def test_header_and_pixels_may_share_a_file(tmp_path):
    path = write_mhd(tmp_path / "a.mha", VALUES, ElementDataFile="LOCAL")
    path.write_bytes(path.read_bytes() + b"\n" + VALUES.tobytes())
    np.testing.assert_array_equal(read(path)[0], GRAY)
    assert volume_files(path) == [path]


def write_compressed(path, values, content, **changes):
    """Write a volume as ITK does: in one file for the suffix mha, beside the header else."""
    beside = path.with_suffix(".zraw")
    data = "LOCAL" if path.suffix == ".mha" else beside.name
    write_mhd(path, values, CompressedData="True", **changes, ElementDataFile=data)
    if data == "LOCAL":
        path.write_bytes(path.read_bytes() + b"\n" + content)
    else:
        beside.write_bytes(content)
    return path


@pytest.mark.parametrize("compress", [zlib.compress, gzip.compress])
@pytest.mark.parametrize("name", ["a.mha", "a.mhd"])
def test_compressed_pixels_are_read(tmp_path, name, compress):
    content = compress(VALUES.tobytes())
    path = write_compressed(tmp_path / name, VALUES, content, CompressedDataSize=str(len(content)))
    np.testing.assert_array_equal(read(path)[0], GRAY)
    np.testing.assert_array_equal(read(write_compressed(tmp_path / name, VALUES, content))[0], GRAY)
    assert volume_files(path) == ([path] if name == "a.mha" else [path, tmp_path / "a.zraw"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (CODE[:-5], "E-MHD-COMPRESSED .*found its beginning"),
        (CODE[:-1] + bytes([CODE[-1] ^ 1]), "E-MHD-COMPRESSED .*found a damaged one"),
        (CODE[:100] + bytes([CODE[100] ^ 1]) + CODE[101:], "E-MHD-COMPRESSED .*found a damaged one"),
        (zlib.compress(VALUES[:5].tobytes()), "E-MHD-LENGTH .*expected 6 slices, found 5"),
        (zlib.compress(VALUES.tobytes() + b"0"), "E-MHD-LENGTH .*expected 6 slices, found more"),
    ],
)
def test_compressed_pixels_that_are_damaged_are_refused(tmp_path, content, message):
    path = write_compressed(tmp_path / "a.mhd", VALUES, content)
    with pytest.raises(InputDataError, match=message):
        read(path)


def test_slices_are_turned_counter_clockwise_as_the_header_asks(tmp_path):
    pixels, volume = read(write_mhd(tmp_path / "b.mhd", VALUES, QuarterTurns="1", ElementDataFile="b.raw"))
    np.testing.assert_array_equal(pixels, np.rot90(GRAY, axes=(1, 2)))
    assert (volume.rows, volume.columns) == (16, 12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"NDims": "2"}, "E-MHD-DIMENSIONS .*expected NDims = 3 .*found NDims = 2"),
        ({"DimSize": "16 12"}, "E-MHD-DIMENSIONS .*DimSize = 16 12"),
        ({"DimSize": "16 12 -6"}, "E-MHD-DIMENSIONS"),
        ({"DimSize": "16 12 7"}, "E-MHD-LENGTH .*expected 10752 bytes as the header says, found 9216"),
        ({"DimSize": "16 12 5"}, "E-MHD-LENGTH .*expected 7680 bytes"),
        ({"ElementType": "MET_FLOAT"}, "E-MHD-LENGTH"),
        ({"ElementType": "MET_LONG"}, "E-MHD-TYPE .*found MET_LONG"),
        ({"ElementType": None}, "E-MHD-TYPE .*found none"),
        ({"ElementByteOrderMSB": "True"}, "E-MHD-BYTE-ORDER"),
        ({"BinaryDataByteOrderMSB": "maybe"}, "E-MHD-BYTE-ORDER"),
        ({"CompressedData": "True", "CompressedDataSize": "9"}, "E-MHD-LENGTH .*expected 9 bytes .*found 9216"),
        ({"BinaryData": "False"}, "E-MHD-KIND .*BinaryData"),
        ({"ElementNumberOfChannels": "3"}, "E-MHD-KIND .*ElementNumberOfChannels = 1, found 3"),
        ({"HeaderSize": "many"}, "E-MHD-HEADER .*HeaderSize, found many"),
        ({"HeaderSize": "8"}, "E-MHD-LENGTH"),
        ({"ElementDataFile": "b.raw"}, "E-MHD-DATA-FILE .*expected b.raw beside the header, found no such file"),
        ({"ElementDataFile": "../a.raw"}, "E-MHD-DATA-FILE .*beside the header, found another folder"),
        ({"ElementDataFile": "/etc/passwd"}, "E-MHD-DATA-FILE .*found another folder"),
        ({"ElementDataFile": "C:\\a.raw"}, "E-MHD-DATA-FILE .*found another folder"),
        ({"ElementDataFile": "LIST"}, "E-MHD-DATA-FILE .*expected one raw file, found LIST"),
        ({"ElementDataFile": "a%03d.raw 1 6 1"}, "E-MHD-DATA-FILE .*expected one raw file"),
        ({"ElementDataFile": "a" * 5000}, "E-MHD-DATA-FILE .*expected the name of a file, found 'a{50}' remedy"),
        ({"ElementDataFile": "\u00e9" * 200}, "E-MHD-DATA-FILE .*expected the name of a file"),
        ({"ElementDataFile": "\u00e9" * 100}, "E-MHD-DATA-FILE .*found no such file"),
        ({"CompressedData": "zlib"}, "E-MHD-HEADER .*expected True or False for CompressedData, found zlib"),
        ({"ElementDataFile": "a\0b"}, "E-MHD-(DATA-FILE|HEADER)"),
        ({"DimSize": f"16 12 {'9' * 5000}"}, "E-MHD-DIMENSIONS .*DimSize = 16 12 9{44} remedy"),
        ({"HeaderSize": "9" * 5000}, "E-MHD-HEADER .*HeaderSize, found 9{50} remedy"),
        ({"QuarterTurns": "\u0661", "ElementDataFile": "a.raw"}, "E-MHD-HEADER .*QuarterTurns"),
        ({"QuarterTurns": "9" * 5000, "ElementDataFile": "a.raw"}, "E-MHD-HEADER .*QuarterTurns, found 9{50} remedy"),
        ({"ElementType": "MET_" + "X" * 60000}, "E-MHD-TYPE .*found MET_X{46} remedy"),
        ({"ElementDataFile": None}, "E-MHD-HEADER .*end with ElementDataFile"),
        ({"DimSize": "999999999 999999999 6"}, "E-MHD-LENGTH"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(tmp_path, changes, message):
    path = write_mhd(tmp_path / "a.mhd", VALUES, **changes)
    with pytest.raises(InputDataError, match=message):
        open_volume(path)
    assert path in volume_files(path)


def test_empty_lines_and_keys_with_underscores_are_passed_over(tmp_path):
    path = write_mhd(tmp_path / "a.mhd", VALUES)
    path.write_text("ObjectType = Image\n\nITK_FileNotes =\n" + path.read_text())
    assert len(read(path)[0]) == 6


def test_a_key_may_stand_twice_but_with_one_value(tmp_path):
    path = write_mhd(tmp_path / "a.mhd", VALUES)
    text = path.read_text()
    path.write_text("ObjectType = Image\n" + text)
    assert len(read(path)[0]) == 6
    path.write_text("NDims = 2\n" + text)
    with pytest.raises(InputDataError, match="E-MHD-HEADER .*expected one value of NDims, found two"):
        metaimage_fields(path)


@pytest.mark.parametrize(
    ("value", "message"),
    [(np.nan, "E-MHD-NOT-FINITE .*found others in slice 3"), (np.inf, "E-MHD-NOT-FINITE")],
)
def test_values_that_are_not_finite_are_refused(tmp_path, value, message):
    values = VALUES.copy()
    values[2, 3, 4] = value
    with pytest.raises(InputDataError, match=message):
        read(write_mhd(tmp_path / "a.mhd", values))


def test_a_constant_volume_is_refused(tmp_path):
    with pytest.raises(InputDataError, match="E-MHD-CONSTANT .*found 4 everywhere"):
        read(write_mhd(tmp_path / "a.mhd", np.full((3, 4, 5), 4.0)))


def test_a_raw_file_that_shrinks_while_it_is_read_is_noticed(tmp_path):
    path = write_mhd(tmp_path / "a.mhd", VALUES)
    with open_volume(path) as volume:
        path.with_suffix(".raw").write_bytes(VALUES[:4].tobytes())
        with pytest.raises(InputDataError, match="E-MHD-LENGTH .*expected 6 slices, found 4"):
            list(volume)


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    outside = write_mhd(tmp_path / "a.mhd", VALUES).with_suffix(".raw")
    (tmp_path / "cohort").mkdir()
    path = write_mhd(tmp_path / "cohort" / "a.mhd", VALUES)
    path.with_suffix(".raw").unlink()
    path.with_suffix(".raw").symlink_to(outside)
    with pytest.raises(InputDataError, match="E-MHD-DATA-FILE .*found another folder"):
        open_volume(path)
    assert volume_files(path) == [path]


def test_a_volume_over_a_limit_is_refused(tmp_path):
    path = write_mhd(tmp_path / "a.mhd", VALUES)
    with pytest.raises(InputDataError, match=r"E-TOO-LARGE .*slices up to 5 \(slices\), found 6"):
        open_volume(path, Limits(slices=5))


def test_header_and_pixels_are_the_files_of_a_volume(tmp_path):
    path = write_mhd(tmp_path / "a.mhd", VALUES)
    assert volume_files(path) == [path, path.with_suffix(".raw")]
    path.write_bytes(b"NDims = 3\n\0\1\2")
    assert volume_files(path) == [path]
