"""The cost of one item of each stage on this machine: the real functions, timed in worker processes of the real number.

At least as many items as there are workers are timed, so that the workers get into each other's way as they will.
"""

import math
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import save_file
from torch import nn

from dmdbt.backbones import create_classifier, feature_extractor, pretrain
from dmdbt.cohort import Case
from dmdbt.features import read_copy, read_features
from dmdbt.heads import HeadSettings, build_head
from dmdbt.running import Item, Step, map_cases
from dmdbt.terms import Head

Payload = TypeVar("Payload")
Timed = Callable[[Payload], float]  # does its work and returns the seconds that count

TIMED_TEXT = "a pair per worker and two steps of every head, timed just now"

MOST_PARAMETERS = 100_000_000  # of a head that is timed; a larger one is timed on fewer rows
_STEPS = 2
_PRETRAINING_STEPS = 8
_QUICK = 10.0  # seconds; what takes less is done again, for the first time may be slow


@dataclass(frozen=True)
class Cost:
    """Cost of one item: mean seconds in one worker, and the largest resident set of a worker in bytes."""

    seconds: float
    memory: int


def measure(
    function: Timed[Payload], payloads: Sequence[Payload], *, description: str, name: Callable[[Payload], str]
) -> Cost:
    """Call a picklable function that times itself on every payload, of which there is at least one, in workers.

    `description` and `name` are those of `dmdbt.running.map_cases`.
    """
    found = map_cases(
        partial(_with_peak, function=function),
        payloads,
        description=f"timing {description}",
        name=name,
        preload=[__name__],
    )
    return Cost(sum(seconds for seconds, _ in found) / len(found), max(peak for _, peak in found))


def own_peak() -> int:
    """Largest resident set of this process so far, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def item_cost(step: Step[Any], folder: Path) -> Cost:
    """Time a step's own function on its items, of which there are few; `folder` gets their outputs."""
    number = step.at_once or 1
    groups = [step.items[start : start + number] for start in range(0, len(step.items), number)]
    return measure(
        partial(_group_seconds, function=step.function, folder=folder, listed=step.at_once is not None),
        groups,
        description=step.description,
        name=lambda group: ", ".join(item.name for item in group),
    )


def random_weights(path: Path, name: str, resnet_depth: int) -> None:
    """Write random weights of a backbone: they cost what trained ones do."""
    save_file(feature_extractor(create_classifier(name, resnet_depth)).state_dict(), path)


def loading(case: Case, *, folder: Path, held: bool) -> float:
    """Seconds to read the features of one pair as training does: all copies if they are held, or else one."""
    start = time.perf_counter()
    for modality in case.modalities:
        path = folder / modality / f"{case.case_id}.h5"
        if held:
            read_features(path)
        else:
            read_copy(path, 0)
    return time.perf_counter() - start


def rows_to_time(shape: tuple[int, int, int], parameters: int) -> int:
    """Rows of the feature map on which a head is timed, so that it has about `MOST_PARAMETERS` or fewer.

    All of a head's work, and nearly all of its parameters, are in proportion to the positions of the map: those of
    the convolution to rows x columns, those behind the max-pool to (rows - 1) x (columns - 1).
    """
    return min(shape[1], 1 + max(1, math.floor((shape[1] - 1) * MOST_PARAMETERS / parameters)))


def training_step(
    fold: int, *, head: Head, shape: tuple[int, int, int], settings: HeadSettings, batch_size: int, threads: int
) -> float:
    """Seconds of one step of one head on random feature maps (C, H, W): forward, backward, Adam."""
    torch.set_num_threads(threads)
    generator = torch.Generator().manual_seed(fold)
    n_images = len(head.modalities)
    channels, rows, columns = shape
    maps = torch.rand((n_images, batch_size, rows, columns, channels), generator=generator).to(torch.float16)
    network = build_head(head, shape, settings)
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    targets = torch.arange(batch_size) % 2
    for step in range(_STEPS + 1):
        if step == 1:  # the first one is slow
            start = time.perf_counter()
        images = maps.float().permute(1, 4, 2, 3, 0)
        loss = nn.functional.cross_entropy(network(images if n_images > 1 else images[..., 0]), targets)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return (time.perf_counter() - start) / _STEPS


def pretraining_step(name: str, resnet_depth: int, *, batch_size: int, image_size: int) -> float:
    """Seconds of one step of the stage weights, in this process."""
    budget = {"batch_size": batch_size, "image_size": image_size, "seed": 0}
    seconds = []
    for steps in (1, 1, 1 + _PRETRAINING_STEPS):  # the first call is slow, and every call creates the backbone
        start = time.perf_counter()
        pretrain(name, resnet_depth, steps=steps, **budget)
        seconds.append(time.perf_counter() - start)
    return max(0.0, seconds[2] - seconds[1]) / _PRETRAINING_STEPS


def _group_seconds(
    group: Sequence[Item[Any]], *, function: Callable[[Any, Path], None], folder: Path, listed: bool
) -> float:
    """Seconds of an item, of those that are made at once."""
    payloads = [item.payload for item in group]
    start = time.perf_counter()
    function(payloads if listed else payloads[0], folder)
    return (time.perf_counter() - start) / len(group)


def _with_peak(payload: Payload, *, function: Timed[Payload]) -> tuple[float, int]:
    seconds = function(payload)
    return function(payload) if seconds < _QUICK else seconds, own_peak()
