"""The ablation and the learning curve: real stages on small simulated volumes, a backbone with random weights."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from dvc.repo import Repo
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from dmdbt import params
from dmdbt.ablation.subsets import nested_training
from dmdbt.ablation.tables import markdown, trial_rows
from dmdbt.backbones.architectures import create_classifier, feature_extractor
from dmdbt.cohort import Case, read_table, write_folds, write_quarantine, write_table
from dmdbt.errors import IntegrityError, ParameterError
from dmdbt.evaluation import Bootstrap, classifier_metrics, read_probabilities
from dmdbt.evaluation import write_table as write_csv
from dmdbt.features import Provenance, write_features
from dmdbt.steps.train import TrainInputs
from dmdbt.terms import Head, Label, Laterality, Modality, View
from stages import features, rankpool, train
from stages.ablation import cases as cases_stage
from stages.ablation import compare, learning_curve, learning_curve_train
from tests.support import ROOT, yaml
from tests.support.cohorts import write_counts
from tests.support.stages import store
from tests.support.volumes import smooth_volume

RANKPOOL = params.Rankpool(pooler="ranksvm", rho=0.1, mapping="symmetric", quantile=0.995)
FEATURES = params.Features(
    crop="none", augmentations=["original", "flip"], size={"squeezenet": 48}, precision="float32"
)
BACKBONES = params.Backbones(names=["squeezenet"], resnet_depth=18, weights="procedural")
SPLIT = params.Split(folds=3, test_folds=[0, 2], seed=0)
LAST_FOLD = params.Split(folds=3, test_folds=[2], seed=0)
HEADS = params.Heads(filters=8, hidden=[8], dropout=0.5, activation="none")
TRAIN = params.Train(epochs=2, batch_size=4, learning_rate=1e-2, schedule="cosine", precision="float32", seed=1)
EVALUATION = params.Evaluation(draws=200, seed=5)
VARIANTS = {"ranksvm-0.1": params.Variant("ranksvm", 0.1), "mean": params.Variant("mean", 1.0)}
TRIALS = params.Ablation(backbone="squeezenet", variants=VARIANTS, fractions=[0.5], seed=2)
NAMES = [f"c{n:02}" for n in range(12)]


def cohort(folder):
    """A dozen patients in three folds; the last one has no volume."""
    labels = (Label.BENIGN, Label.MALIGNANT)
    cases = [
        Case(name, f"p{name}", Laterality.LEFT, View.CC, labels[n % 2], f"{name}.dcm", f"{name}.avi")
        for n, name in enumerate(NAMES)
    ]
    cases[-1] = replace(cases[-1], dbt="")
    write_table(folder / "cases.csv", cases)
    write_folds(folder / "split.csv", cases, [n // 4 for n in range(12)])
    write_quarantine(folder / "quarantine.csv", [])
    return folder


class Clinic:
    """A cohort of volumes, and the stages that make the probabilities of a variant of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = cohort(folder)
        for n, name in enumerate(NAMES[:-1]):
            store(folder / "slices" / name, smooth_volume(5, 48, 48, seed=n))
        weights = feature_extractor(create_classifier("squeezenet", seed=3)).state_dict()
        save_file(weights, folder / "squeezenet.safetensors")
        cases_stage.main(folder / "cases.csv", folder / "table.csv")

    def pool(self, output, settings=RANKPOOL):
        rankpool.main(
            cases=self.folder / "table.csv",
            slices=self.folder / "slices",
            quarantine=self.folder / "quarantine.csv",
            metrics=output / "rankpool.json",
            output=output / "dynamic",
            settings=settings,
        )

    def extract(self, output):
        features.main(
            backbone="squeezenet",
            cases=self.folder / "table.csv",
            mammograms=output / "dynamic",
            dynamic=output / "dynamic",
            weights=self.folder / "squeezenet.safetensors",
            output=output / "features",
            backbones=BACKBONES,
            settings=FEATURES,
        )

    def train(self, output, **more):
        table, split = self.folder / "table.csv", self.folder / "split.csv"
        inputs = TrainInputs("squeezenet", table, split, output / "features", SPLIT, HEADS, TRAIN)
        train.main(inputs, output / "probabilities.csv", **more)


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DMDBT_DEVICE", "cpu")
        made = Clinic(tmp_path_factory.mktemp("clinic"))
        patch.setenv("DMDBT_CHECKPOINTS", str(made.folder / "states"))
        output = made.folder / "ranksvm-0.1"
        made.pool(output)
        made.extract(output)
        made.train(output)
        yield made


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_cohort_of_the_ablation_is_every_pair_with_a_volume_without_its_mammogram(clinic):
    cases = read_table(clinic.folder / "table.csv")
    assert [case.case_id for case in cases] == NAMES[:-1]
    assert {case.modalities for case in cases} == {(Modality.DBT,)}


