"""The pairs that a baseline can see."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dmdbt.cohort import Case, read_folds, read_table
from dmdbt.terms import Modality


@dataclass(frozen=True)
class BaselinePairs:
    """N pairs that have the images that a baseline needs.

    Attributes
    ----------
    cases
        N of them, sorted.
    targets, fold_of
        int, shape (N,): 1 is malignant; the fold that tests the pair.
    n_missing
        So many pairs of the tested folds lack an image that is needed, and are not among the N.
    """

    cases: tuple[Case, ...]
    targets: np.ndarray
    fold_of: np.ndarray
    n_missing: int

    @property
    def case_ids(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(case.case_id for case in self.cases)


def read_baseline_pairs(
    cases: Path, split: Path, *, needed: Sequence[Modality], test_folds: Sequence[int]
) -> BaselinePairs:
    """Read the pairs that have all modalities that are needed; IntegrityError as `dmdbt.cohort.read_folds`."""
    table = read_table(cases)
    pairs = list(zip(table, read_folds(split, table), strict=True))
    having = [(case, fold) for case, fold in pairs if set(needed) <= set(case.modalities)]
    return BaselinePairs(
        cases=tuple(case for case, _ in having),
        targets=np.array([case.label.target for case, _ in having], dtype=np.int64),
        fold_of=np.array([fold for _, fold in having], dtype=np.int64),
        n_missing=sum(fold in test_folds for _, fold in pairs) - sum(fold in test_folds for _, fold in having),
    )
