"""Smaller training cohorts, each within the next larger one."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def nested_training(
    patient_ids: Sequence[str], targets: ArrayLike, folds: ArrayLike, *, test_fold: int, fraction: float, seed: int
) -> NDArray[np.bool_]:
    """Choose the pairs of a fraction of a fold's training patients.

    The training patients of each class are shuffled and the first ones are taken, rounded up: a smaller fraction gives
    a subset of a larger one, both classes keep their shares, and each has a patient. A patient with one malignant
    pair is malignant, as in the split. `targets` (1 malignant, 0 benign) and `folds` are int of shape (N,), `fraction`
    is above 0 and at most 1. The order of the N pairs does not matter, and those of `test_fold` are never chosen.

    Returns
    -------
    ndarray of bool, shape (N,)

    Raises
    ------
    ValueError
        If `fraction` is out of range.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction: expected above 0, up to 1, got {fraction}")
    rows = list(zip(patient_ids, np.asarray(targets), np.asarray(folds) != test_fold, strict=True))
    training = {patient for patient, _, trains in rows if trains}
    malignant = {patient for patient, target, trains in rows if trains and target}
    rng = np.random.default_rng([seed, test_fold])
    chosen: set[str] = set()
    for members in (malignant, training - malignant):
        chosen.update(rng.permutation(sorted(members))[: math.ceil(fraction * len(members))].tolist())
    return np.array([trains and patient in chosen for patient, _, trains in rows], dtype=bool)
