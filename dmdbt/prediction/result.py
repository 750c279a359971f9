"""The result of one pair: probabilities, decisions, and what to keep in mind with them."""

from dataclasses import dataclass, field

NOTICE = "Research software, not a medical device."

Probabilities = dict[str, float | None]


def own_remedy(remedy: str) -> str:
    """Return a remedy of a reader for who has a bundle alone: its limits are those of the training."""
    return remedy.replace("in params.yaml", "in params.yaml of the training and export again")


@dataclass(frozen=True)
class BackboneResult:
    """Result of the heads of one backbone for a pair.

    Attributes
    ----------
    folds
        By number of the fold, the probabilities of malignant of its heads ``dm``, ``dbt`` and ``dm_dbt``: None where
        the pair lacks an image of the head, or the fold has no such head.
    p
        By classifier (the heads and ``ensemble``) the probability of malignant: the mean over folds, and the vote's.
    vote_fraction
        Weighted share of the heads that vote malignant.
    decisions
        By classifier ``benign``, ``malignant``, or empty where it has no probability.
    """

    folds: dict[int, Probabilities]
    p: Probabilities
    vote_fraction: float
    decisions: dict[str, str]


@dataclass(frozen=True)
class Prediction:
    """The result of one pair.

    Attributes
    ----------
    case_id, patient_id, laterality, view
        As the table or the command says; empty where nothing does.
    label
        Of the table, if it has one: it is compared with the decision and never used.
    p
        By classifier (``dm``, ``dbt``, ``dm_dbt``, ``ensemble``) the probability of malignant: the mean over
        backbones. None where it cannot be had.
    lowest, highest
        By classifier the extremes over folds and backbones.
    calibrated
        By classifier `p` after recalibration on the tests of the training cohort.
    thresholds
        By rule (``half``, ``youden``, ``sensitivity_90``) and classifier: from there upwards `p` counts as malignant.
    decisions
        By rule and classifier: ``benign``, ``malignant``, or empty.
    vote_fraction
        Weighted share of the heads that vote malignant, the mean over backbones.
    folds
        Those whose heads were used: all, or those that were not trained on this pair or its patient.
    backbones
        By name.
    flags
        Of the readers, see docs/faults.md.
    warnings
        Sentences: a missing image, a pair seen in training, an image unlike those of the training.
    """

    case_id: str
    patient_id: str
    laterality: str
    view: str
    label: str
    p: Probabilities
    lowest: Probabilities
    highest: Probabilities
    calibrated: Probabilities
    thresholds: dict[str, Probabilities]
    decisions: dict[str, dict[str, str]]
    vote_fraction: float
    folds: list[int]
    backbones: dict[str, BackboneResult]
    flags: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
