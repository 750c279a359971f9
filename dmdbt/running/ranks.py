"""Processes that ``torchrun`` starts, on one machine or several, as a group that works together."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from dmdbt.running.devices import device_kind, number_worker


@contextmanager
def joined() -> Iterator[None]:
    """Join the group of ``torchrun``, if that has started this process.

    Processes have the devices of `compute_devices` in turn; cards exchange by NCCL, CPUs by Gloo.
    """
    from torch import distributed

    if not (distributed.is_available() and distributed.is_torchelastic_launched()):
        yield
        return
    number_worker(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if device_kind() == "cuda" else "gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()


def ranks_here() -> int:
    """Return how many processes of the group are on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
