import csv
import json
import os
import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from dmdbt import params
from dmdbt.errors import DmdbtError, InputDataError
from dmdbt.evaluation import read_probabilities
from dmdbt.features import Provenance, write_features
from dmdbt.steps.train import TrainInputs
from dmdbt.terms import Modality
from stages.train import main
from tests.support import ROOT

ORIGIN = Provenance("alexnet", "features.11", "a" * 64, "b" * 64, 64, "none", ("original", "flip"))
HEADS = params.Heads(filters="backbone", hidden=[8], dropout=0.5, activation="none")
TRAIN = params.Train(epochs=3, batch_size=4, learning_rate=1e-2, schedule="cosine", precision="float32", seed=1)
HEAD_COLUMNS = ["p_dm", "p_dbt", "p_dm_dbt"]


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
    inputs = TrainInputs(
        "alexnet",
        cases=cohort / "cases.csv",
        split=cohort / "split.csv",
        features=cohort / "features",
        folds=params.Split(folds=3, test_folds=[0, 2], seed=0),
        heads=HEADS,
        settings=settings,
    )
    main(
        inputs,
        models=output / "models",
        probabilities=output / "probabilities.csv",
        copies=output / "copies.csv",
        losses=output / "history.csv",
    )
    return {path.relative_to(output): path.read_bytes() for path in output.rglob("*") if path.is_file()}


def test_how_the_work_is_done_changes_no_byte_of_what_comes_out(cohort, tmp_path, monkeypatch):
    monkeypatch.setenv("DMDBT_DEVICE", "cpu")
    monkeypatch.setenv("DMDBT_CHECKPOINTS", str(tmp_path / "states"))
    expected = train(cohort, tmp_path / "usual")
    assert len(expected) == 2 * 3 * 2 + 3  # folds, heads, weights and their description; probabilities, copies, history
    monkeypatch.setenv("DMDBT_MEMORY_GIB", "0")
    monkeypatch.setenv("DMDBT_WORKERS", "1")
    monkeypatch.setenv("DMDBT_CHECKPOINT_MINUTES", "0")
    assert train(cohort, tmp_path / "unusual") == expected
    for number, device in enumerate(("cpu-batched", "cpu-batched,cpu-batched")):  # one card, and one for each fold
        monkeypatch.setenv("DMDBT_DEVICE", device)
        assert train(cohort, tmp_path / f"cards{number}") == expected
    assert not list((tmp_path / "states").iterdir())  # a training that has ended leaves none


