"""How work over cases is run; what is computed does not depend on it."""

from dmdbt.running.workers import map_cases, worker_count

__all__ = ["map_cases", "worker_count"]
