"""AVI files through `open_volume`: whole and right, or refused with a reason."""

import multiprocessing
import struct
import tracemalloc
from pathlib import Path

import av.logging
import numpy as np
import pytest

from dmdbt.errors import InputDataError
from dmdbt.readers import Limits, open_volume
from tests.support import avi_corpus as made
from tests.support.avi_damaged import DAMAGED, RAW
from tests.support.avi_well_formed import JPEGS, MJPG, RANGE_MISTAKEN, SLICES, WELL_FORMED

BATCH = 50  # mutated files per process
SECONDS = 120  # after which a process is said to hang

READ, REFUSED = ([v for v in WELL_FORMED if bool(v.code) == refused] for refused in (False, True))


def read(path, **limits):
    with open_volume(path, Limits(**limits)) as opened:
        return opened, np.stack(list(opened))


@pytest.mark.parametrize("variant", READ, ids=str)
def test_a_volume_has_the_slices_that_were_written(tmp_path, variant):
    opened, slices = read(variant.make(tmp_path / "a.avi"), **variant.limits)
    assert (opened.n_slices, opened.rows, opened.columns) == slices.shape == variant.expected.shape
    assert np.abs(slices.astype(int) - variant.expected).max() <= variant.bound
    assert np.abs(slices.astype(int) - variant.expected).mean() < RANGE_MISTAKEN
    assert tuple(opened.flags) == variant.flags
    assert opened.provenance["container"] == "avi"


@pytest.mark.parametrize("variant", REFUSED, ids=str)
def test_what_cannot_be_read_exactly_is_refused(tmp_path, variant):
    path = variant.make(tmp_path / "a.avi")
    with pytest.raises(InputDataError, match=variant.code):
        read(path, **variant.limits)


@pytest.mark.parametrize("variant", DAMAGED, ids=str)
def test_a_damaged_volume_never_gives_all_its_slices(tmp_path, variant):
    path = variant.make(tmp_path / "a.avi")
    with pytest.raises(InputDataError, match=variant.code):
        read(path, **variant.limits)


def test_the_corpus_is_large_enough():
    assert len({str(variant) for variant in WELL_FORMED}) == len(WELL_FORMED) >= 60
    assert len({str(variant) for variant in DAMAGED}) == len(DAMAGED) >= 60


# The surroundings of a file


