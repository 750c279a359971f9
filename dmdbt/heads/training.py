"""Train the heads of one fold in one pass over the features, each on the pairs that have its images."""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dmdbt.errors import DmdbtError
from dmdbt.heads.checkpoint import Checkpoint
from dmdbt.heads.dataset import FeatureSet, Samples
from dmdbt.heads.networks import HeadSettings, build_head, malignant_probability
from dmdbt.heads.ranks import Share, add_gradients, added, for_ranks, rank, rank_count
from dmdbt.terms import Head, Modality

_TEST_BATCH = 32
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class TrainSettings:
    """How the heads are trained."""

    epochs: int
    batch_size: int  # even
    learning_rate: float  # of Adam in the first epoch
    mixed: bool  # whether convolutions and products are made in bfloat16
    seed: int  # of everything random
    schedule: str = "cosine"  # half a cosine from `learning_rate` toward 0; or "constant"


def train_heads(
    features: FeatureSet,
    pairs: np.ndarray,
    head_settings: HeadSettings,
    settings: TrainSettings,
    *,
    device: torch.device = _CPU,
    checkpoint: Checkpoint | None = None,
    on_epochs: Callable[[int], object] = lambda _: None,
) -> tuple[dict[Head, nn.Module], list[dict[str, str | int | float]]]:
    """Train the three heads on some of the pairs, for a fixed number of epochs.

    A head is trained on the pairs that have its modalities. Each batch holds as many benign as malignant samples, is
    read once, and is given to all heads that have the same pairs: all three where no pair lacks an image. The last
    epoch's weights are returned: nothing is chosen. In a torch.distributed group all ranks train together, see
    `dmdbt.heads.ranks`, and have the same result.

    `pairs` are the indices of the pairs to train on. A `checkpoint` keeps the state between two epochs, and training
    goes on from the last one; a CPU gives the same bits as without. `on_epochs` is called with the number of epochs
    that were done.

    Returns
    -------
    heads : dict
        In eval mode, on `device`. A head is absent if a class is absent from the pairs that have its modalities.
    history : list of dict
        ``head``, ``epoch`` (from 1) and ``loss``, the mean cross-entropy over the epoch's batches.

    Raises
    ------
    DmdbtError
        A loss is not finite, or no head has pairs of both classes.
    """
    groups = _trainable(features, pairs)
    # Initial weights and dropout draw from torch's global generators; the fork leaves those as they were.
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        training = _Training(groups, features.shape, head_settings, settings, device)
        state = checkpoint.load() if checkpoint else None
        if state is not None:
            training.load_state_dict(state)
            on_epochs(training.epoch)
        while training.epoch < settings.epochs:
            training.run_epoch(features)
            on_epochs(1)
            if checkpoint and training.epoch < settings.epochs and rank() == 0:
                checkpoint.save(training.state_dict())
    for network in training.heads.values():
        network.eval()
    return training.heads, training.history


@torch.inference_mode()
def predict(
    heads: dict[Head, nn.Module],
    features: FeatureSet,
    pairs: np.ndarray,
    *,
    copy: int | None = None,
    device: torch.device = _CPU,
) -> dict[Head, np.ndarray]:
    """Probability that each pair is malignant, from one of the copies of its images, by default the original.

    Returns
    -------
    dict of ndarray of float64, shape (N,)
        By head, in the order of `pairs`; NaN where a pair lacks a modality of the head.
    """
    probs = {head: np.full(len(pairs), np.nan) for head in heads}
    copy = features.original if copy is None else copy
    for group in _grouped(features, pairs, heads):
        chunks = [group.pairs[start : start + _TEST_BATCH] for start in range(0, len(group.pairs), _TEST_BATCH)]
        samples = [(chunk, np.full(len(chunk), copy)) for chunk in chunks]
        found: dict[Head, list[Tensor]] = {head: [] for head in group.heads}
        for maps in features.batches(samples, device, group.modalities):
            for head in group.heads:
                heads[head].eval()
                found[head].append(malignant_probability(heads[head](_seen_by(head, maps, group.modalities))))
        for head, of_pairs in found.items():
            probs[head][features.having(head.modalities)[pairs]] = torch.cat(of_pairs).double().cpu().numpy()
    return probs