@pytest.mark.slow
@pytest.mark.parametrize("n_ranks", [2, 3])
def test_processes_that_train_together_have_the_result_of_one_but_for_the_order_of_sums(cohort, tmp_path, n_ranks):
    """Batches of 4 samples, the last one of 2: with three ranks some have two, one, or none."""
    sections = {"heads": asdict(HEADS), "train": asdict(TRAIN), "split": {"folds": 3, "test_folds": [0, 2], "seed": 0}}
    (tmp_path / "params.yaml").write_text(json.dumps(sections))
    inputs = ["--backbone", "alexnet", "--params", tmp_path / "params.yaml", "--features", cohort / "features"]
    inputs += ["--cases", cohort / "cases.csv", "--split", cohort / "split.csv"]
    environment = os.environ | {"DMDBT_DEVICE": "cpu", "DMDBT_CHECKPOINTS": str(tmp_path), "DMDBT_WORKERS": "2"}

    def run(name, *launcher):
        output = tmp_path / name
        outputs = ["--models", output / "models", "--probabilities", output / "probabilities.csv"]
        outputs += ["--copies", output / "copies.csv", "--losses", output / "losses.csv"]
        command = [sys.executable, "-m", *launcher, "stages.train", *inputs, *outputs]
        done = subprocess.run(
            list(map(str, command)), cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        models = {path.relative_to(output): load_file(path) for path in sorted(output.rglob("*.safetensors"))}
        return pd.read_csv(output / "losses.csv"), pd.read_csv(output / "copies.csv"), models

    one, together = run("one"), run("together", "torch.distributed.run", "--nproc-per-node", n_ranks, "-m")
    assert np.allclose(one[0].loss, together[0].loss, rtol=1e-5)
    assert one[1].drop(columns=HEAD_COLUMNS).equals(together[1].drop(columns=HEAD_COLUMNS))
    # The bias before a batch norm has the gradient 0 but for rounding, which Adam takes for a direction: what it adds
    # is subtracted again in training, and followed late by the running mean.
    assert np.allclose(one[1][HEAD_COLUMNS], together[1][HEAD_COLUMNS], atol=5e-3)
    assert len(one[2]) == 2 * 3
    for path, weights in one[2].items():
        assert weights.keys() == together[2][path].keys()
        for key in weights.keys() - {"convolution.0.bias", "convolution.1.running_mean"}:
            torch.testing.assert_close(weights[key], together[2][path][key], rtol=1e-4, atol=1e-4)


def test_every_pair_of_a_tested_fold_is_predicted_by_heads_that_have_not_seen_it(cohort, tmp_path):
    train(cohort, tmp_path / "out")
    with (tmp_path / "out" / "probabilities.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["case_id"], row["fold"]) for row in rows] == [("c0", "0"), ("c1", "0"), ("c4", "2"), ("c5", "2")]
    assert all((float(row["p_dm_dbt"]) > 0.5) == (row["label"] == "malignant") for row in rows)


def test_the_copies_of_a_pair_stand_beside_its_original(cohort, tmp_path):
    train(cohort, tmp_path / "out")
    copies = read_probabilities(tmp_path / "out/copies.csv", copies=True)
    assert copies["case_id"].tolist() == [name for name in ("c0", "c1", "c4", "c5") for _ in range(2)]
    assert copies["copy"].tolist() == ["original", "flip"] * 4
    originals = copies[copies["copy"] == "original"].drop(columns="copy").reset_index(drop=True)
    assert originals.equals(read_probabilities(tmp_path / "out/probabilities.csv"))
    flipped = copies[copies["copy"] == "flip"]
    assert (flipped["p_dm"].to_numpy() != originals["p_dm"].to_numpy()).all()


def take_away(cohort, modality, names):
    """Let some cases lack an image."""
    with (cohort / "cases.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in (row for row in rows if row["case_id"] in names):
        row[modality] = ""
        (cohort / "features" / modality / f"{row['case_id']}.h5").unlink()
    with (cohort / "cases.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def probabilities(output):
    with (output / "probabilities.csv").open(newline="") as file:
        return {row["case_id"]: [row["p_dm"], row["p_dbt"], row["p_dm_dbt"]] for row in csv.DictReader(file)}


def test_a_pair_has_an_empty_cell_for_each_head_whose_images_it_lacks(cohort, tmp_path):
    take_away(cohort, "dbt", ["c0"])
    take_away(cohort, "dm", ["c5"])
    train(cohort, tmp_path / "out")
    found = {case_id: [cell != "" for cell in cells] for case_id, cells in probabilities(tmp_path / "out").items()}
    lacking = {"c0": [True, False, False], "c5": [False, True, False]}
    assert found == dict.fromkeys(("c1", "c4"), [True] * 3) | lacking


@pytest.mark.parametrize(("kept", "lost"), [("dm", "dbt"), ("dbt", "dm")])
def test_a_cohort_without_one_modality_has_one_head(cohort, tmp_path, capfd, kept, lost):
    take_away(cohort, lost, [f"c{n}" for n in range(6)])
    written = train(cohort, tmp_path / "out")
    files = [f"models/fold{fold}/{kept}.{kind}" for fold in (0, 2) for kind in ("safetensors", "json")]
    assert {path.as_posix() for path in written} == {*files, "probabilities.csv", "copies.csv", "history.csv"}
    with (tmp_path / "out/history.csv").open(newline="") as file:
        assert {row["head"] for row in csv.DictReader(file)} == {kept}
    place = ("dm", "dbt").index(kept)
    for cells in probabilities(tmp_path / "out").values():
        assert [number for number, cell in enumerate(cells) if cell] == [place]
    assert f"train alexnet: fold 2 has no {lost} head: no benign or no malignant pair" in capfd.readouterr().out


def test_a_pair_that_no_trained_head_can_see_is_refused_by_its_name_in_the_ensemble(cohort, tmp_path):
    take_away(cohort, "dbt", ["c1", "c2", "c3", "c4", "c5"])
    take_away(cohort, "dm", ["c0"])
    train(cohort, tmp_path / "out")
    assert probabilities(tmp_path / "out")["c0"] == ["", "", ""]
    with pytest.raises(InputDataError, match=r"E-PROBABILITY-NONE case=c0 .*an image whose head can be trained"):
        read_probabilities(tmp_path / "out/probabilities.csv")


def test_a_training_without_any_head_is_refused(cohort, tmp_path):
    take_away(cohort, "dbt", ["c1", "c3", "c5"])
    take_away(cohort, "dm", ["c0", "c2", "c4"])
    message = r"expected benign and malignant training pairs .* got dm: 0 and 2; dbt: 2 and 0\. Add pairs of the class"
    with pytest.raises(DmdbtError, match=message):
        train(cohort, tmp_path / "out")


def test_a_training_in_bfloat16_gives_heads_of_its_own(cohort, tmp_path):
    mixed = params.Train(**vars(TRAIN) | {"precision": "mixed"})
    assert train(cohort, tmp_path / "mixed", settings=mixed) != train(cohort, tmp_path / "usual")
