"""Train a baseline on every fold but one, and let it test the patients of that one."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from dmdbt.errors import DmdbtError
from dmdbt.heads import FeatureSet, TrainSettings, balanced_batches, learning_rate, malignant_probability, open_features
from dmdbt.running import card_count, compute_device, feature_memory, map_cases, training_width
from dmdbt.terms import Modality

_TEST_BATCH = 16
_ADAM = 4  # weights, gradients and both moments, in float32


@dataclass(frozen=True, eq=False)  # a worker holds one: it is its own key in a cache
class Experiment:
    """Data shared by all folds of a baseline: N pairs, each with the one image that it needs.

    Attributes
    ----------
    name
        Of the baseline.
    folder, modality
        Maps of the pairs: ``<folder>/<modality>/<case>.h5``.
    case_ids, targets, fold_of
        N names; int of shape (N,), 1 is malignant; int of shape (N,).
    build
        Returns the untrained network for maps of a shape (C, H, W). Picklable; draws from torch's global generator.
    settings
        The seed of a fold is that of the settings plus the fold.
    """

    name: str
    folder: Path
    modality: Modality
    case_ids: tuple[str, ...]
    targets: np.ndarray
    fold_of: np.ndarray
    build: Callable[[tuple[int, int, int]], nn.Module]
    settings: TrainSettings


@dataclass(frozen=True)
class Tested:
    """Result of a fold.

    Attributes
    ----------
    fold
        The tested one.
    pairs, probs
        Which pairs were tested, int of shape (n,), and their probability of malignant, float64 of shape (n,). Both
        empty where the other folds lack a class: there is nothing to train on.
    losses
        Mean cross-entropy of each epoch.
    """

    fold: int
    pairs: np.ndarray
    probs: np.ndarray
    losses: tuple[float, ...]


def run_folds(experiment: Experiment, folds: Sequence[int]) -> list[Tested]:
    """Train and test once per fold, folds side by side as memory and cores allow.

    On a CPU the results do not depend on how many folds run at once, as long as the training of one takes less than
    a GiB beside its maps: then it runs on one thread.

    Raises
    ------
    IntegrityError
        The maps of a pair are missing or damaged, or were not all made alike.
    DmdbtError
        A loss is not finite.
    """
    trainable = [fold for fold in folds if _both_classes(experiment, fold)]
    if not trainable:
        return [_untrained(fold) for fold in folds]
    at_once, threads = training_width(len(trainable), _training_bytes(experiment), card_count())
    results = map_cases(
        partial(_run_fold, experiment=experiment, threads=threads, memory=feature_memory() / at_once),
        trainable,
        description=f"train {experiment.name}",
        name=lambda fold: f"fold {fold}",
        preload=["dmdbt.heads"],
        workers=at_once,
    )
    found = dict(zip(trainable, results, strict=True))
    return [found.get(fold) or _untrained(fold) for fold in folds]


def fit(
    network: nn.Module,
    features: FeatureSet,
    pairs: np.ndarray,
    modality: Modality,
    settings: TrainSettings,
    *,
    device: torch.device,
    on_epoch: Callable[[], object] = lambda: None,
) -> list[float]:
    """Train a network in place for a fixed number of epochs, in balanced batches; nothing is chosen.

    Dropout draws from torch's global generator.

    Returns
    -------
    list of float
        Mean cross-entropy of each epoch.

    Raises
    ------
    DmdbtError
        A loss is not finite.
    """
    rng = np.random.default_rng(settings.seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.learning_rate, fused=True)
    network.train()
    means = []
    for epoch in range(1, settings.epochs + 1):
        optimizer.param_groups[0]["lr"] = learning_rate(settings, epoch)
        drawn = balanced_batches(features.targets[pairs], features.n_copies, settings.batch_size, rng)
        samples = [(pairs[chosen], copies) for chosen, copies in drawn]
        losses = []
        for (chosen, _), maps in zip(samples, features.batches(samples, device, (modality,)), strict=True):
            targets = torch.from_numpy(features.targets[chosen]).long().to(device)
            loss = nn.functional.cross_entropy(network(maps[..., 0]), targets)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            losses.append(float(loss.detach()))
            _check(losses[-1], epoch)
        means.append(float(np.mean(losses)))
        on_epoch()
    return means


@torch.inference_mode()
def predict(
    network: nn.Module, features: FeatureSet, pairs: np.ndarray, modality: Modality, *, device: torch.device
) -> np.ndarray:
    """Probability that each pair is malignant, from its original image: float64, shape (n,)."""
    network.eval()
    chunks = [pairs[start : start + _TEST_BATCH] for start in range(0, len(pairs), _TEST_BATCH)]
    samples = [(chunk, np.full(len(chunk), features.original)) for chunk in chunks]
    found = [malignant_probability(network(maps[..., 0])) for maps in features.batches(samples, device, (modality,))]
    return torch.cat(found).double().cpu().numpy() if found else np.empty(0)


def _run_fold(fold: int, *, experiment: Experiment, threads: int, memory: float) -> Tested:
    torch.set_num_threads(threads)
    device = torch.device(compute_device())
    features = _open(experiment, memory, device)
    settings = replace(experiment.settings, seed=experiment.settings.seed + fold)
    train, test = np.flatnonzero(experiment.fold_of != fold), np.flatnonzero(experiment.fold_of == fold)
    with (
        torch.random.fork_rng(devices=[device] if device.type == "cuda" else []),
        tqdm(total=settings.epochs, desc=f"fold {fold}", unit="epoch", position=fold + 1, disable=None) as bar,
    ):
        torch.manual_seed(settings.seed)
        network = experiment.build(features.shape).to(device)
        losses = fit(network, features, train, experiment.modality, settings, device=device, on_epoch=bar.update)
    return Tested(fold, test, predict(network, features, test, experiment.modality, device=device), tuple(losses))


@cache
def _open(experiment: Experiment, memory: float, device: torch.device) -> FeatureSet:
    """Open the maps once per worker, whatever number of folds it trains."""
    present = np.zeros((len(experiment.case_ids), len(Modality)), bool)
    present[:, list(Modality).index(experiment.modality)] = True
    cases, targets = experiment.case_ids, experiment.targets
    return open_features(experiment.folder, cases, targets, memory=memory, device=device, present=present)


def _both_classes(experiment: Experiment, fold: int) -> bool:
    return len(np.unique(experiment.targets[experiment.fold_of != fold])) > 1


def _untrained(fold: int) -> Tested:
    return Tested(fold, np.empty(0, np.int64), np.empty(0), ())


def _training_bytes(experiment: Experiment) -> int:
    """Bytes that the training of a fold takes, but for maps and activations."""
    shape = _open(experiment, 0.0, torch.device("cpu")).shape
    with torch.device("meta"):
        return 4 * _ADAM * sum(weight.numel() for weight in experiment.build(shape).parameters())


def _check(loss: float, epoch: int) -> None:
    if not math.isfinite(loss):
        remedy = "Lower the learning rate of the baseline in params.yaml."
        raise DmdbtError(f"train: expected a finite loss, got {loss} in epoch {epoch}. {remedy}")
