import csv

import numpy as np
import pytest

from dmdbt import params
from dmdbt.features import Origin, write_features
from dmdbt.terms import Modality
from stages.train import main

ORIGIN = Origin("alexnet", "features.11", "a" * 64, "b" * 64, 64, "none", ("original", "flip"))
HEADS = params.Heads(filters="backbone", hidden=[8], dropout=0.5)
TRAIN = params.Train(epochs=3, batch_size=4, learning_rate=1e-2, precision="float32", seed=1)


@pytest.fixture
def cohort(tmp_path):
    """Six patients in three folds, and feature maps in which one channel tells the class."""
    rng = np.random.default_rng(0)
    columns = ("case_id", "patient_id", "laterality", "view", "label", "dm", "dbt")
    rows = [(f"c{n}", f"p{n}", "L", "CC", ("benign", "malignant")[n % 2], "a.dcm", "a.avi") for n in range(6)]
    with (
        (tmp_path / "cases.csv").open("w", newline="") as table,
        (tmp_path / "split.csv").open("w", newline="") as split,
    ):
        csv.writer(table).writerows([columns, *rows])
        csv.writer(split).writerows(
            [("case_id", "patient_id", "fold"), *((r[0], r[1], n // 2) for n, r in enumerate(rows))]
        )
    for modality in Modality:
        for n, row in enumerate(rows):
            maps = rng.normal(size=(2, 4, 3, 3))
            maps[:, 0] += 4 * (n % 2) - 2
            write_features(tmp_path / "features" / modality / f"{row[0]}.h5", maps.astype(np.float16), ORIGIN)
    (tmp_path / "features" / "manifest.json").write_text("{}")
    return tmp_path


def train(cohort, output, *, settings=TRAIN):
    main(
        "alexnet",
        cases=cohort / "cases.csv",
        split=cohort / "split.csv",
        features=cohort / "features",
        models=output / "models",
        probabilities=output / "probabilities.csv",
        history=output / "history.csv",
        folds=params.Split(folds=3, test_folds=[0, 2], seed=0),
        heads=HEADS,
        settings=settings,
    )
    return {path.relative_to(output): path.read_bytes() for path in output.rglob("*") if path.is_file()}


def test_how_the_work_is_done_changes_no_byte_of_what_comes_out(cohort, tmp_path, monkeypatch):
    monkeypatch.setenv("DMDBT_DEVICE", "cpu")
    monkeypatch.setenv("DMDBT_CHECKPOINTS", str(tmp_path / "states"))
    expected = train(cohort, tmp_path / "usual")
    assert len(expected) == 2 * 3 * 2 + 2  # folds, heads, weights and their description; probabilities and history
    monkeypatch.setenv("DMDBT_MEMORY_GIB", "0")
    monkeypatch.setenv("DMDBT_WORKERS", "1")
    monkeypatch.setenv("DMDBT_CHECKPOINT_MINUTES", "0")
    assert train(cohort, tmp_path / "unusual") == expected
    assert not list((tmp_path / "states").iterdir())  # a training that has ended leaves none


def test_every_pair_of_a_tested_fold_is_predicted_by_heads_that_have_not_seen_it(cohort, tmp_path):
    train(cohort, tmp_path / "out")
    with (tmp_path / "out" / "probabilities.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["case_id"], row["fold"]) for row in rows] == [("c0", "0"), ("c1", "0"), ("c4", "2"), ("c5", "2")]
    assert all((float(row["p_dm_dbt"]) > 0.5) == (row["label"] == "malignant") for row in rows)


def test_a_training_in_bfloat16_gives_heads_of_its_own(cohort, tmp_path):
    mixed = params.Train(**vars(TRAIN) | {"precision": "mixed"})
    assert train(cohort, tmp_path / "mixed", settings=mixed) != train(cohort, tmp_path / "usual")
