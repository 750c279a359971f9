"""A first table, of real files in the folders of a clinic."""

import csv
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from dmdbt.__main__ import main
from dmdbt.cohort import read_table
from dmdbt.errors import TableError
from tests.support import dicom_corpus
from tests.support.breasts import SHOWN, breast, volume
from tests.support.clinic import write_avi, write_dicom, write_mhd

NAMED = {"PatientID": "A-17", "PatientName": "Doe^Jane"}


@pytest.fixture
def cohort(tmp_path):
    folder = tmp_path / "cohort"
    header = {"ImageLaterality": "R", "ViewPosition": "MLO", **SHOWN, **NAMED}
    write_dicom(folder / "001/a.dcm", breast(0), **header)
    write_avi(folder / "001/RMLO tomo.avi", volume(0))
    write_avi(folder / "001/left-cc/1.avi", volume(1))
    return folder


def rows(folder):
    with (folder / "cases.csv").open(newline="") as file:
        return [tuple(row.values()) for row in csv.DictReader(file)]


def test_header_and_names_give_pairs_whose_label_is_left_empty(cohort, capsys):
    assert main(["table", str(cohort)]) == 0
    assert rows(cohort) == [
        ("001", "R", "MLO", "", "001/a.dcm", "001/RMLO tomo.avi", "DICOM mammogram, avi"),
        ("001", "L", "CC", "", "", "001/left-cc/1.avi", "avi"),
    ]
    told = capsys.readouterr().out
    assert "cases.csv: 2 rows, 1 with a mammogram and a volume\nlabel: 2 rows to fill in\n" in told
    with pytest.raises(TableError) as caught:
        read_table(cohort / "cases.csv")
    assert [note.partition(":")[0] for note in caught.value.__notes__] == ["row 2 label"]
    text = (cohort / "cases.csv").read_text()
    assert "Doe" not in text + told
    assert "A-17" not in text + told
    (cohort / "cases.csv").write_text(text.replace(",,", ",benign,", 1).replace("CC,,", "CC,malignant,"))
    assert [case.label for case in read_table(cohort / "cases.csv")] == ["malignant", "benign"]


def test_the_patient_of_the_header_counts_where_that_is_asked_for(cohort):
    assert main(["table", str(cohort), "--patient-of-header"]) == 0
    assert sorted({row[0] for row in rows(cohort)}) == ["", "A-17"]


@pytest.mark.parametrize("name", ["cases.csv", "cases.xlsx"])
def test_a_table_that_is_there_is_never_written_over(cohort, capsys, name):
    (cohort / name).write_text("mine")
    assert main(["table", str(cohort)]) == 2
    assert "E-TABLE-EXISTS case=- file=cases" in capsys.readouterr().err
    assert (cohort / name).read_text() == "mine"
    assert len([path for path in cohort.iterdir() if path.is_file()]) == 1


@pytest.mark.parametrize("kind", ["none", "empty", "text"])
def test_a_folder_without_images_has_no_table(tmp_path, capsys, kind):
    if kind != "none":
        (tmp_path / "cohort").mkdir()
    if kind == "text":
        (tmp_path / "cohort/notes.txt").write_text("P1 has moved")
    assert main(["table", str(tmp_path / "cohort")]) == 3
    cause = f"expected a folder of mammograms and volumes, found none among {int(kind == 'text')} files"
    assert f"E-TABLE-NO-IMAGES case=- file=- cause={cause}" in capsys.readouterr().err


def test_what_is_no_image_of_a_pair_is_told_and_in_no_row(cohort, capsys):
    write_dicom(cohort / "001/raw.dcm", breast(3), PresentationIntentType="FOR PROCESSING")
    for name in ("notes.txt", "more.txt"):
        (cohort / "001" / name).write_text("moved")
    (cohort / "001/.hidden").write_text("ignored")
    assert main(["table", str(cohort)]) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("left out")]
    assert told == [
        "left out: 001/more.txt and 1 more: expected an image, found a file of no known kind",
        "left out: 001/raw.dcm: expected an image For Presentation, found raw detector data (For Processing)",
    ]
    assert len(rows(cohort)) == 2


def test_two_mammograms_of_a_view_have_a_row_each(cohort):
    shutil.copy(cohort / "001/a.dcm", cohort / "001/b.dcm")
    assert main(["table", str(cohort)]) == 0
    assert [(row[4], row[5]) for row in rows(cohort)] == [
        ("", "001/RMLO tomo.avi"),
        ("001/a.dcm", ""),
        ("001/b.dcm", ""),
        ("", "001/left-cc/1.avi"),
    ]


