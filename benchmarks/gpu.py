"""Check the code for cards on a card, and measure it: ``make gpu-check``, after ``dvc repro``.

Four tables: whether rank pooling has the bytes of a CPU and how many volumes of 82 x 1024 x 1024 a second it pools,
from memory of the machine and resident on the card; how far feature maps are from a CPU's, in units of the last place
of float16, and extraction beside the bare forward pass; and an epoch of the three heads beside a bare loop, with the
maps on the card and with maps that are sent to it. `--device cpu` runs the same on a CPU.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from dmdbt import params
from dmdbt.backbones import build_backbone
from dmdbt.backbones.architectures import normalize
from dmdbt.doctor.machine import software
from dmdbt.features import Provenance, batch_images, extract
from dmdbt.heads import FeatureSet, HeadSettings, TrainSettings, balanced_batches, build_head, train_heads
from dmdbt.rankpool import approximate_weights, batch, rank_pool, rank_pool_batch
from dmdbt.terms import Head, Modality

_SLICES, _SIDE = 82, 1024
_SECONDS = 5.0  # of one measurement, about
_LARGE = 832
_MAPS = (256, 25)  # channels, rows and columns of AlexNet's feature maps of such images
_PAIRS, _BATCH, _RATE = 256, 32, 1e-5


def main() -> None:
    """Print the tables, or that there is no card."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--size", type=int, default=_LARGE, help="rows and columns of the backbones' input")
    parser.add_argument("--side", type=int, default=_SIDE, help="rows and columns of the slices")
    parser.add_argument("--maps", type=int, default=_MAPS[1], help="rows and columns of the feature maps in training")
    chosen = parser.parse_args()
    if chosen.device != "cpu" and not torch.cuda.is_available():
        print("not run: torch finds no card")
        return
    print("\n".join(software().lines))
    _rank_pooling(chosen.device, chosen.side)
    _features(chosen.device, chosen.size)
    _training(torch.device(chosen.device), (_MAPS[0], chosen.maps, chosen.maps))


def _rank_pooling(device: str, side: int) -> None:
    rng = np.random.default_rng(0)
    small = [
        rng.integers(0, 256, (rng.integers(2, 124), *rng.integers(1, 200, 2))).astype(np.uint8) for _ in range(200)
    ]
    equal = sum(
        np.array_equal(one.image, rank_pool(slices).image)
        for slices, one in zip(small, rank_pool_batch(small, device=device), strict=True)
    )
    worst = max(pooling.gap for pooling in rank_pool_batch(small, 0.1, device))
    print(f"\nrank pooling: {equal} of {len(small)} volumes have the bytes of a CPU; worst gap at rho .1 {worst:.1e}\n")
    volumes = [rng.integers(0, 256, (_SLICES, side, side), dtype=np.uint8) for _ in range(8)]
    resident, weights = torch.tensor(volumes[0], device=device), approximate_weights(_SLICES)

    def passes() -> None:
        batch._slice_gram(resident)
        batch._combine(resident, weights, 1.0)

    rates = {
        "one core of the CPU": _rate(lambda: rank_pool(volumes[0])),
        "card, from memory": len(volumes) * _rate(lambda: rank_pool_batch(volumes, device=device)),
        "card, resident": _rate(passes),
    }
    print(f"| {_SLICES} x {side} x {side} | volumes/s | ratio |\n| --- | ---: | ---: |")
    for name, rate in rates.items():
        print(f"| {name} | {rate:.2f} | {rate / rates['one core of the CPU']:.1f} |")


