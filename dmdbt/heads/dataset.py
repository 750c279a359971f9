"""The feature maps of a cohort, batch by batch: from memory if they fit, else from the store as they are needed."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dmdbt.errors import IntegrityError
from dmdbt.features import Origin, read_copy, read_features, read_origin
from dmdbt.terms import Modality

Samples = tuple[np.ndarray, np.ndarray]

_READERS = 2  # threads: one reads while the other unpacks
_AHEAD = 3  # batches that are read before they are asked for


@dataclass(frozen=True)
class FeatureSet:
    """The feature maps of both modalities. Where they are changes no bit of a batch.

    Attributes
    ----------
    folder, case_ids
        The store, and its N pairs.
    targets
        int, shape (N,): 1 is malignant.
    origin
        What all maps have in common; `input_sha256` is empty.
    shape
        (C, H, W) of one feature map.
    maps
        Per modality float16, shape (N, A, H, W, C) with A augmented copies; None if they are read as needed.
    """

    folder: Path
    case_ids: tuple[str, ...]
    targets: np.ndarray
    origin: Origin
    shape: tuple[int, int, int]
    maps: dict[Modality, Tensor] | None

    @property
    def n_copies(self) -> int:
        """A, the number of augmented copies of each pair."""
        return len(self.origin.copies)

    @property
    def original(self) -> int:
        """Index of the copy that is not augmented."""
        return self.origin.copies.index("original")

    def batches(self, samples: Iterable[Samples], device: torch.device) -> Iterator[Tensor]:
        """Yield one batch per pair of arrays (pairs, copies), both int of shape (N,), in their order.

        A batch is float32 of shape (N, C, H, W, M) on `device`. In memory M is first and C last: each modality is a
        tensor with channels last, ready for a convolution, and nothing is copied to separate or to join them.
        """
        maps = self.maps
        found = self._read_ahead(samples) if maps is None else (_gathered(maps, *chosen) for chosen in samples)
        for batch in found:  # float16 (M, N, H, W, C)
            pinned = batch.pin_memory() if batch.device.type == "cpu" != device.type else batch
            yield pinned.to(device, non_blocking=True).float().permute(1, 4, 2, 3, 0)

    def _read_ahead(self, samples: Iterable[Samples]) -> Iterator[Tensor]:
        """Read by threads: reading and unpacking release Python's lock."""
        waiting: deque[Future[Tensor]] = deque()
        with ThreadPoolExecutor(_READERS) as readers:
            for chosen in samples:
                waiting.append(readers.submit(self._read, *chosen))
                if len(waiting) > _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _read(self, pairs: np.ndarray, copies: np.ndarray) -> Tensor:
        channels, rows, columns = self.shape
        batch = torch.empty(len(Modality), len(pairs), rows, columns, channels, dtype=torch.float16)
        for (m, modality), n in product(enumerate(Modality), range(len(pairs))):
            maps = read_copy(_path(self.folder, modality, self.case_ids[pairs[n]]), int(copies[n]))
            batch[m, n] = torch.from_numpy(maps).movedim(0, -1)
        return batch


def open_features(
    folder: Path, case_ids: Sequence[str], targets: np.ndarray, *, memory: float, device: torch.device
) -> FeatureSet:
    """Open the stored feature maps of the named cases, and read them if they fit into memory.

    Parameters
    ----------
    folder
        Holds ``dm/<case>.h5`` and ``dbt/<case>.h5``.
    case_ids, targets
        N names, at least one, and int of shape (N,).
    memory
        Bytes that they may take. If they need more, batches are read from the store.
    device
        Where they are kept if they fit into half of its free memory; else in that of the CPU.

    Raises
    ------
    IntegrityError
        A file is missing or damaged, or was not made like the first one.
    """
    origin, shape = _common_origin(folder, case_ids)
    size = feature_bytes(len(case_ids), len(origin.copies), shape)
    maps = _read_all(folder, case_ids, len(origin.copies), shape) if size <= memory else None
    if maps is not None and device.type == "cuda" and size <= torch.cuda.mem_get_info(device)[0] / 2:
        maps = {modality: stored.to(device) for modality, stored in maps.items()}
    return FeatureSet(folder, tuple(case_ids), targets, origin, shape, maps)


def feature_bytes(n_pairs: int, n_copies: int, shape: tuple[int, int, int]) -> int:
    """Bytes of the feature maps of a cohort, both modalities, as float16."""
    return len(Modality) * n_pairs * n_copies * int(np.prod(shape)) * 2


def _common_origin(folder: Path, case_ids: Sequence[str]) -> tuple[Origin, tuple[int, int, int]]:
    found: list[tuple[Origin, tuple[int, int, int]]] = []
    for modality, case_id in product(Modality, case_ids):
        path = _path(folder, modality, case_id)
        origin, shape = read_origin(path)
        found.append((replace(origin, input_sha256=""), shape))
        if found[-1] != found[0]:
            cause = f"expected features made from {found[0]}, found {found[-1]}"
            remedy = "Run the stage features again."
            raise IntegrityError("FEATURES-MIXED", case=case_id, file=path.name, cause=cause, remedy=remedy)
    if not found:
        raise ValueError("open_features: expected at least one case, got none")
    return found[0]


def _gathered(maps: dict[Modality, Tensor], pairs: np.ndarray, copies: np.ndarray) -> Tensor:
    device = maps[Modality.DM].device
    rows, columns = torch.from_numpy(pairs).to(device), torch.from_numpy(copies).to(device)
    return torch.stack([maps[modality][rows, columns] for modality in Modality])


def _read_all(
    folder: Path, case_ids: Sequence[str], n_copies: int, shape: tuple[int, int, int]
) -> dict[Modality, Tensor]:
    channels, rows, columns = shape
    stored = {}
    for modality in Modality:
        stored[modality] = torch.empty(len(case_ids), n_copies, rows, columns, channels, dtype=torch.float16)
        for index, case_id in enumerate(case_ids):
            maps, _ = read_features(_path(folder, modality, case_id))
            stored[modality][index] = torch.from_numpy(maps).movedim(1, -1)
    return stored


def _path(folder: Path, modality: Modality, case_id: str) -> Path:
    return folder / modality / f"{case_id}.h5"
