"""Gray PNG and JPEG files, and resizing."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from dmdbt.errors import InputDataError
from dmdbt.files import whole_file

_MODES = {"L": np.uint8, "I;16": np.uint16}


def read_gray(path: Path) -> np.ndarray:
    """Read a gray PNG or JPEG file.

    Returns
    -------
    ndarray of uint8 or uint16, shape (H, W)
        As stored.

    Raises
    ------
    InputDataError
        The file is missing, damaged, or not gray with 8 or 16 bits.
    """
    remedy = "Delete the file and run the stage that writes it again."
    try:
        with Image.open(path) as image:
            if image.mode not in _MODES:
                cause = f"expected a gray image of 8 or 16 bits, found mode {image.mode}"
                raise InputDataError("IMAGE-NOT-GRAY", file=path.name, cause=cause, remedy=remedy)
            return np.array(image, dtype=_MODES[image.mode])
    except (OSError, SyntaxError, UnidentifiedImageError) as exc:
        cause = f"expected a readable image, found {type(exc).__name__}"
        raise InputDataError("IMAGE-UNREADABLE", file=path.name, cause=cause, remedy=remedy) from exc


def write_gray(path: Path, image: np.ndarray, *, quality: int = 95) -> None:
    """Write a gray image without any metadata; equal pixels give equal bytes.

    Parameters
    ----------
    path
        Ends in ``.png`` (lossless) or ``.jpg``.
    image
        uint8 or, for PNG, uint16, shape (H, W).
    quality
        Of a JPEG file, 1 to 100.
    """
    options: dict[str, Any] = {"quality": quality} if path.suffix == ".jpg" else {"compress_level": 6}
    with whole_file(path) as temporary:
        Image.fromarray(image).save(temporary, **options)


def resize(image: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Stretch an image with a triangle filter that is scaled to cover every pixel, so that nothing aliases.

    Parameters
    ----------
    image
        shape (H, W), any real type.
    rows, columns
        New size.

    Returns
    -------
    ndarray of float32, shape (rows, columns)
        In the units of `image`.
    """
    source = Image.fromarray(np.ascontiguousarray(image, dtype=np.float32))
    return np.asarray(source.resize((columns, rows), Image.Resampling.BILINEAR))


def square(image: np.ndarray, size: int, *, pad: bool) -> np.ndarray:
    """Bring an image to a square, stretched as in the paper, or between equal borders of black.

    Parameters
    ----------
    image
        uint8 or uint16, shape (H, W); 0 is black.
    size
        Of the square.
    pad
        Keep the aspect.

    Returns
    -------
    ndarray, shape (size, size)
        Of the type of `image`.
    """
    if pad:
        missing = [max(image.shape) - n for n in image.shape]
        image = np.pad(image, [(n // 2, n - n // 2) for n in missing])
    return np.rint(resize(image, size, size)).astype(image.dtype)
