"""Train the three heads of one fold in one pass over the features."""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dmdbt.errors import DmdbtError
from dmdbt.heads.checkpoint import Checkpoint
from dmdbt.heads.dataset import FeatureSet, Samples
from dmdbt.heads.networks import build_head, malignant_probability
from dmdbt.terms import Head, Modality

_TEST_BATCH = 32
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class HeadSettings:
    """Table I: filters of the convolution (None: as many as channels), hidden widths, dropout rate."""

    filters: int | None
    hidden: tuple[int, ...]
    dropout: float


@dataclass(frozen=True)
class TrainSettings:
    """How the heads are trained.

    Attributes
    ----------
    epochs
        Number of passes.
    batch_size
        Samples in a batch, even.
    learning_rate
        First learning rate of Adam.
    mixed
        Whether convolutions and products are made in bfloat16.
    seed
        Of everything random.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    mixed: bool
    seed: int


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

    Each batch is read once, holds as many benign as malignant samples, and is given to all three heads. The learning
    rate falls from epoch to epoch as a cosine, and the last epoch's weights are returned: nothing is chosen.

    Parameters
    ----------
    features
        Of the whole cohort.
    pairs
        Indices of the pairs to train on; both classes must be among them.
    head_settings, settings
        See there.
    device
        Where to train.
    checkpoint
        Where to go on from, and to keep the state of every epoch; a CPU gives the same bits as without.
    on_epochs
        Called with the number of epochs that were done.

    Returns
    -------
    heads : dict
        In eval mode, on `device`.
    history : list of dict
        ``head``, ``epoch`` (from 1) and ``loss``, the mean cross-entropy over the epoch's batches.

    Raises
    ------
    DmdbtError
        A loss is not finite.
    """
    # Initial weights and dropout draw from torch's global generators; the fork leaves those as they were.
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        training = _Training(features.shape, head_settings, settings, device)
        state = checkpoint.load() if checkpoint else None
        if state is not None:
            training.load_state_dict(state)
            on_epochs(training.epoch)
        while training.epoch < settings.epochs:
            training.run_epoch(features, pairs)
            on_epochs(1)
            if checkpoint and training.epoch < settings.epochs:
                checkpoint.save(training.state_dict())
    for network in training.heads.values():
        network.eval()
    return training.heads, training.history


@torch.inference_mode()
def predict(
    heads: dict[Head, nn.Module], features: FeatureSet, pairs: np.ndarray, *, device: torch.device = _CPU
) -> dict[Head, np.ndarray]:
    """Probability that each pair is malignant, from its original images.

    Returns
    -------
    dict of ndarray of float64, shape (N,)
        By head, in the order of `pairs`.
    """
    chunks = [pairs[start : start + _TEST_BATCH] for start in range(0, len(pairs), _TEST_BATCH)]
    samples = [(chunk, np.full(len(chunk), features.original)) for chunk in chunks]
    probs: dict[Head, list[Tensor]] = {head: [] for head in heads}
    for maps in features.batches(samples, device):
        for head, network in heads.items():
            network.eval()
            probs[head].append(malignant_probability(network(_seen_by(head, maps))))
    return {head: torch.cat(found).double().cpu().numpy() for head, found in probs.items()}


def balanced_batches(
    targets: np.ndarray, n_copies: int, batch_size: int, rng: np.random.Generator
) -> Iterator[Samples]:
    """One epoch of batches with as many benign as malignant samples.

    Every copy of every pair of the larger class is drawn once; the smaller class is shuffled anew until it is as
    long. The last batch may be smaller.

    Parameters
    ----------
    targets
        int, shape (N,), of the training pairs.
    n_copies
        A.
    batch_size
        Even.
    rng
        Its state advances.

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


class _Training:
    """Three heads, their optimizers and all that is random, between two epochs."""

    def __init__(
        self, shape: tuple[int, int, int], head_settings: HeadSettings, settings: TrainSettings, device: torch.device
    ) -> None:
        self.settings, self.device = settings, device
        self.epoch = 0
        self.history: list[dict[str, str | int | float]] = []
        self.rng = np.random.default_rng(settings.seed)
        torch.manual_seed(settings.seed)
        self.heads = {head: build_head(head, shape, **vars(head_settings)).to(device) for head in Head}
        self.optimizers = {
            head: torch.optim.Adam(network.parameters(), lr=settings.learning_rate, fused=True)
            for head, network in self.heads.items()
        }

    def run_epoch(self, features: FeatureSet, pairs: np.ndarray) -> None:
        """Advance by one epoch, and add the mean loss of each head to the history."""
        for head in Head:
            self.heads[head].train()
            self.optimizers[head].param_groups[0]["lr"] = _learning_rate(self.settings, self.epoch + 1)
        drawn = balanced_batches(features.targets[pairs], features.n_copies, self.settings.batch_size, self.rng)
        samples = [(pairs[chosen], copies) for chosen, copies in drawn]
        losses = []
        for (chosen, _), maps in zip(samples, features.batches(samples, self.device), strict=True):
            targets = torch.from_numpy(features.targets[chosen]).long().to(self.device)
            losses.append(torch.stack([self._step(head, maps, targets) for head in Head]).tolist())
            self._check(losses[-1], batch=len(losses))
        self.epoch += 1
        for head, loss in zip(Head, np.mean(losses, axis=0), strict=True):
            self.history.append({"head": str(head), "epoch": self.epoch, "loss": float(loss)})

    def _step(self, head: Head, maps: Tensor, targets: Tensor) -> Tensor:
        """One step of one head; its gradients are gone before the next head's are made."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.mixed):
            loss = nn.functional.cross_entropy(self.heads[head](_seen_by(head, maps)), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizers[head].step()
        self.optimizers[head].zero_grad(set_to_none=True)
        return loss.detach()

    def _check(self, losses: list[float], *, batch: int) -> None:
        for head, loss in zip(Head, losses, strict=True):
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
        """Become what `state_dict` was taken of."""
        self.epoch, self.history = state["epoch"], state["history"]
        for head in Head:
            self.heads[head].load_state_dict(state["heads"][head])
            self.optimizers[head].load_state_dict(state["optimizers"][head])
        self.rng.bit_generator.state = json.loads(state["samples"])
        torch.set_rng_state(state["dropout"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(state["dropout_cuda"], self.device)


def _learning_rate(settings: TrainSettings, epoch: int) -> float:
    """Half a cosine from the first epoch's rate toward 0: at a constant rate the last epoch would be a lottery."""
    return settings.learning_rate * (1 + math.cos(math.pi * (epoch - 1) / settings.epochs)) / 2


def _seen_by(head: Head, maps: Tensor) -> Tensor:
    """What a head looks at, of maps (N, C, H, W, M)."""
    if len(head.modalities) > 1:
        return maps
    return maps[..., list(Modality).index(head.modalities[0])]


def _shuffled(samples: np.ndarray, length: int, rng: np.random.Generator) -> np.ndarray:
    passes: Sequence[np.ndarray] = [rng.permutation(samples) for _ in range(-(-length // len(samples)))]
    return np.concatenate(passes)[:length]