def balanced_batches(
    targets: np.ndarray, n_copies: int, batch_size: int, rng: np.random.Generator
) -> Iterator[Samples]:
    """One epoch of batches with as many benign as malignant samples.

    Every copy of every pair of the larger class is drawn once; the smaller class is shuffled anew until it is as
    long. The last batch may be smaller. `targets` is int of shape (N,), `batch_size` is even.

    Yields
    ------
    pairs, copies : ndarray of int, shape (batch,)
        Positions in `targets`, and indices of copies.
    """
    samples = [np.flatnonzero(np.repeat(targets, n_copies) == target) for target in (0, 1)]
    length = max(len(samples[0]), len(samples[1]))
    drawn = [_shuffled(of_class, length, rng) for of_class in samples]
    half = batch_size // 2
    for start in range(0, length, half):
        batch = np.concatenate([of_class[start : start + half] for of_class in drawn])
        yield batch // n_copies, batch % n_copies


@dataclass(frozen=True)
class _Group:
    """Heads that see the same pairs, so that they share their batches. `pairs` is int, shape (N,), N > 0."""

    heads: tuple[Head, ...]
    pairs: np.ndarray

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """All that these heads look at, in the order of the modality axis."""
        return tuple(m for m in Modality if any(m in head.modalities for head in self.heads))


def _grouped(features: FeatureSet, pairs: np.ndarray, heads: Iterable[Head]) -> list[_Group]:
    """Group heads by those of `pairs` that have their modalities; a head without any is in no group."""
    groups: dict[bytes, _Group] = {}
    for head in heads:
        own = pairs[features.having(head.modalities)[pairs]]
        if len(own):
            group = groups.get(own.tobytes(), _Group((), own))
            groups[own.tobytes()] = replace(group, heads=(*group.heads, head))
    return list(groups.values())


def _trainable(features: FeatureSet, pairs: np.ndarray) -> list[_Group]:
    """Groups of heads whose pairs are of both classes."""
    groups = _grouped(features, pairs, Head)
    found = [group for group in groups if len(np.unique(features.targets[group.pairs])) > 1]
    if not found:
        counts = [np.bincount(features.targets[group.pairs], minlength=2) for group in groups]
        numbers = [f"{', '.join(g.heads)}: {n[0]} and {n[1]}" for g, n in zip(groups, counts, strict=True)]
        raise DmdbtError(
            "train: expected benign and malignant training pairs with the images of at least one head, got "
            f"{'; '.join(numbers) or 'none'}. Add pairs of the class that is missing, or lower split.folds."
        )
    return found


