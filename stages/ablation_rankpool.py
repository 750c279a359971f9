"""The stage rankpool under one variant of the ablation."""

from pathlib import Path

from dmdbt import params
from stages import rankpool
from stages._entry import run


def main(
    variant: str,
    cases: Path,
    slices: Path,
    quarantine: Path,
    output: Path,
    metrics: Path,
    settings: params.Rankpool,
) -> None:
    """Write what the stage rankpool writes; an image that the pipeline has made is taken from DVC's cache."""
    rankpool.main(
        cases=cases,
        slices=slices,
        quarantine=quarantine,
        output=output,
        metrics=metrics,
        settings=params.for_variant(settings, variant),
    )


if __name__ == "__main__":
    run(main)
