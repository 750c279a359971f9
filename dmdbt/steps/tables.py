"""The paper's claims tested, and its tables beside ours."""

import json
from pathlib import Path

from dmdbt import params
from dmdbt.cohort import read_quarantined, read_stated
from dmdbt.evaluation import Bootstrap, read_all_predictions, read_scores, write_tables
from dmdbt.files import write_text
from dmdbt.results import Scores, latex_tables, markdown_tables, tables_content


def compare_with_paper(
    counts: Path,
    predictions: Path,
    baselines: Path,
    quarantine: Path,
    output: Path,
    markdown: Path,
    latex: Path,
    backbones: params.Backbones,
    compared: params.Baselines,
    evaluation: params.Evaluation,
) -> None:
    """Write the tables as JSON, for machines and for the report, and as texts to paste.

    Parameters
    ----------
    counts
        What the stage ingest wrote: the tables say whether the cohort is simulated.
    predictions, baselines
        Folders with a CSV file per backbone, provenance of its weights beside it, and one per baseline; a baseline
        without one is undefined in the tables.
    quarantine
        The table of cases that were left out.
    output, markdown, latex
        Files to write.
    backbones, compared
        Which backbones and baselines.
    evaluation
        The bootstrap of the intervals.
    """
    scores = {str(name): _scores(baselines / f"{name}.csv") for name in compared.names}
    weights = {name: json.loads((predictions / f"{name}.json").read_text("utf-8")) for name in backbones.names}
    tested = read_all_predictions(predictions, backbones.names)
    content = tables_content(tested, scores, weights, Bootstrap(**vars(evaluation)))
    content |= {"simulated": read_stated(counts).simulated, "quarantined": read_quarantined(quarantine)}
    write_tables(output, content)
    write_text(markdown, markdown_tables(content))
    write_text(latex, latex_tables(content))


def _scores(path: Path) -> Scores:
    return read_scores(path) if path.is_file() else f"no predictions: {path.name} is missing"
