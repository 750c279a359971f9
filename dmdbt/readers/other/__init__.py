"""Volumes and mammograms in MetaImage, PNG, TIFF and JPEG files."""

from dmdbt.readers.other.image_folder import ImageFolderVolume
from dmdbt.readers.other.metaimage import QUARTER_TURNS, MetaImageVolume, metaimage_data, metaimage_fields
from dmdbt.readers.other.png_tiff import is_picture, read_picture

__all__ = [
    "QUARTER_TURNS",
    "ImageFolderVolume",
    "MetaImageVolume",
    "is_picture",
    "metaimage_data",
    "metaimage_fields",
    "read_picture",
]
