"""Small folders in exactly the published layouts, imported and read again. All images are made here."""

import csv
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from dmdbt import importers, terms
from dmdbt.__main__ import main
from dmdbt.cohort import Case, Statement, read_statement, read_table
from dmdbt.errors import InputDataError, SurroundingsError
from dmdbt.imaging import read_gray
from dmdbt.importers import bcs_dbt, tsynth, victre
from dmdbt.importers.cohort_folder import Findings, Pair, Transfer, build_cohort
from dmdbt.importers.gray import gray_of_counts, gray_of_ratio
from dmdbt.readers import open_volume, volume_files
from dmdbt.terms import Label, Laterality, View
from tests.readers.other.test_metaimage import write_mhd
from tests.support.clinic import write_dicom

FOR_PROCESSING, CT = "1.2.840.10008.5.1.4.1.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2"
TEXTS = {"about": "", "statement": Statement(simulated=True, source="a set", label_rule="a rule")}
BTO = "1.2.840.10008.5.1.4.1.1.13.1.3"


def rows(cohort):
    with (cohort / "cases.csv").open(newline="") as file:
        return list(csv.DictReader(file))


# T-SYNTH and M-SYNTH

DENSITY, BREAST, SIZE = "1.06", "fatty", "5.0"
ATTENUATION = np.outer(np.linspace(4, 0, 10), np.ones(24)).round(3)  # chest wall, thick, in the first row


def write_tsynth(source, phantom, *, lesion=None, dose="2.22e10", breast=BREAST):
    """One phantom as both sets store it: float64 (z, y, x), and two float32 images of which the first counts."""
    dbt = source / "volumes" / f"device_data_VICTREPhantoms_spic_{DENSITY}/{breast}/2/{SIZE}/SIM"
    dbt = dbt / f"D2_{SIZE}_{breast}.{phantom}" / str(phantom)
    dm = source / "data" / f"device_data_VICTREPhantoms_spic_{DENSITY}/{dose}/{breast}/2/{SIZE}/SIM"
    dm = dm / f"P2_{SIZE}_{breast}.8336192.{phantom}" / str(phantom)
    for folder in (dbt, dm):
        folder.mkdir(parents=True)
    volume = np.random.default_rng(phantom).normal(0, 0.01, (5, 12, 28)) + np.arange(28) / 28
    write_mhd(dbt / f"reconstruction{phantom}.mhd", volume)
    frames = np.stack([np.exp(ATTENUATION), np.full_like(ATTENUATION, 7.0)]).astype("<f4")
    flat = {"NDims": "2", "DimSize": "24 10", "ElementSpacing": "0.085 0.085"}
    write_mhd(dm / f"projection_DM{phantom}.mhd", frames, "MET_FLOAT", **flat)
    if phantom % 2 if lesion is None else lesion:
        (dbt / f"reconstruction{phantom}.loc").write_text("7 5 2\n")
        (dm / f"projection_DM{phantom}.loc").write_text("7 5 2\n")
    return dbt, dm, volume


def test_tsynth_pairs_are_joined_turned_and_labelled(tmp_path, capsys):
    source, target = tmp_path / "source", tmp_path / "cohort"
    _, _, volume = write_tsynth(source, 3)
    write_tsynth(source, 12)
    assert main(["import", "tsynth", str(source), str(target)]) == 0
    assert "a simulated mass is no cancer" in (output := capsys.readouterr().out)
    assert "Imported: 2 rows (1 benign, 1 malignant) of 2 patients." in output
    assert str(tmp_path) not in output + (target / "README.txt").read_text()

    cases = read_table(target / "cases.csv")
    assert [(case.case_id, case.patient_id, case.label) for case in cases] == [
        ("tsynth-1.06-fatty-5.0-12", "tsynth-12", Label.BENIGN),
        ("tsynth-1.06-fatty-5.0-3", "tsynth-3", Label.MALIGNANT),
    ]
    assert rows(target)[0]["lesion_size"] == "5.0"
    assert "no malignancy" in rows(target)[0]["label_rule"]
    assert read_statement(target / "cohort.json") == tsynth.STATEMENT
    assert tsynth.STATEMENT.simulated is True

    with open_volume(target / cases[1].dbt) as opened:
        pixels = np.stack(list(opened))
    expected = np.rint((volume - volume.min()) / (volume.max() - volume.min()) * 255)
    np.testing.assert_array_equal(pixels, np.rot90(expected, axes=(1, 2)))
    assert [path.name for path in volume_files(target / cases[1].dbt)] == ["dbt.mhd", "dbt.raw"]

    mammogram = read_gray(target / cases[1].dm)
    assert (mammogram.dtype, mammogram.shape) == (np.uint16, (24, 10))
    np.testing.assert_allclose(mammogram[5] / 65535, ATTENUATION[:, 0] / 4, atol=1e-4)  # chest wall on the left, bright


