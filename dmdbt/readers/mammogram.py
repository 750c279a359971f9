"""Digital mammograms: DICOM objects for presentation, and gray PNG or TIFF files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dmdbt.errors import InputDataError
from dmdbt.files import no_file
from dmdbt.readers.dicom.file import DicomFile, is_dicom
from dmdbt.readers.dicom.header import REMEDY
from dmdbt.readers.dicom.presentation import look_up, mark_seen, read_chain
from dmdbt.readers.dicom.sop_classes import check_mammogram, stated_device, stated_orientation, stated_view
from dmdbt.readers.limits import Limits, check_limit
from dmdbt.readers.other.png_tiff import is_picture, read_picture

_WHITE = 65535
_MEGA = 1_000_000
_DEFAULT = Limits()


@dataclass(frozen=True)
class Mammogram:
    """A mammogram as a radiologist sees it.

    Attributes
    ----------
    pixels
        uint16, shape (H, W): 0 is black, 65535 white.
    provenance
        How the pixels were made: ``kind`` (dicom, png, tiff), ``transfer_syntax``, ``bits_stored``,
        ``photometric_interpretation``, ``voi``; what the header of a DICOM file says of machine and view: ``device``,
        ``stated_laterality``, ``stated_view``, ``stated_orientation``. No identifier.
    flags
        What is unusual but no fault: those of `dmdbt.readers.other.png_tiff.read_picture`,
        `dmdbt.readers.dicom.sop_classes.check_mammogram`,
        `dmdbt.readers.dicom.file.DicomFile` and `dmdbt.readers.dicom.presentation.Chain`.
    """

    pixels: np.ndarray
    provenance: dict[str, str | int]
    flags: tuple[str, ...] = ()


def read_mammogram(path: Path | str, limits: Limits = _DEFAULT) -> Mammogram:
    """Read a Digital Mammography X-Ray Image - For Presentation, or a gray PNG or TIFF file; its content decides.

    A picture is taken as it is, without any window.

    Raises
    ------
    InputDataError
        The file is missing or of another kind, another DICOM object, too large, or damaged.
    """
    path = Path(path)
    if not path.is_file():
        cause = f"expected a mammogram, found {no_file(path)}"
        remedy = "Correct the path in the table or on the command line."
        raise InputDataError("DM-MISSING", file=path.name, cause=cause, remedy=remedy)
    if is_dicom(path):  # asked first, for the preamble of DICOM may be the header of a TIFF
        with DicomFile(path, limits) as dicom:
            return _read(dicom, limits)
    if is_picture(path):
        return Mammogram(*read_picture(path, limits))
    cause = "expected a DICOM file with preamble, or a PNG or TIFF file, found something else"
    remedy = "Export the mammogram again as DICOM, For Presentation."
    raise InputDataError("DM-NOT-DICOM", file=path.name, cause=cause, remedy=remedy)


def _read(dicom: DicomFile, limits: Limits) -> Mammogram:
    flags = check_mammogram(dicom.tags, dicom.file)
    layout = dicom.layout()
    size = layout.rows * layout.columns / _MEGA
    check_limit("dm_megapixels", size, limits, what="megapixels", file=dicom.file)
    chain = read_chain([dicom.tags], layout, dicom.file)
    frames = dicom.frames(layout)
    stored = frames[0]
    seen = np.zeros(chain.stored.shape, bool)
    mark_seen(seen, stored, layout)
    low, high = chain.range_of(seen)
    table = chain.over(low, high).table(_WHITE) if low < high else np.zeros(seen.shape, np.uint16)
    if np.unique(table[seen & ~chain.padding]).size < 2:
        cause = "expected an image, found one gray level in all pixels that are not padding"
        raise InputDataError("DICOM-CONSTANT", file=dicom.file, cause=cause, remedy=REMEDY)
    provenance: dict[str, str | int] = {
        "kind": "dicom",
        "transfer_syntax": dicom.syntax.uid,
        "bits_stored": layout.stored,
        "photometric_interpretation": layout.photometric,
        "voi": chain.voi,
        "device": stated_device(dicom.tags),
        "stated_orientation": stated_orientation(dicom.tags),
        **stated_view(dicom.tags),
    }
    return Mammogram(look_up(table, stored, layout), provenance, tuple(sorted(flags | chain.flags | dicom.flags)))
