import csv
import dataclasses
import hashlib
import shutil
import subprocess
from pathlib import Path

import av
import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmdbt import params
from dmdbt.cohort import read_statement
from dmdbt.phantom import FindingType, PhantomSettings, image_pair, patients, write_patient
from dmdbt.phantom.dicom_and_avi import write_volume
from dmdbt.terms import Label, Laterality, View
from stages.inputs import phantom as stage
from tests.support.dicom_validator import assert_valid

SMALL = PhantomSettings(patients=12, dm_rows=128, dm_columns=104, dbt_size=64, views_per_patient=1.5)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cohort")
    return folder, [write_patient(patient, SMALL, folder) for patient in patients(SMALL)]


def all_cases():
    return [(patient, view) for patient in patients(SMALL) for view in patient.views]


def decode(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        frames = []
        for frame in container.decode(video=0):
            luma = frame.planes[0]
            frames.append(np.frombuffer(luma, np.uint8).reshape(-1, luma.line_size)[: frame.height, : frame.width])
        return np.stack(frames)


def gradual(shape, seed=0):
    """Gray values as smooth as tissue."""
    rng = np.random.default_rng(seed)
    grid = np.linspace(0, 3, max(shape))
    waves = np.sin(grid[: shape[0], None, None] + grid[None, : shape[1], None] * 2 + grid[None, None, : shape[2]])
    return np.clip(128 + 90 * waves + rng.normal(0, 2, shape), 0, 255).astype(np.uint8)


def test_a_mammogram_file_holds_the_pixels_that_were_simulated(cohort):
    folder, _ = cohort
    for patient, view in all_cases()[:6]:
        dataset = pydicom.dcmread(folder / "dm" / f"{patient.case_id(view)}.dcm")
        assert np.array_equal(dataset.pixel_array, image_pair(patient, view, SMALL).mammogram)


def test_the_header_says_what_a_clinic_says(cohort):
    folder, _ = cohort
    for patient, view in all_cases():
        dataset = pydicom.dcmread(folder / "dm" / f"{patient.case_id(view)}.dcm")
        assert dataset.SOPClassUID == "1.2.840.10008.5.1.4.1.1.1.2"
        assert dataset.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
        assert (dataset.PatientID, dataset.ImageLaterality) == (patient.patient_id, patient.laterality)
        assert dataset.ViewPosition == view
        assert (dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit) == (16, 12, 11)
        assert (dataset.Rows, dataset.Columns) in {(128, 104), (104, 80)}
        assert dataset.ImagerPixelSpacing == pytest.approx([2.24, 2.24])
        assert (
            dataset.PatientOrientation
            == {
                (Laterality.LEFT, View.CC): ["A", "R"],
                (Laterality.RIGHT, View.CC): ["P", "L"],
                (Laterality.LEFT, View.MLO): ["A", "FR"],
                (Laterality.RIGHT, View.MLO): ["P", "FL"],
            }[patient.laterality, view]
        )
        ratio = dataset.DistanceSourceToDetector / dataset.DistanceSourceToPatient
        assert pytest.approx(ratio, abs=1e-5) == dataset.EstimatedRadiographicMagnificationFactor


def test_unique_identifiers_are_unique_and_views_share_a_study(cohort):
    folder, _ = cohort
    datasets = [pydicom.dcmread(path) for path in sorted((folder / "dm").iterdir())]
    assert len({dataset.SOPInstanceUID for dataset in datasets}) == len(datasets)
    studies = {(dataset.PatientID, dataset.StudyInstanceUID) for dataset in datasets}
    assert len(studies) == SMALL.patients
    assert all(str(dataset.SOPInstanceUID).startswith("2.25.") for dataset in datasets)


def test_neither_names_nor_headers_tell_the_label_or_the_finding(cohort):
    folder, _ = cohort
    words = {str(word) for word in (*Label, *FindingType)} | {"benign", "malign", "mass", "calcif", "cancer", "look"}
    for path in sorted(folder.rglob("*.*")):
        assert not any(word in path.name for word in words)
        content = path.read_bytes()
        if path.suffix == ".dcm":
            content = content[: content.index(b"\xe0\x7f\x10\x00")]
        assert not any(word.encode() in content.lower() for word in words if len(word) > 4)


def test_the_same_header_stands_in_a_patient_of_the_other_label(tmp_path):
    patient = patients(SMALL)[0]
    swapped = dataclasses.replace(
        patient, label=Label.BENIGN, look=Label.BENIGN, finding=FindingType.CIRCUMSCRIBED_MASS
    )
    headers = []
    for number, variant in enumerate((patient, swapped)):
        folder = tmp_path / str(number)
        write_patient(variant, SMALL, folder)
        path = folder / "dm" / f"{variant.case_id(variant.views[0])}.dcm"
        headers.append(path.read_bytes()[: -2 * SMALL.dm_rows * SMALL.dm_columns])
    assert headers[0] == headers[1]


def test_a_validator_of_the_standard_finds_no_error(cohort):
    folder, _ = cohort
    for path in sorted((folder / "dm").iterdir())[:4]:
        assert_valid(path, "MammographyImageForPresentation")


def test_a_volume_decodes_to_its_slices_but_for_the_loss_of_jpeg(cohort):
    folder, _ = cohort
    for patient, view in all_cases()[:4]:
        slices = image_pair(patient, view, SMALL).slices
        decoded = decode(folder / "dbt" / f"{patient.case_id(view)}.avi")
        assert decoded.shape == slices.shape
        # About 1 at the size of the demo; large pixels change more from one to the next.
        assert np.sqrt(np.mean((decoded.astype(float) - slices) ** 2)) < 2.0


def test_jpeg_errs_by_about_a_gray_level_at_the_size_of_the_demo(tmp_path):
    settings = PhantomSettings()
    errors = []
    for patient in patients(settings)[:3]:
        slices = image_pair(patient, View.CC, settings).slices
        write_volume(tmp_path / "volume.avi", slices, codec="mjpeg")
        errors.append(np.sqrt(np.mean((decode(tmp_path / "volume.avi").astype(float) - slices) ** 2)))
    assert 0.5 < np.mean(errors) < 1.3


def test_black_and_white_survive_jpeg(tmp_path):
    slices = np.zeros((3, 32, 32), np.uint8)
    slices[:, :16] = 255
    write_volume(tmp_path / "volume.avi", slices, codec="mjpeg")
    assert np.array_equal(decode(tmp_path / "volume.avi"), slices)


@pytest.mark.parametrize("codec", ["ffv1", "raw"])
@given(frames=st.integers(2, 5), rows=st.integers(16, 50), columns=st.integers(16, 50), seed=st.integers(0, 99))
def test_lossless_codecs_keep_every_gray_value_at_every_size(tmp_path_factory, codec, frames, rows, columns, seed):
    path = tmp_path_factory.mktemp("avi") / "volume.avi"
    slices = np.random.default_rng(seed).integers(0, 256, (frames, rows, columns), dtype=np.uint8)
    write_volume(path, slices, codec=codec)
    assert np.array_equal(decode(path), slices)


@given(frames=st.integers(2, 5), rows=st.integers(16, 50), columns=st.integers(16, 50))
def test_jpeg_keeps_the_size_whatever_it_is(tmp_path_factory, frames, rows, columns):
    path = tmp_path_factory.mktemp("avi") / "volume.avi"
    slices = gradual((frames, rows, columns))
    write_volume(path, slices, codec="mjpeg")
    decoded = decode(path)
    assert decoded.shape == slices.shape
    assert np.abs(decoded.astype(float) - slices).mean() < 2


@pytest.mark.parametrize("codec", ["mjpeg", "ffv1", "raw"])
def test_equal_patients_give_equal_bytes(codec, tmp_path):
    settings = dataclasses.replace(SMALL, codec=codec)
    patient = patients(settings)[0]
    digests = []
    for name in ("first", "second"):
        write_patient(patient, settings, tmp_path / name)
        files = sorted((tmp_path / name).rglob("*.*"))
        digests.append([hashlib.sha256(path.read_bytes()).hexdigest() for path in files])
    assert digests[0] == digests[1]
    assert len(digests[0]) == 2 * len(patient.views)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
@pytest.mark.parametrize("codec", ["mjpeg", "ffv1", "raw"])
def test_another_program_plays_the_video(codec, tmp_path):
    slices = gradual((4, 48, 40))
    path = tmp_path / "volume.avi"
    write_volume(path, slices, codec=codec)
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-pix_fmt", "gray", "-f", "rawvideo", "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stderr == b""
    played = np.frombuffer(done.stdout, np.uint8).reshape(slices.shape)
    assert np.abs(played.astype(float) - slices).max() <= (20 if codec == "mjpeg" else 0)


def test_the_number_of_slices_varies_and_the_truth_knows_it(cohort):
    folder, written = cohort
    rows = [truth for patient in written for _, truth in patient]
    assert len({row["slices"] for row in rows}) > 3
    for row in rows:
        assert len(decode(folder / "dbt" / f"{row['case_id']}.avi")) == row["slices"]
        assert 1 <= row["slice"] <= row["slices"]
        assert 0 < row["row"] < 1
        assert 0 < row["column"] < 1


def test_the_stage_writes_a_cohort(tmp_path, monkeypatch):
    monkeypatch.setenv("DMDBT_WORKERS", "1")
    settings = params.Phantom(**dataclasses.asdict(dataclasses.replace(SMALL, patients=3)))
    stage.main(tmp_path / "cohort", settings)
    with (tmp_path / "cohort" / "cases.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["patient_id", "laterality", "view", "label", "dm", "dbt", "case_id"]
    assert [row["case_id"] for row in rows] == sorted(row["case_id"] for row in rows)
    assert {row["patient_id"] for row in rows} == {"P0001", "P0002", "P0003"}
    assert all((tmp_path / "cohort" / row[kind]).is_file() for row in rows for kind in ("dm", "dbt"))
    statement = read_statement(tmp_path / "cohort/cohort.json")
    assert statement.is_phantom
    assert statement.source == "dmdbt phantom, seed 2019, contrast 1"
    assert statement.label_rule.endswith("or of the other one with probability 0.06.")
    truth = (tmp_path / "cohort" / "truth.csv").read_text(encoding="utf-8")
    assert len(truth.splitlines()) == len(rows) + 1


def test_the_negative_control_states_that_it_has_no_findings(tmp_path, monkeypatch):
    monkeypatch.setenv("DMDBT_WORKERS", "1")
    settings = dataclasses.replace(SMALL, patients=1, contrast=0.0)
    stage.main(tmp_path / "cohort", params.Phantom(**dataclasses.asdict(settings)))
    statement = read_statement(tmp_path / "cohort/cohort.json")
    assert statement.is_negative_control
    assert statement.label_rule == "The label is drawn for each patient; no finding is inserted."