def test_tsynth_takes_the_highest_dose_and_leaves_out_what_has_no_counterpart(tmp_path, capsys):
    source, target = tmp_path / "source", tmp_path / "cohort"
    write_tsynth(source, 1, breast="dense", dose="8.67e09")
    _, low, _ = write_tsynth(tmp_path / "other", 1, breast="dense", dose="1.73e09")
    (low / "projection_DM1.raw").write_bytes(b"never read")
    lower = source / low.relative_to(tmp_path / "other")
    lower.parent.mkdir(parents=True)
    low.rename(lower)
    dbt, _, _ = write_tsynth(source, 2)
    for file in dbt.iterdir():
        file.unlink()
    cview = source / "cview" / dbt.relative_to(source)
    cview.mkdir(parents=True)
    write_mhd(cview / "reconstruction2.mhd", np.zeros((1, 5, 6), "<f4"), "MET_FLOAT")
    assert main(["import", "tsynth", str(source), str(target)]) == 0
    assert [row["case_id"] for row in rows(target)] == ["tsynth-1.06-dense-5.0-1"]
    output = capsys.readouterr().out
    assert "Left out: 1 (mammogram without its counterpart)." in output
    assert "C-View" in output
    assert main(["import", "tsynth", str(source), str(target), "--unpaired"]) == 0
    assert [(row["dm"], row["dbt"]) for row in rows(target)][1] == ("tsynth-1.06-fatty-5.0-2/dm.png", "")


def test_a_cview_image_in_the_place_of_a_volume_is_a_problem(tmp_path, capsys):
    source, target = tmp_path / "source", tmp_path / "cohort"
    dbt, _, _ = write_tsynth(source, 1)
    (dbt / "reconstruction1.raw").write_bytes(bytes(12 * 28 * 4))
    assert main(["import", "tsynth", str(source), str(target)]) == 3
    errors = capsys.readouterr().err
    assert "E-IMPORT" in errors
    assert "E-TSYNTH-LENGTH" in errors
    assert "expected 13440 bytes for 5 images of 12 x 28, found 1344" in errors
    assert not (target / "cases.csv").exists()


def test_keys_that_a_volume_has_from_its_phantom_are_corrected(tmp_path):
    source, target = tmp_path / "source", tmp_path / "cohort"
    dbt, _, volume = write_tsynth(source, 1)
    write_mhd(dbt / "reconstruction1.mhd", volume, NDims="2", CompressedData="True")
    assert main(["import", "tsynth", str(source), str(target)]) == 0
    with open_volume(target / rows(target)[0]["dbt"]) as opened:
        assert len(list(opened)) == len(volume)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"ElementType": "MET_DOUBLE"},
            "E-TSYNTH-HEADER .*expected MET_FLOAT and a DimSize, found MET_DOUBLE and 24 10",
        ),
        ({"DimSize": "24"}, "E-TSYNTH-HEADER .*found MET_FLOAT and 24"),
        ({"ElementDataFile": "other.raw"}, "E-TSYNTH-RAW .*expected a raw file beside the header"),
        ({}, "E-TSYNTH-BLANK .*expected tissue in the image, found one gray level"),
    ],
)
def test_a_mammogram_that_is_not_what_is_published_is_a_problem(tmp_path, capsys, change, message):
    source = tmp_path / "source"
    _, dm, _ = write_tsynth(source, 1)
    air = np.ones((2, *ATTENUATION.shape), "<f4")
    fields = {"element_type": "MET_FLOAT", "NDims": "2", "DimSize": "24 10"} | change
    fields["element_type"] = fields.pop("ElementType", fields["element_type"])
    write_mhd(dm / "projection_DM1.mhd", air, **fields)
    assert main(["import", "tsynth", str(source), str(tmp_path / "cohort")]) == 3
    assert re.search(message, capsys.readouterr().err)


