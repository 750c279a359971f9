"""The paper's claims tested, and its tables beside ours."""

import json
from pathlib import Path
from typing import Any

from dmdbt import params
from dmdbt.cohort import read_quarantined, read_stated
from dmdbt.evaluation import Bootstrap, read_all_predictions, read_scores
from dmdbt.results import Scores, tables_content


def compare_with_paper(
    counts: Path,
    predictions: Path,
    baselines: Path,
    quarantine: Path,
    backbones: params.Backbones,
    compared: params.Baselines,
    evaluation: params.Evaluation,
) -> dict[str, Any]:
    """Return the content of ``metrics/tables.json``.

    Parameters
    ----------
    counts
        What the stage ingest wrote: the tables say whether the cohort is simulated.
    predictions, baselines
        Folders with a CSV file per backbone, provenance of its weights beside it, and one per baseline; a baseline
        without one is undefined in the tables.
    quarantine
        The table of cases that were left out.
    backbones, compared
        Which backbones and baselines.
    evaluation
        The bootstrap of the intervals.
    """
    scores = {str(name): _scores(baselines / f"{name}.csv") for name in compared.names}
    weights = {name: json.loads((predictions / f"{name}.json").read_text("utf-8")) for name in backbones.names}
    tested = read_all_predictions(predictions, backbones.names)
    content = tables_content(tested, scores, weights, Bootstrap(**vars(evaluation)))
    return content | {"simulated": read_stated(counts).simulated, "quarantined": read_quarantined(quarantine)}


def _scores(path: Path) -> Scores:
    return read_scores(path) if path.is_file() else f"no predictions: {path.name} is missing"
