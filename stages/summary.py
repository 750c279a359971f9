"""Put the backbones side by side: a few numbers for ``dvc metrics``, the plots, and a table for the terminal."""

from pathlib import Path

from dmdbt import params
from dmdbt.evaluation import write_metrics, write_points
from dmdbt.files import write_text
from dmdbt.steps.summary import summarize_backbones
from stages._entry import run


def main(
    counts: Path,
    predictions: Path,
    quarantine: Path,
    metrics: Path,
    plots: Path,
    table: Path,
    settings: params.Backbones,
) -> None:
    """Read the predictions of the configured backbones, write and print their summary.

    What is printed is a file too: DVC prints nothing of a stage that it skips, as in a fresh clone whose results equal
    the committed ones.
    """
    summary = summarize_backbones(settings.names, counts, predictions, quarantine)
    write_metrics(metrics, summary.numbers)
    for name, points in summary.plots.items():
        write_points(plots / f"{name}.csv", points)
    files = f"{metrics.parent}/<backbone>.json, {predictions}/<backbone>.csv"
    text = f"{summary.text}\nNext: dvc metrics show, dvc plots show, {files}"
    write_text(table, text + "\n")
    print(text)


if __name__ == "__main__":
    run(main)