def test_every_problem_is_told_at_once_and_the_rest_is_imported_on_request(tmp_path, capsys):
    source, target = tmp_path / "source", tmp_path / "cohort"
    write_tsynth(source, 1)
    write_tsynth(source, 2, lesion=True)
    _, dm, _ = write_tsynth(source, 3)
    (dm / "projection_DM3.raw").write_bytes(b"short")
    dbt, _, _ = write_tsynth(source, 5)
    (dbt / "reconstruction5.raw").unlink()
    assert main(["import", "tsynth", str(source), str(target)]) == 3
    errors = capsys.readouterr().err
    assert "found 3 problems and 1 usable pairs" in errors
    assert "reconstruction2.mhd: expected no lesion (.loc), for its id is even" in errors or "projection_DM2" in errors
    assert "expected 1920 bytes for 2 images of 10 x 24, found 5" in errors
    assert "E-TSYNTH-RAW" in errors
    assert str(tmp_path) not in errors
    assert main(["import", "tsynth", str(source), str(target), "--incomplete"]) == 0
    assert len(rows(target)) == 1
    assert "Problem: " in (target / "README.txt").read_text()


def test_an_interrupted_import_goes_on_and_links_stay_in_the_folder(tmp_path):
    source, target = tmp_path / "source", tmp_path / "cohort"
    dbt, _, _ = write_tsynth(source, 1)
    write_tsynth(source, 2)
    assert main(["import", "tsynth", str(source), str(target)]) == 0
    folder = target / "tsynth-1.06-fatty-5.0-1"
    assert (folder / "dbt.raw").samefile(dbt / "reconstruction1.raw")
    assert not any(path.is_symlink() for path in target.rglob("*"))
    content = {path: path.read_bytes() for path in target.rglob("*.*") if path.is_file()}

    (target / "cases.csv").unlink()
    (folder / "dm.png").unlink()
    (folder / ".dm.123456.tmp.png").write_bytes(b"of a killed import")
    kept = {path: path.stat().st_ino for path in target.rglob("dbt.mhd")}
    assert main(["import", "tsynth", str(source), str(target)]) == 0
    assert {path: path.stat().st_ino for path in target.rglob("dbt.mhd")} == kept
    assert {path: path.read_bytes() for path in target.rglob("*.*") if path.is_file()} == content

    (target / ".dmdbt-import").write_text("of another version")
    (folder / "dm.png").write_bytes(b"made otherwise")
    status = next(source.rglob("projection_DM1.raw")).stat()
    os.utime(folder / "dm.png", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert main(["import", "tsynth", str(source), str(target), "--copy"]) == 0
    assert not (folder / "dbt.raw").samefile(dbt / "reconstruction1.raw")
    assert {path: path.read_bytes() for path in target.rglob("*.*") if path.is_file()} == content


def test_an_import_that_is_killed_at_random_leaves_whole_files_and_goes_on(tmp_path, pytestconfig):
    source, target, other = tmp_path / "source", tmp_path / "cohort", tmp_path / "other"
    for phantom in range(1, 9):
        write_tsynth(source, phantom)
    assert main(["import", "tsynth", str(source), str(other), "--copy"]) == 0
    expected = {path.relative_to(other): path.read_bytes() for path in other.rglob("*.*") if path.is_file()}
    rng = np.random.default_rng(0)
    command = [sys.executable, "-m", "dmdbt", "import", "tsynth", str(source), str(target), "--copy"]
    stamp = target / ".dmdbt-import"
    for _ in range(pytestconfig.getoption("--kills")):
        stamp.unlink(missing_ok=True)  # what is made is made again
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
            while running.poll() is None and not stamp.exists():
                time.sleep(0.0005)
            time.sleep(rng.uniform(0, 0.03))
            running.kill()
        found = {path.relative_to(target): path.read_bytes() for path in target.rglob("*.*") if path.is_file()}
        whole = {path: content for path, content in found.items() if ".tmp" not in path.name}
        assert whole == {path: expected[path] for path in whole}
    assert main(["import", "tsynth", str(source), str(target), "--copy"]) == 0
    assert {path.relative_to(target): path.read_bytes() for path in target.rglob("*.*") if path.is_file()} == expected


def test_a_full_disk_ends_the_import_and_says_so(tmp_path):
    def make(*_):
        raise OSError(28, "No space left on device")

    (tmp_path / "a").write_bytes(b"a")
    case = Case("x", "p", Laterality.LEFT, View.CC, Label.BENIGN, "x/a", "")
    findings = Findings(pairs=[Pair(case, (Transfer(tmp_path / "a", "x/a", make),))])
    with pytest.raises(SurroundingsError, match="expected room for x/a, found a full disk"):
        build_cohort(tmp_path / "cohort", findings, copy=False, incomplete=True, **TEXTS)
    with pytest.raises(InputDataError, match="E-IMPORT .*found 0 problems and 0 usable pairs"):
        build_cohort(tmp_path / "cohort", Findings(), copy=False, incomplete=True, **TEXTS)


def test_a_file_that_cannot_be_written_is_a_problem(tmp_path, capsys):
    source, target = tmp_path / "source", tmp_path / "cohort"
    write_tsynth(source, 1)
    (target / "tsynth-1.06-fatty-5.0-1" / "dbt.raw" / "in the way").mkdir(parents=True)
    assert main(["import", "tsynth", str(source), str(target)]) == 3
    assert "tsynth-1.06-fatty-5.0-1: reconstruction1.raw: " in (errors := capsys.readouterr().err)
    assert str(tmp_path) not in errors


SHARED_MEMORY = Path("/dev/shm")


@pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason="there is no second file system")
def test_files_of_another_file_system_are_copied(tmp_path):
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY) as other:
        source = Path(other) / "source"
        write_tsynth(source, 1)
        assert main(["import", "tsynth", str(source), str(tmp_path / "cohort")]) == 0
        raw = next(source.rglob("reconstruction1.raw")).read_bytes()
    assert next((tmp_path / "cohort").rglob("dbt.raw")).read_bytes() == raw


