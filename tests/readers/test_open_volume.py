import os

import numpy as np
import pytest

from dmdbt.errors import InputDataError
from dmdbt.readers import container, open_volume, read_mammogram, read_volume
from tests.support.clinic import RAMP, write_avi, write_dicom
from tests.support.volumes import smooth_volume


@pytest.mark.parametrize(
    ("name", "content", "message"), [("a.avi", None, "E-DBT-MISSING"), ("a.mov", b"", "E-DBT-KIND .*found .mov")]
)
def test_what_is_no_volume_is_refused(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputDataError, match=message):
        open_volume(path)


@pytest.mark.parametrize(
    ("asked", "there"),
    [("DM/A.DCM", "dm/a.dcm"), ("dm/A.dcm", "a.dcm"), ("dm/A\u0308.dcm", "\u00e4.dcm"), ("DM/a.dcm", "dm/a.dcm")],
)
def test_a_name_that_differs_in_case_or_normalization_alone_is_named(tmp_path, asked, there):
    (tmp_path / "dm").mkdir()
    (tmp_path / "dm" / there.rpartition("/")[2]).touch()
    message = f"MISSING .*found no file of this name but {there}, which differs in case or in how accents are stored "
    for read in (open_volume, read_mammogram):
        with pytest.raises(InputDataError, match=message):
            read(tmp_path / asked)


@pytest.mark.parametrize(("asked", "found"), [("dm", "a folder"), ("dm/b", "no file"), ("dm/a/a", "no file")])
def test_other_names_are_not_taken_for_a_slip(tmp_path, asked, found):
    (tmp_path / "dm").mkdir()
    (tmp_path / "dm/a").touch()
    (tmp_path / "dm/b").symlink_to("nowhere")
    with pytest.raises(InputDataError, match=f"E-DM-MISSING .*expected a mammogram, found {found} remedy"):
        read_mammogram(tmp_path / asked)


def test_a_pipe_is_no_volume_and_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.bin")
    with pytest.raises(InputDataError, match="E-DBT-KIND .*found .bin and a file of no known kind"):
        open_volume(tmp_path / "a.bin")
    assert container(tmp_path / "a.bin") == "unknown"


def test_a_volume_is_read_whole_by_the_text_of_its_path(tmp_path):
    slices = smooth_volume(4, 12, 16, 0)
    write_avi(tmp_path / "a.avi", slices)
    np.testing.assert_array_equal(read_volume(str(tmp_path / "a.avi")), slices)
    write_dicom(tmp_path / "a.dcm", RAMP)
    assert read_mammogram(str(tmp_path / "a.dcm")).pixels.shape == RAMP.shape
