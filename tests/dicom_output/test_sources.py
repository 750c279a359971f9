import logging
import warnings

import pytest

from dmdbt.dicom_output.sources import read_sources
from dmdbt.errors import InputDataError
from dmdbt.readers.limits import Limits
from dmdbt.terms import Modality
from tests.support.clinic import write_avi
from tests.support.dicom_corpus import noise
from tests.support.dicom_sources import PATIENT, write_folder, write_mammogram, write_multi_frame
from tests.support.noisy_views import case_view


def read(*paths):
    return read_sources(paths, Limits())


def write_illegal(path, **changes):
    """Write a mammogram in spite of pydicom's warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return write_mammogram(path, **changes)


def test_files_are_told_apart_by_their_content_and_not_by_their_place(tmp_path):
    dm = write_mammogram(tmp_path / "b.dcm")
    write_multi_frame(tmp_path / "a.dcm", 4)
    for paths in ([dm, tmp_path / "a.dcm"], [tmp_path / "a.dcm", dm]):
        sources = read(*paths)
        uids = {modality: [entry.sop_instance_uid for entry in found] for modality, found in sources.instances.items()}
        assert uids == {Modality.DM: ["2.25.301"], Modality.DBT: ["2.25.302"]}
        assert sources.frames == [1, 2, 3, 4]


def test_a_folder_of_single_slices_is_a_volume_in_reading_order(tmp_path):
    write_folder(tmp_path / "dbt", 3, numbers=[2, 3, 1])
    (tmp_path / "dbt" / ".DS_Store").write_bytes(b"left behind")
    sources = read(tmp_path / "dbt")
    assert len(sources.instances[Modality.DBT]) == 3
    assert sources.frames == []
    assert Modality.DM not in sources.instances


def test_without_a_dicom_file_there_is_no_patient_to_file_the_results_under(tmp_path):
    video = write_avi(tmp_path / "dbt.avi", noise(8, (3, 16, 16)).astype("uint8"))
    (tmp_path / "slices").mkdir()
    with pytest.raises(InputDataError, match=r"E-DICOM-NO-SOURCE .* remedy=Predict without --dicom"):
        read(video, tmp_path / "slices", tmp_path / "missing.dcm")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"StudyInstanceUID": "2.25.999"}, "StudyInstanceUID"),
        ({"PatientID": "CANARY"}, "PatientID"),
        ({"PatientBirthDate": "19990909"}, "PatientBirthDate"),
        ({"IssuerOfPatientID": "CANARY"}, "IssuerOfPatientID"),
        ({"PatientID": "CANARY", "StudyInstanceUID": "2.25.999"}, "StudyInstanceUID and another PatientID"),
    ],
)
def test_two_studies_or_patients_are_refused_without_their_values(tmp_path, changes, named):
    dm = write_mammogram(tmp_path / "dm.dcm", IssuerOfPatientID="Here")
    write_multi_frame(tmp_path / "dbt.dcm", 4, **changes)
    with pytest.raises(InputDataError, match=f"E-DICOM-OTHER-STUDY .* found another {named} remedy=") as refused:
        read(dm, tmp_path / "dbt.dcm")
    assert not [text for text in ("CANARY", "2.25.", "1999", "Here", *PATIENT.values()) if text in str(refused.value)]


def test_what_one_file_lacks_the_other_has(tmp_path):
    dm = write_mammogram(tmp_path / "dm.dcm", PatientID=None, PatientBirthDate="", AccessionNumber=None)
    write_multi_frame(tmp_path / "dbt.dcm", 4, StudyTime=None)
    header = read(dm, tmp_path / "dbt.dcm").header
    assert {keyword: str(header[keyword].value) for keyword in PATIENT if keyword in header} == {
        keyword: text for keyword, text in PATIENT.items() if keyword != "StudyInstanceUID"
    }


@pytest.mark.parametrize("missing", ["StudyInstanceUID", "SeriesInstanceUID"])
@pytest.mark.parametrize("text", [None, "", "CANARY", "1.02.3"])
def test_a_file_without_a_legal_uid_cannot_be_referred_to(tmp_path, missing, text):
    dm = write_illegal(tmp_path / "dm.dcm", **{missing: text})
    with pytest.raises(
        InputDataError, match=f"E-DICOM-REFERENCE .* file=dm.dcm .* found none of {missing} "
    ) as refused:
        read(dm)
    assert "CANARY" not in str(refused.value)


@pytest.mark.parametrize("text", ["x" * 65, "A\\B", "A\x1bB"])
def test_a_patient_id_that_is_not_legal_is_refused(tmp_path, text):
    dm = write_illegal(tmp_path / "dm.dcm", PatientID=text)
    with pytest.raises(InputDataError, match="E-DICOM-REFERENCE .* found none of PatientID ") as refused:
        read(dm)
    assert text not in str(refused.value)


@pytest.mark.parametrize(
    ("keyword", "text"),
    [
        ("PatientBirthDate", "1961"),
        ("PatientBirthDate", "19610101-19620101"),
        ("StudyDate", "2024.05.06"),
        ("StudyTime", "07:08"),
        ("PatientSex", "W"),
        ("PatientName", "x" * 65),
        ("AccessionNumber", "x" * 17),
        ("StudyID", "A\\B"),
    ],
)
def test_an_element_that_is_not_legal_is_left_empty_without_a_word(tmp_path, keyword, text, capfd, caplog):
    dm = write_illegal(tmp_path / "dm.dcm", **{keyword: text})
    caplog.clear()
    with caplog.at_level(logging.DEBUG):
        header = read(dm).header
    assert str(header[keyword].value) == ""
    assert {str(header[other].value) for other in header.dir() if other != keyword} == {
        text for other, text in PATIENT.items() if other not in (keyword, "StudyInstanceUID")
    }
    assert text not in caplog.text + "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("character_set", "name"),
    [("ISO_IR 100", "Müller^Zoë"), ("ISO_IR 144", "Жюль^Ж"), (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎")],
)
def test_names_of_other_character_sets_are_written_in_unicode(written, tmp_path, character_set, name):
    dm = write_mammogram(tmp_path / "dm.dcm", SpecificCharacterSet=character_set, PatientName=name)
    for dataset in written(case_view(), [dm])[:2]:
        assert (dataset.SpecificCharacterSet, str(dataset.PatientName)) == ("ISO_IR 192", name)


def test_a_name_of_one_part_is_no_reason_for_a_warning_that_quotes_it(written, tmp_path, capfd):
    dm = write_mammogram(tmp_path / "dm.dcm", PatientName="Anonymous")
    assert written(case_view(), [dm]).sheet.PatientName == "Anonymous"
    assert "Anonymous" not in "".join(capfd.readouterr())


def test_removed_identity_is_stated_with_its_method_or_not_at_all(tmp_path):
    removed = {"PatientIdentityRemoved": "YES"}
    assert "PatientIdentityRemoved" not in read(write_mammogram(tmp_path / "a.dcm", **removed)).header
    header = read(write_mammogram(tmp_path / "b.dcm", **removed, DeidentificationMethod="By hand")).header
    assert (header.PatientIdentityRemoved, header.DeidentificationMethod) == ("YES", "By hand")
