"""Weights of one frozen backbone: ImageNet's, a local file's, or from pre-training on procedural shapes."""

from pathlib import Path

from dmdbt import params
from dmdbt.steps.weights import make_weights
from stages._entry import run


def main(backbone: str, output: Path, provenance: Path, backbones: params.Backbones, settings: params.Weights) -> None:
    """Write the state dict of a backbone, and as JSON its source, architecture and SHA-256.

    DVC starts this stage when the source of any backbone changes; weights that would come out the same are kept.
    """
    make_weights(backbone, output, provenance, backbones, settings)


if __name__ == "__main__":
    run(main)
