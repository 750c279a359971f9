"""Small folders in exactly the published layout of VICTRE, imported and read again. All images are made here."""

import re

import numpy as np
import pydicom
import pytest

from dmdbt.__main__ import main
from dmdbt.cohort import read_statement, read_table
from dmdbt.imaging import read_gray
from dmdbt.importers import victre
from dmdbt.readers import volume_files
from dmdbt.terms import Label
from tests.support.clinic import write_dicom
from tests.support.public_sets import ATTENUATION, rows

FOR_PROCESSING, CT = "1.2.840.10008.5.1.4.1.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2"


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