def test_what_is_not_asked_for_is_not_kept_and_changes_nothing(clinic, tmp_path):
    clinic.pool(tmp_path)
    clinic.extract(tmp_path)
    clinic.train(tmp_path, **{name: tmp_path / name for name in ("models", "copies", "losses")})
    of_variant, of_pipeline = content(clinic.folder / "ranksvm-0.1"), content(tmp_path)
    assert of_variant.items() <= of_pipeline.items()
    assert {"probabilities.csv", "rankpool.json", "dynamic/manifest.json", "features/dbt/c00.h5"} <= set(of_variant)
    assert {"copies", "losses", "models/fold0/dbt.safetensors"} <= set(of_pipeline) - set(of_variant)


@pytest.mark.system
def test_dvc_hands_the_keys_of_each_variant_to_the_stage_of_the_pipeline():
    """DVC itself resolves the commands of data/ablation/dvc.yaml."""
    repo = Repo(ROOT)
    commands = {stage.name: stage.cmd for stage in repo.stage.collect("data/ablation/dvc.yaml") if stage.name}
    variants = yaml.load(ROOT / "params.yaml")["ablation"]["variants"]
    for name, variant in variants.items():
        command = commands[f"ablation_rankpool@{name}"]
        assert command.startswith("python -m stages.rankpool ")
        assert command.endswith(f" --pooler {variant['pooler']} --rho {variant['rho']}")
        assert f"ablation_train@{name}" in commands


def test_what_is_finished_is_kept(clinic, capfd):
    output = clinic.folder / "ranksvm-0.1"
    before = content(output)
    (output / "dynamic/c03.png").unlink()
    (output / "features/dbt/c04.h5").unlink()
    clinic.pool(output)
    clinic.extract(output)
    said = capfd.readouterr().out
    assert "rankpool: 1 computed, 0 restored, 10 kept, 0 removed" in said
    assert "features squeezenet: 1 computed, 0 restored, 10 kept, 0 removed" in said
    assert content(output) == before


