"""Read what a clinic exports. Every reader is strict: it returns the whole content of a file, or raises."""

from dmdbt.readers.containers import Container, container, visible_entries
from dmdbt.readers.limits import EmptyFrames, Limits
from dmdbt.readers.mammogram import Mammogram, read_mammogram
from dmdbt.readers.open_volume import open_volume, read_volume, volume_files

__all__ = [
    "Container",
    "EmptyFrames",
    "Limits",
    "Mammogram",
    "container",
    "open_volume",
    "read_mammogram",
    "read_volume",
    "visible_entries",
    "volume_files",
]
