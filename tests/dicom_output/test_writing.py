import subprocess
import sys
from datetime import datetime

import highdicom
import numpy as np
import pydicom
import pytest
from PIL import Image

from dmdbt.errors import SystemResourceError
from dmdbt.phantom import PhantomSettings, patients, write_patient
from tests.dicom_output.conftest import children, every_item, groups, value, values
from tests.support.dicom_sources import PATIENT, STUDY, write_folder, write_mammogram, write_multi_frame
from tests.support.dicom_validator import assert_valid
from tests.support.noisy_views import case_view

HOSTILE = "<b>%s\\..\\^=\x1b[31m\r\n\0\udcff \N{RIGHT-TO-LEFT OVERRIDE}医\N{GRINNING FACE}" + "x" * 300


def assert_both_valid(written):
    assert_valid(written.paths[0], "Comprehensive3DSR")
    assert_valid(written.paths[1], "SCImage")


def references(dataset):
    """UIDs of every instance that an object refers to."""
    return {str(item.ReferencedSOPInstanceUID) for item in dataset_items(dataset) if "ReferencedSOPInstanceUID" in item}


def dataset_items(dataset):
    yield dataset
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield from dataset_items(item)


def test_a_validator_finds_no_error_for_a_simulated_mammogram_and_its_video(written, tmp_path):
    settings = PhantomSettings(patients=1, dm_rows=128, dm_columns=104, dbt_size=64)
    (case, _), *_ = write_patient(patients(settings)[0], settings, tmp_path)
    report, sheet, _ = objects = written(case_view(), [tmp_path / case["dm"], tmp_path / case["dbt"]])
    assert_both_valid(objects)
    source = pydicom.dcmread(tmp_path / case["dm"])
    for dataset in (report, sheet):
        assert (dataset.StudyInstanceUID, dataset.PatientID) == (source.StudyInstanceUID, source.PatientID)
        assert (dataset.PatientIdentityRemoved, dataset.DeidentificationMethod) == ("YES", "Simulated patient")


def test_a_validator_finds_no_error_for_a_multi_frame_volume(written, tmp_path):
    write_mammogram(tmp_path / "dm.dcm")
    write_multi_frame(tmp_path / "dbt.dcm", 7)
    assert_both_valid(written(case_view(), [tmp_path / "dm.dcm", tmp_path / "dbt.dcm"]))


def test_a_validator_finds_no_error_for_a_folder_of_slices_alone(written, tmp_path):
    write_folder(tmp_path / "dbt", 5, numbers=range(5))
    assert_both_valid(written(case_view(present=["dbt"], n_slices=5), [tmp_path / "dbt"]))


def test_a_validator_finds_no_error_where_an_anonymizer_removed_everything_but_the_uids(written, tmp_path):
    write_mammogram(tmp_path / "dm.dcm", **dict.fromkeys(PATIENT.keys() - {"StudyInstanceUID"}))
    report, sheet, _ = objects = written(case_view(), [tmp_path / "dm.dcm"])
    assert_both_valid(objects)
    keywords = PATIENT.keys() - {"StudyInstanceUID"}
    assert {str(dataset[keyword].value) for dataset in (report, sheet) for keyword in keywords} == {""}
    assert (report.ContentDate, report.ContentTime) == ("19000101", "000000")


def test_hostile_text_is_legal(written, tmp_path):
    write_mammogram(tmp_path / "dm.dcm")
    view = case_view(case_id=HOSTILE, flags=[HOSTILE], warnings=[HOSTILE, ""], model=HOSTILE)
    report, sheet, _ = objects = written(view, [tmp_path / "dm.dcm"])
    assert_both_valid(objects)
    assert report.SpecificCharacterSet == sheet.SpecificCharacterSet == "ISO_IR 192"
    legal = "<b>%s\\..\\^=\N{REPLACEMENT CHARACTER}[31m \N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER} "
    legal += "\N{REPLACEMENT CHARACTER}医\N{GRINNING FACE}" + "x" * 300
    assert values(report, "warning") == [legal, "-"]
    assert values(groups(report)["dm"], "112039") == [f"{legal} dm"]


