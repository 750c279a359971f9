"""The stages that make images, and what they write."""

from pathlib import Path

from dmdbt import params
from dmdbt.files import sha256, write_json
from dmdbt.imaging import write_gray
from dmdbt.terms import MissingModality
from stages import decode, ingest, mammogram, rankpool
from tests.support import ROOT


def section(kind):
    """A section of the demo's parameters."""
    return params.read(kind, ROOT / "params.yaml")


def run_image_stages(folder):
    """Examine ``<folder>/cohort``, write its images to `dm`, `slices` and `dbt`, and the tables of it to `folder`."""
    cohort, table, quarantine = folder / "cohort", folder / "cases.csv", folder / "quarantine.csv"
    reading = section(params.Reading)
    ingest.main(
        cohort=cohort,
        missing_modality=MissingModality.ALLOW,
        cases=table,
        examined=folder / "examined",
        metrics=folder / "cohort.json",
        quarantine=quarantine,
        reading=reading,
        labels=section(params.Labels),
        settings=params.Quarantine(max_cases=0),
    )
    images = {"cohort": cohort, "cases": table, "reading": reading}
    mammogram.main(**images, output=folder / "dm", settings=params.Mammogram(size=64, resize="stretch"))
    examined = folder / "examined"
    decode.main(**images, examined=examined, output=folder / "slices", settings=section(params.Decode))
    rankpool.main(
        cases=table,
        slices=folder / "slices",
        quarantine=quarantine,
        output=folder / "dbt",
        metrics=folder / "rankpool.json",
        settings=section(params.Rankpool),
    )


def store(folder: Path, images, **changes):
    """What the stage decode writes, but without loss."""
    folder.mkdir(parents=True)
    entries = []
    for number, image in enumerate(images, start=1):
        write_gray(folder / f"{number:04d}.png", image)
        entries.append({"file": f"{number:04d}.png", "sha256": sha256(folder / f"{number:04d}.png")})
    rows, columns = images[0].shape
    manifest = {"format": "dmdbt slices", "version": 1, "rows": rows, "columns": columns, "slices": entries}
    manifest["provenance"] = {"slice_order": "instance number"}
    write_json(folder / "manifest.json", manifest | changes)
