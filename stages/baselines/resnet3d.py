"""Train and test the 3-D ResNet."""

from dmdbt.entry import run
from dmdbt.steps.baseline_networks import train_resnet3d as main

if __name__ == "__main__":
    run(main)
