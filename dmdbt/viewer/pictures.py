"""Images reduced to what a page or a sheet shows, and which heat maps it begins with."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from dmdbt.attention.heat import HeatMap
from dmdbt.imaging import resize
from dmdbt.terms import Head
from dmdbt.viewer.view import CaseView

MAMMOGRAM, SLICE = 1100, 700  # longest side of what is shown, in pixels
QUALITY = 85  # of the JPEG data
RISES, FALLS = (255, 140, 0), (61, 139, 255)  # orange above 0, blue below: apart for every kind of color blindness
_THUMBNAIL = 160
_LEAST_FALL = 0.01  # of p: smaller effects of hiding are shown pale, not stretched to full color


def gray_range(image: np.ndarray) -> tuple[int, int]:
    """Return the values of `image` that become 0 and 255: the darkest and brightest of uint16, all of uint8."""
    if image.dtype == np.uint8:
        return 0, 255
    return int(image.min()), max(int(image.max()), int(image.min()) + 1)


def gray_picture(image: np.ndarray, rows: int, columns: int, levels: tuple[int, int]) -> np.ndarray:
    """Stretch an image, shape (H, W), to a uint8 picture; the values `levels` become 0 and 255."""
    low, high = levels
    gray = (resize(image, rows, columns) - low) * (255 / (high - low))
    return np.rint(gray).clip(0, 255).astype(np.uint8)


def reduced(image: np.ndarray, longest: int) -> np.ndarray:
    """Return the `gray_picture` of an image in its `gray_range`, whose longer side has at most `longest` pixels."""
    scale = min(1, longest / max(image.shape))
    rows, columns = (max(1, round(n * scale)) for n in image.shape)
    return gray_picture(image, rows, columns, gray_range(image))


def jpeg(gray: np.ndarray) -> bytes:
    """Return a uint8 image of shape (H, W) as a JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(gray).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def thumbnail(view: CaseView) -> bytes:
    """Return the mammogram, or else the middle slice, as a JPEG file of at most 160 pixels a side.

    Raises
    ------
    ValueError
        The case has neither.
    """
    if view.dm is not None:
        return jpeg(reduced(view.dm.pixels, _THUMBNAIL))
    if view.slices is not None:
        return jpeg(reduced(view.slices[len(view.slices) // 2], _THUMBNAIL))
    raise ValueError("view: expected a mammogram or slices, got neither")


def first_maps(view: CaseView) -> list[HeatMap]:
    """Return the maps that are shown first, of the first backbone: if there are any, of the joint head by occlusion.

    At a finding, occlusion has more of its heat than Grad-CAM has, see docs/attention.md.
    """
    first = min(view.heat, key=lambda heat: (heat.head is not Head.DM_DBT, heat.method != "occlusion"), default=None)
    return alike(first, view.heat) if first else []


def alike(heat: HeatMap, maps: Sequence[HeatMap]) -> list[HeatMap]:
    """Return those of `maps` that have the backbone, head and method of `heat`: one for each image that it sees."""
    key = heat.backbone, heat.head, heat.method
    return [other for other in maps if (other.backbone, other.head, other.method) == key]


def full_color(maps: Sequence[HeatMap]) -> float:
    """Return the value that has the full color: the largest of `maps`, which are shown together, without its sign."""
    largest = max(float(np.abs(heat.values).max()) for heat in maps)
    return max(largest, _LEAST_FALL) if maps[0].method == "occlusion" else largest or 1.0
