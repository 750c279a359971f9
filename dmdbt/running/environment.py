"""Settings of this machine by environment variables.

They decide how long the work takes, and nothing of what comes out but the last digits on another kind of device.

======================== ============================================================================ ===============
variable                 meaning                                                                      default
======================== ============================================================================ ===============
DMDBT_WORKERS            worker processes                                                             usable cores
DMDBT_DEVICE             ``cpu``, ``cuda`` (all cards), or some, such as ``cuda:0,cuda:2``; float32   cuda if present
                         sums differ in the last bits between a CPU and a card
DMDBT_MEMORY_GIB         memory that features may take while heads are trained, before they are read  half of what is
                         from the store batch by batch                                                free
DMDBT_CHECKPOINTS        folder for the states of trainings                                           data/checkpoints
DMDBT_CHECKPOINT_MINUTES so long at least between two states of a training                            10
DMDBT_REDO               ``1``: what stages have done does not count                                  unset
======================== ============================================================================ ===============
"""

import math
import os
from pathlib import Path

import joblib
import psutil

from dmdbt.errors import ParameterError

# A fold that trains in less memory than this trains on one thread: more would cost more than they save, and would make
# the last bits of the demo's results depend on the number of cores.
_SMALL = 2**30
_CGROUP = Path("/sys/fs/cgroup")  # version 2: the limits of a container


def redo() -> bool:
    """Return whether what stages have done does not count."""
    return os.environ.get("DMDBT_REDO") == "1"


def worker_count() -> int:
    """Return the number of worker processes."""
    text = os.environ.get("DMDBT_WORKERS", "")
    if not text:
        return joblib.cpu_count()  # respects CPU affinity and the CPU quota of a container
    if not text.isdecimal() or int(text) < 1:
        raise ParameterError(
            "DMDBT_WORKERS", expected="a whole number from 1", found=text, remedy="Unset it to use every core."
        )
    return int(text)


def free_memory() -> int:
    """Return the bytes of memory that can still be had, in a container those of its limit."""
    free = psutil.virtual_memory().available
    try:
        limit, used = ((_CGROUP / name).read_text().strip() for name in ("memory.max", "memory.current"))
        counts = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
    except OSError:  # no container of this kind
        return free
    if limit == "max":
        return free
    return min(free, max(0, int(limit) - int(used) + int(counts["inactive_file"])))  # cached files can be dropped


def training_width(n_folds: int, needed: int, n_cards: int) -> tuple[int, int]:
    """Return how many of the folds are trained at once, and on how many threads each. A card trains one at a time.

    `needed` is the number of bytes that the training of a fold takes, not counting the features.
    """
    room = n_cards or free_memory() // needed
    at_once = max(1, min(n_folds, worker_count(), room))
    return at_once, worker_count() // at_once if needed > _SMALL else 1


def feature_memory() -> float:
    """Return the bytes that features may take while heads are trained."""
    return _number("DMDBT_MEMORY_GIB", free_memory() / 2**31) * 2**30


def checkpoint_folder() -> Path:
    """Return where states of trainings are kept."""
    return Path(os.environ.get("DMDBT_CHECKPOINTS", "data/checkpoints"))


def checkpoint_minutes() -> float:
    """Return the time between two states of a training, in minutes."""
    return _number("DMDBT_CHECKPOINT_MINUTES", 10)


def _number(name: str, default: float) -> float:
    text = os.environ.get(name, "")
    try:
        number = float(text) if text else default
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise ParameterError(name, expected="a number from 0", found=text, remedy=f"Unset it for {default:.1f}.")
    return number
