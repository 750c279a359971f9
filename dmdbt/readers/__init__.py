"""Read what a clinic exports. Every reader is strict: it returns the whole content of a file, or raises."""

from dmdbt.readers.breast import breast_box
from dmdbt.readers.containers import Container, container, visible_entries
from dmdbt.readers.dicom import is_dicom
from dmdbt.readers.images import read_gray, resize, square, write_gray
from dmdbt.readers.limits import EmptyFrames, Limits
from dmdbt.readers.mammogram import Mammogram, read_mammogram
from dmdbt.readers.metaimage import QUARTER_TURNS, metaimage_data, metaimage_fields
from dmdbt.readers.slices import read_slices, slices_provenance, slices_shape, write_slices
from dmdbt.readers.syntaxes import SYNTAXES, Syntax, is_available
from dmdbt.readers.tomosynthesis import open_dicom_folder, open_dicom_volume
from dmdbt.readers.volume import Volume, open_volume, volume_files

__all__ = [
    "QUARTER_TURNS",
    "SYNTAXES",
    "Container",
    "EmptyFrames",
    "Limits",
    "Mammogram",
    "Syntax",
    "Volume",
    "breast_box",
    "container",
    "is_available",
    "is_dicom",
    "metaimage_data",
    "metaimage_fields",
    "open_dicom_folder",
    "open_dicom_volume",
    "open_volume",
    "read_gray",
    "read_mammogram",
    "read_slices",
    "resize",
    "slices_provenance",
    "slices_shape",
    "square",
    "visible_entries",
    "volume_files",
    "write_gray",
    "write_slices",
]
