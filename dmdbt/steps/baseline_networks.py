"""Baselines that are networks: each is trained fold by fold, and tests the patients that it has not seen."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from dmdbt import params
from dmdbt.backbones import kinetics_weights
from dmdbt.baselines.fold_training import Experiment, run_folds
from dmdbt.baselines.networks import FullyConnected, SliceConvolution, VideoResnet
from dmdbt.baselines.pairs import read_baseline_pairs
from dmdbt.baselines.record import Outputs, write_curves, write_results
from dmdbt.baselines.registry import BASELINES
from dmdbt.heads import TrainSettings

_RESNET3D = "resnet3d"


def train_alexnet(
    baseline: str,
    cases: Path,
    split: Path,
    maps: Path,
    weights: Path,
    outputs: Outputs,
    folds: params.Split,
    settings: params.Baselines,
) -> None:
    """Train and test ``2d_t3_alex`` or ``3d_t2_alex`` on AlexNet's maps, which the stage baseline_maps wrote.

    The record has the provenance of AlexNet's weights, from the JSON file `weights`.
    """
    chosen = settings.of(baseline)
    about = {"settings": asdict(chosen), "weights": json.loads(weights.read_text(encoding="utf-8"))}
    build = partial(_alexnet, settings=chosen.train)
    _train(baseline, cases, split, maps, outputs, folds, build=build, train=chosen.train, about=about)


def train_resnet3d(
    cases: Path,
    split: Path,
    volumes: Path,
    outputs: Outputs,
    folds: params.Split,
    backbones: params.Backbones,
    settings: params.Baselines,
) -> None:
    """Train and test the 3-D ResNet on what the stage baseline_volumes wrote.

    With ``backbones.weights: imagenet``, or that for ``resnet3d``, it starts from Kinetics-400, else at random.
    """
    chosen, pretrained = settings.resnet3d, backbones.source(_RESNET3D) == "imagenet"
    weights: Mapping[str, object] = kinetics_weights().origin if pretrained else {"source": "random"}
    about = {"settings": asdict(chosen), "weights": dict(weights)}
    build = partial(_resnet3d, rows=chosen.maps.rows, pretrained=pretrained)
    _train(_RESNET3D, cases, split, volumes, outputs, folds, build=build, train=chosen.train, about=about)


def _train(
    baseline: str,
    cases: Path,
    split: Path,
    maps: Path,
    outputs: Outputs,
    folds: params.Split,
    *,
    build: Callable[[tuple[int, int, int]], nn.Module],
    train: params.Optimization,
    about: Mapping[str, Any],
) -> None:
    (modality,) = BASELINES[baseline].modalities
    pairs = read_baseline_pairs(cases, split, needed=[modality], test_folds=folds.test_folds)
    experiment = Experiment(
        name=baseline,
        folder=maps,
        modality=modality,
        case_ids=pairs.case_ids,
        targets=pairs.targets,
        fold_of=pairs.fold_of,
        build=build,
        settings=TrainSettings(
            epochs=train.epochs,
            batch_size=train.batch_size,
            learning_rate=train.learning_rate,
            schedule=train.schedule,
            mixed=False,
            seed=train.seed,
        ),
    )
    tested = run_folds(experiment, folds.test_folds)
    write_results(baseline, pairs, tested, about=about, predictions=outputs.predictions, record=outputs.record)
    write_curves(outputs.history, baseline, modality, tested)


def _alexnet(shape: tuple[int, int, int], *, settings: params.AlexnetTrain) -> nn.Module:
    if isinstance(settings, params.SliceTrain):
        return SliceConvolution(shape, filters=settings.filters, hidden=settings.hidden, dropout=settings.dropout)
    channels, rows, columns = shape
    return FullyConnected(channels * rows * columns, hidden=settings.hidden, dropout=settings.dropout)


def _resnet3d(_: tuple[int, int, int], *, rows: int, pretrained: bool) -> nn.Module:
    return VideoResnet(rows, kinetics_weights().state_dict if pretrained else None)
