"""Pool the slices of every volume into one image."""

from pathlib import Path

from dmdbt import params
from dmdbt.cohort import read_quarantined, read_table
from dmdbt.files import write_json
from dmdbt.running import make_items
from dmdbt.steps.rankpool import pooling_summary, rankpool_step
from stages._entry import run


def main(cases: Path, slices: Path, quarantine: Path, output: Path, metrics: Path, settings: params.Rankpool) -> None:
    """Write ``<case>.png`` and ``<case>.json`` (weights, certificate) for every case with a volume, and a summary."""
    step = rankpool_step(read_table(cases), slices, settings)
    make_items(output, step)
    summary = pooling_summary(output, [item.name for item in step.items])
    write_json(metrics, summary | {"quarantined": read_quarantined(quarantine)})


if __name__ == "__main__":
    run(main)
