"""The stage train on the features of one variant of the ablation. Of its outputs the probabilities alone are kept."""

from pathlib import Path
from tempfile import TemporaryDirectory

from dmdbt import params
from stages import train
from stages._entry import run


def main(
    backbone: str,
    cases: Path,
    split: Path,
    features: Path,
    probabilities: Path,
    folds: params.Split,
    heads: params.Heads,
    settings: params.Train,
) -> None:
    """Write the probabilities of every test pair, from heads that begin alike and draw alike in all variants."""
    with TemporaryDirectory() as scratch:
        train.main(
            backbone=backbone,
            cases=cases,
            split=split,
            features=features,
            models=Path(scratch) / "models",
            probabilities=probabilities,
            copies=Path(scratch) / "copies.csv",
            history=Path(scratch) / "history.csv",
            folds=folds,
            heads=heads,
            settings=settings,
        )


if __name__ == "__main__":
    run(main)
