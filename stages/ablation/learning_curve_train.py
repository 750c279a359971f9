"""The stage train on part of a fold's training patients. Of its outputs only the probabilities are kept."""

from dmdbt.entry import run
from dmdbt.steps.learning_curve_train import train_on_part as main

if __name__ == "__main__":
    run(main)
