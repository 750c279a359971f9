"""Train and test a baseline with AlexNet's maps: 2D-T3-Alex or 3D-T2-Alex."""

from pathlib import Path

from dmdbt import params
from dmdbt.baselines.record import Outputs
from dmdbt.entry import run
from dmdbt.steps.baseline_networks import train_alexnet


def main(
    baseline: str,
    cases: Path,
    split: Path,
    maps: Path,
    weights: Path,
    outputs: Outputs,
    folds: params.Split,
    settings: params.Baselines,
) -> None:
    """Write probabilities, record and losses of ``2d_t3_alex`` or ``3d_t2_alex``."""
    train_alexnet(baseline, cases, split, maps, weights, outputs, folds, settings)


if __name__ == "__main__":
    run(main)
