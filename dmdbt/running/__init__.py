"""How work over cases is run; what is computed does not depend on it."""

from dmdbt.running.items import Account, Item, make_items
from dmdbt.running.recipes import recipe
from dmdbt.running.workers import map_cases, worker_count

__all__ = ["Account", "Item", "make_items", "map_cases", "recipe", "worker_count"]
