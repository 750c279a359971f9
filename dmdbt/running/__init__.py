"""How work over cases is run; what is computed does not depend on it."""

from dmdbt.running.environment import (
    checkpoint_folder,
    checkpoint_minutes,
    compute_device,
    feature_memory,
    free_memory,
    redo,
    training_width,
    worker_count,
)
from dmdbt.running.fingerprint import digest, recipe
from dmdbt.running.items import Account, Item, make_items
from dmdbt.running.workers import map_cases

__all__ = [
    "Account",
    "Item",
    "checkpoint_folder",
    "checkpoint_minutes",
    "compute_device",
    "digest",
    "feature_memory",
    "free_memory",
    "make_items",
    "map_cases",
    "recipe",
    "redo",
    "training_width",
    "worker_count",
]
