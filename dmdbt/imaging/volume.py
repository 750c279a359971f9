"""One interface to every kind of tomosynthesis volume."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np

MIN_SLICES = 2


class Volume(Protocol):
    """A reconstructed volume, read one slice at a time.

    Attributes
    ----------
    n_slices, rows, columns
        T, H, W.
    provenance
        How the slices are stored: ``container``, ``codec``, ``slice_order`` and more. No identifier.
    flags
        What is unusual but no fault, as short slugs; complete after the last slice. Of every container ``few-slices``
        (below 8) and ``many-slices`` (above 200); others are documented by its class.
    """

    n_slices: int
    rows: int
    columns: int
    provenance: dict[str, str | int]
    flags: list[str]

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield uint8 slices of shape (H, W) in their stored order: all of them, or raise."""