def test_a_name_is_never_taken_for_a_protocol(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = Path("concat:a%03d.avi")
    path.write_bytes(made.avi(JPEGS, MJPG))
    assert len(read(path)[1]) == 8


def test_a_folder_is_no_avi_file(tmp_path):
    (tmp_path / "a.avi").mkdir()
    with pytest.raises(InputDataError, match="E-FOLDER-EMPTY .*found nothing"):
        open_volume(tmp_path / "a.avi")


def test_a_volume_is_read_once(tmp_path):
    made.encode(tmp_path / "a.avi", SLICES, "ffv1", "gray")
    with open_volume(tmp_path / "a.avi") as opened:
        assert len(list(opened)) == 8
        with pytest.raises(ValueError, match=r"a.avi: .*not read yet\. Open it again"):
            list(opened)


def test_the_same_damage_is_found_every_time_and_the_log_is_left_as_it_was(tmp_path):
    # libav's log drops messages that repeat, and FFV1's checksum speaks through the log alone.
    frames, strf = made.parts(made.encode(tmp_path / "a.avi", SLICES, "ffv1", "gray"))
    (tmp_path / "a.avi").write_bytes(made.avi([*frames[:4], made.hole(frames[4]), *frames[5:]], strf))
    before = av.logging.get_level(), av.logging.get_skip_repeated()
    messages = set()
    for _ in range(3):
        with pytest.raises(InputDataError, match="E-AVI-DAMAGED .*found damage after 4: slice CRC mismatch") as error:
            read(tmp_path / "a.avi")
        messages.add(str(error.value))
    assert len(messages) == 1
    assert (av.logging.get_level(), av.logging.get_skip_repeated()) == before


def test_slices_are_read_one_at_a_time(tmp_path):
    slices = np.zeros((40, 500, 500), np.uint8)
    (tmp_path / "a.avi").write_bytes(made.avi(made.dib(slices), made.bitmap_header(500, 500, 8, b"Y800")))
    with open_volume(tmp_path / "a.avi") as opened:
        tracemalloc.start()
        for _ in opened:
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 5 * slices[0].nbytes


@pytest.mark.usefixtures("only_in_full")
@pytest.mark.slow
def test_an_opendml_file_of_more_than_1_gb_is_read(tmp_path):
    n_slices, rows, columns = 160, 2000, 4096
    levels = np.arange(n_slices, dtype=np.uint8)
    header = made.avi([bytes(rows * columns)] * 2, made.bitmap_header(rows, columns, 8, b"Y800"), length=n_slices)
    size = rows * columns
    with (tmp_path / "a.avi").open("wb") as file:
        start = header.index(b"movi") + 4
        file.write(header[:start])
        for segment, part in enumerate(np.array_split(levels, 4)):
            data = len(part) * (size + 8)
            if segment:
                file.write(b"RIFF" + struct.pack("<I", data + 16) + b"AVIXLIST" + struct.pack("<I", data + 4) + b"movi")
            else:
                file.seek(4)
                file.write(struct.pack("<I", start - 8 + data))
                file.seek(start - 8)
                file.write(struct.pack("<I", data + 4) + b"movi")
            for level in part:
                file.write(b"00db" + struct.pack("<I", size) + bytes([level]) * size)
    assert (tmp_path / "a.avi").stat().st_size > 1.2e9
    with open_volume(tmp_path / "a.avi") as opened:
        for level, image in zip(levels, opened, strict=True):
            assert (image == level).all()


# Mutations


def bases(folder):
    """Frames, format and container of several codecs, and the slices where a checksum tells that they are right."""
    path = folder / "base.avi"
    for codec, pixel_format, checked in (
        ("ffv1", "gray", True),
        ("png", "gray", True),
        ("mjpeg", "yuvj420p", False),
        ("libx264", "yuv420p", False),
        ("mpeg4", "yuv420p", False),
        ("msrle", "pal8", False),
        ("huffyuv", "rgb24", False),
        ("utvideo", "gbrp", False),
        ("cinepak", "gray", False),
        ("zlib", "bgr24", False),
        ("msmpeg4v3", "yuv420p", False),
        ("ffvhuff", "gray", False),
    ):
        frames, strf = made.parts(made.encode(path, SLICES, codec, pixel_format))
        yield (frames, strf), {"after": made.index(frames)}, read(path)[1] if checked else None
    frames = made.dib(SLICES, top_down=True)
    yield (frames, RAW), {}, None
    yield (frames, RAW), {"segments": 3, "odml": 8, "rec": True}, None


def try_mutations(folder, seeds, findings):
    """In a process of its own: libav may hang or end it."""
    originals = list(bases(folder))
    path = folder / "mutated.avi"
    refused = 0
    for seed in seeds:
        (folder / "seed").write_text(str(seed))
        content, options, expected = originals[seed % len(originals)]
        path.write_bytes(made.mutated(*content, seed, **options))
        try:
            slices = read(path)[1]
        except InputDataError:
            refused += 1
            continue
        if len(slices) != 8 or (expected is not None and not np.array_equal(slices, expected)):
            findings.put(f"mutation {seed}: {slices.shape} or other pixels")
    findings.put(refused)


def pytest_generate_tests(metafunc):
    if "start" in metafunc.fixturenames:
        metafunc.parametrize("start", range(0, metafunc.config.getoption("--mutations"), BATCH))


@pytest.mark.mutation
def test_a_mutated_file_is_refused_or_has_all_its_slices(tmp_path, start):
    context = multiprocessing.get_context("spawn")
    findings = context.SimpleQueue()
    process = context.Process(target=try_mutations, args=(tmp_path, range(start, start + BATCH), findings))
    process.start()
    process.join(SECONDS)
    process.kill()
    process.join()
    assert process.exitcode == 0, f"at mutation {(tmp_path / 'seed').read_text()}"
    refused = findings.get()
    assert isinstance(refused, int), refused
    assert refused > BATCH // 2
