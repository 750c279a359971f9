"""The feature maps of a cohort, in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dmdbt.errors import IntegrityError
from dmdbt.features import Origin, read_features
from dmdbt.terms import Modality


@dataclass(frozen=True)
class FeatureSet:
    """The feature maps of both modalities, in memory.

    Attributes
    ----------
    maps
        Per modality float16, shape (N, A, C, H, W): N pairs, A augmented copies.
    targets
        int, shape (N,): 1 is malignant.
    original
        Index of the copy that is not augmented.
    """

    maps: dict[Modality, Tensor]
    targets: np.ndarray
    original: int

    @property
    def n_copies(self) -> int:
        """A, the number of augmented copies of each pair."""
        return self.maps[Modality.DM].shape[1]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one feature map."""
        channels, rows, columns = self.maps[Modality.DM].shape[2:]
        return channels, rows, columns

    def batch(self, pairs: np.ndarray, copies: np.ndarray) -> Tensor:
        """Feature maps float32 of shape (N, C, H, W, M) of chosen pairs and copies; M is first in memory after N."""
        rows, columns = torch.from_numpy(pairs), torch.from_numpy(copies)
        return torch.stack([self.maps[m][rows, columns] for m in Modality], dim=1).float().movedim(1, -1)


def load_features(folder: Path, case_ids: Sequence[str], targets: np.ndarray) -> tuple[FeatureSet, Origin]:
    """Read the stored feature maps of the named cases.

    Parameters
    ----------
    folder
        Holds ``dm/<case>.h5`` and ``dbt/<case>.h5``.
    case_ids, targets
        N names, and int of shape (N,).

    Returns
    -------
    features : FeatureSet
    origin : Origin
        What all of them have in common; `input_sha256` is empty.

    Raises
    ------
    IntegrityError
        A file is missing or damaged, or was not made like the first one.
    """
    common: Origin | None = None
    maps: dict[Modality, np.ndarray] = {}
    for modality in Modality:
        for index, case_id in enumerate(case_ids):
            path = folder / modality / f"{case_id}.h5"
            item, origin = read_features(path)
            origin = replace(origin, input_sha256="")
            common = common or origin
            if origin != common:
                cause = f"expected features made from {common}, found {origin}"
                remedy = "Run the stage features again."
                raise IntegrityError("FEATURES-MIXED", case=case_id, file=path.name, cause=cause, remedy=remedy)
            if modality not in maps:
                maps[modality] = np.empty((len(case_ids), *item.shape), np.float16)
            maps[modality][index] = item
    if common is None:
        raise ValueError("load_features: expected at least one case, got none")
    tensors = {modality: torch.from_numpy(array) for modality, array in maps.items()}
    return FeatureSet(tensors, targets, common.copies.index("original")), common
