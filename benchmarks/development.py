"""Choose sizes, filters, epochs and the like on a cohort that is not the demo's.

``python -m benchmarks.development FOLDER --backbone mobilenet_v2 VARIANT ...`` prints a row of the tables in
docs/development.md per variant. A variant is a comma-separated list of parameters, such as
``features.size.mobilenet_v2=256,heads.filters=64``; ``demo`` changes nothing. The cohort is the demo's with another
seed; every stage runs by its own command line, all five folds are tested, and what FOLDER has already is kept, so that
feature maps of one size are made once.
"""

import argparse
import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.memory import ROOT, STAGES, run_stage, yaml
from dmdbt.evaluation.metrics import classifier_metrics
from dmdbt.files import sha256
from dmdbt.terms import Head

SEED = 4093
_CASE_STAGES = ("ingest", "split", "mammogram", "decode", "rankpool")


def main() -> None:
    """Print one row per variant."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--backbone", default="mobilenet_v2")
    parser.add_argument("variants", nargs="+", metavar="VARIANT")
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    print(f"| {chosen.backbone} | DM | DBT | DM-DBT | mean of the three | features s | training s |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
    for variant in chosen.variants:
        numbers = measure(chosen.folder, chosen.backbone, variant)
        print(f"| {variant} | {' | '.join(numbers)} |", flush=True)


def measure(folder: Path, backbone: str, variant: str) -> list[str]:
    """Run one variant: the AUC of the heads and of their mean probability, and the seconds of the two stages."""
    content = parameters(variant)
    yaml.dump(content, folder / "params.yaml")
    names = {"cohort": folder / "cohort", "backbone": backbone, "weights": folder / f"weights/{backbone}.safetensors"}
    if not (folder / "rankpool.json").exists():
        run_stage(folder, "inputs.phantom", f"--output {names['cohort']}")
        for stage in _CASE_STAGES:
            run_stage(folder, stage, STAGES[stage].format(folder, **names))
    provenance = names["weights"].with_suffix(".json")
    run_stage(folder, "inputs.weights", f"--backbone {backbone} --output {names['weights']} --provenance {provenance}")
    # The maps of one size are kept beside those of others, under the name that the stage gives to its output.
    size, weights = content["features"]["size"][backbone], sha256(names["weights"])[:8]
    kept, current = folder / f"maps/{backbone}-{weights}-{size}", folder / "features"
    seconds = folder / f"maps/{kept.name}.seconds"
    kept.parent.mkdir(exist_ok=True)
    if not seconds.exists():
        shutil.rmtree(current, ignore_errors=True)
        spent, _ = run_stage(folder, "features", STAGES["features"].format(folder, **names))
        current.rename(kept)
        seconds.write_text(f"{spent:.0f}", encoding="utf-8")
    kept.rename(current)
    try:
        training, _ = run_stage(folder, "train", STAGES["train"].format(folder, **names), memory_gib="")
    finally:
        current.rename(kept)
    return [*aucs(folder / "probabilities.csv"), seconds.read_text(encoding="utf-8"), f"{training:.0f}"]


def parameters(variant: str) -> dict[str, Any]:
    """Return the demo's parameters with another seed of the cohort, all folds, and the changes of a variant."""
    content: dict[str, Any] = yaml.load(ROOT / "params.yaml")
    content["phantom"]["seed"] = SEED
    content["split"]["test_folds"] = list(range(content["split"]["folds"]))
    for change in variant.split(",") if variant != "demo" else ():
        key, _, value = change.partition("=")
        *sections, last = key.split(".")
        section = content
        for name in sections:
            section = section[name]
        section[last] = yaml.load(value)
    return content


def aucs(path: Path) -> list[str]:
    """AUC of each head and of the mean of their probabilities, all folds pooled."""
    table = pd.read_csv(path)
    targets = table["label"] == "malignant"
    columns = [table[f"p_{head}"] for head in Head]
    scores = [*columns, sum(columns) / len(columns)]
    return [f"{classifier_metrics(targets, probs)['auc']:.3f}" for probs in scores]


if __name__ == "__main__":
    main()
