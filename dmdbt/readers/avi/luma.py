"""Gray levels of a decoded video frame, without any conversion that could change them."""

from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange

from dmdbt.errors import InputDataError
from dmdbt.readers.avi.riff import REMEDY

_PLANAR = {f"yuv{kind}{layout}p" for kind in ("", "j") for layout in (410, 411, 420, 422, 440, 444)}
_PLANAR |= {"yuva420p", "yuva422p", "yuva444p", "nv12", "nv21"}
_PACKED = {"yuyv422": 0, "yvyu422": 0, "uyvy422": 1}  # where among two bytes the luma is
_COLOR = {"rgb24", "bgr24", "rgba", "bgra", "argb", "abgr", "0rgb", "rgb0", "bgr0", "0bgr", "gbrp", "gbrap"}
_BLACK, _SPAN = 16, 219  # of the limited range, ITU-R BT.601
_EXPANDED = np.rint(np.clip((np.arange(256.0) - _BLACK) * (255 / _SPAN), 0, 255)).astype(np.uint8)
_BELOW_BLACK, _SHARE = 12, 0.01  # more than this share of pixels below this luma: the range is not limited
_NEUTRAL, _LOSS = 128, 16  # chroma of gray, and how far a lossy codec may take it from there


class GrayFrames:
    """Turns the frames of one video into gray, all in the same way.

    Luma of the full range is gray as it is; luma of the limited range (16 to 235) is expanded. Where the file states no
    range, it is limited, unless the first frame has more than 1 % of its luma below 12.

    Parameters
    ----------
    file
        Its name, for errors.
    palette_entries
        Colors of the palette in the file's header; None where the frames bring their own.
    flags
        Takes ``range-contradicts`` where a range that is not stated is taken as full.
    """

    def __init__(self, file: str, palette_entries: int | None, flags: list[str]) -> None:
        self._file, self._entries, self._flags = file, palette_entries, flags
        self._unstated_is_full: bool | None = None

    def gray(self, frame: VideoFrame, number: int) -> np.ndarray:
        """Return the gray levels of a frame: uint8, shape (H, W), a copy.

        Raises
        ------
        InputDataError
            Colors; pixels of another kind than 8-bit gray, palette, YUV or RGB; an index without a color; a range of
            luma that contradicts that of earlier frames.
        """
        layout = frame.format.name
        if layout == "gray":
            return _plane(frame, 0).copy()
        if layout in _PLANAR:
            chroma = [_plane(frame, index) for index in range(1, 2 if layout.startswith("nv") else 3)]
            return self._from_yuv(frame, _plane(frame, 0), chroma, number)
        if layout in _PACKED:
            pairs, first = _plane(frame, 0, bytes_per_pixel=2), _PACKED[layout]
            return self._from_yuv(frame, pairs[:, first::2], [pairs[:, 1 - first :: 2]], number)
        if layout == "pal8":
            return self._from_palette(frame, number)
        if layout in _COLOR:
            return self._equal(frame.to_ndarray(format="rgb24"), number)
        raise self._error("AVI-PIXELS", f"expected 8-bit gray pixels, found {layout} in slice {number}")

    def _error(self, code: str, cause: str) -> InputDataError:
        return InputDataError(code, file=self._file, cause=cause, remedy=REMEDY)

    def _equal(self, colors: np.ndarray, number: int) -> np.ndarray:
        if not (colors[..., 1:3] == colors[..., :1]).all():
            raise self._error("AVI-COLOR", f"expected gray pixels, found colors in slice {number}")
        return np.ascontiguousarray(colors[..., 0])

    def _from_palette(self, frame: VideoFrame, number: int) -> np.ndarray:
        indices = _plane(frame, 0)
        highest = int(indices.max())
        if self._entries is not None and highest >= self._entries:
            cause = f"expected a palette of {highest + 1} colors or more, found {self._entries} in slice {number}"
            raise self._error("AVI-PALETTE", cause)
        palette = np.frombuffer(memoryview(frame.planes[1]), np.uint32)  # 0xAARRGGBB
        colors = np.stack([palette >> 16, palette >> 8, palette], axis=-1).astype(np.uint8)
        used = np.bincount(indices.ravel(), minlength=256) > 0
        self._equal(colors[used], number)
        return colors[:, 0][indices]

    def _from_yuv(self, frame: VideoFrame, luma: np.ndarray, chroma: list[np.ndarray], number: int) -> np.ndarray:
        if any(int(plane.max()) > _NEUTRAL + _LOSS or int(plane.min()) < _NEUTRAL - _LOSS for plane in chroma):
            raise self._error("AVI-COLOR", f"expected gray pixels, found colors in slice {number}")
        return luma.copy() if self._is_full(frame, luma, number) else _EXPANDED[luma]

    def _is_full(self, frame: VideoFrame, luma: np.ndarray, number: int) -> bool:
        if frame.format.name.startswith("yuvj") or frame.color_range == ColorRange.JPEG:
            return True
        if frame.color_range == ColorRange.MPEG:
            return False
        full = bool(np.count_nonzero(luma < _BELOW_BLACK) > _SHARE * luma.size)
        if self._unstated_is_full is None:
            self._unstated_is_full = full
            self._flags += ["range-contradicts"] if full else []
        elif full and not self._unstated_is_full:
            cause = f"expected luma of the limited range as in slice 1, found that of the full range in slice {number}"
            raise self._error("AVI-RANGE", cause)
        return self._unstated_is_full


def same_pixels(frame: VideoFrame, other: VideoFrame) -> bool:
    """Whether two frames of one video are equal in every plane."""
    layout = frame.format
    if (layout.name, frame.height, frame.width) != (other.format.name, other.height, other.width):
        return False
    size = layout.padded_bits_per_pixel // 8 if len(frame.planes) == 1 else 1
    return all(
        np.array_equal(_plane(frame, index, bytes_per_pixel=size), _plane(other, index, bytes_per_pixel=size))
        for index in range(len(frame.planes))
    )


def _plane(frame: VideoFrame, index: int, *, bytes_per_pixel: int = 1) -> np.ndarray:
    """View of a plane without its padding, the top row first: uint8, shape (rows, bytes of a row)."""
    plane: Any = frame.planes[index]
    pitch = plane.line_size
    rows = np.frombuffer(plane, np.uint8).reshape(-1, abs(pitch))[:: 1 if pitch > 0 else -1]
    paired = 2 if index and frame.format.name.startswith("nv") else bytes_per_pixel
    return rows[: plane.height, : plane.width * paired]
