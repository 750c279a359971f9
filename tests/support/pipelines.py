"""A small pipeline that has run: what the stages write, below the folder of a repository."""

import torch

from dmdbt import params
from dmdbt.backbones.architectures import create_classifier
from dmdbt.steps.train import TrainInputs
from dmdbt.steps.weights import make_weights
from dmdbt.terms import MissingModality
from stages import decode, ensemble, features, ingest, mammogram, rankpool, split, train
from tests.support import ROOT, yaml
from tests.support.cohorts import tiny_cohort

BACKBONES = ("squeezenet", "alexnet")
FOLDS = 3


def trained_pipeline(root, *, test_folds=(0, 1, 2), n_cases=9, lacking=lambda _: [], backbones=BACKBONES[:1]):
    """Write the cohort to ``<root>/cohort``, and run every stage from ingest to ensemble on it; return the cases."""
    content = yaml.load(ROOT / "params.yaml")
    for name in backbones:
        torch.save(create_classifier(name, seed=4).state_dict(), root / f"{name}.pth")
    content |= {"cohort": str(root / "cohort"), "missing_modality": "allow"}
    content["split"] |= {"folds": FOLDS, "test_folds": list(test_folds)}
    content["mammogram"]["size"] = 64
    content["backbones"] |= {"names": list(backbones), "weights": str(root / "{backbone}.pth")}
    content["features"] |= {"size": dict.fromkeys(backbones, 64), "augmentations": ["original", "flip"]}
    content["heads"] |= {"filters": 4, "hidden": [8]}
    content["train"] |= {"epochs": 3, "batch_size": 4, "learning_rate": 0.01}
    content["evaluation"]["draws"] = 100
    yaml.dump(content, root / "params.yaml")
    cases = tiny_cohort(root / "cohort", n_cases, lacking)

    def section(kind):
        return params.read(kind, root / "params.yaml")

    data, metrics = root / "data", root / "metrics"
    table, quarantine = data / "cases.csv", metrics / "quarantine.csv"
    images = {"cohort": root / "cohort", "cases": table, "reading": section(params.Reading)}
    ingest.main(
        **images,
        missing_modality=MissingModality.ALLOW,
        examined=data / "examined",
        metrics=metrics / "cohort.json",
        quarantine=quarantine,
        labels=section(params.Labels),
        settings=params.Quarantine(max_cases=0),
    )
    split.main(cases=table, output=data / "split.csv", settings=section(params.Split))
    mammogram.main(**images, output=data / "mammograms", settings=section(params.Mammogram))
    decode.main(**images, examined=data / "examined", output=data / "slices", settings=section(params.Decode))
    rankpool.main(
        cases=table,
        slices=data / "slices",
        quarantine=quarantine,
        output=data / "dynamic",
        metrics=metrics / "rankpool.json",
        settings=section(params.Rankpool),
    )
    for name in backbones:
        _train(name, data, metrics, section)
    return cases


def _train(name, data, metrics, section):
    table, weights = data / "cases.csv", data / "weights" / f"{name}.safetensors"
    backbones = section(params.Backbones)
    make_weights(name, weights, weights.with_suffix(".json"), backbones, section(params.Weights))
    features.main(
        backbone=name,
        cases=table,
        mammograms=data / "mammograms",
        dynamic=data / "dynamic",
        weights=weights,
        output=data / "features" / name,
        backbones=backbones,
        settings=section(params.Features),
    )
    inputs = TrainInputs(
        name,
        cases=table,
        split=data / "split.csv",
        features=data / "features" / name,
        folds=section(params.Split),
        heads=section(params.Heads),
        settings=section(params.Train),
    )
    probabilities, copies = data / "probabilities" / f"{name}.csv", data / "probabilities" / f"{name}-copies.csv"
    record = probabilities.with_suffix(".json")
    models = data / "models" / name
    train.main(inputs, models=models, probabilities=probabilities, copies=copies, record=record)
    ensemble.main(
        probabilities=probabilities,
        copies=copies,
        cases=table,
        quarantine=metrics / "quarantine.csv",
        weights=weights.with_suffix(".json"),
        training=record,
        predictions=data / "predictions" / f"{name}.csv",
        provenance=data / "predictions" / f"{name}.json",
        metrics=metrics / f"{name}.json",
        settings=section(params.Ensemble),
        evaluation=section(params.Evaluation),
    )
