"""Gray images and volumes after decoding: what later stages need without any codec."""

from dmdbt.imaging.breast import breast_box
from dmdbt.imaging.framing import framed
from dmdbt.imaging.images import read_gray, resize, square, write_gray
from dmdbt.imaging.slices import read_slices, slices_provenance, slices_shape, write_slices
from dmdbt.imaging.volume import MIN_SLICES, Volume

__all__ = [
    "MIN_SLICES",
    "Volume",
    "breast_box",
    "framed",
    "read_gray",
    "read_slices",
    "resize",
    "slices_provenance",
    "slices_shape",
    "square",
    "write_gray",
    "write_slices",
]
