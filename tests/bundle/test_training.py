from types import SimpleNamespace

import pytest

from dmdbt.bundle import Training
from dmdbt.bundle.training import write_training
from dmdbt.terms import Modality

TEXTURES = ["0" * 64, "f" * 64, "0f" * 32, "c3" * 32]


def image(number, texture=None):
    return {"pixels_sha256": f"{number:064x}", "texture_hash": TEXTURES[number] if texture is None else texture}


@pytest.fixture
def training(tmp_path):
    """Four patients in folds 0 to 3, each with a mammogram and a volume of its own."""
    cases = [SimpleNamespace(case_id=f"c{n}", patient_id=f"P00{n}") for n in range(4)]
    facts = {case.case_id: {modality: image(n) for modality in Modality} for n, case in enumerate(cases)}
    write_training(tmp_path / "training.csv", cases, [0, 1, 2, 3], facts)
    return Training(tmp_path / "training.csv", SimpleNamespace(pairs=4, patients=4))


def test_a_pair_of_the_training_is_known_by_pixels_or_patient(training):
    new = "5a" * 32
    for seen in (training.seen("", {Modality.DM: image(2)}), training.seen("P002", {Modality.DM: image(9, new)})):
        assert (seen.folds, seen.patients, seen.alike - seen.folds) == ({2}, 1, set())
    assert training.seen("X", {Modality.DM: image(9, new)}).folds == set()


def test_images_or_names_of_different_patients_are_told(training):
    assert training.seen("", {Modality.DM: image(1), Modality.DBT: image(2)}).patients == 2
    assert training.seen("P003", {Modality.DM: image(1)}).patients == 2
    assert training.seen("P001", {Modality.DM: image(1), Modality.DBT: image(1)}).patients == 1


def test_a_near_copy_is_told_although_the_patient_is_of_another_fold(training):
    copy = {"pixels_sha256": "e" * 64, "texture_hash": TEXTURES[3]}
    seen = training.seen("P001", {Modality.DM: copy})
    assert (seen.folds, seen.alike) == ({1}, {3})


@pytest.mark.parametrize("name", ["p1", "P0001", "001", "P001.0"])
def test_a_pseudonym_that_is_nearly_one_of_the_training_is_told(training, name):
    assert training.seen(name, {}).name_alike == {1}
    assert training.seen("P001", {}).name_alike == set()
