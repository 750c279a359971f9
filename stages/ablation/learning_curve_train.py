"""The stage train on part of a fold's training patients. Of its outputs the probabilities alone are kept."""

from pathlib import Path

from dmdbt import params
from dmdbt.entry import run
from dmdbt.steps.learning_curve_train import train_on_part
from dmdbt.steps.train import write_probabilities


def main(
    fraction: float,
    fold: int,
    backbone: str,
    cases: Path,
    split: Path,
    features: Path,
    probabilities: Path,
    ablation: params.Ablation,
    folds: params.Split,
    heads: params.Heads,
    settings: params.Train,
) -> None:
    """Write the probabilities of the fold's test pairs, which are those of the pipeline."""
    rows = train_on_part(fraction, fold, backbone, cases, split, features, ablation, folds, heads, settings)
    write_probabilities(probabilities, rows)


if __name__ == "__main__":
    run(main)
