"""The stage on real files; a backbone with random weights, whose features mean nothing."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from dmdbt import params
from dmdbt.backbones import architecture
from dmdbt.backbones.architectures import create_classifier, feature_extractor
from dmdbt.cohort import Case, write_table
from dmdbt.errors import InputDataError
from dmdbt.features import read_features
from dmdbt.files import sha256
from dmdbt.imaging import write_gray
from dmdbt.steps import features as step
from dmdbt.terms import Label, Laterality, Modality, View
from stages import features

SETTINGS = params.Features(
    crop="breast", augmentations=["original", "flip"], size={"squeezenet": 64}, precision="float32"
)
BACKBONES = params.Backbones(names=["squeezenet"], resnet_depth=18, weights="procedural")


@dataclass
class Clinic:
    """Images and weights in a folder."""

    folder: Path
    cases: list[Case]

    @property
    def weights(self):
        return self.folder / "squeezenet.safetensors"

    @property
    def images(self):
        return {modality: self.folder / modality for modality in Modality}

    def run(self, output, cases=None):
        write_table(self.folder / "cases.csv", cases or self.cases)
        features.main(
            backbone="squeezenet",
            cases=self.folder / "cases.csv",
            mammograms=self.images[Modality.DM],
            dynamic=self.images[Modality.DBT],
            weights=self.weights,
            output=output,
            backbones=BACKBONES,
            settings=SETTINGS,
        )
        return {path.relative_to(output).as_posix(): path.read_bytes() for path in output.glob("*/*.h5")}

    def job(self):
        return step._Job(
            backbone="squeezenet",
            resnet_depth=18,
            architecture=architecture("squeezenet"),
            weights=self.weights,
            weights_sha256=sha256(self.weights),
            size=64,
            crop=True,
            copies=tuple(SETTINGS.augmentations),
            device="cpu",
            precision="float32",
        )

    def compute(self, output, *groups):
        for payloads in groups:
            step._cache_features(payloads, output, job=self.job(), images=self.images)


@pytest.fixture
def clinic(tmp_path, monkeypatch):
    monkeypatch.setenv("DMDBT_DEVICE", "cpu")
    rng = np.random.default_rng(0)
    made = Clinic(tmp_path, [])
    for name in "abc":
        made.cases.append(Case(name, name, Laterality.LEFT, View.CC, Label.BENIGN, f"{name}.dcm", f"{name}.avi"))
        for modality, kind in zip(Modality, (np.uint16, np.uint8), strict=True):
            image = np.zeros((80, 80), kind)
            image[10:70, :50] = rng.integers(1, np.iinfo(kind).max, (60, 50), kind)
            made.images[modality].mkdir(exist_ok=True)
            write_gray(made.images[modality] / f"{name}.png", image)
    save_file(feature_extractor(create_classifier("squeezenet", seed=3)).state_dict(), made.weights)
    return made


def test_a_case_has_the_same_bytes_whatever_the_rest_of_the_cohort(clinic, tmp_path):
    everything = clinic.run(tmp_path / "all")
    assert sorted(everything) == [f"{modality}/{name}.h5" for modality in ("dbt", "dm") for name in "abc"]
    alone = clinic.run(tmp_path / "alone", clinic.cases[1:2])
    assert alone == {name: everything[name] for name in ("dm/b.h5", "dbt/b.h5")}


def test_a_pair_has_features_of_the_images_that_it_has(clinic, tmp_path):
    a, b, c = clinic.cases
    found = clinic.run(tmp_path / "some", [a, replace(b, dm=""), replace(c, dbt="")])
    assert sorted(found) == ["dbt/a.h5", "dbt/b.h5", "dm/a.h5", "dm/c.h5"]
    assert found.items() <= clinic.run(tmp_path / "all").items()


def test_images_that_share_a_forward_pass_have_their_own_features(clinic, tmp_path):
    subjects = [(case, modality) for case in clinic.cases for modality in Modality]
    clinic.compute(tmp_path / "together", subjects)
    clinic.compute(tmp_path / "alone", *[[subject] for subject in subjects])
    for case, modality in subjects:
        name = f"{modality}/{case.case_id}.h5"
        together, origin = read_features(tmp_path / "together" / name)
        alone, same = read_features(tmp_path / "alone" / name)
        assert origin == same
        assert origin.input_sha256 == sha256(clinic.images[modality] / f"{case.case_id}.png")
        np.testing.assert_allclose(together, alone, rtol=2**-10, atol=1e-5)


def test_features_that_are_not_finite_name_the_case(clinic, tmp_path):
    weights = load_file(clinic.weights)
    save_file({key: tensor * 1e9 for key, tensor in weights.items()}, clinic.weights)
    with pytest.raises(InputDataError, match=r"E-FEATURES-NOT-FINITE case=b .*finite features below 65504"):
        clinic.compute(tmp_path / "out", [(clinic.cases[1], Modality.DM)])
    assert not (tmp_path / "out").exists()
