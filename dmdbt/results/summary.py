"""All backbones side by side: few numbers for DVC, a table for the terminal, long tables for the plots."""

from collections.abc import Mapping

import pandas as pd

from dmdbt.evaluation.curves import calibration_points, precision_recall_points, roc_points
from dmdbt.evaluation.metrics import Metrics
from dmdbt.evaluation.predictions import CLASSIFIERS, ENSEMBLE, best_head, classifier_name, targets
from dmdbt.terms import Label

BackboneMetrics = Mapping[str, Mapping[str, Metrics]]


def summary_numbers(metrics: BackboneMetrics) -> dict[str, dict[str, float]]:
    """Return three numbers per backbone: the ensemble's ``acc`` and ``auc``, and ``best_head_auc``.

    An undefined one is left out: DVC has no way to print that there is none.
    """
    numbers = {}
    for backbone, of in metrics.items():
        found = {"acc": of[ENSEMBLE]["acc"], "auc": of[ENSEMBLE]["auc"], "best_head_auc": best_head(of).get("auc")}
        numbers[backbone] = {name: value for name, value in found.items() if value is not None}
    return numbers


def summary_text(metrics: BackboneMetrics) -> str:
    """Lay out AUC and accuracy of every classifier as a table for a terminal, one line per backbone."""
    rows = [["", *(classifier_name(classifier) for classifier in CLASSIFIERS), "best head"]]
    for backbone, of in metrics.items():
        best = best_head(of).get("name")
        rows.append([backbone, *(_cell(of[name]) for name in CLASSIFIERS), classifier_name(str(best)) if best else "-"])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def plot_tables(predictions: Mapping[str, pd.DataFrame], metrics: BackboneMetrics) -> dict[str, pd.DataFrame]:
    """Return the long tables ``roc``, ``pr``, ``calibration`` and ``confusion``.

    Their leading columns are ``backbone`` and ``classifier``.
    """
    tables: dict[str, list[pd.DataFrame]] = {"roc": [], "pr": [], "calibration": [], "confusion": []}
    for backbone, table in predictions.items():
        for classifier in CLASSIFIERS:
            rows = table[table[f"p_{classifier}"].notna()]
            probs = rows[f"p_{classifier}"]
            parts = {
                "roc": roc_points(targets(rows), probs),
                "pr": precision_recall_points(targets(rows), probs),
                "calibration": calibration_points(targets(rows), probs),
                "confusion": _confusion(metrics[backbone][classifier]),
            }
            for name, part in parts.items():
                part.insert(0, "backbone", backbone)
                part.insert(1, "classifier", classifier)
                tables[name].append(part)
    return {name: pd.concat(parts, ignore_index=True) for name, parts in tables.items()}


def _cell(metrics: Metrics) -> str:
    return " ".join(
        form.format(metrics[name]) if metrics[name] is not None else "-"
        for name, form in (("auc", "{:.3f}"), ("acc", "({:.3f})"))
    )


def _confusion(metrics: Metrics) -> pd.DataFrame:
    cells = {
        (Label.MALIGNANT, Label.MALIGNANT): "tp",
        (Label.BENIGN, Label.MALIGNANT): "fp",
        (Label.BENIGN, Label.BENIGN): "tn",
        (Label.MALIGNANT, Label.BENIGN): "fn",
    }
    rows = [(actual.value, called.value, metrics[count]) for (actual, called), count in cells.items()]
    return pd.DataFrame(rows, columns=["actual", "predicted", "pairs"])
