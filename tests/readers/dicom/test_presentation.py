import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmdbt.readers import read_mammogram
from tests.support import dicom_corpus as corpus
from tests.support.clinic import RAMP, write_dicom
from tests.support.dicom_corpus import lut, noise, shown, write

PIXELS = noise(12)


def levels(gray):
    return np.rint(gray * 65535).astype(np.uint16)


def read(path):
    return read_mammogram(path).pixels


def test_without_a_window_the_range_that_occurs_becomes_black_to_white(tmp_path):
    narrow = 500 + PIXELS // 2
    mammogram = read_mammogram(write(tmp_path / "a.dcm", narrow))
    np.testing.assert_array_equal(mammogram.pixels, levels(shown(narrow)))
    assert (mammogram.pixels.min(), mammogram.pixels.max()) == (0, 65535)
    assert mammogram.flags == ("no-voi",)
    assert mammogram.provenance["voi"] == "none"


def test_a_window_without_values_is_none(tmp_path):
    mammogram = read_mammogram(write(tmp_path / "a.dcm", PIXELS, WindowCenter="", WindowWidth=""))
    np.testing.assert_array_equal(mammogram.pixels, levels(shown(PIXELS)))
    assert mammogram.flags == ("no-voi",)


def test_windows_as_a_senographe_writes_them(tmp_path):
    """Implicit VR, 14 bits, a sigmoid, four windows, and a range of padding."""
    pixels = noise(14)
    windows = {"WindowCenter": [9000, 8000, 10000, 9500], "WindowWidth": [5000, 4000, 6000, 5500]}
    padding = {"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 658}
    options = {"VOILUTFunction": "SIGMOID", "PhotometricInterpretation": "MONOCHROME1", **windows, **padding}
    mammogram = read_mammogram(write(tmp_path / "a.dcm", pixels, bits=14, syntax=corpus.IMPLICIT, **options))
    expected = shown(pixels, window=(9000, 5000), function="SIGMOID", padding=range(659), negative=True)
    assert np.abs(mammogram.pixels.astype(int) - levels(expected)).max() <= 1  # rounding of a half
    assert mammogram.flags == ("several-windows",)


def test_a_linear_window_follows_the_standard(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", RAMP, WindowCenter=2048, WindowWidth=1000, VOILUTFunction="LINEAR")
    mammogram = read_mammogram(path)
    expected = np.clip((RAMP - 2047.5) / 999 + 0.5, 0, 1)
    np.testing.assert_allclose(mammogram.pixels / 65535, expected, atol=1e-5)
    assert mammogram.provenance["voi"] == "window LINEAR"


def test_a_linear_window_of_width_one_is_a_threshold(tmp_path):
    pixels = read(write(tmp_path / "a.dcm", PIXELS, WindowCenter=2000.5, WindowWidth=1))
    np.testing.assert_array_equal(pixels, np.where(PIXELS <= 2000, 0, 65535))


@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("rescale", [(1, 0), (2, -100), (0.25, 17.5)])
@pytest.mark.parametrize("signed", [False, True])
def test_every_combination_follows_the_formulas_of_the_standard(tmp_path, negative, function, rescale, signed):
    pixels = noise(12, signed=signed)
    window = (float(np.median(rescale[0] * pixels + rescale[1])), 900.0 * rescale[0])
    path = write(
        tmp_path / "a.dcm",
        pixels,
        signed=signed,
        WindowCenter=window[0],
        WindowWidth=window[1],
        VOILUTFunction=function,
        RescaleSlope=rescale[0],
        RescaleIntercept=rescale[1],
        PhotometricInterpretation="MONOCHROME1" if negative else "MONOCHROME2",
    )
    expected = shown(pixels, window=window, function=function, rescale=rescale, negative=negative)
    assert np.abs(read(path).astype(int) - levels(expected)).max() <= 1  # rounding of a half


def test_of_several_windows_the_first_is_taken_and_flagged(tmp_path):
    mammogram = read_mammogram(write(tmp_path / "a.dcm", PIXELS, WindowCenter=[2000, 1], WindowWidth=[800, 9]))
    np.testing.assert_array_equal(mammogram.pixels, levels(shown(PIXELS, window=(2000, 800))))
    assert mammogram.flags == ("several-windows",)


@pytest.mark.parametrize("syntax", corpus.NATIVE)
def test_a_voi_table_goes_before_a_window(tmp_path, syntax):
    entries = np.arange(4096) ** 2 // 300
    data = entries.astype(">u2" if syntax == corpus.BIG else "<u2").tobytes()
    options = {"VOILUTSequence": [lut(entries, data=data)], "WindowCenter": 1, "WindowWidth": 2}
    mammogram = read_mammogram(write(tmp_path / "a.dcm", PIXELS, syntax=syntax, **options))
    np.testing.assert_array_equal(mammogram.pixels, PIXELS**2 // 300)
    assert mammogram.provenance["voi"] == "table"


def test_the_ends_of_a_table_hold_beyond_it(tmp_path):
    entries = np.linspace(100, 1000, 50).astype(int)
    sequence = [lut(entries, first=1000, bits=10), lut([1, 2])]
    mammogram = read_mammogram(write(tmp_path / "a.dcm", PIXELS, VOILUTSequence=sequence))
    expected = entries[np.clip(PIXELS - 1000, 0, 49)] / 1023
    np.testing.assert_array_equal(mammogram.pixels, levels(expected))
    assert mammogram.flags == ("several-windows",)


def test_a_table_may_begin_below_zero(tmp_path):
    pixels = noise(12, signed=True)
    entries = np.arange(4096) * 15
    path = write(tmp_path / "a.dcm", pixels, signed=True, VOILUTSequence=[lut(entries, first=-2048)])
    np.testing.assert_array_equal(read(path), (pixels + 2048) * 15)


def test_a_table_of_single_bytes_is_read(tmp_path):
    entries = (np.arange(4096) // 16).astype(np.uint8)
    path = write(tmp_path / "a.dcm", PIXELS, VOILUTSequence=[lut(entries, bits=8, data=entries.tobytes())])
    np.testing.assert_array_equal(read(path), levels(PIXELS // 16 / 255))


def test_a_table_of_65536_entries_states_zero(tmp_path):
    pixels = noise(16)
    path = write(tmp_path / "a.dcm", pixels, bits=16, VOILUTSequence=[lut(65535 - np.arange(65536))])
    np.testing.assert_array_equal(read(path), 65535 - pixels)


def test_a_modality_table_goes_before_the_window(tmp_path):
    entries = np.sqrt(np.arange(4096) * 16).astype(int)
    options = {"ModalityLUTSequence": [lut(entries)], "WindowCenter": 128, "WindowWidth": 200}
    path = write(tmp_path / "a.dcm", PIXELS, **options)
    np.testing.assert_array_equal(read(path), levels(shown(entries[PIXELS], window=(128, 200))))


def test_the_rescale_goes_before_a_table(tmp_path):
    entries = np.arange(8192) * 7
    options = {"VOILUTSequence": [lut(entries, first=65536 - 100)], "RescaleSlope": 2, "RescaleIntercept": -100}
    np.testing.assert_array_equal(read(write(tmp_path / "a.dcm", PIXELS, **options)), entries[2 * PIXELS])


@pytest.mark.parametrize("shape", [None, "IDENTITY", "INVERSE"])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_the_photometric_interpretation_alone_inverts(tmp_path, shape, photometric):
    options = {"PhotometricInterpretation": photometric, "PresentationLUTShape": shape}
    mammogram = read_mammogram(write(tmp_path / "a.dcm", PIXELS, WindowCenter=2000, WindowWidth=800, **options))
    negative = photometric == "MONOCHROME1"
    np.testing.assert_array_equal(mammogram.pixels, levels(shown(PIXELS, window=(2000, 800), negative=negative)))
    contradicts = shape is not None and (shape == "INVERSE") != negative
    assert mammogram.flags == (("presentation-shape-contradicts",) if contradicts else ())


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(("value", "limit"), [(4095, None), (4095, 4000), (0, 100), (100, 0)])
def test_padding_is_black_and_counts_for_no_range(tmp_path, photometric, value, limit):
    options = {"PixelPaddingValue": value, "PixelPaddingRangeLimit": limit, "PhotometricInterpretation": photometric}
    pixels = np.clip(PIXELS, 90, 4090)
    pixels[:5] = value
    low, high = sorted((value, value if limit is None else limit))
    expected = shown(pixels, padding=np.arange(low, high + 1), negative=photometric == "MONOCHROME1")
    np.testing.assert_array_equal(read(write(tmp_path / "a.dcm", pixels, **options)), levels(expected))


def test_padding_of_signed_pixels_is_found_whatever_its_type(tmp_path):
    pixels = noise(12, signed=True)
    path = write(tmp_path / "a.dcm", pixels, signed=True, PixelPaddingValue=-2048)
    expected = levels(shown(pixels, padding=[-2048]))
    np.testing.assert_array_equal(read(path), expected)
    dataset = pydicom.dcmread(path)
    dataset.add_new("PixelPaddingValue", "US", 65536 - 2048)
    dataset.save_as(path)
    np.testing.assert_array_equal(read(path), expected)


@given(
    st.integers(8, 16),
    st.booleans(),
    st.booleans(),
    st.floats(0.05, 0.95),
    st.floats(1.001, 70000),
    st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
)
def test_gray_rises_with_the_stored_value_and_falls_in_monochrome1(
    tmp_path_factory, bits, signed, negative, center, width, function
):
    pixels = np.sort(noise(bits, shape=(9, 7), signed=signed).ravel()).reshape(9, 7)
    low, high = int(pixels[0, 0]), int(pixels[-1, -1])
    options = {
        "WindowCenter": f"{low + center * (high - low):.6g}",
        "WindowWidth": f"{width:.6g}",
        "VOILUTFunction": function,
        "PhotometricInterpretation": "MONOCHROME1" if negative else "MONOCHROME2",
    }
    path = write(tmp_path_factory.mktemp("ramp") / "a.dcm", pixels, bits=bits, signed=signed, **options)
    steps = np.diff(read(path).ravel().astype(int))
    assert (steps <= 0).all() if negative else (steps >= 0).all()
