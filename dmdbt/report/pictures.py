"""Images of the cohort as small pictures inside the page."""

import base64
import io
from typing import NamedTuple

import numpy as np
from PIL import Image

from dmdbt.imaging import breast_box, resize

_LONGEST = 320  # pixels of a picture
_MARGIN = 0.04  # of the box around the breast, on every side
_QUALITY = 82  # of the JPEG data

Box = tuple[slice, slice]


class Picture(NamedTuple):
    """A picture of the page: a ``data:`` address, what stands below it, and what is seen for whoever cannot see it."""

    address: str
    rows: int
    columns: int
    caption: str
    alternative: str


def frame(image: np.ndarray) -> Box:
    """Return the box around the breast with a margin, inside the image; see `dmdbt.imaging.breast_box`."""
    box = []
    for extent, length in zip(breast_box(image), image.shape, strict=True):
        margin = round(_MARGIN * (extent.stop - extent.start))
        box.append(slice(max(0, extent.start - margin), min(length, extent.stop + margin)))
    return box[0], box[1]


def picture(
    image: np.ndarray, box: Box, *, caption: str, alternative: str, shape: tuple[int, int] | None = None
) -> Picture:
    """Reduce a part of an image to a small picture of 8 bits.

    Parameters
    ----------
    image
        uint8 or uint16, shape (H, W).
    box
        The part to show.
    caption, alternative
        See `Picture`.
    shape
        Rows and columns that the whole image would have without distortion, if not those of `image`.
    """
    rows, columns = image[box].shape
    if shape is not None:
        rows, columns = rows * shape[0] / image.shape[0], columns * shape[1] / image.shape[1]
    scale = _LONGEST / max(rows, columns)
    height, width = max(1, round(rows * scale)), max(1, round(columns * scale))
    gray = resize(image[box], height, width) * (255 / np.iinfo(image.dtype).max)
    buffer = io.BytesIO()
    Image.fromarray(np.rint(gray).astype(np.uint8)).save(buffer, "JPEG", quality=_QUALITY)
    address = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    return Picture(address, height, width, caption, alternative)