def test_the_longest_values_in_letters_of_two_and_three_bytes_are_kept(written, tmp_path):
    """PS3.5 counts characters; dciodvfy counts bytes, and is not asked here."""
    longest = {"PatientID": "é" * 64, "PatientName": "山" * 64, "AccessionNumber": "é" * 16, "StudyID": "é" * 16}
    source = write_mammogram(tmp_path / "dm.dcm", SpecificCharacterSet="ISO_IR 192", **longest)
    for dataset in written(case_view(), [source])[:2]:
        assert {keyword: str(dataset[keyword].value) for keyword in longest} == longest


def test_both_objects_refer_to_every_source_and_the_report_to_the_sheet(written, tmp_path):
    write_mammogram(tmp_path / "dm.dcm")
    write_multi_frame(tmp_path / "dbt.dcm", 7)
    report, sheet, _ = written(case_view(), [tmp_path / "dm.dcm", tmp_path / "dbt.dcm"])
    sources = {"2.25.301", "2.25.302"}
    assert references(sheet) == sources
    assert references(report) == sources | {sheet.SOPInstanceUID}
    assert values(report, "sheet") == [(sheet.SOPInstanceUID, None)]
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    series = {entry.SeriesInstanceUID: entry.ReferencedSOPSequence for entry in study.ReferencedSeriesSequence}
    assert study.StudyInstanceUID == STUDY
    assert {uid: [entry.ReferencedSOPInstanceUID for entry in entries] for uid, entries in series.items()} == {
        "2.25.201": ["2.25.301"],
        "2.25.202": ["2.25.302"],
        sheet.SeriesInstanceUID: [sheet.SOPInstanceUID],
    }
    for reference in dataset_items(report):
        if reference.get("ReferencedSOPInstanceUID") == "2.25.302":
            assert reference.ReferencedSOPClassUID == pydicom.dcmread(tmp_path / "dbt.dcm").SOPClassUID


def test_both_objects_are_of_the_patient_and_the_study_in_new_series(written, tmp_path):
    report, sheet, _ = written(case_view(), [write_mammogram(tmp_path / "dm.dcm")])
    for dataset in (report, sheet):
        assert {keyword: str(dataset[keyword].value) for keyword in PATIENT} == PATIENT
    new = [getattr(dataset, uid) for dataset in (report, sheet) for uid in ("SOPInstanceUID", "SeriesInstanceUID")]
    assert len({*new, STUDY, "2.25.201", "2.25.301"}) == 7
    assert all(pydicom.uid.UID(uid).is_valid and uid.startswith("2.25.") for uid in new)
    assert (report.Modality, sheet.Modality) == ("SR", "OT")
    assert (report.SeriesNumber, sheet.SeriesNumber) == (9701, 9702)


def test_the_sheet_shows_the_pixels_of_the_picture(written, sheet, tmp_path):
    write_mammogram(tmp_path / "dm.dcm")
    capture = written(case_view(), [tmp_path / "dm.dcm"]).sheet
    with Image.open(sheet) as picture:
        np.testing.assert_array_equal(capture.pixel_array, np.asarray(picture))
    assert (capture.PhotometricInterpretation, capture.BurnedInAnnotation) == ("RGB", "YES")
    assert (capture.ConversionType, capture.ImageType[:2]) == ("WSD", ["DERIVED", "SECONDARY"])
    assert "LossyImageCompression" not in capture
    assert not capture.PatientOrientation  # pictures side by side have none


def test_what_was_compressed_with_loss_stays_so(written, tmp_path):
    write_mammogram(tmp_path / "dm.dcm")
    write_multi_frame(tmp_path / "dbt.dcm", 7, LossyImageCompression="01")
    assert written(case_view(), [tmp_path / "dm.dcm", tmp_path / "dbt.dcm"]).sheet.LossyImageCompression == "01"


def test_equal_arguments_give_equal_bytes_at_any_time(written, tmp_path):
    source = write_mammogram(tmp_path / "dm.dcm")
    first, again = (written(case_view(), [source], folder) for folder in ("first", "again"))
    assert [path.read_bytes() for path in first.paths] == [path.read_bytes() for path in again.paths]
    assert (first.report.ContentDate, first.report.ContentTime) == (PATIENT["StudyDate"], PATIENT["StudyTime"])


