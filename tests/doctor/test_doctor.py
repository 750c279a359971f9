import re
import shlex
import struct
import zlib
from dataclasses import replace

import av
import numpy as np
import pydicom
import pytest
from PIL import Image

from dmdbt.__main__ import main
from dmdbt.cohort import Case, Statement, read_table, write_statement, write_table
from dmdbt.doctor import Report, Section, report_text
from dmdbt.doctor.advice import next_command
from dmdbt.doctor.cohort_files import cohort_files
from dmdbt.doctor.machine import OPTIONAL, codec_available
from dmdbt.readers.avi.volume import CODECS as AVI_CODECS
from dmdbt.readers.dicom import SYNTAXES, is_available
from dmdbt.terms import Label, Laterality, View
from tests.support import ROOT, breasts, yaml
from tests.support.clinic import write_avi, write_dicom, write_mhd
from tests.support.weights import parameters_text

SLICES = np.random.default_rng(0).integers(0, 256, (3, 32, 32)).astype(np.uint8)
EXTENDED = "1.2.840.10008.1.2.4.51"


def write_cohort(folder, files):
    """A cohort whose cases have the given pairs of files, by name."""
    cases = [
        Case(f"c{number}", f"p{number}", Laterality.LEFT, View.CC, Label.BENIGN, dm, dbt)
        for number, (dm, dbt) in enumerate(files)
    ]
    write_table(folder / "cases.csv", cases)
    return folder


def write_syntax(path, uid):
    """A DICOM file whose header names a transfer syntax; its pixels are never looked at."""
    dataset = pydicom.dcmread(write_dicom(path, SLICES[0].astype(np.uint16)))
    dataset.file_meta.TransferSyntaxUID = uid
    dataset.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xd9"])
    dataset["PixelData"].VR = "OB"
    pydicom.dcmwrite(path, dataset)
    return path


def write_meta(path, rest):
    """A DICOM file that ends in, or is damaged at, the transfer syntax."""
    path.write_bytes(bytes(128) + b"DICM\2\0\x10\0" + rest)


def write_slices(path):
    """A folder of slices, of which those from the second on are damaged."""
    for number in range(4):
        write_dicom(path / f"{number}.dcm", SLICES[0].astype(np.uint16))
    for number in range(1, 4):
        write_meta(path / f"{number}.dcm", b"UI")


def write_bomb(path, columns=30000, rows=30000):
    """A PNG whose header states very many pixels."""
    Image.fromarray(SLICES[0]).save(path, "PNG")
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">2L", columns, rows)
    content[29:33] = struct.pack(">L", zlib.crc32(content[12:29]))
    path.write_bytes(content)


def write_sound(path):
    with av.open(path, "w", format="avi") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))


@pytest.fixture
def cohort(tmp_path):
    """A pair of every container."""
    write_avi(tmp_path / "a.avi", SLICES, codec="ffv1")
    write_avi(tmp_path / "b.avi", SLICES, codec="mjpeg", pixel_format="yuvj420p")
    write_mhd(tmp_path / "c.mhd", SLICES.astype(np.float64))
    for name in ("d", "e"):
        (tmp_path / name).mkdir()
    for number, image in enumerate(SLICES):
        Image.fromarray(image).save(tmp_path / "d" / f"{number}.png")
        write_dicom(tmp_path / "e" / f"{number}.dcm", image.astype(np.uint16))
    write_dicom(tmp_path / "dm.dcm", SLICES[0].astype(np.uint16))
    write_syntax(tmp_path / "jls.dcm", "1.2.840.10008.1.2.4.80")
    Image.fromarray(SLICES[0].astype(np.uint16)).save(tmp_path / "dm.png")
    pairs = [("dm.dcm", "a.avi"), ("dm.dcm", "b.avi"), ("jls.dcm", "c.mhd"), ("dm.png", "d"), ("dm.dcm", "e")]
    return write_cohort(tmp_path, pairs)


