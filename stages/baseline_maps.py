"""Run a frozen network over the mammogram or some slices of every pair, and keep small maps of each."""

from pathlib import Path

from dmdbt import params
from dmdbt.cohort import read_table
from dmdbt.running import make_items
from dmdbt.steps.baseline_maps import baseline_maps_step
from dmdbt.terms import Modality
from stages._entry import run


def main(
    baseline: str,
    modality: Modality,
    images: Path,
    cases: Path,
    weights: Path,
    output: Path,
    features: params.Features,
    settings: params.Baselines,
) -> None:
    """Write ``<modality>/<case>.h5`` for every case that has an image of the modality."""
    make_items(output, baseline_maps_step(baseline, modality, read_table(cases), images, weights, features, settings))


if __name__ == "__main__":
    run(main)
