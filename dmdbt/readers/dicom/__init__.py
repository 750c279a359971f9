"""Mammograms and tomosynthesis volumes in DICOM files."""

from dmdbt.readers.dicom.file import DicomFile, is_dicom
from dmdbt.readers.dicom.transfer_syntaxes import SYNTAXES, Syntax, is_available
from dmdbt.readers.dicom.volume import BtoVolume, DicomFolderVolume

__all__ = [
    "SYNTAXES",
    "BtoVolume",
    "DicomFile",
    "DicomFolderVolume",
    "Syntax",
    "is_available",
    "is_dicom",
]
