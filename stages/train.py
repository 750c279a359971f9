"""Train the three heads of one backbone, fold by fold, and let each test the patients it has not seen."""

import csv
import io
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from safetensors.torch import save_file
from torch import nn
from tqdm import tqdm

from dmdbt import params
from dmdbt.cohort import Case, read_folds, read_table
from dmdbt.features import Origin
from dmdbt.files import whole_file, whole_folder, write_json, write_text
from dmdbt.heads import HeadSettings, TrainSettings, load_features, predict, train_heads
from dmdbt.running import map_cases
from dmdbt.terms import Head, Label
from stages._entry import run

Row = dict[str, str | int | float]


def main(
    backbone: str,
    cases: Path,
    split: Path,
    features: Path,
    models: Path,
    probabilities: Path,
    history: Path,
    folds: params.Split,
    heads: params.Heads,
    settings: params.Train,
) -> None:
    """Write the heads of every tested fold, the probabilities of its test pairs, and the learning curves."""
    table = read_table(cases)
    fold_of = np.array(read_folds(split, table))
    with whole_folder(models) as folder:
        train = partial(
            _train_fold,
            backbone=backbone,
            cases=table,
            fold_of=fold_of,
            features=features,
            models=folder,
            heads=heads,
            settings=settings,
        )
        results = map_cases(
            train,
            folds.test_folds,
            description=f"train {backbone}",
            name=lambda fold: f"fold {fold}",
            preload=["dmdbt.heads"],
        )
    tested = [row for rows, _ in results for row in rows]
    write_text(probabilities, _csv(sorted(tested, key=lambda row: row["case_id"])))
    write_text(history, _csv([row for _, rows in results for row in rows]))


def _train_fold(
    fold: int,
    *,
    backbone: str,
    cases: Sequence[Case],
    fold_of: np.ndarray,
    features: Path,
    models: Path,
    heads: params.Heads,
    settings: params.Train,
) -> tuple[list[Row], list[Row]]:
    """Train on every other fold, test on this one."""
    targets = np.array([case.label.target for case in cases])
    loaded, origin = load_features(features, [case.case_id for case in cases], targets)
    filters = None if heads.filters == "backbone" else heads.filters
    head_settings = HeadSettings(filters, tuple(heads.hidden), heads.dropout)
    train_settings = TrainSettings(
        settings.epochs, settings.batch_size, settings.learning_rate, seed=settings.seed + fold
    )
    train, test = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
    with tqdm(total=settings.epochs, desc=f"fold {fold}", unit="epoch", position=fold + 1, disable=None) as bar:
        networks, history = train_heads(loaded, train, head_settings, train_settings, on_epoch=bar.update)
    for head, network in networks.items():
        _save(models / f"fold{fold}", head, network, head_settings, loaded.shape, origin)
    probs = {head: predict(head, network, loaded, test) for head, network in networks.items()}
    tested: list[Row] = []
    for position, pair in enumerate(test):
        case = cases[int(pair)]
        row: Row = {"case_id": case.case_id, "patient_id": case.patient_id, "label": str(case.label), "fold": fold}
        tested.append(row | {f"p_{head}": float(probs[head][position]) for head in Head})
    return tested, [{"backbone": backbone, "fold": fold, **row} for row in history]


def _save(
    folder: Path,
    head: Head,
    network: nn.Module,
    settings: HeadSettings,
    shape: tuple[int, int, int],
    origin: Origin,
) -> None:
    with whole_file(folder / f"{head}.safetensors") as temporary:
        save_file(network.state_dict(), temporary)
    record = {
        "format": "dmdbt head",
        "version": 1,
        "head": str(head),
        "classes": [str(label) for label in Label],
        "feature_shape": shape,
        "filters": settings.filters or shape[0],
        "hidden": settings.hidden,
        "dropout": settings.dropout,
        "backbone": origin.backbone,
        "weights_sha256": origin.weights_sha256,
        "input_size": origin.size,
    }
    write_json(folder / f"{head}.json", record)


def _csv(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


if __name__ == "__main__":
    run(main)
