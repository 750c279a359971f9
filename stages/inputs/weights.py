"""Weights of one frozen backbone: ImageNet's, a local file's, or from pre-training on procedural shapes."""

from dmdbt.entry import run
from dmdbt.steps.weights import make_weights as main

if __name__ == "__main__":
    run(main)
