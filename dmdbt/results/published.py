"""Tables of the source paper, as published, and whether their rows can be true.

References
----------
Liang et al., "Joint 2D-3D Breast Cancer Classification", BIBM 2019, arXiv 2002.12392, Tables II-IV.
"""

from collections.abc import Mapping

import numpy as np

COLUMNS = ("acc", "auc", "f1", "precision", "recall", "ap_hard", "confidence")  # of Table IV

# By backbone and head.
HEADS: dict[str, dict[str, dict[str, float]]] = {
    backbone: {head: dict(zip(COLUMNS, row, strict=True)) for head, row in rows.items()}
    for backbone, rows in {
        "alexnet": {
            "dm": (0.78, 0.87, 0.76, 0.87, 0.75, 0.70, 0.78),
            "dbt": (0.81, 0.89, 0.80, 0.84, 0.76, 0.76, 0.83),
            "dm_dbt": (0.90, 0.95, 0.89, 0.91, 0.87, 0.86, 0.83),
        },
        "resnet": {
            "dm": (0.78, 0.87, 0.79, 0.75, 0.83, 0.71, 0.96),
            "dbt": (0.79, 0.88, 0.79, 0.80, 0.78, 0.73, 0.97),
            "dm_dbt": (0.87, 0.94, 0.87, 0.82, 0.93, 0.80, 0.96),
        },
        "densenet": {
            "dm": (0.79, 0.90, 0.80, 0.76, 0.83, 0.72, 0.79),
            "dbt": (0.85, 0.91, 0.85, 0.86, 0.84, 0.80, 0.97),
            "dm_dbt": (0.91, 0.96, 0.91, 0.93, 0.89, 0.88, 0.96),
        },
        "squeezenet": {
            "dm": (0.78, 0.88, 0.78, 0.78, 0.79, 0.71, 0.80),
            "dbt": (0.79, 0.89, 0.78, 0.85, 0.72, 0.75, 0.79),
            "dm_dbt": (0.90, 0.96, 0.91, 0.93, 0.88, 0.88, 0.97),
        },
    }.items()
}
# AUC of the ensembles by backbone.
ENSEMBLES = {"alexnet": 0.97, "resnet": 0.96, "densenet": 0.97, "squeezenet": 0.97}

NOTES = {
    ("alexnet", "dm"): "The precision .87 is a misprint, probably for .78: no confusion matrix gives the printed row.",
    ("squeezenet", "dm_dbt"): (
        "The row fits no test set of 48.5 to 50.5 % malignant, as the other rows do: its F1 needs precision and "
        "recall at the upper ends of their rounding, where the accuracy is above .90."
    ),
}
FOOTNOTES = (
    "The paper's figures are printed as published: Liang et al., BIBM 2019, arXiv 2002.12392. They have no intervals.",
    "In the paper the captions of Tables II and III are swapped.",
    "The paper's AP is the average precision of the hard decisions, P*R + (1-R)*prevalence, at about one half "
    "malignant; its test set holds augmented copies. The block paper_protocol of metrics/<backbone>.json measures that "
    "way.",
    "The paper's 23 % more confidence (AC) fits SqueezeNet's .97 with DM-DBT over .79 with DBT. The averages of Table "
    "IV, .83 (DM), .89 (DBT) and .93 (DM-DBT), give 12 % over DM and 4 % over DBT.",
)

_HALF_DIGIT = 0.005
_SLACK = 1e-9  # of binary fractions
_PREVALENCES = np.linspace(0.485, 0.505, 41)
_STEPS = np.linspace(-_HALF_DIGIT, _HALF_DIGIT, 41)


def printed(backbone: str, classifier: str, metric: str = "auc") -> float | None:
    """Return a figure of Table IV, or the AUC of an ensemble; None where the paper prints none."""
    if classifier == "ensemble":
        return ENSEMBLES.get(backbone) if metric == "auc" else None
    return HEADS.get(backbone, {}).get(classifier, {}).get(metric)


def inconsistencies(row: Mapping[str, float]) -> tuple[str, ...]:
    """Return which columns of a printed row cannot follow from its precision and recall.

    Precision P, recall R and the share s of malignant pairs determine the confusion matrix up to its size: F1 is
    2PR / (P+R), the accuracy 1 - s + s R (2 - 1/P), `ap_hard` PR + (1-R) s. All printed numbers may be off by half a
    digit, and the share may be anything from .485 to .505.

    Returns
    -------
    tuple of str
        Out of ``f1``, ``acc`` and ``ap_hard`` those that are out of reach; ``together`` if each alone is within reach,
        but no precision, recall and share give all three; empty if the row is consistent.
    """
    P, R, share = np.meshgrid(row["precision"] + _STEPS, row["recall"] + _STEPS, _PREVALENCES, indexing="ij")
    formulas = {
        "f1": 2 * P * R / (P + R),
        "acc": 1 - share + share * R * (2 - 1 / P),
        "ap_hard": P * R + (1 - R) * share,
    }
    fits = {name: np.abs(values - row[name]) <= _HALF_DIGIT + _SLACK for name, values in formulas.items()}
    alone = tuple(name for name, fit in fits.items() if not fit.any())
    if alone:
        return alone
    return () if np.logical_and.reduce([*fits.values()]).any() else ("together",)
