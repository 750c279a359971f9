"""Make the second picture of the README: ROC curves of one backbone's heads and of their ensemble.

Run from the root after `dvc repro`: ``python -m docs.roc mobilenet_v2 docs/roc.png``. The AUCs and their intervals are
those of metrics/<backbone>.json.
"""

import json
import sys
from pathlib import Path

from matplotlib.figure import Figure

from dmdbt.evaluation import CLASSIFIERS, classifier_name, read_predictions, roc_points
from dmdbt.evaluation.predictions import comparable_pairs, targets
from dmdbt.report.words import backbone_name


def main(backbone: str, output: str) -> None:
    """Draw the curves of the tested pairs."""
    table = read_predictions(Path(f"data/predictions/{backbone}.csv"))
    rows = table[comparable_pairs(table)]
    metrics = json.loads(Path(f"metrics/{backbone}.json").read_text(encoding="utf-8"))
    figure = Figure(figsize=(5, 4.2), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.8", linewidth=1)
    for name, dashes in zip(CLASSIFIERS, (":", "--", "-", "-"), strict=True):
        curve, of = roc_points(targets(rows), rows[f"p_{name}"]), metrics[name]
        label = f"{classifier_name(name)}  {of['auc']:.2f} ({of['auc_low']:.2f} to {of['auc_high']:.2f})"
        axes.plot(curve["false_positive_rate"], curve["true_positive_rate"], linestyle=dashes, label=label)
    axes.set(xlabel="1 - specificity", ylabel="sensitivity", xlim=(0, 1), ylim=(0, 1.01), aspect="equal")
    source = {"imagenet": "ImageNet"}.get(metrics["weights"]["source"], metrics["weights"]["source"])
    axes.set_title(f"{backbone_name(backbone)}, {source} weights; simulated patients", fontsize=10)
    axes.legend(title="AUC (95 % interval)", loc="lower right", frameon=False, fontsize=9)
    figure.savefig(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
