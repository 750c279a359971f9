import asyncio
import resource
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dmdbt import params
from dmdbt.errors import InputDataError
from dmdbt.readers import Limits, read_volume
from dmdbt.service.refused import RefusedError
from dmdbt.service.upload import own_name, receive
from dmdbt.terms import Modality
from tests.support.service import form
from tests.support.volumes import smooth_volume

READING = params.Reading(**vars(Limits()))
HOSTILE = [
    "../../x.dcm",
    "/etc/passwd",
    "C:\\x\\y.dcm",
    "..",
    "<img src=x>.dcm",
    "a\0b.dcm",
    "\u202e.dcm",
    "x.d c m",
    "=1+1.dcm",
]


def received(folder, *parts, reading=READING, chunk=50_000, kind=None, cut=None):
    folder.mkdir(exist_ok=True)
    stated, content = form(*parts)
    content = content[:cut]

    async def stream():
        for start in range(0, len(content), chunk):
            yield content[start : start + chunk]

    return asyncio.run(receive(stream(), stated if kind is None else kind, folder, reading))


def refusal(folder, *parts, **options):
    with pytest.raises(RefusedError) as caught:
        received(folder, *parts, **options)
    return caught.value


@pytest.mark.parametrize("chunk", [1, 7, 50_000])
def test_texts_and_files_arrive_whatever_pieces_they_come_in(tmp_path, chunk):
    image = bytes(range(256)) * 4 + b"\r\n--"
    got = received(tmp_path, ("patient", " P\u00e91 "), ("dm", "a.DCM", image), ("dbt", "b.avi", b"video"), chunk=chunk)
    assert got.texts == {"patient": "P\u00e91"}
    assert got.files == {Modality.DM: tmp_path / "mammogram.dcm", Modality.DBT: tmp_path / "volume.avi"}
    assert got.files[Modality.DM].read_bytes() == image
    assert got.files[Modality.DBT].read_bytes() == b"video"
    assert got.sent == {"mammogram": "a.DCM", "volume": "b.avi"}


def test_an_input_that_was_left_empty_is_no_file(tmp_path):
    got = received(tmp_path, ("patient", ""), ("dm", "", b""), ("dbt", "", b""), ("laterality", "L"))
    assert (got.texts, got.files, got.sent) == ({"laterality": "L"}, {}, {})


@pytest.mark.parametrize("name", HOSTILE)
def test_files_have_names_of_ours_whatever_they_were_sent_with(tmp_path, name):
    folder = tmp_path / "in" / "here"
    folder.parent.mkdir()
    got = received(folder, ("dm", name, b"dm"), ("dbt", name, b"1"), ("dbt", f"{name}2", b"2"))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == len(got.sent)
    assert all(
        path.is_relative_to(folder) and path.name.replace("-", "").replace(".dcm", "").isalnum() for path in files
    )
    assert all(path.name.isascii() for path in files)
    assert name.endswith(got.sent["mammogram"])


def test_several_files_are_the_slices_of_a_folder_in_the_order_of_their_names(tmp_path):
    volume = smooth_volume(12, 32, 24, 1)
    parts = []
    for number, image in enumerate(volume):
        Image.fromarray(image).save(tmp_path / "slice.png")
        parts.append(("dbt", f"folder/my slice {number}.png", (tmp_path / "slice.png").read_bytes()))
    parts.append(("dbt", "folder/.DS_Store", b"left by a file manager"))
    got = received(tmp_path / "form", *parts[::-1])
    assert np.array_equal(read_volume(got.files[Modality.DBT]), volume)
    assert sorted(got.sent.values()) == sorted(f"my slice {number}.png" for number in range(12))
    lost = received(tmp_path / "lost", *parts[:5], *parts[6:])
    with pytest.raises(InputDataError, match="found none with number 5"):
        read_volume(lost.files[Modality.DBT])
    other = received(tmp_path / "other", *parts, ("dbt", "thumbs.png", parts[0][2]))
    with pytest.raises(InputDataError, match="FOLDER-ORDER"):
        read_volume(other.files[Modality.DBT])


@given(st.text(st.characters(codec="ascii", exclude_characters="/\\"), max_size=60), st.text(max_size=20))
def test_our_names_differ_where_those_that_were_sent_do(one, other):
    assert (own_name(one) == own_name(other)) == (one == other)
    assert "/" not in own_name(one + other)
    assert (own_name(one + other).replace("-", "") or "x").isalnum()


