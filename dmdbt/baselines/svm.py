"""A support vector machine whose settings are chosen among the training patients alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from dmdbt.cohort import assign_folds

BLOCKS = (64, 128, 256, 512, 512)  # channels behind the max-pools of VGG19
_LEAST_SLOPE = 0.01  # an SVM that is no better than chance among the training patients still keeps its order
_TINY = 1e-12

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SvmSettings:
    """Grid of the choice: at most so many inner folds, penalties C, widths gamma times the features' number."""

    folds: int
    c: tuple[float, ...]
    gamma: tuple[float, ...]
    seed: int


@dataclass(frozen=True)
class Svm:
    """A trained SVM.

    Attributes
    ----------
    c, gamma
        What was chosen; `gamma` relative to 1 / number of features.
    inner_auc
        Of the pooled decision values of the inner folds, under that choice.
    pipeline, slope, intercept
        The machine, and the sigmoid that makes a probability of its decision value.
    """

    c: float
    gamma: float
    inner_auc: float
    pipeline: Pipeline
    slope: float
    intercept: float

    def probabilities(self, features: Floats) -> Floats:
        """Probability of malignant, shape (N,), of features (N, D)."""
        return expit(self.slope * self.pipeline.decision_function(features) + self.intercept)


def normalized(features: np.ndarray, blocks: Sequence[int] = BLOCKS) -> Floats:
    """Scale each block of each row to length 1, then the whole row.

    Parameters
    ----------
    features
        Any real type, shape (N, D).
    blocks
        Lengths of the blocks; they sum to D.

    Returns
    -------
    ndarray of float64, shape (N, D)
        A block of zeros stays one.
    """
    parts = np.split(features.astype(np.float64), np.cumsum(blocks)[:-1], axis=1)
    return _unit(np.concatenate([_unit(part) for part in parts], axis=1))


def inner_folds(targets: np.ndarray, patients: Sequence[str], most: int) -> int:
    """Return into how many folds, each with patients of both classes, patients can be split: at most `most`."""
    malignant = {patient for patient, target in zip(patients, targets, strict=True) if target}
    return min(most, len(malignant), len(set(patients) - malignant))


def fit_svm(features: Floats, targets: np.ndarray, patients: Sequence[str], settings: SvmSettings) -> Svm:
    """Choose C and gamma by cross-validation, whose folds are whole patients, then train on all.

    Features are standardized by the mean and standard deviation of the pairs that an SVM is trained on, and classes
    are weighted as if they were as frequent. The choice has the largest area under the ROC curve of the decision values
    of all inner folds together; of equal ones, the smallest C and then gamma. The same decision values give the sigmoid
    that makes probabilities of them.

    Parameters
    ----------
    features
        Of the training pairs, shape (N, D).
    targets, patients
        int of shape (N,), 1 is malignant; N pseudonyms.
    settings
        See there.

    Raises
    ------
    InputDataError
        A class has fewer than two patients.

    References
    ----------
    Platt, "Probabilistic outputs for support vector machines", 1999: the sigmoid.
    """
    folds = max(2, inner_folds(targets, patients, settings.folds))
    fold_of = assign_folds(patients, targets, folds=folds, seed=settings.seed)
    tried = list(_tried(features, targets, fold_of, settings))
    c, gamma, values, auc = max(tried, key=lambda found: (found[3], -found[0], -found[1]))
    sigmoid = LogisticRegression(class_weight="balanced").fit(values[:, None], targets)
    return Svm(
        c=c,
        gamma=gamma,
        inner_auc=auc,
        pipeline=_machine(c, gamma, features.shape[1]).fit(features, targets),
        slope=max(_LEAST_SLOPE, float(sigmoid.coef_[0, 0])),
        intercept=float(sigmoid.intercept_[0]),
    )


def _tried(
    features: Floats, targets: np.ndarray, fold_of: np.ndarray, settings: SvmSettings
) -> Iterator[tuple[float, float, Floats, float]]:
    """C, gamma, the decision value of every pair by a machine that has not seen its patient, and their AUC."""
    for c, gamma in product(settings.c, settings.gamma):
        values = np.empty(len(targets))
        for fold in np.unique(fold_of):
            own = fold_of == fold
            machine = _machine(c, gamma, features.shape[1]).fit(features[~own], targets[~own])
            values[own] = machine.decision_function(features[own])
        yield c, gamma, values, float(roc_auc_score(targets, values))


def _machine(c: float, gamma: float, n_features: int) -> Pipeline:
    return make_pipeline(StandardScaler(), SVC(C=c, gamma=gamma / n_features, class_weight="balanced"))


def _unit(rows: Floats) -> Floats:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), _TINY)
