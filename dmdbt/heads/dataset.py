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
from dmdbt.features import Provenance, read_copy, read_features, read_provenance
from dmdbt.terms import Modality

Samples = tuple[np.ndarray, np.ndarray]

_READERS = 2  # threads: one reads while the other unpacks
_AHEAD = 3  # batches that are read before they are asked for


@dataclass(frozen=True)
class FeatureSet:
    """The feature maps of N pairs, some of which may lack a modality. Memory and disk give the same batches.

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
        Per modality float16, shape (N_m, A, H, W, C) with A augmented copies of the N_m pairs that have it, in their
        order; None if they are read as needed.
    present
        bool, shape (N, M): which pair has which modality.
    """

    folder: Path
    case_ids: tuple[str, ...]
    targets: np.ndarray
    origin: Provenance
    shape: tuple[int, int, int]
    maps: dict[Modality, Tensor] | None
    present: np.ndarray

    @property
    def n_copies(self) -> int:
        """A, the number of augmented copies of each pair."""
        return len(self.origin.copies)

    @property
    def original(self) -> int:
        """Index of the copy that is not augmented."""
        return self.origin.copies.index("original")

    def having(self, modalities: Iterable[Modality]) -> np.ndarray:
        """Return which pairs have all of some modalities: bool, shape (N,)."""
        return np.asarray(self.present[:, _axis(modalities)].all(axis=1))

    def batches(
        self, samples: Iterable[Samples], device: torch.device, modalities: Sequence[Modality] = tuple(Modality)
    ) -> Iterator[Tensor]:
        """Yield one batch per pair of arrays (pairs, copies), both int of shape (N,), in their order.

        A batch is float32 of shape (N, C, H, W, M) on `device`, for M `modalities` that all these pairs have. In
        memory M is first and C last: each modality is a tensor with channels last, ready for a convolution, and
        nothing is copied to separate or to join them.
        """
        if self.maps is None:
            found = self._read_ahead(samples, modalities)
        else:
            found = (self._gathered(*chosen, self.maps, modalities) for chosen in samples)
        for batch in _sent_ahead(found, device) if device.type == "cuda" else found:  # float16 (M, N, H, W, C)
            yield batch.to(device).float().permute(1, 4, 2, 3, 0)

    def _read_ahead(self, samples: Iterable[Samples], modalities: Sequence[Modality]) -> Iterator[Tensor]:
        """Read by threads: reading and unpacking release Python's lock."""
        waiting: deque[Future[Tensor]] = deque()
        with ThreadPoolExecutor(_READERS) as readers:
            for chosen in samples:
                waiting.append(readers.submit(self._read, *chosen, modalities))
                if len(waiting) > _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _read(self, pairs: np.ndarray, copies: np.ndarray, modalities: Sequence[Modality]) -> Tensor:
        channels, rows, columns = self.shape
        batch = torch.empty(len(modalities), len(pairs), rows, columns, channels, dtype=torch.float16)
        for (m, modality), n in product(enumerate(modalities), range(len(pairs))):
            maps = read_copy(_path(self.folder, modality, self.case_ids[pairs[n]]), int(copies[n]))
            batch[m, n] = torch.from_numpy(maps).movedim(0, -1)
        return batch

    def _gathered(
        self, pairs: np.ndarray, copies: np.ndarray, maps: dict[Modality, Tensor], modalities: Sequence[Modality]
    ) -> Tensor:
        device = maps[modalities[0]].device
        # Only pairs that have a modality have a row in its maps.
        rows = (np.cumsum(self.present, axis=0) - 1)[pairs][:, _axis(modalities)].T
        places, columns = torch.from_numpy(rows).to(device), torch.from_numpy(copies).to(device)
        return torch.stack([maps[modality][places[m], columns] for m, modality in enumerate(modalities)])


def _sent_ahead(batches: Iterable[Tensor], device: torch.device) -> Iterator[Tensor]:
    """Copy batches of a CPU to a card on a stream of their own, one ahead of the work; those of the card stay."""
    stream, waiting = torch.cuda.Stream(device), deque[tuple[Tensor, torch.cuda.Event]]()  # type: ignore[no-untyped-call]

    def ready() -> Tensor:
        batch, copied = waiting.popleft()
        work = torch.cuda.current_stream(device)
        work.wait_event(copied)
        batch.record_stream(work)  # its memory is not used again before the work is done
        return batch

    for batch in batches:
        if batch.device.type != "cpu":
            yield batch
            continue
        with torch.cuda.stream(stream):
            waiting.append((batch.pin_memory().to(device, non_blocking=True), stream.record_event()))
        if len(waiting) > 1:
            yield ready()
    while waiting:
        yield ready()


def open_features(
    folder: Path,
    case_ids: Sequence[str],
    targets: np.ndarray,
    *,
    memory: float,
    device: torch.device,
    present: np.ndarray | None = None,
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
    present
        bool, shape (N, M): which case has which modality; without it, each has both.

    Raises
    ------
    IntegrityError
        A file is missing or damaged, or was not made like the first one.
    """
    present = np.ones((len(case_ids), len(Modality)), bool) if present is None else present
    names = {
        modality: [case_id for case_id, has in zip(case_ids, having, strict=True) if has]
        for modality, having in zip(Modality, present.T, strict=True)
    }
    origin, shape = _common_origin(folder, names)
    size = feature_bytes(int(present.sum()), len(origin.copies), shape)
    maps = _read_all(folder, names, len(origin.copies), shape) if size <= memory else None
    if maps is not None and device.type == "cuda" and size <= torch.cuda.mem_get_info(device)[0] / 2:
        maps = {modality: stored.to(device) for modality, stored in maps.items()}
    return FeatureSet(folder, tuple(case_ids), targets, origin, shape, maps, present)


def feature_bytes(n_images: int, n_copies: int, shape: tuple[int, int, int]) -> int:
    """Bytes of the feature maps of images as float16. A complete pair is two images."""
    return n_images * n_copies * int(np.prod(shape)) * 2


def _common_origin(folder: Path, names: dict[Modality, list[str]]) -> tuple[Provenance, tuple[int, int, int]]:
    found: list[tuple[Provenance, tuple[int, int, int]]] = []
    for modality, case_id in ((m, case_id) for m in Modality for case_id in names[m]):
        path = _path(folder, modality, case_id)
        origin, shape = read_provenance(path)
        found.append((replace(origin, input_sha256=""), shape))
        if found[-1] != found[0]:
            cause = f"expected features made from {found[0]}, found {found[-1]}"
            remedy = "Run the stage features again."
            raise IntegrityError("FEATURES-MIXED", case=case_id, file=path.name, cause=cause, remedy=remedy)
    if not found:
        raise ValueError("open_features: expected at least one case, got none")
    return found[0]


def _read_all(
    folder: Path, names: dict[Modality, list[str]], n_copies: int, shape: tuple[int, int, int]
) -> dict[Modality, Tensor]:
    channels, rows, columns = shape
    stored = {}
    for modality, case_ids in names.items():
        stored[modality] = torch.empty(len(case_ids), n_copies, rows, columns, channels, dtype=torch.float16)
        for index, case_id in enumerate(case_ids):
            maps, _ = read_features(_path(folder, modality, case_id))
            stored[modality][index] = torch.from_numpy(maps).movedim(1, -1)
    return stored


def _axis(modalities: Iterable[Modality]) -> list[int]:
    """Places on the modality axis."""
    return [list(Modality).index(modality) for modality in modalities]


def _path(folder: Path, modality: Modality, case_id: str) -> Path:
    return folder / modality / f"{case_id}.h5"
