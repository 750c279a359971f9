"""Ask whether a head sees findings of every depth: rank pooling weights the first slices down and all others up.

AUC, with its interval over patients, of the simulated pairs whose finding lies in the first two fifths of the slices,
the middle fifth, or the last two. Run after ``dvc repro``:
``python -m benchmarks.depth data/predictions/alexnet.csv``; tables of ``data/ablation/probabilities`` do as well.
"""

import sys
from pathlib import Path

import pandas as pd

from dmdbt.evaluation import Bootstrap, classifier_metrics
from dmdbt.evaluation.prediction_files import read_probabilities
from dmdbt.terms import Label

_PLACES = {"first slices": (0.0, 0.4), "middle": (0.4, 0.6), "last slices": (0.6, 1.0)}
_BOOTSTRAP = Bootstrap(draws=2000, seed=0)


def main(paths: list[str]) -> None:
    """Print a line per table and head that has probabilities."""
    truth = pd.read_csv("data/phantom/cohort/truth.csv").set_index("case_id")
    depth = (truth["slice"] - 0.5) / truth["slices"]  # slices count from 1
    for path in paths or ["data/predictions/alexnet.csv"]:
        table = read_probabilities(Path(path))
        place = table["case_id"].map(depth)
        for column in [name for name in ("p_dm", "p_dbt", "p_dm_dbt") if table[name].notna().any()]:
            parts = {name: table[(low <= place) & (place < high)] for name, (low, high) in _PLACES.items()}
            print(f"{path} {column}: " + "; ".join(f"{name} {_area(part, column)}" for name, part in parts.items()))


def _area(table: pd.DataFrame, column: str) -> str:
    found = classifier_metrics(
        (table["label"] == Label.MALIGNANT).astype(int),
        table[column],
        patients=table["patient_id"].tolist(),
        bootstrap=_BOOTSTRAP,
    )
    return f"{found['auc']:.3f} ({found['auc_low']:.3f} to {found['auc_high']:.3f}), {found['n']} pairs"


if __name__ == "__main__":
    main(sys.argv[1:])