def test_folders_of_slices_and_metaimages_are_volumes(tmp_path):
    folder = tmp_path / "cohort"
    stack = np.stack([breast(n) for n in range(3)])
    dicom_corpus.write_slices(folder / "p1/L CC/tomo", stack)
    write_dicom(folder / "p1/L CC/dm/x.dcm", breast(9), **SHOWN)
    for number, image in enumerate(volume(1)):
        (folder / "p2/R_MLO").mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"p2/R_MLO/{number:03}.png")
    (folder / "dbt").mkdir()
    write_mhd(folder / "dbt/l-cc.mhd", np.random.default_rng(0).normal(size=(9, 8, 8)))
    assert main(["table", str(folder)]) == 0
    assert rows(folder) == [
        ("", "L", "CC", "", "", "dbt/l-cc.mhd", "metaimage"),
        ("p1", "L", "CC", "", "p1/L CC/dm/x.dcm", "p1/L CC/tomo", "DICOM mammogram, 3 DICOM slices"),
        ("p2", "R", "MLO", "", "", "p2/R_MLO", "9 pictures"),
    ]


def of_patient(path, identity, study=None, **header):
    """A mammogram, or a volume where the name says so, of the left breast in CC view."""
    header = {"ImageLaterality": "L", "ViewPosition": "CC", "PatientID": identity, "StudyInstanceUID": study, **header}
    pixels = dicom_corpus.noise(12, (9, 24, 20))
    if "tomo" in path.name:
        return dicom_corpus.write_tomosynthesis(path, pixels, ViewCodeSequence=None, **header)
    return dicom_corpus.write(path, pixels[0], **header)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        # Two patients below a folder that is none: two Patient IDs, or two folders where all images have the same one.
        ({"data/P1/a.dcm": ("1", None), "data/P2/tomo.dcm": ("2", None)}, ["", ""]),
        ({"data/a.dcm": ("1", "1.2.3"), "data/tomo.dcm": ("2", "1.2.3")}, ["", ""]),
        ({"data/P1/a.dcm": ("ANON", None), "data/P2/tomo.dcm": ("ANON", None)}, ["data", "data"]),
        ({"data/1/a.dcm": ("", "1.2.3"), "data/2/tomo.dcm": ("", "1.2.4")}, ["data", "data"]),
        ({"data/a.dcm": ("", ""), "data/P2/tomo.dcm": ("", "")}, ["data", "data"]),
        ({"malignant/a.dcm": ("1", None), "malignant/tomo.dcm": ("1", None)}, ["", ""]),
        ({"mammograms/P1.dcm": ("1", None), "tomo/tomo.dcm": ("1", None)}, ["", ""]),
        # One patient: one folder, folders named by kind or view, or one study in several folders.
        ({"P1/a.dcm": ("1", None), "P1/tomo.dcm": ("1", None)}, ["P1"]),
        ({"P1/2020/DM/a.dcm": ("1", ""), "P1/2020/tomo_L-CC/tomo.dcm": ("1", "")}, ["P1"]),
        ({"P1/1.2.3/1.2.4/a.dcm": ("1", "1.2.3"), "P1/1.2.3/1.2.5/tomo.dcm": ("1", "1.2.3")}, ["P1"]),
    ],
)
def test_images_that_may_be_of_two_patients_are_never_in_one_row(tmp_path, files, expected):
    for name, (identity, study) in files.items():
        of_patient(tmp_path / name, identity, study)
    assert main(["table", str(tmp_path)]) == 0
    found = rows(tmp_path)
    assert [row[0] for row in found] == expected
    assert sorted(name for row in found for name in row[4:6] if name) == sorted(files)
    assert all(bool(row[4] and row[5]) == (len(expected) == 1) for row in found)


def test_a_patient_id_that_is_asked_for_joins_images_of_any_folders(tmp_path):
    of_patient(tmp_path / "x/1/a.dcm", "P7")
    of_patient(tmp_path / "y/2/tomo.dcm", "P7")
    assert main(["table", str(tmp_path), "--patient-of-header"]) == 0
    assert [row[0] for row in rows(tmp_path)] == ["P7"]


def test_names_that_are_no_utf_8_are_left_out_and_told(cohort, capsys):
    (cohort / "001/a.dcm").rename(cohort / "001" / os.fsdecode(b"\xe4.dcm"))
    (cohort / os.fsdecode(b"b\xf6se")).mkdir()
    shutil.copy(cohort / "001/RMLO tomo.avi", cohort / os.fsdecode(b"b\xf6se"))
    assert main(["table", str(cohort)]) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("left out")]
    assert told == [
        "left out: 001/\\udce4.dcm and 1 more: expected a name in UTF-8 without control characters, found others"
    ]
    assert [row[4:6] for row in rows(cohort)] == [("", "001/RMLO tomo.avi"), ("", "001/left-cc/1.avi")]


def test_names_that_contradict_themselves_or_are_no_pseudonym_leave_cells_empty(tmp_path):
    write_avi(tmp_path / "Jane Doe/left-right cc.avi", volume(1))
    write_avi(tmp_path / "dm/p1 mlo.avi", volume(2))
    assert main(["table", str(tmp_path)]) == 0
    assert [row[:3] for row in rows(tmp_path)] == [("", "", "CC"), ("", "", "MLO")]
