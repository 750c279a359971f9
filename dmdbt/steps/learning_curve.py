"""The heads by the number of their training patients."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from dmdbt import params
from dmdbt.ablation.subsets import nested_training
from dmdbt.ablation.tables import Row, markdown, trial_rows
from dmdbt.cohort import Case, read_folds, read_stated, read_table
from dmdbt.evaluation import Bootstrap, read_probabilities, write_metrics, write_points
from dmdbt.files import write_text
from dmdbt.terms import Head, kind_of_cohort

_POINT = ("head", "fraction", "train_patients", "train_pairs", "auc", "auc_low", "auc_high", "acc", "n", "n_patients")


def write_learning_curve(
    counts: Path,
    cases: Path,
    split: Path,
    probabilities: Path,
    parts: Path,
    metrics: Path,
    points: Path,
    table: Path,
    settings: params.Ablation,
    folds: params.Split,
    evaluation: params.Evaluation,
) -> None:
    """Write the metrics of every head at every fraction, compared with all training patients; a plot's points; a table.

    Parameters
    ----------
    counts
        What the stage ingest wrote: the table says whether the cohort is simulated.
    cases, split
        Tables of the pairs and of their folds.
    probabilities
        Of the pipeline, whose heads have seen every training patient.
    parts
        Folder with a folder per fraction, and in it a CSV file per tested fold.
    metrics, points, table
        Files to write.
    settings, folds, evaluation
        Which fractions, the tested folds, the bootstrap of the intervals.
    """
    trials = {str(fraction): _read_all(parts / str(fraction), folds.test_folds) for fraction in settings.fractions}
    trials["1.0"] = read_probabilities(probabilities)
    all_cases = read_table(cases)
    fold_of = read_folds(split, all_cases)
    size_of = {
        name: _mean_size(all_cases, fold_of, folds.test_folds, fraction=float(name), seed=settings.seed)
        for name in trials
    }
    rows = [
        {"head": head.value, "fraction": float(row["trial"])} | size_of[row["trial"]] | row
        for head in Head
        if trials["1.0"][f"p_{head}"].notna().any()
        for row in trial_rows(trials, head=head, reference="1.0", bootstrap=Bootstrap(**vars(evaluation)))
    ]
    simulated = read_stated(counts).simulated
    content = {"format": "dmdbt learning curve", "version": 1, "backbone": settings.backbone, "points": rows}
    write_metrics(metrics, content | {"folds": sorted(folds.test_folds), "simulated": simulated})
    write_points(points, pd.DataFrame([{name: row[name] for name in _POINT} for row in rows]))
    write_text(table, text := _text(rows, backbone=settings.backbone, kind=kind_of_cohort(simulated)))
    print(text)


def _text(rows: Sequence[Row], *, backbone: str, kind: str) -> str:
    columns = {"head": "head", "train_patients": "training patients", "auc": "AUC", "acc": "accuracy"}
    columns |= {"difference": "difference to all", "p_value": "p", "p_holm": "p (Holm)"}
    columns |= {"n": "test pairs", "n_patients": "test patients"}
    title = f"The heads of {backbone} by the number of training patients{kind and f', {kind}'}"
    return f"{title}\n\n{markdown(rows, columns)}"


def _read_all(folder: Path, test_folds: Sequence[int]) -> pd.DataFrame:
    found = pd.concat([read_probabilities(folder / f"fold{fold}.csv") for fold in test_folds])
    return found.sort_values("case_id", ignore_index=True)


def _mean_size(
    cases: Sequence[Case], fold_of: Sequence[int], test_folds: Sequence[int], *, fraction: float, seed: int
) -> dict[str, int]:
    """Training patients and pairs, in the rounded mean over the tested folds."""
    patients, targets = np.array([case.patient_id for case in cases]), [case.label.target for case in cases]
    chosen = [
        patients[nested_training(patients.tolist(), targets, fold_of, test_fold=fold, fraction=fraction, seed=seed)]
        for fold in test_folds
    ]
    sizes = {"train_patients": [len(set(names)) for names in chosen], "train_pairs": [len(names) for names in chosen]}
    return {name: round(np.mean(numbers)) for name, numbers in sizes.items()}
