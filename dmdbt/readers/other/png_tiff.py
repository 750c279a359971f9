"""Mammograms that come as gray PNG or TIFF files."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from dmdbt.errors import InputDataError
from dmdbt.readers.limits import Limits, check_limit
from dmdbt.readers.other.stored import GRAY_MODES, stored_pixels, stored_samples, stored_size

_KINDS = {b"\x89PNG": "png", b"II*\0": "tiff", b"MM\0*": "tiff"}
_REMEDY = "Export the mammogram again as DICOM, or as a gray PNG file of 8 or 16 bits."
_WORDS = ("I;16", "I;16B")
_MEGA = 1_000_000


def is_picture(path: Path) -> bool:
    """Whether a file is PNG or TIFF by its content."""
    with path.open("rb") as stream:
        return stream.read(4) in _KINDS


def read_picture(path: Path, limits: Limits) -> tuple[np.ndarray, dict[str, str | int], tuple[str, ...]]:
    """Read a gray picture of 8 or 16 bits, as it is stored: a tag that asks to turn it is flagged and not followed.

    Returns
    -------
    pixels
        uint16, shape (H, W), 8 bits stretched to 16.
    provenance, flags
        As in `dmdbt.readers.Mammogram`; the flag is ``orientation-tag``.

    Raises
    ------
    InputDataError
        Damaged, not gray, not of 8 or 16 bits, of several pages, too large, or constant.
    """
    with path.open("rb") as stream:
        kind = _KINDS[stream.read(4)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit is ours
            with path.open("rb") as stream, Image.open(stream, formats=[kind.upper()]) as image:
                pixels, asks_to_turn = _pixels(image, path, limits)
    except (InputDataError, MemoryError):
        raise
    except Image.DecompressionBombError as exc:
        cause = f"expected megapixels up to {limits.dm_megapixels:g} (dm_megapixels), found far more"
        raise InputDataError("TOO-LARGE", file=path.name, cause=cause, remedy=_REMEDY) from exc
    except Exception as exc:  # Pillow's plugins raise what they like on damage
        is_unknown = isinstance(exc, UnidentifiedImageError)
        found = "damage or a kind of it that is not read" if is_unknown else type(exc).__name__
        cause = f"expected a readable {kind.upper()} file, found {found}"
        raise InputDataError("DM-PICTURE", file=path.name, cause=cause, remedy=_REMEDY) from exc
    if pixels.min() == pixels.max():
        cause = "expected an image, found one gray level"
        raise InputDataError("DM-CONSTANT", file=path.name, cause=cause, remedy=_REMEDY)
    bits = 8 * pixels.itemsize
    provenance: dict[str, str | int] = {
        "kind": kind,
        "transfer_syntax": "none",
        "bits_stored": bits,
        "photometric_interpretation": "MONOCHROME2",
        "voi": "none",
    }
    stretched = pixels if bits == 16 else pixels.astype(np.uint16) * 257
    return stretched, provenance, ("orientation-tag",) if asks_to_turn else ()


def _pixels(image: Image.Image, path: Path, limits: Limits) -> tuple[np.ndarray, bool]:
    """Gray levels, uint8 or uint16, shape (H, W), 0 is black; and whether a tag asks to turn them."""
    rows, columns = stored_size(image)
    check_limit("dm_megapixels", rows * columns / _MEGA, limits, what="megapixels", file=path.name)
    if (pages := getattr(image, "n_frames", 1)) != 1:
        raise InputDataError("DM-PAGES", file=path.name, cause=f"expected one picture, found {pages}", remedy=_REMEDY)
    bits, found = stored_samples(image, path)
    if (image.mode in GRAY_MODES and 0 < bits <= 8) or (image.mode in _WORDS and bits == 16):
        pixels, asks_to_turn = stored_pixels(image)
        if pixels is not None:
            return pixels, asks_to_turn
    cause = f"expected a gray picture of 8 or 16 bits without sign, found {found}"
    raise InputDataError("DM-NOT-GRAY", file=path.name, cause=cause, remedy=_REMEDY)
