"""Tables of probabilities, and the stages that make predictions and the summary of them."""

import csv
import json
from pathlib import Path

from dmdbt import params
from dmdbt.cohort import Problem, write_quarantine
from dmdbt.evaluation import Bootstrap
from stages import ensemble, summary
from tests.support.cohorts import write_counts

HEADS = ("dm", "dbt", "dm_dbt")
WEIGHTS = params.Ensemble({"dm": 1.0, "dbt": 1.0, "dm_dbt": 2.0})
EVALUATION = params.Evaluation(draws=200, seed=1)
BOOTSTRAP = Bootstrap(draws=200, seed=1)
PROVENANCE = {"source": "procedural", "architecture": "alexnet", "sha256": "ab" * 32}
COMPUTED = {part: {"device": "cpu", "precision": "float32"} for part in ("features", "heads")}


def write_rows(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def quarantine(folder: Path, n_cases=0):
    problems = [Problem(f"z{n}", role, "X", "damage", "Mend it.") for n in range(n_cases) for role in ("dm", "dbt")]
    write_quarantine(folder / "quarantine.csv", problems)


def write_copies(path, probabilities):
    """Each pair twice, its copy with a little less of everything."""
    rows = []
    for row in probabilities:
        less = {name: cell * 0.9 for name, cell in row.items() if name[:2] == "p_" and isinstance(cell, float)}
        rows += [row | {"copy": "original"}, row | less | {"copy": "flip"}]
    write_rows(path, rows)


def run_ensemble(folder: Path, cases, probabilities, backbone="alexnet", *, quarantined=0, settings=WEIGHTS):
    quarantine(folder, quarantined)
    write_rows(folder / "cases.csv", cases)
    write_rows(folder / f"{backbone}.csv", probabilities)
    write_copies(folder / f"{backbone}-copies.csv", probabilities)
    (folder / "weights.json").write_text(json.dumps(PROVENANCE))
    (folder / "training.json").write_text(json.dumps(COMPUTED))
    predictions, metrics = folder / "predictions" / f"{backbone}.csv", folder / "metrics" / f"{backbone}.json"
    ensemble.main(
        probabilities=folder / f"{backbone}.csv",
        copies=folder / f"{backbone}-copies.csv",
        cases=folder / "cases.csv",
        quarantine=folder / "quarantine.csv",
        weights=folder / "weights.json",
        training=folder / "training.json",
        predictions=predictions,
        provenance=predictions.with_suffix(".json"),
        metrics=metrics,
        settings=settings,
        evaluation=EVALUATION,
    )
    return predictions, metrics


def run_summary(folder: Path, *, names=("alexnet",), simulated=False):
    summary.main(
        counts=write_counts(folder / "cohort.json", simulated=simulated),
        predictions=folder / "predictions",
        quarantine=folder / "quarantine.csv",
        metrics=folder / "metrics" / "summary.json",
        plots=folder / "plots",
        table=folder / "metrics" / "summary.txt",
        settings=params.Backbones(list(names), 18, "procedural"),
    )
