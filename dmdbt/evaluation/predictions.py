"""The three heads and their ensemble side by side, one row per pair, breast or patient."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dmdbt.errors import InputDataError
from dmdbt.evaluation.intervals import Bootstrap
from dmdbt.evaluation.metrics import Metrics, classifier_metrics, renamed_metric
from dmdbt.evaluation.voting import decide, majority_vote
from dmdbt.terms import Head, Label

ENSEMBLE = "ensemble"
CLASSIFIERS: tuple[str, ...] = (*(head.value for head in Head), ENSEMBLE)


def add_votes(table: pd.DataFrame, weights: Mapping[Head, float]) -> pd.DataFrame:
    """Return the table of `read_probabilities` with the vote and every hard decision.

    Parameters
    ----------
    table
        Left as it is.
    weights
        Of the heads' votes, relative to each other.

    Returns
    -------
    DataFrame
        In addition ``vote_fraction`` and ``p_ensemble`` (`Vote.fraction`, `Vote.mean`), and ``decision_<classifier>``
        for each of `CLASSIFIERS`: ``benign``, ``malignant``, or empty where the head cannot run.

    Raises
    ------
    InputDataError
        A pair has probabilities of such heads alone as have no weight.
    """
    total = sum(weights[head] for head in Head)
    _check_votes(table, weights)
    vote = majority_vote(table[[f"p_{head}" for head in Head]], [weights[head] / total for head in Head])
    voted = _with_decisions(table.assign(vote_fraction=vote.fraction, p_ensemble=vote.mean))
    return voted.assign(decision_ensemble=_words(vote.decisions))


def complete_pairs(table: pd.DataFrame) -> pd.Series:
    """Return which pairs have a probability of every head: both modalities, and a fold that trained all heads."""
    return table[[f"p_{head}" for head in Head]].notna().all(axis=1)


def comparable_pairs(table: pd.DataFrame) -> pd.Series:
    """Return the pairs on which classifiers are compared: the complete ones, so that all are measured on the same.

    Where no pair is complete, as in a cohort without volumes, there is nothing to compare, and it is all pairs.
    """
    complete = complete_pairs(table)
    return complete if complete.any() else pd.Series(data=True, index=table.index)


def aggregate_by(table: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Merge the pairs that agree in the columns `keys` (a breast, a patient) into one row.

    A unit is malignant if one of its pairs is. Its probabilities and vote fraction are the means over its pairs, and
    its decisions, the ensemble's too, are those of the mean probabilities.
    """
    numbers = [*(f"p_{classifier}" for classifier in CLASSIFIERS), "vote_fraction"]
    # In the alphabet malignant comes last.
    rules = {**dict.fromkeys(numbers, "mean"), "label": "max"}
    merged = table.assign(patient=table["patient_id"]).groupby([*keys]).agg({**rules, "patient": "first"})
    return _with_decisions(merged.rename(columns={"patient": "patient_id"}).reset_index(drop=True))


def metrics_by_classifier(
    table: pd.DataFrame, bootstrap: Bootstrap | None = None, *, balanced: bool = False
) -> dict[str, Metrics]:
    """Measure each of `CLASSIFIERS` on the rows where it has a probability; the ensemble's AUC twice.

    ``auc`` of the ensemble is that of the mean probability, ``auc_vote_fraction`` that of the vote fraction, which
    has only a few distinct values. `bootstrap` and `balanced` as in `classifier_metrics`.
    """
    metrics: dict[str, Metrics] = {}
    for classifier in CLASSIFIERS:
        rows = table[table[f"p_{classifier}"].notna()]
        metrics[classifier] = classifier_metrics(
            targets(rows),
            rows[f"p_{classifier}"],
            patients=rows["patient_id"].tolist(),
            decisions=rows[f"decision_{classifier}"] == Label.MALIGNANT,
            bootstrap=bootstrap,
            balanced=balanced,
        )
    patients = table["patient_id"].tolist()
    of_votes = classifier_metrics(targets(table), table["vote_fraction"], patients=patients, bootstrap=bootstrap)
    fraction = renamed_metric(of_votes, "auc", called="auc_vote_fraction")
    reasons = metrics[ENSEMBLE].get("undefined", {}) | fraction.pop("undefined", {})
    metrics[ENSEMBLE] |= fraction | ({"undefined": reasons} if reasons else {})
    return metrics


def best_head(metrics: Mapping[str, Metrics]) -> dict[str, str | float]:
    """Return ``name`` and ``auc`` of the single head with the largest AUC; empty if none has an AUC."""
    scored = [head.value for head in Head if metrics[head]["auc"] is not None]
    if not scored:
        return {}
    name = max(scored, key=lambda head: metrics[head]["auc"])
    return {"name": name, "auc": metrics[name]["auc"]}


def classifier_name(classifier: str) -> str:
    """Return how a text names a head: DM, DBT, DM-DBT; every other name as it is."""
    return classifier.upper().replace("_", "-") if classifier in list(Head) else classifier


def targets(table: pd.DataFrame) -> pd.Series:
    """Return 1 for malignant, 0 for benign."""
    return table["label"].map(lambda label: Label(label).target).astype("int64")


def _check_votes(table: pd.DataFrame, weights: Mapping[Head, float]) -> None:
    voters = [f"p_{head}" for head in Head if weights[head] > 0]
    silent = table[table[voters].isna().all(axis=1)]
    if len(silent):
        raise InputDataError(
            "VOTE-NONE",
            case=silent["case_id"].iloc[0],
            cause="expected a probability of at least one head with a weight, got none",
            remedy="Give every head a positive weight in ensemble.weights of params.yaml.",
        )


def _with_decisions(table: pd.DataFrame) -> pd.DataFrame:
    decisions = {}
    for classifier in CLASSIFIERS:
        probs = table[f"p_{classifier}"]
        decisions[f"decision_{classifier}"] = np.where(probs.notna(), _words(decide(probs)), "")
    return table.assign(**decisions)


def _words(malignant: NDArray[np.bool_]) -> NDArray[np.str_]:
    return np.where(malignant, Label.MALIGNANT.value, Label.BENIGN.value)
