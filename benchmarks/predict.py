"""Measure what a prediction costs: one large pair, and many small ones.

``python -m benchmarks.predict BUNDLE`` with a bundle of AlexNet or MobileNetV2 that was trained on the demo, in about
half an hour; ``--only pair`` in three minutes. The large pair has the paper's size: a mammogram of 3328 x 4096, an AVI
of 82 slices of 1024 x 1024, an input of 832 x 832. Its bundle is AlexNet's from ``--pair-bundle``, with random heads of
that size: time does not depend on what a head has learned. The many pairs are simulated patients of another seed than
the demo's, some of them several times under other names. Memory is that of all processes, see `benchmarks.measure`.
"""

import argparse
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydicom.uid import ExplicitVRLittleEndian

from benchmarks.dicom import breast, write_image
from benchmarks.measure import watch
from dmdbt import params
from dmdbt.backbones import build_backbone, feature_shape, last_layer
from dmdbt.bundle import read_model
from dmdbt.bundle.model import write_model
from dmdbt.cohort import read_table, write_table
from dmdbt.heads import HeadSettings, ModelInput, build_head, write_head
from dmdbt.imaging import resize
from dmdbt.phantom.dicom_and_avi import write_volume
from dmdbt.steps.phantom import simulate_cohort

SIZE, FILTERS, SEED, PATIENTS = 832, 64, 4093, 80


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--pair-bundle", type=Path, help="of AlexNet; the same by default")
    parser.add_argument("--only", choices=("pair", "many"))
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if chosen.only != "many":
            _one_pair(chosen.pair_bundle or chosen.bundle, Path(folder))
        if chosen.only != "pair":
            _many(chosen.bundle, Path(folder))


def _one_pair(bundle: Path, folder: Path) -> None:
    """Print the seconds from the start of the command to its end, with the page, and the peak of memory."""
    large = _enlarged(bundle, folder / "large")
    write_image(folder / "dm.dcm", breast(4096, 3328), syntax=ExplicitVRLittleEndian)
    image = resize(breast(4096, 3328) / 16, 1024, 1024)
    grain = np.random.default_rng(0).normal(0, 3, (82, 1024, 1024))
    slices = np.where(image > 8, np.clip(image + grain * np.linspace(0.5, 2, 82)[:, None, None], 0, 255), 0)
    write_volume(folder / "dbt.avi", slices.astype(np.uint8), codec="mjpeg")
    options = ["--model", large, "--dm", folder / "dm.dcm", "--dbt", folder / "dbt.avi"]
    print("| one pair, AlexNet 832 x 832, five folds | seconds | peak GiB |\n| --- | ---: | ---: |")
    for name, extra in (("with page and picture", []), ("numbers alone", ["--no-pages"])):
        seconds, peak = _predict(*options, "--output", folder / name, *extra)
        print(f"| {name} | {seconds:.1f} | {peak / 2**30:.2f} |", flush=True)


def _enlarged(bundle: Path, folder: Path) -> Path:
    """Copy a bundle of AlexNet, with another input size and random heads of that size."""
    shutil.copytree(bundle, folder)
    model = read_model(bundle)
    weights = folder / "weights" / "alexnet.safetensors"
    backbone = build_backbone("alexnet", weights)
    shape = feature_shape(backbone, SIZE)
    settings = HeadSettings(filters=FILTERS)
    for fold, heads in model.backbones["alexnet"].heads.items():
        for head in heads:
            trained_on = ModelInput(shape, "alexnet", "", SIZE)
            network = build_head(head, shape, settings).eval()
            write_head(folder / "heads" / "alexnet" / f"fold{fold}", head, network, settings, trained_on)
    larger = replace(model.backbones["alexnet"], feature_shape=shape, layer=last_layer(backbone))
    features = replace(model.features, size={"alexnet": SIZE})
    mammogram = replace(model.mammogram, size=1024)
    write_model(folder, replace(model, backbones={"alexnet": larger}, features=features, mammogram=mammogram))
    return folder


def _many(bundle: Path, folder: Path) -> None:
    """Print pairs per second and the peak of memory for 100 and 1,000 pairs."""
    simulate_cohort(folder / "cohort", replace(params.read(params.Phantom), seed=SEED, patients=PATIENTS))
    cases = read_table(folder / "cohort" / "cases.csv")
    print("| pairs | | pairs/s | peak GiB |\n| ---: | --- | ---: | ---: |")
    for number in (100, 1000):
        chosen = [replace(cases[n % len(cases)], case_id=f"c{n:04}") for n in range(number)]
        write_table(folder / "cohort" / "cases.csv", chosen)
        for name, extra in (("with pages", []), ("numbers alone", ["--no-pages"])):
            output = folder / f"{number} {name}"
            seconds, peak = _predict("--model", bundle, "--cohort", folder / "cohort", "--output", output, *extra)
            print(f"| {number} | {name} | {number / seconds:.2f} | {peak / 2**30:.2f} |", flush=True)
            shutil.rmtree(output)


def _predict(*options: str | Path) -> tuple[float, int]:
    with tempfile.TemporaryFile() as printed:
        command = [sys.executable, "-m", "dmdbt", "predict", *options]
        code, seconds, peak = watch(command, stdout=printed, stderr=printed)
        if code:
            printed.seek(0)
            raise SystemExit(printed.read().decode())
    return seconds, peak


if __name__ == "__main__":
    main()
