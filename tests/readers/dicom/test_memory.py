import pytest
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless

from benchmarks.dicom import breast, peak, write_image

pytestmark = pytest.mark.slow

MEGA = 1_000_000


@pytest.mark.parametrize("window", [True, False])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, JPEG2000Lossless])
def test_memory_does_not_grow_with_the_number_of_slices(tmp_path, syntax, window):
    image = breast(614, 472)
    memory = {}
    for slices in (2, 40):  # 1.2 and 23 MB
        write_image(tmp_path / "a.dcm", image, syntax=syntax, slices=slices, window=window)
        memory[slices], _ = peak(tmp_path / "a.dcm")
    assert memory[40] - memory[2] < 8 * MEGA


@pytest.mark.usefixtures("only_in_full")  # a minute, 372 MB on disk
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, JPEG2000Lossless])
def test_a_large_volume_is_read_in_little_memory(tmp_path, syntax):
    write_image(tmp_path / "a.dcm", breast(2457, 1890), syntax=syntax, slices=40)
    memory, _ = peak(tmp_path / "a.dcm")
    assert memory < 250 * MEGA