def test_the_doctor_counts_what_a_cohort_is_made_of(cohort):
    section = cohort_files(read_table(cohort / "cases.csv"), cohort)
    assert section.lines == (
        "not stated to be real or simulated: there is no cohort.json",
        "5 patients: 0 with a malignant pair, 5 without",
        "5 pairs: 5 CC; 5 L; 5 dm and dbt",
        "dbt: 1 x AVI ffv1",
        "dbt: 1 x AVI mjpeg",
        "dbt: 1 x DICOM Explicit VR Little Endian",
        "dbt: 1 x MetaImage MET_DOUBLE",
        "dbt: 1 x PNG image",
        "dm: 3 x DICOM Explicit VR Little Endian",
        "dm: 1 x DICOM JPEG-LS Lossless",
        "dm: 1 x PNG image",
    )
    assert section.missing == section.faults == ()


def test_a_healthy_cohort_ends_with_exit_code_0_and_no_path(cohort, capsys):
    assert main(["doctor", str(cohort)]) == 0
    output = capsys.readouterr().out
    for pattern in (r"torch \d", r"CUDA: ", r"torchvision: loads", r"\d cores", r"GiB of disk free", r"FFmpeg \d"):
        assert re.search(pattern, output), pattern
    assert "JPEG Lossless: yes" in output
    assert "alexnet: procedural, made here by the stage weights (ImageNet's are alexnet-owt-7be5be79.pth" in output
    assert output.rstrip().endswith("Everything that is needed is there.")
    assert not re.search(r"(?<![\w<])/\w", output)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path, "expected a file or folder, found no file; correct the path in cases.csv"),
        (lambda path: path.mkdir(), "expected slices, found none"),
        (lambda path: path.write_bytes(b"GIF89a"), "expected AVI, DICOM, MetaImage or an image, found none of these"),
        (lambda path: path.write_bytes(b"RIFF\4\0\0\0AVI "), "expected a readable header, found damage"),
        (lambda path: path.write_bytes(bytes(128) + b"DICM\2\0"), "expected a readable header, found damage"),
        (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n"), "expected a readable header, found damage"),
        (lambda path: path.write_text("NDims = 3\nDimSize"), "expected a readable header, found damage"),
        (
            lambda path: write_avi(path, SLICES, codec="flv", pixel_format="yuv420p"),
            "expected a codec that is read",
        ),
        (lambda path: write_sound(path), "expected one video of a known codec, found 0"),
        (lambda path: write_syntax(path, "1.2.840.10008.1.2.4.203"), "expected a transfer syntax that is read"),
        (lambda path: write_bomb(path), "expected a picture of fewer pixels, found a header that states very many"),
        (lambda path: write_bomb(path, 20000, 10000), "expected a picture of fewer pixels, found a header that"),
        (lambda path: write_meta(path, b"UK\x04\x001.2\0"), "expected a readable header, found damage (NotImplemented"),
        (lambda path: write_meta(path, b"UL\x03\x001.2"), "expected a readable header, found damage ("),
        (lambda path: write_meta(path, b"UI"), "expected a readable header, found damage ("),
        (lambda path: write_slices(path), "1.dcm: expected a readable header, found damage ("),
    ],
)
def test_what_cannot_be_read_is_a_fault_with_its_case(tmp_path, capsys, make, message):
    write_dicom(tmp_path / "dm.dcm", SLICES[0].astype(np.uint16))
    make(tmp_path / "x")
    assert main(["doctor", str(write_cohort(tmp_path, [("dm.dcm", "x")]))]) == 3
    output = capsys.readouterr().out
    assert f"FAULT case=c0 file=x: {message}" in output
    assert "1 faults in the data: exit code 3." in output
    assert str(tmp_path) not in output


