"""Mammograms that come as gray PNG or TIFF files."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from dmdbt.errors import InputDataError
from dmdbt.readers.limits import Limits, check_limit

_KINDS = {b"\x89PNG": "png", b"II*\0": "tiff", b"MM\0*": "tiff"}
_REMEDY = "Export the mammogram again as DICOM, or as a gray PNG file of 8 or 16 bits."
COLOR_MODES = ("RGB", "P", "RGBA", "LA")  # that may hold nothing but gray
_MEGA = 1_000_000
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0  # TIFF 6.0


def is_picture(path: Path) -> bool:
    """Whether a file is PNG or TIFF by its content."""
    with path.open("rb") as stream:
        return stream.read(4) in _KINDS


def read_picture(path: Path, limits: Limits) -> tuple[np.ndarray, dict[str, str | int]]:
    """Read a gray picture of 8 or 16 bits.

    Returns
    -------
    pixels
        uint16, shape (H, W), 8 bits stretched to 16.
    provenance
        As in `dmdbt.readers.Mammogram`.

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
            with Image.open(path, formats=[kind.upper()]) as image:
                pixels = _pixels(image, limits, path.name)
    except (InputDataError, MemoryError):
        raise
    except Image.DecompressionBombError as exc:
        cause = f"expected megapixels up to {limits.dm_megapixels:g} (dm_megapixels), found far more"
        raise InputDataError("TOO-LARGE", file=path.name, cause=cause, remedy=_REMEDY) from exc
    except Exception as exc:  # Pillow's plugins raise what they like on damage
        cause = f"expected a readable {kind.upper()} file, found {type(exc).__name__}"
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
    return (pixels if bits == 16 else pixels.astype(np.uint16) * 257), provenance


def equal_channels(image: Image.Image) -> np.ndarray | None:
    """Return the gray levels, uint8 of shape (H, W), of a color image that is gray and opaque everywhere, else None."""
    color = np.asarray(image.convert("RGBA"))
    is_gray = (color[..., :3] == color[..., :1]).all() and (color[..., 3] == 255).all()
    return np.ascontiguousarray(color[..., 0]) if is_gray else None


def _pixels(image: Image.Image, limits: Limits, file: str) -> np.ndarray:
    """Gray levels: uint8 or uint16, shape (H, W), 0 is black."""
    size = image.width * image.height / _MEGA
    check_limit("dm_megapixels", size, limits, what="megapixels", file=file)
    tags = dict(getattr(image, "tag_v2", {}))  # of TIFF alone
    bits = tags.get(_BITS_PER_SAMPLE, (16 if image.mode.startswith("I;16") else 8,))
    if image.mode in COLOR_MODES and (gray := equal_channels(image)) is not None:
        return gray
    if image.mode not in ("L", "I;16", "I;16B") or bits not in ((8,), (16,)):
        cause = f"expected a gray picture of 8 or 16 bits, found mode {image.mode} of {bits[0]} bits"
        raise InputDataError("DM-NOT-GRAY", file=file, cause=cause, remedy=_REMEDY)
    if getattr(image, "n_frames", 1) != 1:
        cause = f"expected one picture, found {getattr(image, 'n_frames', 1)}"
        raise InputDataError("DM-PAGES", file=file, cause=cause, remedy=_REMEDY)
    pixels = np.asarray(image).astype(np.uint8 if image.mode == "L" else np.uint16)
    # Pillow inverts 8 bits itself.
    return 65535 - pixels if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO and image.mode != "L" else pixels