@torch.inference_mode()
def _features(device: str, size: int) -> None:
    print("\n| backbone | precision | within 1 unit | largest | bare, images/s | extraction, images/s | ratio |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    depth = params.read(params.Backbones).resnet_depth
    grays = list(np.random.default_rng(0).random((batch_images(size, 1), size, size), dtype=np.float32))
    for name in params.read(params.Backbones).names:
        backbone = build_backbone(name, Path(f"data/weights/{name}.safetensors"), resnet_depth=depth)
        expected = extract(backbone, grays[:1], ["original"], at_once=1)[0]
        backbone = backbone.to(device)
        inputs = normalize(torch.tensor(np.stack(grays), device=device)[:, None])
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        for precision in ("float32", "float16"):
            run = partial(extract, backbone, copies=["original"], precision=precision)
            found = run(grays[:1])[0]
            units = np.abs(found.astype(np.float64) - expected) / np.spacing(np.abs(expected))
            with torch.autocast(torch.device(device).type, dtype=torch.float16, enabled=precision == "float16"):
                bare = len(grays) * _rate(partial(_forward, backbone, inputs))
            rate = len(grays) * _rate(partial(run, grays))
            share = f"{(units <= 1).mean():.4f} | {units.max():.0f}"
            print(f"| {name} | {precision} | {share} | {bare:.1f} | {rate:.1f} | {rate / bare:.2f} |", flush=True)


def _training(device: torch.device, shape: tuple[int, int, int]) -> None:
    channels, rows, columns = shape
    sent = {m: torch.randn(_PAIRS, 1, rows, columns, channels).half() for m in Modality}
    origin = Provenance("alexnet", "features", "", "", _LARGE, "none", ("original",))
    names, targets = tuple(map(str, range(_PAIRS))), np.arange(_PAIRS) % 2
    there = np.ones((_PAIRS, len(Modality)), bool)
    from_cpu = FeatureSet(Path(), names, targets, origin, shape, sent, there)
    on_card = replace(from_cpu, maps={modality: maps.to(device) for modality, maps in sent.items()})
    samples = list(balanced_batches(targets, 1, _BATCH, np.random.default_rng(0)))
    batches = zip(from_cpu.batches(samples, device), on_card.batches(samples, device), strict=True)
    equal = sum(torch.equal(one, other) for one, other in batches)
    print(f"\ntraining: {equal} of {len(samples)} batches that are sent to the device are those that lie there\n")
    seconds = {"bare loop": _bare_epoch(next(on_card.batches(samples, device)), shape, len(samples))}
    for name, features in {"maps on the device": on_card, "maps that are sent": from_cpu}.items():
        short, long = (_seconds(partial(_epochs, features, device, number)) for number in (1, 4))
        seconds[name] = (long - short) / 3
    print(f"| three heads, maps of {shape}, {_PAIRS} pairs | s per epoch | ratio |\n| --- | ---: | ---: |")
    for name, time_of in seconds.items():
        print(f"| {name} | {time_of:.3f} | {seconds['bare loop'] / time_of:.2f} |")


def _epochs(features: FeatureSet, device: torch.device, number: int) -> None:
    settings = TrainSettings(number, _BATCH, _RATE, mixed=False, seed=0)
    train_heads(features, np.arange(_PAIRS), HeadSettings(), settings, device=device)


def _bare_epoch(maps: torch.Tensor, shape: tuple[int, int, int], steps: int) -> float:
    """Seconds of as many steps of the three heads on one batch that lies on the device."""
    heads = {head: build_head(head, shape, HeadSettings()).to(maps.device) for head in Head}
    optimizers = {head: torch.optim.Adam(heads[head].parameters(), lr=_RATE, fused=True) for head in Head}
    targets = torch.arange(len(maps), device=maps.device) * 2 // len(maps)

    def epoch() -> None:
        for head in list(Head) * steps:
            seen = maps if len(head.modalities) > 1 else maps[..., 0]
            nn.functional.cross_entropy(heads[head](seen), targets).backward()  # type: ignore[no-untyped-call]
            optimizers[head].step()
            optimizers[head].zero_grad(set_to_none=True)

    return _seconds(epoch)


def _seconds(function: Callable[[], object]) -> float:
    """Return the shortest time of three calls, after one that is not counted."""
    found = []
    for _ in range(4):
        start = time.perf_counter()
        function()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        found.append(time.perf_counter() - start)
    return min(found[1:])


def _forward(backbone: nn.Module, inputs: torch.Tensor) -> None:
    if backbone(inputs).device.type == "cuda":
        torch.cuda.synchronize(inputs.device)


def _rate(function: Callable[[], object]) -> float:
    """Return calls per second, after one that is not counted."""
    function()
    count, start = 0, time.perf_counter()
    while (seconds := time.perf_counter() - start) < _SECONDS:
        function()
        count += 1
    return count / seconds


if __name__ == "__main__":
    main()