@pytest.mark.parametrize("role", Modality)
def test_a_file_over_the_limit_stops_while_it_streams(tmp_path, role):
    reading = replace(READING, file_gib=0.001)
    small, large = b"0" * 2**20, b"0" * 3 * 2**20
    received(tmp_path / "small", (role, "a", small), reading=reading)
    error = refusal(tmp_path / "large", (role, "a", large), reading=reading)
    assert (error.status, error.code) == (413, "TOO-LARGE")
    assert error.cause == f"expected GiB of {role} up to 0.001 (reading.file_gib of the bundle), found more"
    written = sum(path.stat().st_size for path in (tmp_path / "large").rglob("*") if path.is_file())
    assert written <= 0.001 * 2**30


def test_slices_count_together_and_their_number_is_limited(tmp_path):
    half = b"0" * 600_000
    error = refusal(tmp_path / "a", ("dbt", "1", half), ("dbt", "2", half), reading=replace(READING, file_gib=0.001))
    assert error.status == 413
    parts = [("dbt", f"{number}.png", b"0") for number in range(13)]
    received(tmp_path / "b", *parts[:12], reading=replace(READING, slices=2))
    error = refusal(tmp_path / "c", *parts, reading=replace(READING, slices=2))
    assert (error.status, error.cause) == (413, "expected slices up to 2 (reading.slices of the bundle), found more")


def test_what_is_not_kept_counts_and_what_follows_the_form_is_not_read(tmp_path):
    reading = replace(READING, file_gib=0.001)
    for name in ("", ".hidden"):
        assert refusal(tmp_path / f"a{name}", ("dbt", name, b"0" * 2**21), reading=reading).status == 413
    (tmp_path / "b").mkdir()
    kind, content = form(("dm", "a.dcm", b"0"))
    asked = []

    async def stream():
        yield content
        asked.append("more")
        yield b"more"

    asyncio.run(receive(stream(), kind, tmp_path / "b", reading))
    assert asked == []


def test_a_pause_ends_the_upload(tmp_path):
    async def stream():
        yield b"--x"
        await asyncio.sleep(60)

    with pytest.raises(
        RefusedError, match="E-UPLOAD-TIME cause=expected the files without a pause of 0.05 s"
    ) as caught:
        asyncio.run(receive(stream(), "multipart/form-data; boundary=x", tmp_path, READING, pause=0.05))
    assert caught.value.status == 408


def test_a_full_disk_is_told(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        error = refusal(tmp_path, ("dm", "a.dcm", b"0" * 100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (error.status, error.code) == (507, "DISK")


@pytest.mark.parametrize(
    ("parts", "options", "words"),
    [
        ([("dm", "a", b"x")], {"kind": "application/x-www-form-urlencoded"}, "found another type"),
        ([("dm", "a", b"x")], {"kind": ""}, "found another type"),
        ([("dm", "a", b"x")], {"kind": "multipart/form-data"}, "found damage"),
        ([("dm", "a", b"x")], {"kind": "multipart/form-data; boundary=other"}, "found damage"),
        ([("dm", "a", b"x")], {"cut": -5}, "found a part of one"),
        ([("dm", "a", b"x" * 500)], {"cut": 200}, "found a part of one"),
        ([("dm", "a", b"x"), ("dm", "b", b"x")], {}, "expected one mammogram, found two"),
        ([("dbt", "a/1", b"x"), ("dbt", "b/1", b"x")], {}, "expected one slice of each name, found two"),
        ([("dm", "a" * 201, b"x")], {}, "expected a file name of at most 200 characters, found one of 201"),
        ([("other", "a", b"x")], {}, "expected the files dm and dbt, found another"),
        ([("other", "x")], {}, "expected the fields of the page, found another"),
        ([("patient", "x" * 5000)], {}, "expected at most 4096 bytes of text in a field, found more"),
        ([("x" * 10_000, "x")], {}, "found damage"),
        ([("patient", "P1"), ("patient", "P1")], {}, "expected the field patient once, found it twice"),
        ([("view", ""), ("view", "CC")], {}, "expected the field view once, found it twice"),
    ],
)
def test_another_form_is_refused(tmp_path, parts, options, words):
    error = refusal(tmp_path, *parts, **options)
    assert (error.status, error.code) == (400, "FORM")
    assert words in error.cause
