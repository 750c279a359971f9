"""Measure what training costs beside a bare loop in memory, and from the store: ``python -m benchmarks.training``.

The bare loop draws, forwards, backwards and steps the same three heads on float32 maps that lie ready in memory, with
channels last. Features are random; the store is in the page cache.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from dmdbt.features import Provenance, write_features
from dmdbt.heads import FeatureSet, HeadSettings, TrainSettings, build_head, open_features, train_heads, training_bytes
from dmdbt.heads.training import balanced_batches
from dmdbt.terms import Head, Modality

COPIES = ("original", "flip", "rot90", "rot180", "rot270")
# Shape of a feature map, pairs, threads: the demo's, and the paper's first layer of 164 million weights.
CASES = {
    "AlexNet, 160 px": ((256, 9, 9), 236, 1),
    "ResNet-18, 128 px": ((512, 4, 4), 236, 1),
    "DenseNet-121, 96 px": ((1024, 3, 3), 236, 1),
    "SqueezeNet 1.1, 128 px": ((512, 7, 7), 236, 1),
    "AlexNet, 832 px": ((256, 51, 51), 13, 2),
}
HEADS = HeadSettings(filters=None, hidden=(256, 128), dropout=0.5)
SETTINGS = TrainSettings(epochs=1, batch_size=32, learning_rate=1e-4, mixed=False, seed=0)
CPU = torch.device("cpu")


def main() -> None:
    """Print a table of ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    print("| feature maps | heads GB | bare loop s | in memory | from the store |\n| --- | ---: | ---: | ---: | ---: |")
    for name, (shape, n_pairs, threads) in CASES.items():
        torch.set_num_threads(threads)
        with tempfile.TemporaryDirectory() as folder:
            write_store(Path(folder), shape, n_pairs)
            ways = ways_to_train(Path(folder), n_pairs)
            seconds = best_of(ways, repeats, name)
        bare, memory, store = seconds
        gigabytes = training_bytes(shape, HEADS, 0, mixed=False) / 1e9
        print(f"| {name} | {gigabytes:.2f} | {bare:.2f} | {memory / bare:.2f} | {store / bare:.2f} |", flush=True)


def best_of(ways: list[Callable[[], object]], repeats: int, name: str) -> list[float]:
    """Shortest time of each, in turns, so that a busy machine slows all of them."""
    seconds = np.full((repeats, len(ways)), np.inf)
    for repeat, way in tqdm([(r, w) for r in range(repeats) for w in range(len(ways))], desc=name, leave=False):
        start = time.perf_counter()
        ways[way]()
        seconds[repeat, way] = time.perf_counter() - start
    return list(seconds.min(axis=0))


def ways_to_train(folder: Path, n_pairs: int) -> list[Callable[[], object]]:
    """One epoch of all three heads: bare, in memory, from the store."""
    case_ids, targets, pairs = [f"case{n}" for n in range(n_pairs)], np.arange(n_pairs) % 2, np.arange(n_pairs)
    in_memory, from_store = (
        open_features(folder, case_ids, targets, memory=memory, device=CPU) for memory in (1e12, 0)
    )
    ready = {m: in_memory.maps[m].float() for m in Modality}  # (N, A, H, W, C)
    return [
        lambda: bare_loop(ready, in_memory),
        lambda: train_heads(in_memory, pairs, HEADS, SETTINGS),
        lambda: train_heads(from_store, pairs, HEADS, SETTINGS),
    ]


def bare_loop(ready: dict[Modality, torch.Tensor], features: FeatureSet) -> None:
    """Run what any loop must do."""
    heads = {head: build_head(head, features.shape, HEADS) for head in Head}
    optimizers = {head: torch.optim.Adam(network.parameters(), lr=1e-4, fused=True) for head, network in heads.items()}
    targets = torch.from_numpy(features.targets)
    for rows, columns in balanced_batches(features.targets, len(COPIES), 32, np.random.default_rng(0)):
        maps = [ready[m][torch.from_numpy(rows), torch.from_numpy(columns)].movedim(-1, 1) for m in Modality]
        seen = {Head.DM: maps[0], Head.DBT: maps[1], Head.DM_DBT: torch.stack(maps, dim=-1)}
        for head, network in heads.items():
            optimizers[head].zero_grad()
            nn.functional.cross_entropy(network(seen[head]), targets[torch.from_numpy(rows)]).backward()
            optimizers[head].step()


def write_store(folder: Path, shape: tuple[int, int, int], n_pairs: int) -> None:
    """Random maps, half of them zeros as behind a ReLU."""
    rng = np.random.default_rng(0)
    origin = Provenance("alexnet", "features.11", "0" * 64, "0" * 64, 832, "none", COPIES)
    for modality in Modality:
        for number in range(n_pairs):
            maps = np.maximum(rng.standard_normal((len(COPIES), *shape), np.float32), 0).astype(np.float16)
            write_features(folder / modality / f"case{number}.h5", maps, origin)


if __name__ == "__main__":
    main()
