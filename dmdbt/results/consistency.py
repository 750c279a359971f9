"""How far the AUC of a classifier spreads over the backbones, which the paper calls consistent."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dmdbt.evaluation.intervals import Bootstrap, drawn_weights, percentile_interval
from dmdbt.evaluation.predictions import CLASSIFIERS, targets
from dmdbt.evaluation.weighted import Floats, weighted_auc
from dmdbt.results import published


def consistency_groups(
    predictions: Mapping[str, pd.DataFrame], sources: Mapping[str, str], bootstrap: Bootstrap
) -> list[dict[str, Any]]:
    """Measure the spread of each classifier's AUC: the largest over the backbones less the smallest.

    "The performance is consistency among the four different feature extractors" (section IV-C, of the ensemble);
    "the performance of all four different backbone networks is consistent" (IV-D, of the heads).

    A spread of noisy numbers is biased upwards: it is positive between equal backbones too, and in a draw the noise of
    drawing comes on top. So the interval says how wide the spread may be, and it is not a test of equality.

    Parameters
    ----------
    predictions
        By backbone, the pairs that are compared. A classifier is measured on those that it has seen with every one.
    sources
        By backbone, where its weights come from.
    bootstrap
        Draws patients, the same ones for all backbones.

    Returns
    -------
    list of dict
        First all backbones; then, if their weights come from several sources, those of each source with at least two.
        ``backbones``, ``weights`` (the sources) and ``rows``, one for each of `CLASSIFIERS`: ``classifier``,
        ``n_pairs``, ``n_patients``, ``min`` and ``max`` (AUC), ``spread`` (a cell), and the paper's ``paper_min`` and
        ``paper_max`` over those of the backbones that it has.
    """
    by_source = [[name for name in sources if sources[name] == source] for source in dict.fromkeys(sources.values())]
    groups = [[*sources], *(names for names in by_source if 1 < len(names) < len(sources))]
    return [
        {
            "backbones": names,
            "weights": [*dict.fromkeys(sources[name] for name in names)],
            "rows": [
                _row(classifier, {name: predictions[name] for name in names}, bootstrap) for classifier in CLASSIFIERS
            ],
        }
        for names in groups
    ]


def _row(classifier: str, predictions: Mapping[str, pd.DataFrame], bootstrap: Bootstrap) -> dict[str, Any]:
    by_case = {name: table.set_index("case_id") for name, table in predictions.items()}
    seen = [table[f"p_{classifier}"].rename(name) for name, table in by_case.items()]
    probs = pd.concat(seen, axis=1, join="inner").dropna()
    rows = next(iter(by_case.values())).loc[probs.index]
    printed = [auc for name in predictions if (auc := published.printed(name, classifier)) is not None]
    return {
        "classifier": classifier,
        "n_pairs": len(rows),
        "n_patients": int(rows["patient_id"].nunique()),
        **_spread(rows, probs.to_numpy(dtype=np.float64), bootstrap),
        "paper_min": min(printed, default=None),
        "paper_max": max(printed, default=None),
    }


def _spread(rows: pd.DataFrame, probs: Floats, bootstrap: Bootstrap) -> dict[str, Any]:
    """Return ``min``, ``max`` and ``spread`` of the AUCs of probabilities, shape (N, B), or why there are none."""
    malignant = targets(rows).to_numpy() == 1
    reason = _undefined(malignant, probs)
    if reason:
        return {"min": None, "max": None, "spread": {"value": None, "reason": reason}}
    areas = _areas(malignant, probs, np.ones((1, len(rows))))
    drawn = [_areas(malignant, probs, weights) for weights in drawn_weights(rows["patient_id"].tolist(), bootstrap)]
    interval = percentile_interval(np.ptp(np.concatenate(drawn, axis=1), axis=0))
    low, high = (None, None) if isinstance(interval, str) else interval
    spread = {"value": float(np.ptp(areas)), "low": low, "high": high}
    return {
        "min": float(areas.min()),
        "max": float(areas.max()),
        "spread": spread | ({"reason": interval} if isinstance(interval, str) else {}),
    }


def _undefined(malignant: NDArray[np.bool_], probs: Floats) -> str | None:
    """Say why there is no spread."""
    if probs.shape[1] < 2:
        return "a spread needs two backbones"
    if not len(probs):
        return "no pair is measured with every backbone"
    return "all pairs are of one class" if malignant.all() or not malignant.any() else None


def _areas(malignant: NDArray[np.bool_], probs: Floats, weights: Floats) -> Floats:
    """Return the AUC of each backbone under each weighting, shape (B, d)."""
    return np.stack([weighted_auc(malignant, scores, weights) for scores in probs.T])
