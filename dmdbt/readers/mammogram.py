"""Digital mammograms: the DICOM presentation chain from stored values to gray levels."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.errors import InvalidDicomError
from pydicom.pixels.processing import apply_voi

from dmdbt.errors import InputDataError
from dmdbt.readers.limits import Limits

_FOR_PRESENTATION = "1.2.840.10008.5.1.4.1.1.1.2"
_FOR_PROCESSING = "1.2.840.10008.5.1.4.1.1.1.2.1"
_WHITE = 65535
_DEFAULT = Limits()
_REQUIRED = ("Rows", "Columns", "BitsStored", "PhotometricInterpretation", "PixelData")


@dataclass(frozen=True)
class Mammogram:
    """A mammogram as a radiologist sees it.

    Attributes
    ----------
    pixels
        uint16, shape (H, W): 0 is black, 65535 white.
    provenance
        How the pixels were made: transfer syntax, stored bits, photometric interpretation, VOI. No identifier.
    flags
        What is unusual but no fault, as short slugs.
    """

    pixels: np.ndarray
    provenance: dict[str, str | int]
    flags: tuple[str, ...] = ()


def read_mammogram(path: Path, limits: Limits = _DEFAULT) -> Mammogram:
    """Read a Digital Mammography X-Ray Image - For Presentation.

    The order is that of PS3.3 C.11: padding is set aside, modality rescale, VOI table or window, inversion of
    MONOCHROME1. Every step depends on the stored value alone, so the chain is one lookup table.

    Raises
    ------
    InputDataError
        The file is missing or no DICOM file, another kind of object, or its pixels cannot be decoded whole.
    """
    dataset = _read_dataset(path)
    try:
        stored = dataset.pixel_array
    except Exception as exc:  # decoders raise whatever they like, StopIteration included
        cause = f"expected {dataset.Rows} x {dataset.Columns} decodable pixels, found {type(exc).__name__}: {exc}"
        raise InputDataError("DM-PIXELS", file=path.name, cause=cause, remedy="Export the mammogram again.") from exc
    if stored.ndim != 2:
        cause = f"expected one gray image, found an array of shape {stored.shape}"
        raise InputDataError("DM-SHAPE", file=path.name, cause=cause, remedy="Export one view per file.")
    lowest = -(1 << (dataset.BitsStored - 1)) if dataset.get("PixelRepresentation", 0) else 0
    table, voi = _presentation_table(dataset, lowest, file=path.name)
    provenance: dict[str, str | int] = {
        "transfer_syntax": str(dataset.file_meta.TransferSyntaxUID),
        "bits_stored": int(dataset.BitsStored),
        "photometric_interpretation": str(dataset.PhotometricInterpretation),
        "voi": voi,
    }
    return Mammogram(table[stored.astype(np.int64) - lowest], provenance)


def _read_dataset(path: Path) -> pydicom.Dataset:
    remedy = "Export the mammogram again as DICOM, For Presentation."
    if not path.is_file():
        cause = "expected a DICOM file, found no file"
        raise InputDataError("DM-MISSING", file=path.name, cause=cause, remedy="Correct the path in cases.csv.")
    try:
        with warnings.catch_warnings(record=True):  # they may quote the path
            dataset = pydicom.dcmread(path)
    except (InvalidDicomError, EOFError, ValueError, AttributeError, KeyError) as exc:
        cause = "expected a DICOM file with preamble, found something else"
        raise InputDataError("DM-NOT-DICOM", file=path.name, cause=cause, remedy=remedy) from exc
    sop_class = dataset.get("SOPClassUID", "none")
    if sop_class == _FOR_PROCESSING:
        cause = "expected an image For Presentation, found raw detector data (For Processing)"
        raise InputDataError("DM-FOR-PROCESSING", file=path.name, cause=cause, remedy=remedy)
    if sop_class != _FOR_PRESENTATION:
        cause = f"expected SOP Class {_FOR_PRESENTATION}, found {sop_class}"
        raise InputDataError("DM-SOP-CLASS", file=path.name, cause=cause, remedy=remedy)
    missing = [keyword for keyword in _REQUIRED if keyword not in dataset]
    if missing:
        cause = f"expected a complete image, found no {', '.join(missing)}"
        raise InputDataError("DM-ATTRIBUTES", file=path.name, cause=cause, remedy=remedy)
    return dataset


def _presentation_table(dataset: pydicom.Dataset, lowest: int, *, file: str) -> tuple[np.ndarray, str]:
    """Gray level (uint16) of every storable value from `lowest` on, and which VOI was used."""
    stored = np.arange(lowest, lowest + (1 << dataset.BitsStored))
    slope, intercept = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
    if not (np.isfinite([slope, intercept]).all() and slope > 0):
        cause = f"expected a finite rescale with a slope above 0, found slope {slope} and intercept {intercept}"
        raise InputDataError("DM-RESCALE", file=file, cause=cause, remedy="Export the mammogram again.")
    values = slope * stored + intercept
    if "VOILUTSequence" in dataset:
        output = apply_voi(values.astype(np.int64), dataset).astype(np.float64)
        bits = int(dataset.VOILUTSequence[0].LUTDescriptor[2])
        gray, voi = output / ((1 << bits) - 1), "table"
    elif "WindowCenter" in dataset and "WindowWidth" in dataset:
        gray, voi = _window(values, dataset, file=file)
    else:
        gray, voi = (values - values[0]) / (values[-1] - values[0]), "none"
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        gray = 1 - gray
    padding = dataset.get("PixelPaddingValue")
    if padding is not None:
        low, high = sorted((int(padding), int(dataset.get("PixelPaddingRangeLimit", padding))))
        gray[(stored >= low) & (stored <= high)] = 0
    return np.rint(np.clip(gray, 0, 1) * _WHITE).astype(np.uint16), voi


def _window(values: np.ndarray, dataset: pydicom.Dataset, *, file: str) -> tuple[np.ndarray, str]:
    """Apply the first window of the file (PS3.3 C.11.2.1.2 and C.11.2.1.3); the result runs from 0 to 1."""
    function = str(dataset.get("VOILUTFunction", "LINEAR"))
    center, width = (
        float(element[0] if isinstance(element, pydicom.multival.MultiValue) else element)
        for element in (dataset.WindowCenter, dataset.WindowWidth)
    )
    smallest = 1 if function == "LINEAR" else 0
    if not np.isfinite([center, width]).all() or width < smallest or width == 0:
        cause = f"expected a finite window of a width above {smallest}, found center {center} and width {width}"
        raise InputDataError("DM-WINDOW", file=file, cause=cause, remedy="Export the mammogram again.")
    if function == "LINEAR":
        gray = (values - (center - 0.5)) / max(width - 1, np.finfo(float).tiny) + 0.5
    elif function == "LINEAR_EXACT":
        gray = (values - center) / width + 0.5
    elif function == "SIGMOID":
        gray = 1 / (1 + np.exp(-4 * (values - center) / width))
    else:
        cause = f"expected VOI LUT Function LINEAR, LINEAR_EXACT or SIGMOID, found {function}"
        raise InputDataError("DM-VOI", file=file, cause=cause, remedy="Export the mammogram again.")
    return np.clip(gray, 0, 1), f"window {function}"