class _Training:
    """The heads, their optimizers and all that is random, between two epochs."""

    def __init__(
        self,
        groups: Sequence[_Group],
        shape: tuple[int, int, int],
        head_settings: HeadSettings,
        settings: TrainSettings,
        device: torch.device,
    ) -> None:
        self.groups, self.settings, self.device = groups, settings, device
        self.epoch = 0
        self.history: list[dict[str, str | int | float]] = []
        self.rng = np.random.default_rng(settings.seed)
        torch.manual_seed(settings.seed)
        trained = {head for group in groups for head in group.heads}
        self.heads = {head: build_head(head, shape, head_settings).to(device) for head in Head if head in trained}
        self.share = Share() if rank_count() > 1 else None
        if self.share:
            self.heads = {head: for_ranks(network, self.share) for head, network in self.heads.items()}
        self.optimizers = {
            head: torch.optim.Adam(network.parameters(), lr=settings.learning_rate, fused=True)
            for head, network in self.heads.items()
        }

    def run_epoch(self, features: FeatureSet) -> None:
        """Advance by one epoch, and add the mean loss of each head to the history."""
        for head, network in self.heads.items():
            network.train()
            self.optimizers[head].param_groups[0]["lr"] = learning_rate(self.settings, self.epoch + 1)
        losses: dict[Head, float] = {}
        for group in self.groups:
            losses |= self._run_group(group, features)
        self.epoch += 1
        for head in self.heads:
            self.history.append({"head": str(head), "epoch": self.epoch, "loss": losses[head]})

    def _run_group(self, group: _Group, features: FeatureSet) -> dict[Head, float]:
        """One epoch of heads that share their batches; returns the mean loss of each."""
        drawn = balanced_batches(features.targets[group.pairs], features.n_copies, self.settings.batch_size, self.rng)
        samples = [(group.pairs[chosen], copies) for chosen, copies in drawn]
        totals = [len(chosen) for chosen, _ in samples]
        if self.share:
            rows = [Share(total).rows for total in totals]
            samples = [(chosen[own], copies[own]) for (chosen, copies), own in zip(samples, rows, strict=True)]
        batches = features.batches(samples, self.device, group.modalities)
        losses: list[list[float]] = []
        for (chosen, _), total, maps in zip(samples, totals, batches, strict=True):
            if self.share:
                self.share.total = total
            targets = torch.from_numpy(features.targets[chosen]).long().to(self.device)
            seen = {head: _seen_by(head, maps, group.modalities) for head in group.heads}
            losses.append(torch.stack([self._step(head, seen[head], targets) for head in group.heads]).tolist())
            self._check(group.heads, losses[-1], batch=len(losses))
        return dict(zip(group.heads, np.mean(losses, axis=0).tolist(), strict=True))

    def _step(self, head: Head, maps: Tensor, targets: Tensor) -> Tensor:
        """One step of one head; its gradients are gone before the next head's are made."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.mixed):
            logits = self.heads[head](maps)
            if self.share:
                loss = nn.functional.cross_entropy(logits, targets, reduction="sum") / self.share.total
            else:
                loss = nn.functional.cross_entropy(logits, targets)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.share:
            add_gradients(self.heads[head].parameters())
            loss = added(loss.detach())
        self.optimizers[head].step()
        self.optimizers[head].zero_grad(set_to_none=True)
        return loss.detach()

    def _check(self, heads: Sequence[Head], losses: list[float], *, batch: int) -> None:
        for head, loss in zip(heads, losses, strict=True):
            if not math.isfinite(loss):
                raise DmdbtError(
                    f"train: expected a finite loss, got {loss} in head {head}, epoch {self.epoch + 1}, batch "
                    f"{batch}. Lower train.learning_rate."
                )

    def state_dict(self) -> dict[str, Any]:
        """All that the next epoch depends on. Tensors are not copied."""
        return {
            "epoch": self.epoch,
            "history": self.history,
            "heads": {str(head): network.state_dict() for head, network in self.heads.items()},
            "optimizers": {str(head): optimizer.state_dict() for head, optimizer in self.optimizers.items()},
            "samples": json.dumps(self.rng.bit_generator.state),
            "dropout": torch.get_rng_state(),
            "dropout_cuda": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state that `state_dict` returned."""
        self.epoch, self.history = state["epoch"], state["history"]
        for head, network in self.heads.items():
            network.load_state_dict(state["heads"][head])
            self.optimizers[head].load_state_dict(state["optimizers"][head])
        self.rng.bit_generator.state = json.loads(state["samples"])
        torch.set_rng_state(state["dropout"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(state["dropout_cuda"], self.device)


def learning_rate(settings: TrainSettings, epoch: int) -> float:
    """Return the learning rate of an epoch, counted from 1.

    The cosine makes the result depend less on which epoch is the last one.
    """
    if settings.schedule == "constant":
        return settings.learning_rate
    return settings.learning_rate * (1 + math.cos(math.pi * (epoch - 1) / settings.epochs)) / 2


def _seen_by(head: Head, maps: Tensor, modalities: Sequence[Modality]) -> Tensor:
    """Return the input of a head, of maps (N, C, H, W, M) of M modalities."""
    if len(head.modalities) > 1:
        return maps
    return maps[..., modalities.index(head.modalities[0])]


def _shuffled(samples: np.ndarray, length: int, rng: np.random.Generator) -> np.ndarray:
    return np.concatenate([rng.permutation(samples) for _ in range(-(-length // len(samples)))])[:length]
