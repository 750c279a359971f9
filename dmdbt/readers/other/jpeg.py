"""JPEG images whose entropy-coded data must be whole, as far as it can be told: JPEG has no checksum."""

import numpy as np
import simplejpeg

_SCAN, _END, _STUFFED = 0xDA, b"\xff\xd9", b"\xff\x00"


def luma(content: bytes) -> np.ndarray:
    """Decode the luma of a JPEG image, taking each of libjpeg's warnings for an error.

    libjpeg says nothing of up to seven bytes that are left over behind the last block. A second decoding, in an eighth
    of the size, tells: it lacks the last byte of the data and has to fail.

    Parameters
    ----------
    content
        A JPEG file; what follows its end marker is not looked at.

    Returns
    -------
    ndarray of uint8, shape (H, W)

    Raises
    ------
    ValueError
        Damaged, as libjpeg says or by the end of the data.
    """
    image: np.ndarray = simplejpeg.decode_jpeg(content, colorspace="GRAY", strict=True)[..., 0]
    data = content[: content.index(_END, _first_scan(content))].rstrip(b"\xff")  # fill bytes may precede a marker
    data = data[: -len(_STUFFED) if data.endswith(_STUFFED) else -1]
    try:
        simplejpeg.decode_jpeg(data + _END, colorspace="GRAY", strict=True, min_height=1, min_width=1, min_factor=8)
    except ValueError:
        return image
    raise ValueError("data behind the last block")


def _first_scan(content: bytes) -> int:
    """Walk the headers, which were decoded before; a thumbnail among them has an end marker of its own."""
    position = 2
    while (marker := content[position + 1]) != _SCAN:
        fill = marker == 0xFF
        position += 1 if fill else 2 + int.from_bytes(content[position + 2 : position + 4])
    return position