def test_other_content_is_another_object(written, sheet, tmp_path):
    source = write_mammogram(tmp_path / "dm.dcm")
    found = [written(case_view(), [source])]
    found.append(written(case_view(warnings=["Another."]), [source]))
    found.append(written(case_view(), [write_mammogram(tmp_path / "dm2.dcm", SOPInstanceUID="2.25.399")]))
    found.append(written(case_view(), [write_mammogram(tmp_path / "dm3.dcm", PatientName="Doe^Janet")]))
    found.append(written(case_view(), [source], created=datetime(2025, 1, 2, 3, 4, 5)))
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(sheet)
    found.append(written(case_view(), [source]))
    assert len({objects.report.SOPInstanceUID for objects in found}) == 6
    assert len({objects.sheet.SOPInstanceUID for objects in found}) == 5  # a warning is not in it
    assert len({objects.sheet.SeriesInstanceUID for objects in found}) == 5


def test_the_time_that_is_given_is_that_of_the_content(written, tmp_path):
    source = write_mammogram(tmp_path / "dm.dcm")
    for dataset in written(case_view(), [source], created=datetime(2025, 1, 2, 3, 4, 5))[:2]:
        assert (dataset.ContentDate, dataset.ContentTime) == ("20250102", "030405")
        assert dataset.StudyDate == PATIENT["StudyDate"]


def test_a_repeated_run_tracks_the_same_classifier(written, tmp_path):
    source = write_mammogram(tmp_path / "dm.dcm")
    first, second = (groups(written(case_view(vote_fraction=share), [source]).report) for share in (0.25, 0.5))
    tracked = [[values(group, "112040")[0] for group in report.values()] for report in (first, second)]
    assert tracked[0] == tracked[1]
    assert len(set(tracked[0])) == 4


def test_no_identifier_stands_anywhere_but_in_its_own_element(written, tmp_path):
    """Nor does any other element of the source, or the name of its file."""
    others = {
        "InstitutionName": "CANARY-A",
        "StationName": "CANARY-B",
        "OperatorsName": "CANARY^C",
        "PatientComments": "CANARY-D",
        "OtherPatientIDs": "CANARY-E",
        "StudyDescription": "CANARY-F",
        "ProtocolName": "CANARY-G",
        "DeviceSerialNumber": "CANARY-H",
        "Manufacturer": "CANARY-I",
    }
    own = {keyword: f"CANARY-{number}" for number, keyword in enumerate(("PatientID", "AccessionNumber", "StudyID"))}
    own |= {"PatientName": "CANARY^3", "ReferringPhysicianName": "CANARY^4", "IssuerOfPatientID": "CANARY-5"}
    own |= {"PatientBirthDate": "19550607", "StudyDate": "20210908"}
    source = write_mammogram(tmp_path / "CANARY-file.dcm", **others, **own)
    view = case_view()
    for dataset in written(view, [source], created=datetime(2025, 1, 2))[:2]:
        for keyword, text in own.items():
            assert str(dataset[keyword].value) == text
            del dataset[keyword]
        text = dataset.to_json()
        assert not [canary for canary in ("CANARY", "19550607", "20210908") if canary in text]


def test_highdicom_finds_the_groups_of_its_template(written, tmp_path):
    paths = written(case_view(), [write_mammogram(tmp_path / "dm.dcm")]).paths
    found = highdicom.sr.srread(paths[0]).content.get_image_measurement_groups()
    assert len(found) == 4
    assert found[0].get_measurements()[0].value == 81.25


def test_the_private_codes_have_their_scheme(written, tmp_path):
    report = written(case_view(), [write_mammogram(tmp_path / "dm.dcm")]).report
    (scheme,) = report.CodingSchemeIdentificationSequence
    assert (scheme.CodingSchemeDesignator, "docs/dicom-output.md" in scheme.CodingSchemeName) == ("99DMDBT", True)


def test_every_content_item_is_named_and_has_its_relationship(written, tmp_path):
    report = written(case_view(), [write_mammogram(tmp_path / "dm.dcm")]).report
    items = list(every_item(report))
    assert len(items) > 100
    assert all("RelationshipType" in item for item in items[1:])
    assert [value(child) for child in children(report, "121049")] == [("RFC5646", "en-US")]


def test_the_package_loads_highdicom_only_when_it_writes():
    code = "import sys, dmdbt.dicom_output; print('highdicom' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_without_highdicom_a_sentence_says_what_to_install(written, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(SystemResourceError, match=r"found none. Run: pip install 'dmdbt\[dicom\]'"):
        written(case_view(), [write_mammogram(tmp_path / "dm.dcm")])
