"""Feature maps of images and of their augmented copies, and the files that hold them."""

from dmdbt.features.augment import COPIES
from dmdbt.features.extraction import batch_images, extract
from dmdbt.features.store import Provenance, read_copy, read_features, read_provenance, write_features

__all__ = [
    "COPIES",
    "Provenance",
    "batch_images",
    "extract",
    "read_copy",
    "read_features",
    "read_provenance",
    "write_features",
]
