"""What one item of each stage costs on this machine: the real functions, timed in worker processes of the real number.

As many items as there are workers are timed at once, so that the workers get into each other's way as they will.
"""

import math
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from dmdbt.backbones import architecture, pretrain
from dmdbt.backbones.architectures import create_classifier, feature_extractor, last_layer
from dmdbt.cohort import Case
from dmdbt.features import Origin, extract, read_copy, read_features, write_features
from dmdbt.heads import HeadSettings, build_head
from dmdbt.imaging import breast_box, read_gray, read_slices, resize, square, write_gray, write_slices
from dmdbt.ingest import examine
from dmdbt.params import Rankpool
from dmdbt.rankpool import pool_slices, rank_pool, to_uint8
from dmdbt.readers import Limits, open_volume, read_mammogram
from dmdbt.running import map_cases, worker_count
from dmdbt.terms import Head

Subject = TypeVar("Subject")
Timed = Callable[[Subject], float]  # does its work and returns the seconds that count

TIMED_TEXT = "a pair per worker and two steps of every head, timed just now"

MOST_PARAMETERS = 100_000_000  # of a head that is timed; a larger one is timed on fewer rows
_NO_DIGEST = "0" * 64  # of weights and images that are no part of a cohort
_STEPS = 2
_PRETRAINING_STEPS = 8
_QUICK = 1.0  # seconds; what takes less is done again, for the first time may be slow


@dataclass(frozen=True)
class Cost:
    """Of one item: mean seconds in one worker, and the largest resident set of a worker in bytes."""

    seconds: float
    memory: int


@dataclass(frozen=True)
class Backbone:
    """A backbone, with random weights: they cost what trained ones do."""

    name: str
    resnet_depth: int
    size: int
    crop: bool
    copies: tuple[str, ...]


def measure(
    function: Timed[Subject], subjects: Sequence[Subject], *, description: str, name: Callable[[Subject], str]
) -> Cost:
    """Call a function that times itself on every subject, in worker processes.

    Parameters
    ----------
    function
        Picklable; returns seconds.
    subjects
        No more of them than workers are used.
    description, name
        See `dmdbt.running.map_cases`.
    """
    chosen = subjects[: worker_count()]
    found = map_cases(
        partial(_with_peak, function=function),
        chosen,
        description=f"timing {description}",
        name=name,
        preload=[__name__],
    )
    return Cost(sum(seconds for seconds, _ in found) / len(found), max(peak for _, peak in found))


def own_peak() -> int:
    """Largest resident set of this process so far, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def check(case: Case, *, cohort: Path, folder: Path) -> float:
    """Seconds of the stage ingest; `folder` gets ``<case>.json``."""
    start = time.perf_counter()
    examine(case, folder, cohort=cohort, limits=Limits())
    return time.perf_counter() - start


def mammogram(case: Case, *, cohort: Path, folder: Path, size: int) -> float:
    """Seconds of the stage mammogram; `folder` gets ``dm/<case>.png``."""
    start = time.perf_counter()
    image = square(read_mammogram(cohort / case.dm).pixels, size, pad=False)
    write_gray(folder / f"dm/{case.case_id}.png", image)
    return time.perf_counter() - start


def decode(case: Case, *, cohort: Path, folder: Path, quality: int) -> float:
    """Seconds of the stage decode; `folder` gets ``slices/<case>``."""
    start = time.perf_counter()
    with open_volume(cohort / case.dbt) as volume:
        write_slices(volume, folder / "slices" / case.case_id, quality=quality)
    return time.perf_counter() - start


def pool(case: Case, *, folder: Path, settings: Rankpool) -> float:
    """Seconds of the stage rankpool, after `decode`; `folder` gets ``dbt/<case>.png``."""
    start = time.perf_counter()
    volume = read_slices(folder / "slices" / case.case_id)
    if settings.pooler == "ranksvm" or settings.pooler == "approximate":
        image = rank_pool(volume, settings.rho if settings.pooler == "ranksvm" else 1.0).image
    else:
        image = pool_slices(volume, settings.pooler)
    write_gray(folder / f"dbt/{case.case_id}.png", to_uint8(image, settings.mapping, quantile=settings.quantile))
    return time.perf_counter() - start


def features(case: Case, *, folder: Path, backbone: Backbone) -> float:
    """Seconds of the stage features for one pair, after `mammogram` and `pool`, of whose images it writes the maps."""
    network = feature_extractor(create_classifier(backbone.name, backbone.resnet_depth)).requires_grad_(False).eval()
    network = nn.utils.convert_conv2d_weight_memory_format(network, torch.channels_last)  # as in the stage
    extract(network, [np.zeros((backbone.size, backbone.size), np.float32)], ("original",))  # the first call is slow
    origin = Origin(
        backbone=architecture(backbone.name, backbone.resnet_depth),
        layer=last_layer(network),
        weights_sha256=_NO_DIGEST,
        input_sha256=_NO_DIGEST,
        size=backbone.size,
        crop="breast" if backbone.crop else "none",
        copies=backbone.copies,
    )
    start = time.perf_counter()
    for modality in case.modalities:
        image = read_gray(folder / modality / f"{case.case_id}.png")
        framed = image[breast_box(image)] if backbone.crop else image
        gray = resize(framed, backbone.size, backbone.size) / np.iinfo(image.dtype).max
        (maps,) = extract(network, [gray], backbone.copies)
        write_features(folder / modality / f"{case.case_id}.h5", maps, origin)
    return time.perf_counter() - start


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


def pretraining_step(backbone: Backbone, *, batch_size: int, image_size: int) -> float:
    """Seconds of one step of the stage weights, in this process."""
    budget = {"batch_size": batch_size, "image_size": image_size, "seed": 0}
    seconds = []
    for steps in (1, 1, 1 + _PRETRAINING_STEPS):  # the first call is slow, and every call creates the backbone
        start = time.perf_counter()
        pretrain(backbone.name, backbone.resnet_depth, steps=steps, **budget)
        seconds.append(time.perf_counter() - start)
    return max(0.0, seconds[2] - seconds[1]) / _PRETRAINING_STEPS


def _with_peak(subject: Subject, *, function: Timed[Subject]) -> tuple[float, int]:
    seconds = function(subject)
    return function(subject) if seconds < _QUICK else seconds, own_peak()
