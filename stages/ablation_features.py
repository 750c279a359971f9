"""The stage features on the images of one variant of the ablation."""

from pathlib import Path

from dmdbt import params
from stages import features
from stages._entry import run


def main(
    backbone: str,
    cases: Path,
    dynamic: Path,
    weights: Path,
    output: Path,
    backbones: params.Backbones,
    settings: params.Features,
) -> None:
    """Write ``dbt/<case>.h5`` for every case; a feature map that the pipeline has made is taken from DVC's cache."""
    features.main(
        backbone=backbone,
        cases=cases,
        mammograms=dynamic,  # never read: no case of this table has a mammogram
        dynamic=dynamic,
        weights=weights,
        output=output,
        backbones=backbones,
        settings=settings,
    )


if __name__ == "__main__":
    run(main)
