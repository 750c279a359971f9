"""The examination of cases, the quarantine, and what only the whole cohort tells."""

import csv
import shutil
from dataclasses import replace

import numpy as np
import pytest
from openpyxl import Workbook

from dmdbt import params
from dmdbt.cohort import Case, read_quarantined, read_table, write_table
from dmdbt.errors import InputDataError, IntegrityError, TableError
from dmdbt.ingest import read_examination
from dmdbt.terms import Label, Laterality, MissingModality, Modality, View
from tests.support import dicom_corpus
from tests.support.breasts import READING, SHOWN, breast, run_ingest, volume, write_cohort
from tests.support.clinic import write_avi, write_dicom


@pytest.fixture
def cohort(tmp_path):
    write_cohort(tmp_path / "cohort")
    return tmp_path / "cohort"


def quarantine(folder):
    with (folder / "quarantine.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_good_cohort_is_described_and_has_no_flags(tmp_path, cohort):
    found = run_ingest(tmp_path)
    assert (found["pairs"], found["patients"], found["quarantined"]) == (4, 4, 0)
    assert found["pairs_by_laterality"] == {"L": 2, "R": 2}
    assert found["dm_sizes"] == {"64 x 48": 4}
    assert found["dbt_kinds"] == {"avi ffv1": 4}
    assert found["slices"] == {"min": 9, "median": 9, "max": 9}
    assert (found["flags"], found["odd_slices"]) == ({}, {})
    assert quarantine(tmp_path) == []
    assert read_table(tmp_path / "cases.csv") == read_table(cohort / "cases.csv")


def test_the_table_is_told_as_it_was_written(tmp_path, cohort, capsys):
    text = (cohort / "cases.csv").read_text()
    assert run_ingest(tmp_path)["table"] == {"file": "cases.csv", "encoding": "UTF-8", "separator": "comma"}
    excel = text.replace(",benign", ",0").replace(",", ";").replace("\n", ";\r\n") + ";;;;;;;\r\n"
    (cohort / "cases.csv").write_bytes(f"sep=;\r\n{excel}".encode("utf-16"))
    with pytest.raises(TableError) as caught:
        run_ingest(tmp_path)
    expected = "expected benign or malignant (`labels` in params.yaml names other spellings)"
    assert caught.value.__notes__ == [f"row 3 label: {expected}, found '0' (4 rows)"]
    labels = params.Labels(benign=[0], malignant=[1])
    assert run_ingest(tmp_path, labels=labels)["table"]["separator"] == "semicolon"
    assert "ingest: cases.csv is UTF-16, separated by semicolon\n" in capsys.readouterr().out
    assert (tmp_path / "cases.csv").read_text() == text


def test_a_workbook_takes_the_place_of_the_table(tmp_path, cohort, capsys):
    book = Workbook()
    for row in csv.reader((cohort / "cases.csv").read_text().splitlines()):
        book.active.append(row)
    book.save(cohort / "cases.xlsx")
    with pytest.raises(TableError, match="E-TABLE-TWO"):
        run_ingest(tmp_path)
    (cohort / "cases.csv").unlink()
    assert run_ingest(tmp_path)["table"] == {"file": "cases.xlsx", "encoding": "", "separator": ""}
    assert "ingest: cases.xlsx is a workbook\n" in capsys.readouterr().out


def test_patients_that_may_be_one_are_reported(tmp_path, cohort, capsys):
    names = ["1", "P01", "x", "X"]
    cases = [replace(c, patient_id=name) for c, name in zip(read_table(cohort / "cases.csv"), names, strict=True)]
    write_table(cohort / "cases.csv", cases)
    assert run_ingest(tmp_path)["flags"] == {"patient-ids-alike": ["c0", "c1", "c2", "c3"]}
    assert "ingest: patients that may be one: 1, P01; X, x. If they are," in capsys.readouterr().out
    write_table(cohort / "cases.csv", [cases[0], replace(cases[1], patient_id="2"), *cases[2:]])
    assert run_ingest(tmp_path)["flags"] == {"patient-ids-alike": ["c2", "c3"]}


def damage(cohort):
    """One truncated volume, and a case without its mammogram and with text for a volume."""
    path = cohort / "dbt/1.avi"
    path.write_bytes(path.read_bytes()[:-300])
    (cohort / "dm/2.dcm").unlink()
    (cohort / "dbt/2.avi").write_text("no volume")


def test_every_case_is_examined_and_every_problem_listed_before_the_stage_ends(tmp_path, cohort):
    damage(cohort)
    with pytest.raises(InputDataError, match="E-QUARANTINE .*expected at most 0 of 4 cases .*found 2") as caught:
        run_ingest(tmp_path)
    listed = [(row["case"], row["role"], row["code"]) for row in quarantine(tmp_path)]
    assert listed == [("c1", "dbt", "AVI-TRUNCATED"), ("c2", "dm", "DM-MISSING"), ("c2", "dbt", "DBT-NOT-AVI")]
    assert all(row["cause"].startswith("expected") and row["remedy"] for row in quarantine(tmp_path))
    assert [note.split(" cause")[0] for note in caught.value.__notes__] == [
        "E-AVI-TRUNCATED case=c1 file=dbt/1.avi",
        "E-DM-MISSING case=c2 file=dm/2.dcm",
        "E-DBT-NOT-AVI case=c2 file=dbt/2.avi",
    ]
    assert not (tmp_path / "cases.csv").exists()


def test_allowed_cases_are_left_out_and_counted(tmp_path, cohort):
    damage(cohort)
    found = run_ingest(tmp_path, allow=2)
    assert (found["pairs"], found["quarantined"]) == (2, 2)
    assert [case.case_id for case in read_table(tmp_path / "cases.csv")] == ["c0", "c3"]
    assert read_quarantined(tmp_path / "quarantine.csv") == 2


def test_a_cohort_of_damaged_cases_alone_is_refused_whatever_is_allowed(tmp_path):
    write_cohort(tmp_path / "cohort", n_patients=1)
    (tmp_path / "cohort/dbt/0.avi").write_text("no volume")
    with pytest.raises(InputDataError, match="E-QUARANTINE .*of 1 cases"):
        run_ingest(tmp_path, allow=9)


def test_a_case_that_was_examined_is_not_examined_again(tmp_path, cohort, capsys):
    run_ingest(tmp_path)
    assert "ingest: 4 computed" in capsys.readouterr().out
    write_avi(cohort / "dbt/3.avi", volume(77, side=Laterality.RIGHT))
    run_ingest(tmp_path)
    assert "ingest: 1 computed, 0 restored, 3 kept" in capsys.readouterr().out


def test_a_mended_file_is_examined_anew(tmp_path, cohort):
    whole = (cohort / "dbt/1.avi").read_bytes()
    damage(cohort)
    run_ingest(tmp_path, allow=2)
    (cohort / "dbt/1.avi").write_bytes(whole)
    assert run_ingest(tmp_path, allow=2)["quarantined"] == 1


def test_the_same_pixels_under_two_patients_are_refused_with_both_names(tmp_path, cohort):
    # Another file, the same pixels.
    write_dicom(cohort / "dm/2.dcm", breast(0), **SHOWN, PatientID="x")
    with pytest.raises(IntegrityError, match="E-SAME-PIXELS case=c0 .*in dm, found those of case c2 of another"):
        run_ingest(tmp_path)


def test_the_same_pixels_twice_in_one_patient_are_reported(tmp_path, cohort):
    cases = read_table(cohort / "cases.csv")
    again = Case("again", "p0", Laterality.LEFT, View.MLO, Label.BENIGN, cases[0].dm, cases[0].dbt)
    write_table(cohort / "cases.csv", [*cases, again])
    flags = run_ingest(tmp_path)["flags"]
    assert flags == {"dbt-same-pixels": ["again", "c0"], "dm-same-pixels": ["again", "c0"]}


def test_near_duplicates_of_two_patients_are_reported(tmp_path, cohort):
    near = np.minimum(breast(0) + np.random.default_rng(5).integers(0, 9, (64, 48)), 4095).astype(np.uint16)
    write_dicom(cohort / "dm/2.dcm", near, **SHOWN)
    assert run_ingest(tmp_path)["flags"] == {"dm-near-duplicate": ["c0", "c2"]}


def test_disagreements_of_side_are_reported_and_not_mended(tmp_path, cohort):
    write_avi(cohort / "dbt/0.avi", volume(0, side=Laterality.RIGHT))
    write_avi(cohort / "dbt/2.avi", np.rot90(volume(2), 2, axes=(1, 2)))  # turned, as some of BCS-DBT are
    options = {"bits": 8, "window": (128, 256), "groups": []}
    dicom_corpus.write_tomosynthesis(cohort / "dbt/3.avi", volume(3, side=Laterality.RIGHT), **options)  # it states L
    write_dicom(
        cohort / "dm/1.dcm",
        breast(1, side=Laterality.RIGHT),
        **SHOWN,
        ImageLaterality="L",
        ViewPosition="MLO",
    )
    flags = run_ingest(tmp_path)["flags"]
    assert {name: cases for name, cases in flags.items() if "order" not in name} == {
        "chest-wall-on-different-sides": ["c0", "c2"],
        "dbt-laterality-of-header": ["c3"],
        "dbt-laterality-of-pixels": ["c0", "c2"],
        "dm-laterality-of-header": ["c1"],
        "dm-view-of-header": ["c1"],
    }
    assert read_table(tmp_path / "cases.csv") == read_table(cohort / "cases.csv")


def test_blank_slices_at_the_border_are_reported(tmp_path, cohort):
    slices = volume(0)
    slices[0] = 0
    write_avi(cohort / "dbt/0.avi", slices)
    assert run_ingest(tmp_path)["flags"] == {"dbt-blank-border-slices": ["c0"]}
    facts, _ = read_examination(tmp_path / "examined/c0.json")
    assert (facts[Modality.DBT]["blank_first"], facts[Modality.DBT]["blank_last"]) == (1, 0)


def test_a_slice_that_does_not_continue_its_neighbors_is_reported_with_its_number(tmp_path, cohort):
    slices = volume(0)
    slices[4, 16:48, :24] = np.random.default_rng(0).integers(0, 256, (32, 24))
    write_avi(cohort / "dbt/0.avi", slices)
    found = run_ingest(tmp_path)
    assert found["flags"] == {"dbt-odd-slice": ["c0"]}
    assert found["odd_slices"] == {"c0": [5]}
    facts, _ = read_examination(tmp_path / "examined/c0.json")
    assert facts[Modality.DBT]["odd_slices"] == [5]


def test_a_cohort_of_mixed_slice_order_is_reported(tmp_path, cohort):
    from PIL import Image

    (cohort / "dbt/0").mkdir()
    for number, image in enumerate(volume(0)):
        Image.fromarray(image).save(cohort / f"dbt/0/{number:03d}.png")
    cases = read_table(cohort / "cases.csv")
    write_table(cohort / "cases.csv", [Case(**{**vars(cases[0]), "dbt": "dbt/0"}), *cases[1:]])
    found = run_ingest(tmp_path)
    assert found["flags"] == {"mixed-slice-order": ["c0", "c1", "c2", "c3"]}
    assert len(found["slice_orders"]) == 2


def test_a_volume_of_few_gray_levels_is_a_damaged_case(tmp_path, cohort):
    write_avi(cohort / "dbt/0.avi", volume(0) // 15)  # 12 bits shown in a window of 16
    run_ingest(tmp_path, allow=1)
    assert [(row["case"], row["code"]) for row in quarantine(tmp_path)] == [("c0", "DBT-LEVELS")]


def test_what_does_not_use_black_to_white_is_reported(tmp_path, cohort):
    write_dicom(cohort / "dm/1.dcm", breast(1, side=Laterality.RIGHT), WindowCenter=32768, WindowWidth=65536)
    write_avi(cohort / "dbt/0.avi", volume(0) // 3)
    assert {name: cases for name, cases in run_ingest(tmp_path)["flags"].items() if "range" in name} == {
        "dbt-low-range": ["c0"],
        "dm-low-range": ["c1"],
    }


def test_volumes_that_start_at_different_ends_are_reported_once(tmp_path, cohort, capsys):
    cases = read_table(cohort / "cases.csv")
    for number, rise in enumerate((1, -1, 1)):
        for height, image in enumerate(volume(number, side=cases[number].laterality)):
            options = {"sop_class": dicom_corpus.CT, "SeriesInstanceUID": "1.2.3", "InstanceNumber": height}
            options |= {"bits": 8, "WindowCenter": 128, "WindowWidth": 256}
            file = cohort / f"dbt/{number}/{height}.dcm"
            dicom_corpus.write(file, image, ImagePositionPatient=[0, 0, rise * height], **options)
        cases[number] = replace(cases[number], dbt=f"dbt/{number}")
    write_table(cohort / "cases.csv", cases)
    assert run_ingest(tmp_path)["flags"]["mixed-slice-direction"] == ["c0", "c1", "c2"]
    line = "ingest: 1 volumes begin at the compression paddle, 2 at the detector. Set reading.slice_order"
    assert capsys.readouterr().out.count(line) == 1
    found = run_ingest(tmp_path, reading=params.Reading(**{**vars(READING), "slice_order": "from_paddle"}))
    assert "mixed-slice-direction" not in found["flags"]


def test_a_pair_without_an_image_is_allowed_by_the_parameter(tmp_path, cohort):
    cases = read_table(cohort / "cases.csv")
    write_table(cohort / "cases.csv", [Case(**{**vars(cases[0]), "dbt": ""}), *cases[1:]])
    with pytest.raises(TableError, match="E-TABLE"):
        run_ingest(tmp_path)
    assert run_ingest(tmp_path, missing_modality=MissingModality.ALLOW)["modalities"] == {"dm": 1, "dm and dbt": 3}


@pytest.mark.parametrize("missing", ["dm", "dbt"])
def test_a_cohort_of_one_modality_alone_is_described(tmp_path, cohort, missing):
    write_table(
        cohort / "cases.csv", [Case(**{**vars(case), missing: ""}) for case in read_table(cohort / "cases.csv")]
    )
    found = run_ingest(tmp_path, missing_modality=MissingModality.ALLOW)
    assert found["modalities"] == {{"dm": "dbt", "dbt": "dm"}[missing]: 4}
    assert found["flags"] == {}


@pytest.mark.usefixtures("cohort")
def test_an_examination_that_takes_too_long_is_quarantined_and_not_kept(tmp_path):
    with pytest.raises(InputDataError, match="E-QUARANTINE"):
        run_ingest(tmp_path, reading=params.Reading(**{**vars(READING), "seconds": 1e-3}))
    assert {(row["role"], row["code"]) for row in quarantine(tmp_path)} == {("pair", "CASE-TIME")}
    assert run_ingest(tmp_path)["quarantined"] == 0


@pytest.mark.parametrize("linked", ["file", "slice"])
def test_a_link_out_of_the_cohort_is_refused_and_not_followed(tmp_path, cohort, linked):
    outside = tmp_path / "outside"
    outside.mkdir()
    shutil.move(cohort / "dbt/0.avi", outside / "0.avi")
    if linked == "file":
        (cohort / "dbt/0.avi").symlink_to(outside / "0.avi")
    else:
        (cohort / "dbt/0.avi").mkdir()
        (cohort / "dbt/0.avi/1.png").symlink_to(outside / "0.avi")
    run_ingest(tmp_path, allow=1)
    assert [(row["case"], row["code"]) for row in quarantine(tmp_path)] == [("c0", "OUTSIDE")]


@pytest.mark.parametrize("linked", ["file", "slice", "raw"])
def test_a_link_that_leads_to_itself_is_a_damaged_case(tmp_path, cohort, linked):
    volume, loop = cohort / "dbt/0.avi", cohort / "dbt/0.raw"
    volume.unlink()
    if linked == "file":
        volume.symlink_to(volume)
    elif linked == "slice":
        volume.mkdir()
        (volume / "1.png").symlink_to(volume / "1.png")
    else:
        header = "ObjectType = Image\nNDims = 3\nDimSize = 4 4 4\nElementType = MET_UCHAR\nElementDataFile = 0.raw\n"
        volume.write_text(header)
        loop.symlink_to(loop)
    run_ingest(tmp_path, allow=1)
    assert [(row["case"], row["role"]) for row in quarantine(tmp_path)] == [("c0", "dbt")]
