"""Train and test a baseline with AlexNet's maps: 2D-T3-Alex or 3D-T2-Alex."""

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path

from torch import nn

from dmdbt import params
from dmdbt.baselines import (
    Experiment,
    FullyConnected,
    SliceConvolution,
    read_baseline_pairs,
    run_folds,
    write_curves,
    write_results,
)
from dmdbt.heads import TrainSettings
from dmdbt.running import compute_device
from dmdbt.terms import Modality
from stages._entry import run


def main(
    baseline: str,
    cases: Path,
    split: Path,
    maps: Path,
    weights: Path,
    predictions: Path,
    record: Path,
    history: Path,
    folds: params.Split,
    settings: params.Baselines,
) -> None:
    """Write probabilities, record and learning curves of ``2d_t3_alex`` or ``3d_t2_alex``.

    Parameters
    ----------
    baseline
        Its name.
    cases, split
        Tables of the cohort and of the folds.
    maps
        What the stage baseline_maps wrote.
    weights
        JSON file with the provenance of AlexNet's weights.
    predictions, record, history
        Files to write.
    folds, settings
        See there.
    """
    modality = Modality.DM if baseline == "2d_t3_alex" else Modality.DBT
    chosen = settings.alexnet_2d if baseline == "2d_t3_alex" else settings.alexnet_3d
    subjects = read_baseline_pairs(cases, split, needed=[modality], test_folds=folds.test_folds)
    experiment = Experiment(
        name=baseline,
        folder=maps,
        modality=modality,
        case_ids=subjects.case_ids,
        targets=subjects.targets,
        fold_of=subjects.fold_of,
        build=partial(_network, settings=chosen.train),
        settings=TrainSettings(
            epochs=chosen.train.epochs,
            batch_size=chosen.train.batch_size,
            learning_rate=chosen.train.learning_rate,
            schedule=chosen.train.schedule,
            mixed=False,
            seed=chosen.train.seed,
        ),
        device=compute_device(),
    )
    tested = run_folds(experiment, folds.test_folds)
    about = {"settings": asdict(chosen), "weights": json.loads(weights.read_text(encoding="utf-8"))}
    write_results(baseline, subjects, tested, about=about, predictions=predictions, record=record)
    write_curves(history, baseline, modality, tested)


def _network(shape: tuple[int, int, int], *, settings: params.AlexnetTrain) -> nn.Module:
    if isinstance(settings, params.SliceTrain):
        return SliceConvolution(shape, filters=settings.filters, hidden=settings.hidden, dropout=settings.dropout)
    channels, rows, columns = shape
    return FullyConnected(channels * rows * columns, hidden=settings.hidden, dropout=settings.dropout)


if __name__ == "__main__":
    run(main)
