"""Feature maps in memory, and the settings of heads that learn from them in seconds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from dmdbt.features import Provenance
from dmdbt.heads import (
    FeatureSet,
    HeadSettings,
    TrainSettings,
)
from dmdbt.terms import Modality

HEADS = HeadSettings(filters=None, hidden=(16, 8), dropout=0.5)
TRAIN = TrainSettings(epochs=8, batch_size=8, learning_rate=3e-3, mixed=False, seed=5)
ORIGIN = Provenance("alexnet", "features.11", "a" * 64, "", 64, "breast", ("flip", "original"))
STORED = replace(ORIGIN, input_sha256="b" * 64)  # as in a file
CPU = torch.device("cpu")


def feature_set(n_pairs=40, signal=(2.0, 2.0), seed=0, shape=(4, 3, 3)):
    """Feature maps in which one channel tells the class, by as much as `signal` in DM and DBT."""
    rng = np.random.default_rng(seed)
    targets = np.arange(n_pairs) % 3 // 2
    maps = {}
    for modality, strength in zip(Modality, signal, strict=True):
        array = rng.normal(size=(n_pairs, 2, *shape[1:], shape[0]))
        array[..., 0] += strength * (2 * targets[:, None, None, None] - 1)
        maps[modality] = torch.from_numpy(array.astype(np.float16))
    case_ids = tuple(f"case{number}" for number in range(n_pairs))
    return FeatureSet(Path("nowhere"), case_ids, targets, ORIGIN, shape, maps, np.ones((n_pairs, 2), bool))


def without(features, modality, pairs):
    """The same set, in which some pairs lack a modality."""
    axis = list(Modality).index(modality)
    kept = features.present[:, axis].copy()
    kept[pairs] = False
    present = features.present.copy()
    present[:, axis] = kept
    maps = {**features.maps, modality: features.maps[modality][torch.from_numpy(kept)]}
    return replace(features, maps=maps, present=present)


def equal_weights(first, second):
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)
