"""Small folders in exactly the published layout of BCS-DBT, imported and read again. All images are made here."""

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from dmdbt.__main__ import main
from dmdbt.cohort import read_statement, read_table
from dmdbt.importers import bcs_dbt
from dmdbt.readers import open_volume
from dmdbt.terms import MissingModality
from tests.support.clinic import write_dicom
from tests.support.public_sets import rows

BTO = "1.2.840.10008.5.1.4.1.1.13.1.3"


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


def test_a_cohort_without_mammograms_is_read_where_that_is_allowed(tmp_path):
    source, target = tmp_path / "source", tmp_path / "cohort"
    write_bcs_dbt(source, VIEWS)
    assert main(["import", "bcs-dbt", str(source), str(target)]) == 0
    cases = read_table(target / "cases.csv", missing_modality=MissingModality.ALLOW)
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
