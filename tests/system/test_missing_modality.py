"""From the files to the summary where pairs lack an image, under a backbone with random weights."""

import csv
import json

import pytest
from safetensors.torch import save_file

from dmdbt import params
from dmdbt.backbones.architectures import create_classifier, feature_extractor
from dmdbt.cohort import read_table
from dmdbt.steps.train import TrainInputs
from stages import ensemble, features, split, summary, train
from tests.support.cohorts import tiny_cohort
from tests.support.stages import run_image_stages, section

pytestmark = pytest.mark.system

NAME = "squeezenet"
BACKBONES = params.Backbones(names=[NAME], resnet_depth=18, weights="procedural")
SPLIT = params.Split(folds=2, test_folds=[0, 1], seed=0)
N_CASES = 12


def run_stages(folder):
    table, quarantine = folder / "cases.csv", folder / "quarantine.csv"
    run_image_stages(folder)
    (folder / "weights.json").write_text('{"source": "random"}')
    save_file(feature_extractor(create_classifier(NAME, seed=3)).state_dict(), folder / f"{NAME}.safetensors")
    features.main(
        NAME,
        cases=table,
        mammograms=folder / "dm",
        dynamic=folder / "dbt",
        weights=folder / f"{NAME}.safetensors",
        output=folder / "features",
        backbones=BACKBONES,
        settings=params.Features(crop="none", augmentations=["original"], size={NAME: 64}, precision="float32"),
    )
    split.main(table, folder / "split.csv", SPLIT)
    inputs = TrainInputs(
        NAME,
        cases=table,
        split=folder / "split.csv",
        features=folder / "features",
        folds=SPLIT,
        heads=params.Heads(filters=4, hidden=[8], dropout=0.5, activation="none"),
        settings=params.Train(
            epochs=1, batch_size=4, learning_rate=1e-3, schedule="cosine", precision="float32", seed=1
        ),
    )
    train.main(
        inputs,
        models=folder / "models",
        probabilities=folder / "probabilities.csv",
        copies=folder / "copies.csv",
        losses=folder / "history.csv",
        record=folder / "training.json",
    )
    ensemble.main(
        folder / "probabilities.csv",
        copies=folder / "copies.csv",
        cases=table,
        quarantine=quarantine,
        weights=folder / "weights.json",
        training=folder / "training.json",
        predictions=folder / f"predictions/{NAME}.csv",
        provenance=folder / f"predictions/{NAME}.json",
        metrics=folder / "metrics.json",
        settings=section(params.Ensemble),
        evaluation=section(params.Evaluation),
    )
    summary.main(
        folder / "cohort.json",
        predictions=folder / "predictions",
        quarantine=quarantine,
        metrics=folder / "summary.json",
        plots=folder / "plots",
        table=folder / "summary.txt",
        settings=BACKBONES,
    )


@pytest.mark.parametrize(
    ("lacking", "heads", "compared"),
    [
        (lambda _: ["dbt"], {"dm"}, N_CASES),
        (lambda _: ["dm"], {"dbt"}, N_CASES),
        (lambda n: ["dbt"] if n < 2 else ["dm"] if n > 9 else [], {"dm", "dbt", "dm_dbt"}, N_CASES - 4),
    ],
    ids=["mammograms alone", "volumes alone", "some complete pairs"],
)
def test_every_stage_works_on_the_images_that_there_are(tmp_path, monkeypatch, lacking, heads, compared):
    monkeypatch.setenv("DMDBT_DEVICE", "cpu")
    tiny_cohort(tmp_path / "cohort", N_CASES, lacking)
    run_stages(tmp_path)
    cases = read_table(tmp_path / "cases.csv")
    for modality, kind in (("dm", "dm"), ("dbt", "slices"), ("dbt", "dbt")):
        having = {case.case_id for case in cases if modality in case.modalities}
        assert {path.stem for path in (tmp_path / kind).iterdir() if path.stem != "manifest"} == having
        assert (tmp_path / kind / "manifest.json").is_file()
        assert {path.stem for path in (tmp_path / "features" / modality).glob("*.h5")} == having
    assert {path.stem for path in (tmp_path / "models").rglob("*.safetensors")} == heads
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["ensemble"]["n"] == compared
    assert metrics.get("incomplete_pairs", {}).get("ensemble", {}).get("n", 0) == N_CASES - compared
    with (tmp_path / f"predictions/{NAME}.csv").open(newline="") as file:
        assert all(row["decision_ensemble"] for row in csv.DictReader(file))
    heading = (tmp_path / "summary.txt").read_text().splitlines()[0]
    assert ("no pair has both modalities" in heading) is (len(heads) == 1)
