"""Train and test the 3-D ResNet."""

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path

from torch import nn

from dmdbt import params
from dmdbt.backbones import kinetics_weights
from dmdbt.baselines import Experiment, VideoResnet, read_baseline_pairs, run_folds, write_curves, write_results
from dmdbt.heads import TrainSettings
from dmdbt.running import compute_device
from dmdbt.terms import Modality
from stages._entry import run

_NAME = "resnet3d"


def main(
    cases: Path,
    split: Path,
    volumes: Path,
    predictions: Path,
    record: Path,
    history: Path,
    folds: params.Split,
    backbones: params.Backbones,
    settings: params.Baselines,
) -> None:
    """Write probabilities, record and learning curves.

    Parameters
    ----------
    cases, split
        Tables of the cohort and of the folds.
    volumes
        What the stage baseline_volumes wrote.
    predictions, record, history
        Files to write.
    folds, settings
        See there.
    backbones
        With ``weights: imagenet``, or that for ``resnet3d``, the network starts from Kinetics-400, else at random.
    """
    chosen, pretrained = settings.resnet3d, backbones.source(_NAME) == "imagenet"
    subjects = read_baseline_pairs(cases, split, needed=[Modality.DBT], test_folds=folds.test_folds)
    experiment = Experiment(
        name=_NAME,
        folder=volumes,
        modality=Modality.DBT,
        case_ids=subjects.case_ids,
        targets=subjects.targets,
        fold_of=subjects.fold_of,
        build=partial(_network, rows=chosen.maps.rows, pretrained=pretrained),
        settings=TrainSettings(**asdict(chosen.train), mixed=False),
        device=compute_device(),
    )
    weights: Mapping[str, object] = kinetics_weights().origin if pretrained else {"source": "random"}
    tested = run_folds(experiment, folds.test_folds)
    about = {"settings": asdict(chosen), "weights": dict(weights)}
    write_results(_NAME, subjects, tested, about=about, predictions=predictions, record=record)
    write_curves(history, _NAME, Modality.DBT, tested)


def _network(_: tuple[int, int, int], *, rows: int, pretrained: bool) -> nn.Module:
    return VideoResnet(rows, kinetics_weights().state_dict if pretrained else None)


if __name__ == "__main__":
    run(main)
