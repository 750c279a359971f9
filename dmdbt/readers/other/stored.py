"""Layout of a picture in its file. Pillow turns a TIFF, and makes 8 bits of 16 in colors, without a word."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, TiffImagePlugin

_COLOR_MODES = ("RGB", "P", "RGBA", "LA")  # that may hold nothing but gray
GRAY_MODES = ("L", *_COLOR_MODES)  # of up to 8 bits, which Pillow stretches to 8
_WIDTH, _LENGTH, _BITS, _PHOTOMETRIC, _ORIENTATION, _FORMAT = 256, 257, 258, 262, 274, 339  # TIFF 6.0; 274 of EXIF too
_WHITE_IS_ZERO, _UNSIGNED = 0, 1
_PNG_BITS = 24  # the byte of a PNG that states them
_BACK = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
# Pillow knows 16 bits whose white is zero in little endian alone; `stored_pixels` inverts both.
TiffImagePlugin.OPEN_INFO.setdefault((b"MM", _WHITE_IS_ZERO, (_UNSIGNED,), 1, (16,), ()), ("I;16B", "I;16B"))


def stored_size(image: Image.Image) -> tuple[int, int]:
    """Return rows and columns as stored; Pillow swaps them where a TIFF asks to be turned by 90 degrees."""
    tags = _tags(image)
    return tags.get(_LENGTH, image.height), tags.get(_WIDTH, image.width)


def stored_samples(image: Image.Image, path: Path) -> tuple[int, str]:
    """Return the bits of a sample, and a description of it for an error; signed ones have 0 bits."""
    tags = _tags(image)
    bits = max(tags.get(_BITS, (1,))) if tags else 8
    if image.format == "PNG":
        with path.open("rb") as file:
            file.seek(_PNG_BITS)
            bits = file.read(1)[0]
    kinds = set(tags.get(_FORMAT, (_UNSIGNED,)))
    sign = "" if kinds == {_UNSIGNED} else " signed" if kinds == {2} else " floating"
    return 0 if sign else bits, f"mode {image.mode} of {bits}{sign} bits"


def stored_pixels(image: Image.Image) -> tuple[np.ndarray | None, bool]:
    """Decode a picture, which is not turned.

    Parameters
    ----------
    image
        Opened from a stream: where Pillow maps a file by its path, it scrambles a TIFF that it turns.

    Returns
    -------
    pixels
        uint8 or uint16 of shape (H, W); None of colors that are not gray, or not opaque.
    asks_to_turn
        Whether a tag asks a viewer to turn or mirror it.
    """
    orientation, tags = image.getexif().get(_ORIENTATION, 1), _tags(image)
    asks_to_turn = orientation in _BACK
    if asks_to_turn and image.format == "TIFF":
        image = image.transpose(_BACK[orientation])
    if image.mode in _COLOR_MODES:
        return _equal_channels(image), asks_to_turn
    pixels = np.array(image, np.uint8 if image.mode == "L" else np.uint16)
    # Pillow inverts 8 bits itself.
    is_inverted = tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO and image.mode != "L"
    return (65535 - pixels if is_inverted else pixels), asks_to_turn


def _tags(image: Image.Image) -> dict[int, Any]:
    """Return the tags of a TIFF; of another picture none."""
    return dict(getattr(image, "tag_v2", {}))


def _equal_channels(image: Image.Image) -> np.ndarray | None:
    """Return the gray levels, uint8 of shape (H, W), of a color image that is gray and opaque everywhere, else None."""
    color = np.asarray(image.convert("RGBA"))
    is_gray = (color[..., :3] == color[..., :1]).all() and (color[..., 3] == 255).all()
    return np.ascontiguousarray(color[..., 0]) if is_gray else None