@pytest.mark.parametrize("kind", ["MetaImage", "DICOM"])
def test_a_long_value_of_a_header_is_shortened(tmp_path, capsys, kind):
    if kind == "MetaImage":
        write_mhd(tmp_path / "x", SLICES, "1" * 60_000)
    else:
        meta = b"\2\0\x10\0UI" + struct.pack("<H", 60_000) + b"1" * 60_000
        (tmp_path / "x").write_bytes(bytes(128) + b"DICM" + meta)
    main(["doctor", str(write_cohort(tmp_path, [("x", "")]))])
    assert re.search(f"dm: 1 x {kind} 1{{64}}$", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.skipif(is_available(SYNTAXES[EXTENDED]), reason="the optional decoder is installed")
def test_a_decoder_that_a_cohort_needs_is_missing_with_the_command_that_installs_it(tmp_path, capsys):
    write_syntax(tmp_path / "dm.dcm", EXTENDED)
    write_avi(tmp_path / "a.avi", SLICES)
    assert main(["doctor", str(write_cohort(tmp_path, [("dm.dcm", "a.avi")]))]) == 4
    output = capsys.readouterr().out
    assert "JPEG Extended: no; rare and optional, pip install pylibjpeg pylibjpeg-libjpeg" in output
    assert "MISSING DICOM JPEG Extended: pip install pylibjpeg pylibjpeg-libjpeg (1 files of the cohort)" in output
    assert "1 things are missing here, 0 faults in the data: exit code 4." in output


def test_the_requirements_bring_every_decoder_that_is_not_optional():
    assert [name for name in AVI_CODECS if not codec_available(name)] == []
    assert [uid for uid, syntax in SYNTAXES.items() if not is_available(syntax) and uid not in OPTIONAL] == []
    assert not codec_available("no such codec")


@pytest.mark.parametrize(("simulated", "kind"), [(True, "simulated"), (False, "real")])
def test_the_doctor_names_what_a_cohort_states(cohort, simulated, kind):
    write_statement(cohort / "cohort.json", Statement(simulated, "a set", "a rule"))
    section = cohort_files(read_table(cohort / "cases.csv"), cohort)
    assert section.lines[:2] == (
        f"stated to be {kind}: a set",
        "labels: a rule",
    )


def test_a_statement_that_is_damaged_ends_with_exit_code_2(cohort, capsys):
    (cohort / "cohort.json").write_text("{")
    assert main(["doctor", str(cohort)]) == 2
    assert "E-STATEMENT-MALFORMED case=- file=cohort.json" in capsys.readouterr().err


def test_a_table_that_is_malformed_ends_with_exit_code_2(tmp_path, capsys):
    assert main(["doctor", str(tmp_path)]) == 2
    assert "E-TABLE-MISSING" in capsys.readouterr().err


def test_weights_are_looked_for_where_the_parameters_say(tmp_path, capsys, hub):
    (tmp_path / "alexnet.safetensors").write_bytes(b"")
    settings = "backbones:\n  names: [alexnet, resnet]\n  resnet_depth: 50\n  weights: "
    own = settings + str(tmp_path / "{backbone}.safetensors")
    (tmp_path / "params.yaml").write_text(parameters_text(own))
    assert main(["doctor", "--params", str(tmp_path / "params.yaml")]) == 4
    output = capsys.readouterr().out
    assert "alexnet: the file alexnet.safetensors" in output
    assert "MISSING weights of resnet: backbones.weights.resnet: expected imagenet, procedural or an existing" in output
    (tmp_path / "params.yaml").write_text(parameters_text(settings + "imagenet"))
    assert main(["doctor", "--params", str(tmp_path / "params.yaml")]) == 4
    text = (tmp_path / "params.yaml").read_text()
    output = capsys.readouterr().out
    assert "resnet: imagenet, resnet50-0676ba61.pth, 97.8 MiB, licence BSD-3-Clause, not here: `python" in output
    (hub / "resnet50-0676ba61.pth").write_bytes(b"<html>")
    assert main(["doctor", "--params", str(tmp_path / "params.yaml")]) == 4
    assert "MISSING weights of resnet: E-WEIGHTS-HASH case=- file=resnet50-0676ba61.pth" in capsys.readouterr().out
    (tmp_path / "params.yaml").write_text(text.replace("[alexnet,", "[alexandria,"))
    assert main(["doctor", "--params", str(tmp_path / "params.yaml")]) == 2
    assert "backbones.names[0]: expected a known backbone, got 'alexandria'" in capsys.readouterr().err


def test_what_is_missing_here_goes_before_faults_in_the_data():
    report = Report((Section("a", ("line",), missing=("m",)), Section("b", (), faults=("f",))))
    assert report.exit_code == 4
    assert report_text(report).splitlines()[:3] == ["a", "  line", "b"]
    assert Report((Section("b", (), faults=("f",)),)).exit_code == 3
    assert Report(()).exit_code == 0


def patients(folder, n_patients, **changes):
    """A table of pairs, half of them malignant, whose files have a few bytes each."""
    cases = []
    for number in range(n_patients):
        case = Case(
            f"c{number}", f"p{number}", Laterality.LEFT, View.CC, list(Label)[number % 2], f"{number}", f"v{number}"
        )
        for name in (case.dm, case.dbt):
            folder.mkdir(exist_ok=True)
            (folder / name).write_text(f"file {name}")
        cases.append(replace(case, **changes))
    write_table(folder / "cases.csv", cases)
    return cases


def test_the_doctor_counts_patients_and_names_files_that_look_the_same(tmp_path):
    cases = patients(tmp_path, 6)
    (tmp_path / "3").write_text("file 1")
    lines = cohort_files(read_table(tmp_path / "cases.csv"), tmp_path).lines
    assert lines[1:4] == (
        "6 patients: 3 with a malignant pair, 3 without",
        "6 pairs: 6 CC; 6 L; 6 dm and dbt",
        "these files look the same: 1, 3",
    )
    assert len(cases) == 6


@pytest.mark.parametrize(
    ("n_patients", "name", "changes", "command"),
    [
        (6, "lab", {}, "dvc exp run $(python -m dmdbt settings small) -S cohort={0}/lab"),
        (60, "lab", {}, "dvc exp run -S cohort={0}/lab"),
        (60, "lab", {"dm": ""}, "dvc exp run -S cohort={0}/lab -S missing_modality=allow"),
        (60, "My Cohort", {}, """dvc exp run -S 'cohort='"'"'{0}/My Cohort'"'"''"""),
    ],
)
def test_the_doctor_gives_the_command_that_runs_a_cohort(tmp_path, n_patients, name, changes, command):
    section = next_command(patients(tmp_path / name, n_patients, **changes), tmp_path / name)
    assert section.lines[-1] == command.format(tmp_path)
    words = shlex.split(section.lines[-1].replace("$(python -m dmdbt settings small)", ""))
    assert words[:3] == ["dvc", "exp", "run"]
    path = next(word.removeprefix("cohort=") for word in words if word.startswith("cohort="))
    assert path.strip("'") == str(tmp_path / name)


def test_too_few_patients_of_a_class_are_said_in_place_of_a_command(tmp_path):
    section = next_command(patients(tmp_path / "lab", 5), tmp_path / "lab")
    assert section.lines == ("to train, at least 3 patients of each class are needed; one has 2",)


def test_the_doctor_reads_every_pixel_if_asked(tmp_path, capsys):
    breasts.write_cohort(tmp_path)
    main(["doctor", str(tmp_path)])
    assert "only headers were read" in capsys.readouterr().out
    content = bytearray((tmp_path / "dbt/1.avi").read_bytes())
    content[len(content) // 2] ^= 0xFF
    (tmp_path / "dbt/1.avi").write_bytes(content)
    assert main(["doctor", str(tmp_path), "--pixels"]) == 3
    out = capsys.readouterr().out
    assert re.search(r"FAULT case=c1 dbt: AVI-DAMAGED expected 9 slices", out)


def test_the_doctor_knows_the_labels_of_the_parameters(tmp_path, capsys):
    patients(tmp_path / "lab", 6)
    table = tmp_path / "lab/cases.csv"
    table.write_text(table.read_text().replace("benign", "0").replace("malignant", "1"))
    assert main(["doctor", str(tmp_path / "lab")]) == 2
    content = yaml.load(ROOT / "params.yaml")
    content["labels"] = {"benign": [0], "malignant": [1]}
    yaml.dump(content, tmp_path / "params.yaml")
    capsys.readouterr()
    main(["doctor", str(tmp_path / "lab"), "--params", str(tmp_path / "params.yaml")])
    assert "6 patients: 3 with a malignant pair, 3 without" in capsys.readouterr().out
