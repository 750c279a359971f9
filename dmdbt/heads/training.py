"""Train the three heads of one fold in one pass over the features."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from dmdbt.errors import DmdbtError
from dmdbt.heads.dataset import FeatureSet
from dmdbt.heads.networks import build_head, malignant_probability
from dmdbt.terms import Head, Modality


@dataclass(frozen=True)
class HeadSettings:
    """Table I: filters of the convolution (None: as many as channels), hidden widths, dropout rate."""

    filters: int | None
    hidden: tuple[int, ...]
    dropout: float


@dataclass(frozen=True)
class TrainSettings:
    """Number of passes, samples in a batch (even), first learning rate of Adam, and the seed of everything random."""

    epochs: int
    batch_size: int
    learning_rate: float
    seed: int


def train_heads(
    features: FeatureSet,
    pairs: np.ndarray,
    head_settings: HeadSettings,
    settings: TrainSettings,
    *,
    on_epoch: Callable[[], object] = lambda: None,
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
    on_epoch
        Called after every epoch.

    Returns
    -------
    heads : dict
        In eval mode.
    history : list of dict
        ``head``, ``epoch`` (from 1) and ``loss``, the mean cross-entropy over the epoch's batches.

    Raises
    ------
    DmdbtError
        A loss is not finite.
    """
    rng = np.random.default_rng(settings.seed)
    history: list[dict[str, str | int | float]] = []
    # Initial weights and dropout draw from torch's global generator; the fork leaves that as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        heads = {head: build_head(head, features.shape, **vars(head_settings)) for head in Head}
        optimizers = {
            head: torch.optim.Adam(network.parameters(), lr=settings.learning_rate, fused=True)
            for head, network in heads.items()
        }
        for epoch in range(1, settings.epochs + 1):
            for optimizer in optimizers.values():
                optimizer.param_groups[0]["lr"] = _learning_rate(settings, epoch)
            losses = _train_epoch(features, pairs, heads, optimizers, settings.batch_size, rng, epoch=epoch)
            history += [{"head": str(head), "epoch": epoch, "loss": loss} for head, loss in losses.items()]
            on_epoch()
    for network in heads.values():
        network.eval()
    return heads, history


@torch.inference_mode()
def predict(head: Head, network: nn.Module, features: FeatureSet, pairs: np.ndarray) -> np.ndarray:
    """Probability that each pair is malignant, from its original images.

    Returns
    -------
    ndarray of float64, shape (N,)
        In the order of `pairs`.
    """
    network.eval()
    chunks = [pairs[start : start + 64] for start in range(0, len(pairs), 64)]
    probs = [
        malignant_probability(network(_seen_by(head, features.batch(chunk, np.full(len(chunk), features.original)))))
        for chunk in chunks
    ]
    return torch.cat(probs).double().numpy()


def balanced_batches(
    targets: np.ndarray, n_copies: int, batch_size: int, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
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


def _train_epoch(
    features: FeatureSet,
    pairs: np.ndarray,
    heads: dict[Head, nn.Module],
    optimizers: dict[Head, torch.optim.Adam],
    batch_size: int,
    rng: np.random.Generator,
    *,
    epoch: int,
) -> dict[Head, float]:
    """Mean loss of each head."""
    losses: dict[Head, list[float]] = {head: [] for head in heads}
    for network in heads.values():
        network.train()
    for chosen, copies in balanced_batches(features.targets[pairs], features.n_copies, batch_size, rng):
        maps = features.batch(pairs[chosen], copies)
        targets = torch.from_numpy(features.targets[pairs[chosen]]).long()
        for head, network in heads.items():
            loss = nn.functional.cross_entropy(network(_seen_by(head, maps)), targets)
            losses[head].append(loss.item())
            if not np.isfinite(losses[head][-1]):
                raise DmdbtError(
                    f"train: expected a finite loss, got {losses[head][-1]} in head {head}, epoch {epoch}, batch "
                    f"{len(losses[head])}. Lower train.learning_rate."
                )
            optimizers[head].zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizers[head].step()
    return {head: float(np.mean(values)) for head, values in losses.items()}


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
