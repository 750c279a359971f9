"""Train and test the 3-D ResNet."""

from pathlib import Path

from dmdbt import params
from dmdbt.baselines.record import Outputs
from dmdbt.entry import run
from dmdbt.steps.baseline_networks import train_resnet3d


def main(
    cases: Path,
    split: Path,
    volumes: Path,
    outputs: Outputs,
    folds: params.Split,
    backbones: params.Backbones,
    settings: params.Baselines,
) -> None:
    """Write probabilities, record and losses."""
    train_resnet3d(cases, split, volumes, outputs, folds, backbones, settings)


if __name__ == "__main__":
    run(main)
