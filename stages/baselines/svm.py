"""Train and test the SVMs on pooled features of VGG19."""

from pathlib import Path

from dmdbt import params
from dmdbt.entry import run
from dmdbt.steps.baseline_svm import train_svms


def main(
    cases: Path,
    split: Path,
    dm: Path,
    dbt: Path,
    weights: Path,
    predictions: Path,
    record: Path,
    folds: params.Split,
    settings: params.Baselines,
) -> None:
    """Write the mean probability of both SVMs of every tested pair, and a record with the measures of each SVM."""
    train_svms(cases, split, dm, dbt, weights, predictions, record, folds, settings)


if __name__ == "__main__":
    run(main)
