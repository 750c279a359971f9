"""The devices that torch computes on: one function names them, and each worker process has one of its own."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from dmdbt.errors import ParameterError, SystemResourceError

_WORKER = "DMDBT_WORKER_NUMBER"  # number of this worker process among those of its pool
_PER_CARD = 2  # worker processes: while the card computes for one, the other decodes and writes
_BATCHED = "cpu-batched"

Item = TypeVar("Item")
Result = TypeVar("Result")

_fits: dict[str, int] = {}  # by kind of work, how many items this process had room for on its card


def compute_devices() -> list[str]:
    """Return torch's names of the devices that work is spread over: ``cpu``, or cards.

    ``DMDBT_DEVICE`` names one or several, separated by commas; ``cuda`` is every card that ``CUDA_VISIBLE_DEVICES``
    leaves. ``cpu-batched`` is the CPU with the code that is written for cards.

    Raises
    ------
    ParameterError
        torch finds no such device, or they are of several kinds.
    """
    import torch  # here, because most stages need no torch

    cards = [f"cuda:{number}" for number in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    known = {"cpu": ["cpu"], _BATCHED: ["cpu"], "cuda": cards} | {card: [card] for card in cards}
    if torch.backends.mps.is_available():
        known["mps"] = ["mps"]
    text = os.environ.get("DMDBT_DEVICE") or ("cuda" if cards else "cpu")
    names = text.split(",")
    if not all(map(known.get, names)) or len(set(map(_kind, names))) > 1:
        expected = "cpu, or what torch finds of cuda, cuda:0, cuda:1 and so on, separated by commas"
        raise ParameterError("DMDBT_DEVICE", expected=expected, found=text, remedy="Unset it to use what there is.")
    return [device for name in names for device in known[name]]


def compute_device() -> str:
    """Return the device of this process, see `compute_devices`; worker processes have the devices in turn."""
    devices = compute_devices()
    return devices[int(os.environ.get(_WORKER, "0")) % len(devices)]


def device_kind() -> str:
    """Return ``cpu``, ``cpu-batched``, ``cuda`` or ``mps``. How many there are of a kind does not change any result."""
    devices = compute_devices()
    return _kind(os.environ.get("DMDBT_DEVICE") or devices[0])


def card_count() -> int:
    """Return the number of cards; 0 on a CPU."""
    return 0 if device_kind() == "cpu" else len(compute_devices())


def card_workers() -> int | None:
    """Return how many worker processes share the cards; None on a CPU, where `worker_count` decides."""
    return _PER_CARD * card_count() or None


def check_card_memory(needed: int, name: str, remedy: str) -> None:
    """Refuse work whose bytes exceed the free memory of this process's card, before it begins; a CPU takes any.

    Raises
    ------
    SystemResourceError
        With what is needed, what is free, and the `remedy`.
    """
    import torch

    if (device := torch.device(compute_device())).type != "cuda":
        return
    free, total = torch.cuda.mem_get_info(device)
    if needed > free:
        sizes = f"{needed / 1e9:.1f} GB of free memory on {device}, found {free / 1e9:.1f} of {total / 1e9:.1f} GB"
        raise SystemResourceError(f"{name}: expected {sizes}. {remedy}, or set DMDBT_DEVICE to another card.")


def _kind(name: str) -> str:
    return name.partition(",")[0].partition(":")[0]


def number_worker(number: int) -> None:
    """Tell this process its number, from 0, among the workers of a pool."""
    os.environ[_WORKER] = str(number)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether the memory of a card was too small; torch need not be imported."""
    return type(error).__name__ == "OutOfMemoryError"


def is_lost(error: BaseException) -> bool:
    """Return whether a card or its driver failed: nothing more can be computed in this process."""
    return type(error).__name__ == "AcceleratorError" or str(error).startswith(("CUDA error", "HIP error", "NCCL"))


def by_room(kind: str, function: Callable[[Sequence[Item]], list[Result]], items: Sequence[Item]) -> list[Result]:
    """Call a function on items, all at once or, where the card has no memory for that, on fewer.

    Parameters
    ----------
    kind
        Name of the work, under which the number of items is remembered that had room.
    function
        Returns one result per item, whatever other items it is called with.
    items
        At least one. If there is no memory for one alone, torch's error is raised.
    """
    found: list[Result] = []
    while len(found) < len(items):
        batch = items[len(found) : len(found) + _fits.get(kind, len(items))]
        try:
            found += function(batch)
        except RuntimeError as error:
            if not is_out_of_memory(error) or len(batch) == 1:
                raise
            _fits[kind] = len(batch) // 2
            said = f"{kind}: no memory on {compute_device()} for {len(batch)} at once, {_fits[kind]} now"
            print(said, file=sys.stderr)
    return found
