"""Train and test a baseline with AlexNet's maps: 2D-T3-Alex or 3D-T2-Alex."""

from dmdbt.entry import run
from dmdbt.steps.baseline_networks import train_alexnet as main

if __name__ == "__main__":
    run(main)
