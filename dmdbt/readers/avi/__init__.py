"""Tomosynthesis volumes in AVI files."""

from dmdbt.readers.avi.volume import AviVolume

__all__ = [
    "AviVolume",
]
