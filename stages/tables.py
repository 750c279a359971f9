"""Test the paper's claims, and put its tables beside ours."""

from pathlib import Path

from dmdbt import params
from dmdbt.evaluation import write_tables
from dmdbt.files import write_text
from dmdbt.results import latex_tables, markdown_tables
from dmdbt.steps.tables import compare_with_paper
from stages._entry import run


def main(
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
    """Write the tables as JSON, for machines and for the report, and as texts to paste."""
    content = compare_with_paper(counts, predictions, baselines, quarantine, backbones, compared, evaluation)
    write_tables(output, content)
    write_text(markdown, markdown_tables(content))
    write_text(latex, latex_tables(content))


if __name__ == "__main__":
    run(main)
