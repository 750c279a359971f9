"""Patients are split, never files."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dmdbt.errors import InputDataError
from dmdbt.terms import Label


def assign_folds(patient_ids: Sequence[str], targets: ArrayLike, *, folds: int, seed: int) -> NDArray[np.int64]:
    """Assign every pair to a fold: all pairs of a patient to the same one, both classes evenly.

    The patients of each class are shuffled and dealt to the folds one by one like cards, the benign going on
    where the malignant ended. A patient with one malignant pair is malignant for the split.

    Parameters
    ----------
    patient_ids
        N pseudonyms. Their order does not matter: the same patients always get the same folds.
    targets
        Shape (N,), 1 malignant and 0 benign.
    folds
        Number of folds, at least 2.
    seed
        Of the shuffle.

    Returns
    -------
    ndarray of int, shape (N,)
        The fold of each pair, from 0. The folds differ by at most one in malignant patients, in benign patients
        and in patients.

    Raises
    ------
    ValueError
        If ``folds < 2``.
    InputDataError
        A class has fewer patients than there are folds, so that one fold would lack it.
    """
    if folds < 2:
        raise ValueError(f"folds: expected at least 2, got {folds}")
    malignant = {patient for patient, target in zip(patient_ids, np.asarray(targets), strict=True) if target}
    benign = set(patient_ids) - malignant
    rng = np.random.default_rng(seed)
    deck: list[str] = []
    for label, members in ((Label.MALIGNANT, malignant), (Label.BENIGN, benign)):
        if len(members) < folds:
            raise InputDataError(
                "SPLIT-FEW-PATIENTS",
                cause=f"expected at least {folds} {label} patients for {folds} folds, got {len(members)}",
                remedy="Add patients of this class, or lower split.folds (at least 2).",
            )
        deck += rng.permutation(sorted(members)).tolist()
    fold_of = {patient: place % folds for place, patient in enumerate(deck)}
    return np.array([fold_of[patient] for patient in patient_ids], dtype=np.int64)
