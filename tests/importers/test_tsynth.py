"""Small folders in exactly the published layout of T-SYNTH, imported and read again. All images are made here."""

import re

import numpy as np
import pytest

from dmdbt.__main__ import main
from dmdbt.cohort import read_statement, read_table
from dmdbt.imaging import read_gray
from dmdbt.importers import tsynth
from dmdbt.readers import open_volume, volume_files
from dmdbt.terms import Label
from tests.support.clinic import write_mhd
from tests.support.public_sets import ATTENUATION, rows, write_tsynth


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
