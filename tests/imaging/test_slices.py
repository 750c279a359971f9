import json

import numpy as np
import pytest

from dmdbt.errors import IntegrityError
from dmdbt.imaging import read_slices, write_gray, write_slices
from dmdbt.readers import open_volume
from tests.support.clinic import write_avi


def slices(n_slices=5, rows=48, columns=64):
    return np.random.default_rng(n_slices).integers(0, 256, (n_slices, rows, columns)).astype(np.uint8)


def test_slices_are_read_as_they_were_written_but_for_the_jpeg(tmp_path):
    smooth = np.add.outer(np.arange(4) * 9, np.add.outer(np.arange(40), np.arange(50))).astype(np.uint8)
    with open_volume(write_avi(tmp_path / "a.avi", smooth)) as volume:
        write_slices(volume, tmp_path / "slices", quality=95)
    assert sorted(path.name for path in (tmp_path / "slices").iterdir())[:2] == ["0001.jpg", "0002.jpg"]
    assert np.abs(read_slices(tmp_path / "slices").astype(int) - smooth).max() <= 3


def test_a_changed_or_missing_slice_is_refused(tmp_path):
    with open_volume(write_avi(tmp_path / "a.avi", slices())) as volume:
        write_slices(volume, tmp_path / "slices", quality=95)
    write_gray(tmp_path / "slices" / "0003.jpg", slices()[0])
    with pytest.raises(IntegrityError, match="E-SLICES-CHANGED .*file=0003.jpg .*SHA-256"):
        read_slices(tmp_path / "slices")
    (tmp_path / "slices" / "0003.jpg").unlink()
    with pytest.raises(IntegrityError, match="E-SLICES-CHANGED .*file=0003.jpg"):
        read_slices(tmp_path / "slices")


def test_a_folder_without_our_manifest_is_no_volume(tmp_path):
    with pytest.raises(IntegrityError, match="E-SLICES-MISSING"):
        read_slices(tmp_path)
    (tmp_path / "manifest.json").write_text('{"format": "other", "version": 1}')
    with pytest.raises(IntegrityError, match="E-SLICES-FORMAT .*found other 1"):
        read_slices(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": 7}, "E-SLICES-SIZE .*expected uint8 .7, 64. as in the manifest, found uint8 .48, 64."),
        ({"slices": []}, "E-SLICES-FEW .*expected at least 2 slices, found 0"),
    ],
)
def test_slices_that_contradict_their_manifest_are_refused(tmp_path, change, message):
    with open_volume(write_avi(tmp_path / "a.avi", slices())) as volume:
        write_slices(volume, tmp_path / "slices", quality=95)
    manifest = tmp_path / "slices" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | change))
    with pytest.raises(IntegrityError, match=message):
        read_slices(tmp_path / "slices")
