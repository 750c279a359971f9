"""Cache the feature maps of every image under one frozen backbone: the expensive stage."""

from pathlib import Path

from dmdbt import params
from dmdbt.cohort import read_table
from dmdbt.running import make_items
from dmdbt.steps.features import features_step
from dmdbt.terms import Modality
from stages._entry import run


def main(
    backbone: str,
    cases: Path,
    mammograms: Path,
    dynamic: Path,
    weights: Path,
    output: Path,
    backbones: params.Backbones,
    settings: params.Features,
) -> None:
    """Write ``dm/<case>.h5`` and ``dbt/<case>.h5`` for every case that has such an image."""
    images = {Modality.DM: mammograms, Modality.DBT: dynamic}
    make_items(output, features_step(backbone, read_table(cases), images, weights, backbones, settings))


if __name__ == "__main__":
    run(main)