def probabilities(names, values):
    """What the stage train writes of a cohort of volumes alone."""
    table = {"case_id": names, "patient_id": names, "label": ["benign", "malignant"] * (len(names) // 2)}
    return pd.DataFrame(table | {"fold": "0", "p_dm": np.nan, "p_dbt": values, "p_dm_dbt": np.nan})


def test_the_table_has_every_variant_with_intervals_against_the_first(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for variant in TRIALS.variants:
        write_csv(tmp_path / f"{variant}.csv", probabilities(NAMES, rng.uniform(size=12)))
    compare.main(
        counts=write_counts(tmp_path / "counts.json", simulated=True),
        probabilities=tmp_path,
        metrics=tmp_path / "ablation.json",
        table=tmp_path / "ablation.md",
        settings=TRIALS,
        evaluation=EVALUATION,
    )
    found = json.loads((tmp_path / "ablation.json").read_text())
    assert (found["reference"], found["folds"], found["simulated"]) == ("ranksvm-0.1", [0], True)
    assert [row["trial"] for row in found["variants"]] == list(VARIANTS)
    reference, other = found["variants"]
    assert reference["n"] == other["n"] == 12
    assert "difference" not in reference
    assert other["difference"] == pytest.approx(other["auc"] - reference["auc"], abs=2e-6)
    assert reference["auc_low"] <= reference["auc"] <= reference["auc_high"]
    text = (tmp_path / "ablation.md").read_text()
    assert text.splitlines()[0].endswith(", simulated cohort")
    assert [line.split(" | ")[0] for line in text.splitlines()[4:]] == ["| ranksvm-0.1", "| mean"]
    assert text in capsys.readouterr().out


def section(variants):
    return {"ablation": {"backbone": "alexnet", "variants": variants, "fractions": [0.5], "seed": 1}}


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        ({"a": {"pooler": "median", "rho": 1}}, r"ablation.variants.a.pooler: expected one of ranksvm, .*got 'median'"),
        (
            {"a": {"pooler": "ranksvm", "rho": 0}},
            r"ablation.variants.a.rho: expected a number above 0 up to 1e\+08, got 0",
        ),
        ({"a": {"pooler": "mean"}}, r"ablation.variants.a.rho: expected a number above 0"),
        ({"../a": {"pooler": "mean", "rho": 1}}, r"ablation.variants: expected names of letters, digits, dots"),
        (["ranksvm-1", "mean"], r"a mapping of names to poolings, got .* such as mean: {pooler: mean, rho: 1.0}"),
        ({}, r"ablation.variants: expected at least one, and each pooling once"),
        (
            {"a": {"pooler": "mean", "rho": 1}, "b": {"pooler": "mean", "rho": 1.0}},
            r"ablation.variants: expected at least one, and each pooling once",
        ),
        (
            {"a": {"pooler": "mean", "rho": 1}, "b": {"pooler": "mean", "rho": 0.5}},
            r"ablation.variants: expected at least one, and each pooling once",
        ),
    ],
)
def test_a_variant_that_is_no_pooling_is_named(tmp_path, variants, message):
    yaml.dump(section(variants), (tmp_path / "params.yaml"))
    with pytest.raises(ParameterError, match=message):
        params.read(params.Ablation, tmp_path / "params.yaml")


@st.composite
def folded(draw):
    """Patients with one to three pairs, a label per pair, and a fold per patient; each fold trains on both classes."""
    patients, targets, folds = [], [], []
    for number in range(draw(st.integers(8, 24))):
        for _ in range(draw(st.integers(1, 3))):
            patients.append(f"p{number}")
            targets.append(number % 2 if number < 8 else draw(st.integers(0, 1)))
            folds.append(number // 2 % 4 if number < 8 else 3)
    return patients, targets, folds


@given(folded(), st.integers(0, 3), st.lists(st.floats(0.01, 1), min_size=2, max_size=2), st.integers(0, 99))
def test_subsets_are_nested_hold_both_classes_and_no_test_patient(table, fold, fractions, seed):
    patients, targets, folds = (np.array(column) for column in table)
    small, large = (
        nested_training(patients.tolist(), targets, folds, test_fold=fold, fraction=fraction, seed=seed)
        for fraction in sorted(fractions)
    )
    assert (small <= large).all()
    assert set(targets[small]) == {0, 1}
    assert not set(patients[large]) & set(patients[folds == fold])
    for chosen in (small, large):  # whole patients
        assert chosen.sum() == np.isin(patients, patients[chosen]).sum()


@given(folded(), st.integers(0, 3), st.integers(0, 99), st.randoms())
def test_the_whole_is_every_training_pair_and_the_order_of_the_table_does_not_matter(table, fold, seed, random):
    rows = list(zip(*table, strict=True))
    given = {"test_fold": fold, "seed": seed}
    chosen = nested_training(*table, **given, fraction=0.4)
    expected = {row[0] for row, taken in zip(rows, chosen, strict=True) if taken}
    random.shuffle(rows)
    shuffled = [list(column) for column in zip(*rows, strict=True)]
    chosen = nested_training(*shuffled, **given, fraction=0.4)
    assert {row[0] for row, taken in zip(rows, chosen, strict=True) if taken} == expected
    whole = nested_training(*table, **given, fraction=1)
    assert whole.tolist() == [number != fold for number in table[2]]


def test_a_fraction_out_of_range_is_named():
    with pytest.raises(ValueError, match=r"fraction: expected above 0, up to 1, got 0"):
        nested_training(["a"], [1], [0], test_fold=1, fraction=0, seed=0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The cohort with feature maps of noise, and heads of half, of the whole, and as the pipeline trains them."""
    folder = cohort(tmp_path_factory.mktemp("trained"))
    origin = Provenance("alexnet", "features.11", "a" * 64, "b" * 64, 64, "none", ("original", "flip"))
    rng = np.random.default_rng(0)
    for case in read_table(folder / "cases.csv"):
        for modality in case.modalities:
            noise = rng.normal(size=(2, 4, 3, 3)).astype(np.float16)
            write_features(folder / "features" / modality / f"{case.case_id}.h5", noise, origin)
    (folder / "features/manifest.json").write_text("{}")
    tables = folder / "cases.csv", folder / "split.csv"
    inputs = TrainInputs("alexnet", *tables, folder / "features", LAST_FOLD, HEADS, TRAIN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DMDBT_DEVICE", "cpu")
        patch.setenv("DMDBT_CHECKPOINTS", str(folder / "states"))
        for fraction in (0.5, 1.0):
            target = folder / f"parts/{fraction}/fold2.csv"
            learning_curve_train.main(fraction, 2, inputs, target, TRIALS)
        train.main(inputs, **{name: folder / name for name in ("models", "probabilities", "copies", "losses")})
    return folder


def test_the_whole_training_cohort_gives_the_probabilities_of_the_pipeline(trained):
    whole, pipeline = (read_probabilities(trained / name) for name in ("parts/1.0/fold2.csv", "probabilities"))
    pd.testing.assert_frame_equal(whole, pipeline)


def test_a_part_of_the_training_cohort_tests_the_same_pairs_with_other_heads(trained):
    part, pipeline = (read_probabilities(trained / name) for name in ("parts/0.5/fold2.csv", "probabilities"))
    same = ["case_id", "patient_id", "label", "fold"]
    pd.testing.assert_frame_equal(part[same], pipeline[same])
    assert (part["p_dm"] != pipeline["p_dm"]).all()


def test_the_curve_has_every_head_at_every_size_against_the_whole(trained, tmp_path):
    learning_curve.main(
        counts=write_counts(tmp_path / "counts.json", simulated=None),
        cases=trained / "cases.csv",
        split=trained / "split.csv",
        probabilities=trained / "probabilities",
        parts=trained / "parts",
        metrics=tmp_path / "curve.json",
        points=tmp_path / "curve.csv",
        table=tmp_path / "curve.md",
        settings=TRIALS,
        folds=LAST_FOLD,
        evaluation=EVALUATION,
    )
    found = json.loads((tmp_path / "curve.json").read_text())
    assert found["simulated"] is None
    with (tmp_path / "curve.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["head"], row["fraction"]) for row in rows] == [(h, f) for h in Head for f in ("0.5", "1.0")]
    assert [(row["train_patients"], row["train_pairs"]) for row in rows[:2]] == [("4", "4"), ("8", "8")]
    assert {row["n"] for row in rows if row["head"] == "dm"} == {"4"}
    assert {row["n"] for row in rows if row["head"] != "dm"} == {"3"}  # one has no volume
    title = (tmp_path / "curve.md").read_text().splitlines()[0]
    assert title.endswith(", cohort not stated to be real or simulated")
    assert (tmp_path / "curve.md").read_text().count("\n| d") == 6


def test_a_pair_that_one_trial_has_not_seen_is_left_out_of_all():
    rng = np.random.default_rng(4)
    one, other = (probabilities(NAMES, rng.uniform(size=12)) for _ in range(2))
    other.loc[3, "p_dbt"] = np.nan
    rows = trial_rows({"a": one, "b": other}, head=Head.DBT, reference="a", bootstrap=Bootstrap(200, 1))
    assert [row["n"] for row in rows] == [11, 11]
    left = one.drop(3)
    assert rows[0]["auc"] == classifier_metrics(left["label"] == "malignant", left["p_dbt"])["auc"]


def test_trials_of_other_pairs_are_refused():
    tables = {"a": probabilities(NAMES, np.full(12, 0.5)), "b": probabilities(NAMES[:6], np.full(6, 0.5))}
    with pytest.raises(IntegrityError, match=r"E-ABLATION-CASES .*file=b.csv cause=expected the cases of a.csv"):
        trial_rows(tables, head=Head.DBT, reference="a", bootstrap=Bootstrap(200, 1))


def test_a_table_shows_intervals_and_a_dash_for_what_is_not_there():
    rows = [{"trial": "a", "auc": 0.75, "auc_low": 0.5, "auc_high": 1.0, "n": 7}, {"trial": "b", "auc": None, "n": 7}]
    assert markdown(rows, {"trial": "variant", "auc": "AUC", "n": "pairs"}).splitlines() == [
        "| variant | AUC | pairs |",
        "| --- | ---: | ---: |",
        "| a | 0.750 (0.500 to 1.000) | 7 |",
        "| b | - | 7 |",
    ]