def test_an_interrupt_ends_with_exit_code_130(tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(importers, "build_cohort", interrupted)
    write_tsynth(tmp_path / "source", 1)
    assert main(["import", "tsynth", str(tmp_path / "source"), str(tmp_path / "cohort")]) == 130


@pytest.mark.parametrize("inside", [".", "cohort"])
def test_a_target_inside_the_source_is_refused(tmp_path, capsys, inside):
    assert main(["import", "victre", str(tmp_path), str(tmp_path / inside)]) == 2
    assert "TARGET: expected a folder outside SOURCE" in capsys.readouterr().err
    assert main(["import", "victre", str(tmp_path / "missing"), str(tmp_path)]) == 2
    assert "SOURCE: expected a folder" in capsys.readouterr().err


def test_more_attenuation_is_brighter_by_either_mapping():
    depth = np.linspace(0, 5, 50).reshape(5, 10)
    by_ratio, by_counts = (
        gray_of_ratio(np.exp(depth)),
        gray_of_counts(np.rint(60000 * np.exp(-depth)).astype(np.uint16)),
    )
    np.testing.assert_allclose(by_ratio / 65535, depth / 5, atol=1e-4)
    np.testing.assert_allclose(by_counts / 65535, depth / 5, atol=1e-3)
    noisy = np.exp(depth)
    noisy[0, :3] = [np.nan, np.inf, -4]  # outside the field
    np.testing.assert_array_equal(gray_of_ratio(noisy)[0, :3], 0)
    for mapping in (gray_of_ratio, gray_of_counts):
        with pytest.raises(ValueError, match="expected tissue in the image"):
            mapping(np.ones((3, 3)))


# VICTRE


def write_victre(source, patient, signal, *, slices=4, **changes):
    """One patient as in the archive: a folder per series, one file per image; counts are fewer behind tissue."""
    state = {"SA": "Signal absent", "SP": "Signal present"}[signal]
    shared = {
        "PatientID": patient,
        "PatientName": patient,
        "PatientState": state,
        "ImageLaterality": "R",
        "Modality": "MG",
        "ImageType": ["ORIGINAL", "PRIMARY"],
        "PatientOrientation": ["P", "H"],
        "PresentationIntentType": "FOR PROCESSING",  # of slices and projections too
        "PresentationLUTShape": "IDENTITY",
        "PixelIntensityRelationship": "LIN",
        "BurnedInAnnotation": "NO",
        "LossyImageCompression": "00",
        "ConversionType": "SYN",
    }
    counts = np.rint(50000 * np.exp(-ATTENUATION.T)).astype(np.uint16)
    study = source / "VICTRE" / patient / "01-06-2018-NA-41"
    comments = "85 x 85 micron pixel size; 5:1 antiscatter grid used; float 32 to uint16 bit conversion"
    write_dicom(
        study / "1.000000-NA-11" / "1-1.dcm",
        counts,
        bits=16,
        SOPClassUID=FOR_PROCESSING,
        StudyDescription="Simulated Digital Mammography",
        ImageComments=comments,
        ImagesInAcquisition=1,
        **shared,
    )
    write_dicom(
        study / "3.000000-NA-33" / "1-01.dcm",
        counts,
        bits=16,
        SOPClassUID=FOR_PROCESSING,
        StudyDescription="Simulated DBT Projection",
        ImagesInAcquisition=25,
        InstanceNumber=1,
        **shared,
    )
    for number in range(1, slices + 1):
        values = {
            "SOPClassUID": CT,
            "StudyDescription": "DBT Reconstructed Volume",
            "SeriesDescription": "DBT slices",
            "SeriesInstanceUID": f"1.2.3.{int(patient)}",
            "ImageComments": signal,
            "ImagesInAcquisition": slices,
            "InstanceNumber": number,
            "RescaleIntercept": 0,
            "RescaleSlope": 1,
        }
        # The names count in another order than the slices.
        path = study / "2.000000-DBT slices-22" / f"1-{slices + 1 - number}.dcm"
        write_dicom(path, np.full((24, 10), 100 * number, np.uint16), bits=16, **shared | values | changes)
    return study


def test_victre_pairs_are_joined_by_patient_and_signal(tmp_path, capsys):
    source, target = tmp_path / "source", tmp_path / "cohort"
    write_victre(source, "101", "SA")
    write_victre(source, "202", "SP")
    (source / "LICENSE").write_text("not an image")
    assert main(["import", "victre", str(source), str(target)]) == 0
    output = capsys.readouterr().out
    assert "a simulated\nlesion is no cancer" in output
    assert "Left out: 2 (projection)." in output
    assert "Left out: 1 (file that is no DICOM file)." in output
    assert read_statement(target / "cohort.json") == victre.STATEMENT
    assert victre.STATEMENT.simulated is True
    cases = read_table(target / "cases.csv")
    assert [(case.case_id, case.label, case.view.value, case.laterality.value) for case in cases] == [
        ("victre-101-sa", Label.BENIGN, "CC", "R"),
        ("victre-202-sp", Label.MALIGNANT, "CC", "R"),
    ]
    slices = volume_files(target / cases[0].dbt)
    assert [path.name for path in slices] == ["0001.dcm", "0002.dcm", "0003.dcm", "0004.dcm"]
    assert [int(pydicom.dcmread(path).pixel_array[0, 0]) for path in slices] == [100, 200, 300, 400]
    mammogram = read_gray(target / cases[0].dm)
    np.testing.assert_allclose(mammogram[3] / 65535, ATTENUATION[:, 0] / 4, atol=1e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda study: next(study.glob("2*/1-2.dcm")).unlink(),
            "victre-101-sa: expected slices numbered 1 to 4, found 3 and no number 3",
        ),
        (lambda study: next(study.glob("2*/1-1.dcm")).unlink(), "found 3 and no number 4"),
        (lambda study: edit(next(study.glob("2*/1-2.dcm")), SeriesInstanceUID="9.9"), "found slices of 2 series"),
        (
            lambda study: edit(next(study.glob("2*/1-2.dcm")), ImageLaterality="L"),
            "expected images of one side",
        ),
        (
            lambda study: edit(next(study.glob("1*/*.dcm")), PatientID="a/b"),
            "expected a Patient ID of",
        ),
        (lambda study: edit(next(study.glob("1*/*.dcm")), ImageLaterality="B"), "readable header, found ValueError"),
        (lambda study: edit(next(study.glob("1*/*.dcm")), PixelData=b"\0\0"), "E-VICTRE-DM .*decodable mammogram"),
        (
            lambda study: edit(next(study.glob("1*/*.dcm")), PixelRepresentation=1),
            "VICTRE-DM .*unsigned counts, found int16",
        ),
        (lambda study: copy(next(study.glob("1*/*.dcm"))), "victre-101-sa: expected one mammogram, found 2"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_victre_download_with_a_fault_is_refused(tmp_path, capsys, change, message):
    source = tmp_path / "source"
    change(write_victre(source, "101", "SA"))
    assert main(["import", "victre", str(source), str(tmp_path / "cohort")]) == 3
    errors = capsys.readouterr().err
    assert re.search(message, errors), errors
    assert str(tmp_path) not in errors


def edit(path, **attributes):
    dataset = pydicom.dcmread(path)
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path)


def copy(path):
    path.with_name("1-2.dcm").write_bytes(path.read_bytes())


def test_a_mammogram_without_a_state_has_the_label_of_its_slices(tmp_path):
    source, target = tmp_path / "source", tmp_path / "cohort"
    study = write_victre(source, "7", "SP")
    edit(next(study.glob("1*/*.dcm")), PatientState=None)
    assert main(["import", "victre", str(source), str(target)]) == 0
    assert [row["label"] for row in rows(target)] == ["malignant"]


def test_victre_keeps_what_has_no_counterpart_on_request(tmp_path, capsys):
    source, target = tmp_path / "source", tmp_path / "cohort"
    write_victre(source, "1", "SA")
    next(write_victre(source, "2", "SA").glob("1*/*.dcm")).unlink()
    assert main(["import", "victre", str(source), str(target)]) == 0
    assert "Left out: 1 (volume without its mammogram)." in capsys.readouterr().out
    assert main(["import", "victre", str(source), str(target), "--unpaired"]) == 0
    assert [(row["dm"], row["dbt"]) for row in rows(target)][1] == ("", "victre-2-sa/dbt")


def test_images_without_a_signal_are_a_problem(tmp_path, capsys):
    source = tmp_path / "source"
    study = write_victre(source, "7", "SP")
    for path in study.rglob("*.dcm"):
        edit(path, PatientState=None, ImageComments="other")
    assert main(["import", "victre", str(source), str(tmp_path / "cohort")]) == 3
    assert "7: expected Image Comments SA or SP, or a Patient State, found none" in capsys.readouterr().err


# BCS-DBT


def write_tomosynthesis(path, level, laterality):
    """A multi-frame file with what is read of it in its functional groups: 3 slices, the breast on the left."""
    frames = np.zeros((3, 6, 8), np.uint16)
    frames[:, :, :4] = 100 * (1 + np.arange(3))[:, None, None] + level
    anatomy, voi, transformation, shared = Dataset(), Dataset(), Dataset(), Dataset()
    anatomy.FrameLaterality = laterality
    voi.WindowCenter, voi.WindowWidth, voi.VOILUTFunction = 512, 1024, "LINEAR"
    transformation.RescaleIntercept, transformation.RescaleSlope, transformation.RescaleType = 0, 1, "US"
    if laterality:
        shared.FrameAnatomySequence = [anatomy]
    shared.FrameVOILUTSequence = [voi]
    shared.PixelValueTransformationSequence = [transformation]
    write_dicom(
        path,
        frames[0],
        bits=10,
        SOPClassUID=BTO,
        Modality="MG",
        ImageType=["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "NONE"],
        VolumetricProperties="VOLUME",
        NumberOfFrames=3,
        PixelData=frames.tobytes(),
        BurnedInAnnotation="NO",
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=[frame_group(number) for number in (1, 2, 3)],
    )


def frame_group(number):
    content, group = Dataset(), Dataset()
    content.StackID, content.InStackPositionNumber, content.DimensionIndexValues = "1", number, [1, number]
    group.FrameContentSequence = [content]
    return group


def write_bcs_dbt(source, views, *, part="train-v2", root="manifest-1617905855234"):
    """Tables and images; `views` holds patient, study, view, category and the header's laterality."""
    source.mkdir(exist_ok=True)
    paths = ["PatientID,StudyUID,View,descriptive_path,classic_path"]
    labels = ["PatientID,StudyUID,View,Normal,Actionable,Benign,Cancer"]
    for number, (patient, study, view, category, laterality) in enumerate(views):
        top = f"Breast-Cancer-Screening-DBT/{patient}"
        described = f"{top}/01-01-2000-{study}-MAMMO screening digital bilateral-33603/{number}.000000-NA-92351/1-1.dcm"
        write_tomosynthesis(source / root / described, number, laterality)
        paths.append(f"{patient},{study},{view},{described},{top}/1.2.{number}/1.3.{number}/1-1.dcm")
        flags = [str(int(category == name)) for name in ("Normal", "Actionable", "Benign", "Cancer")]
        labels.append(",".join([patient, study, view, *flags]))
    (source / f"BCS-DBT file-paths-{part}.csv").write_text("\n".join(paths) + "\n")
    (source / f"BCS-DBT labels-{part}.csv").write_text("\n".join(labels) + "\n")


VIEWS = [
    ("DBT-P00013", "DBT-S00163", "rmlo", "Cancer", "R"),
    ("DBT-P00013", "DBT-S00163", "lcc", "Normal", "L"),
    ("DBT-P00024", "DBT-S00100", "lcc2", "Benign", "R"),
    ("DBT-P00024", "DBT-S00100", "rlm", "Benign", "R"),
    ("DBT-P00060", "DBT-S00787", "lmlo", "Actionable", ""),
]


def test_bcs_dbt_keeps_the_views_with_a_biopsy(tmp_path, capsys):
    source, target = tmp_path / "source", tmp_path / "cohort"
    write_bcs_dbt(source, VIEWS)
    assert main(["import", "bcs-dbt", str(source), str(target)]) == 0
    output = capsys.readouterr().out
    for line in (
        "Imported: 2 rows (1 benign, 1 malignant) of 2 patients.",
        "Left out: 1 (Actionable).",
        "Left out: 1 (Normal).",
        "Left out: 1 (view rlm).",
        "Noted: 1 (header with another side than the table).",
        "Cancer -> malignant, Benign -> benign",
    ):
        assert line in output
    table = rows(target)
    assert [(row["case_id"], row["laterality"], row["view"], row["label"]) for row in table] == [
        ("DBT-P00013-DBT-S00163-rmlo", "R", "MLO", "malignant"),
        ("DBT-P00024-DBT-S00100-lcc2", "L", "CC", "benign"),
    ]
    assert read_statement(target / "cohort.json") == bcs_dbt.statement()
    assert bcs_dbt.statement().simulated is False
    assert [row["header_laterality"] for row in table] == ["R", "R"]
    assert [row["dm"] for row in table] == ["", ""]
    assert pydicom.dcmread(target / table[0]["dbt"]).pixel_array[:, 0, 0].tolist() == [100, 200, 300]


@pytest.mark.skipif(not hasattr(terms, "Pairs"), reason="a table without mammograms cannot be read yet")
def test_a_cohort_without_mammograms_is_read_where_that_is_allowed(tmp_path):
    source, target = tmp_path / "source", tmp_path / "cohort"
    write_bcs_dbt(source, VIEWS)
    assert main(["import", "bcs-dbt", str(source), str(target)]) == 0
    cases = read_table(target / "cases.csv", pairs=terms.Pairs.ALLOW)
    assert [case.dm for case in cases] == ["", ""]
    with open_volume(target / cases[0].dbt) as volume:
        assert [int(image[0, 0]) for image in volume] == [25, 50, 75]


def test_bcs_dbt_labels_other_views_on_request(tmp_path):
    source, target = tmp_path / "source", tmp_path / "cohort"
    write_bcs_dbt(source, VIEWS, root=".")
    options = ["--normal-as", "benign", "--actionable-as", "benign"]
    assert main(["import", "bcs-dbt", str(source), str(target), *options]) == 0
    rule = read_statement(target / "cohort.json").label_rule
    assert rule.endswith("; without a biopsy: Normal is benign, Actionable is benign.")
    assert [(row["category"], row["label"], row["label_rule"]) for row in rows(target)] == [
        ("Normal", "benign", "none"),
        ("Cancer", "malignant", "biopsy"),
        ("Benign", "benign", "biopsy"),
        ("Actionable", "benign", "none"),
    ]


def test_bcs_dbt_finds_files_of_either_downloader(tmp_path):
    source, target = tmp_path / "source", tmp_path / "cohort"
    write_bcs_dbt(source, VIEWS[:1])
    image = next(source.rglob("*.dcm"))
    other = source / "Breast-Cancer-Screening-DBT/DBT-P00013/1.2.0/1.3.0/000000.dcm"
    other.parent.mkdir(parents=True)
    image.rename(other)
    assert main(["import", "bcs-dbt", str(source), str(target)]) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda source: next(source.rglob("*.dcm")).unlink(), "DBT-P00013-DBT-S00163-rmlo: expected a file at Breast-"),
        (
            lambda source: next(source.glob("*labels*")).unlink(),
            "expected BCS-DBT labels-<part>.csv in",
        ),
        (lambda source: rewrite(source, "labels", "Cancer", "Kind"), "expected the columns Cancer, found none"),
        (lambda source: rewrite(source, "labels", "rmlo,0,0,0,1", "rmlo,0,0,1,1"), "expected one of Normal"),
        (lambda source: rewrite(source, "labels", "rmlo", "rcc"), "rcc: expected a row in the table of paths"),
        (lambda source: rewrite(source, "paths", "rmlo", "rcc"), "rcc: expected a row in the table of labels"),
        (lambda source: repeat(source, "labels"), "expected DBT-P00013 DBT-S00163 rmlo once, found it twice"),
        (lambda source: rewrite(source, "paths", "Breast-", "../Breast-"), "expected a file at ../Breast"),
    ],
)
def test_a_bcs_dbt_download_with_a_fault_is_refused(tmp_path, capsys, change, message):
    source = tmp_path / "source"
    write_bcs_dbt(source, VIEWS[:1])
    change(source)
    assert main(["import", "bcs-dbt", str(source), str(tmp_path / "cohort")]) == 3
    errors = capsys.readouterr().err
    assert message in errors
    assert str(tmp_path) not in errors


def rewrite(source, kind, old, new):
    path = next(source.glob(f"*{kind}*.csv"))
    path.write_text(path.read_text().replace(old, new))


def repeat(source, kind):
    path = next(source.glob(f"*{kind}*.csv"))
    path.write_text(path.read_text() + path.read_text().splitlines()[1] + "\n")
