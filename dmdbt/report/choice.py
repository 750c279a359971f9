"""Which backbone and which pairs are shown. The rules are fixed, so that nobody picks what looks well."""

from collections.abc import Mapping

import pandas as pd

from dmdbt.evaluation import comparable_pairs, metrics_by_classifier
from dmdbt.evaluation.predictions import ENSEMBLE, targets
from dmdbt.terms import Label

_P = f"p_{ENSEMBLE}"


def best_backbone(predictions: Mapping[str, pd.DataFrame]) -> str:
    """Return the backbone whose ensemble has the largest AUC, the first of several; the first if none has one."""

    def auc(name: str) -> float:
        table = predictions[name]
        value = metrics_by_classifier(table[comparable_pairs(table)])[ENSEMBLE].get("auc")
        return -1.0 if value is None else float(value)

    return max(predictions, key=auc)


def median_pairs(table: pd.DataFrame) -> dict[Label, str]:
    """Return of each class that is there the case at the median of the ensemble's probability, by name in a tie.

    The upper one of two medians. Pairs that lack an image or a head are chosen if no pair is complete.
    """
    chosen = {}
    ranked = table[comparable_pairs(table)].sort_values([_P, "case_id"], kind="stable")
    for label in Label:
        of_class = ranked[ranked["label"] == label.value]
        if len(of_class):
            chosen[label] = str(of_class["case_id"].iloc[len(of_class) // 2])
    return chosen


def mistakes(table: pd.DataFrame) -> list[str]:
    """Return the compared cases that the ensemble decides wrongly, the farthest probability first, then by name."""
    compared = table[comparable_pairs(table)]
    wrong = compared[compared[f"decision_{ENSEMBLE}"] != compared["label"]]
    distance = (wrong[_P] - targets(wrong)).abs()
    ranked = wrong.assign(distance=distance).sort_values(["distance", "case_id"], ascending=[False, True])
    return [str(case) for case in ranked["case_id"]]
