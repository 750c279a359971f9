"""How work over cases is run; what is computed does not depend on it."""

from dmdbt.running.devices import (
    by_room,
    card_count,
    card_workers,
    check_card_memory,
    compute_device,
    compute_devices,
    device_kind,
)
from dmdbt.running.environment import (
    checkpoint_folder,
    checkpoint_minutes,
    feature_memory,
    free_memory,
    redo,
    training_width,
    worker_count,
)
from dmdbt.running.fingerprint import code_fingerprint, digest
from dmdbt.running.items import Item, Step, make_items
from dmdbt.running.lock import folder_lock
from dmdbt.running.manifest import read_records
from dmdbt.running.ranks import joined, ranks_here
from dmdbt.running.workers import begin_workers, map_cases

__all__ = [
    "Item",
    "Step",
    "begin_workers",
    "by_room",
    "card_count",
    "card_workers",
    "check_card_memory",
    "checkpoint_folder",
    "checkpoint_minutes",
    "code_fingerprint",
    "compute_device",
    "compute_devices",
    "device_kind",
    "digest",
    "feature_memory",
    "folder_lock",
    "free_memory",
    "joined",
    "make_items",
    "map_cases",
    "ranks_here",
    "read_records",
    "redo",
    "training_width",
    "worker_count",
]
