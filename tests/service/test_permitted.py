import numpy as np
import pytest

from dmdbt.errors import InputDataError
from dmdbt.readers import read_volume
from dmdbt.service.permitted import permitted_path
from dmdbt.service.refused import RefusedError
from tests.support.clinic import write_mhd


@pytest.fixture
def folder(tmp_path):
    """A permitted folder with good and bad links, beside a secret."""
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for path in (inside / "slices", inside / "mixed", outside):
        path.mkdir(parents=True)
    (outside / "secret.dcm").write_bytes(b"secret")
    for path in (inside / "a.dcm", inside / "slices" / "1.png", inside / "mixed" / "1.png"):
        path.write_bytes(b"image")
    (inside / "link.dcm").symlink_to("a.dcm")
    (inside / "out.dcm").symlink_to(outside / "secret.dcm")
    (inside / "out").symlink_to(outside)
    (inside / "mixed" / "2.png").symlink_to(outside / "secret.dcm")
    (inside / "loop").symlink_to("loop")
    write_mhd(inside / "v.mhd", np.zeros((2, 2, 2)))
    (inside / "v.raw").unlink()
    (inside / "v.raw").symlink_to(outside / "secret.dcm")
    return inside


@pytest.mark.parametrize(
    ("text", "leads_to"),
    [
        ("a.dcm", "a.dcm"),
        ("./slices//1.png", "slices/1.png"),
        ("slices", "slices"),
        ("link.dcm", "a.dcm"),
        (".", "slices/.."),
    ],
)
def test_what_lies_inside_is_permitted_without_its_links(folder, text, leads_to):
    if text == ".":
        for name in ("out", "out.dcm", "v.raw"):
            (folder / name).unlink()
    assert permitted_path(folder, text) == (folder / leads_to).resolve()


def test_a_file_that_is_missing_is_the_readers_business(folder):
    assert permitted_path(folder, "none.dcm") == folder / "none.dcm"


@pytest.mark.parametrize(
    "text",
    [
        "../outside/secret.dcm",
        "slices/../../outside/secret.dcm",
        "slices/../a.dcm",
        "..",
        "/etc/passwd",
        "{}/a.dcm",
        "//etc/passwd",
        "out.dcm",
        "out/secret.dcm",
        "out",
        "mixed",
        "a.dcm\0",
        "x" * 300,
        "a.dcm/" * 1000,
    ],
)
def test_what_lies_or_leads_outside_is_refused_and_not_told_apart(folder, text):
    with pytest.raises(RefusedError, match="E-PATH cause=expected a path relative to the permitted folder") as caught:
        permitted_path(folder, text.format(folder))
    assert caught.value.status == 403


def test_a_path_outside_is_refused_whether_there_is_a_file_or_not(folder):
    answers = set()
    for text in ("../outside/secret.dcm", "../outside/none.dcm", "out/secret.dcm", "out/none.dcm"):
        with pytest.raises(RefusedError) as caught:
            permitted_path(folder, text)
        answers.add(str(caught.value))
    assert len(answers) == 1


def test_the_data_of_a_metaimage_may_not_lead_outside(folder):
    with pytest.raises(InputDataError, match="MHD-DATA-FILE"):
        read_volume(permitted_path(folder, "v.mhd"))


def test_a_link_to_itself_leads_nowhere_outside(folder):
    assert permitted_path(folder, "loop") == folder / "loop"


def test_without_a_permitted_folder_no_path_is():
    with pytest.raises(RefusedError, match="E-PATH"):
        permitted_path(None, "a.dcm")
