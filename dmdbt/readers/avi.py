"""Tomosynthesis volumes stored as AVI: gray slices, exactly as many as the file says."""

import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import av
import av.logging
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream

from dmdbt.errors import InputDataError
from dmdbt.readers.limits import Limits

_REMEDY = "Export the volume again as an uncompressed, MJPEG or FFV1 AVI."
_STRICT = {"err_detect": "crccheck+bitstream+buffer+careful+explode"}
_COLOR_FORMATS = {"pal8", "rgb24", "bgr24", "rgba", "bgra", "0rgb", "rgb0", "bgr0", "0bgr", "gbrp"}
_BLACK, _SPAN = 16, 219  # of the limited range, ITU-R BT.601


class AviVolume:
    """An AVI file as a `dmdbt.readers.Volume`, and a context manager.

    Raises
    ------
    InputDataError
        At opening: no AVI file, shorter than its header says, not one video stream. While iterating: a damaged
        frame, a frame that is not gray or of another size, a number of frames other than the header's.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        self._file = path.name
        self._limits = limits
        self._check_riff(path)
        try:
            self._container = av.open(path, format="avi")
        except av.FFmpegError as exc:
            raise self._error("AVI-UNREADABLE", f"expected an AVI file, found {exc.strerror}") from exc
        try:
            stream = self._video_stream()
        except InputDataError:
            self.close()
            raise
        self.n_slices = stream.frames
        self.rows, self.columns = stream.height, stream.width
        self.provenance: dict[str, str | int] = {"container": "avi", "codec": stream.codec_context.name}
        self.flags: list[str] = []

    def __enter__(self) -> "AviVolume":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield uint8 slices of shape (H, W) in the order of the file."""
        frames = self._container.decode(video=0)
        count = 0
        while (frame := self._next(frames, count)) is not None:
            count += 1
            yield self._gray(frame, count)
        if count != self.n_slices:
            raise self._error("AVI-COUNT", f"expected {self.n_slices} slices as the header says, found {count}")

    def _next(self, frames: Iterator[VideoFrame], count: int) -> VideoFrame | None:
        """Decode a frame; damage that libav only logs (FFV1's checksums) is an error here."""
        level = av.logging.get_level()
        av.logging.set_level(av.logging.ERROR)
        try:
            with av.logging.Capture() as messages:
                frame = next(frames, None)
        except av.FFmpegError as exc:
            cause = f"expected {self.n_slices} slices, found damage after {count}: {exc.strerror}"
            raise self._error("AVI-DAMAGED", cause) from exc
        finally:
            av.logging.set_level(level)
        if messages:
            cause = f"expected {self.n_slices} slices, found damage after {count}: {messages[0][2].strip()}"
            raise self._error("AVI-DAMAGED", cause)
        return frame

    def _error(self, code: str, cause: str) -> InputDataError:
        return InputDataError(code, file=self._file, cause=cause, remedy=_REMEDY)

    def _check_riff(self, path: Path) -> None:
        with path.open("rb") as file:
            header = file.read(12)
        if len(header) < 12 or header[:4] != b"RIFF" or header[8:] != b"AVI ":
            raise self._error("DBT-NOT-AVI", "expected a RIFF file of type AVI, found something else")
        (size,) = struct.unpack("<I", header[4:8])
        found = path.stat().st_size - 8
        if found < size:
            raise self._error("AVI-TRUNCATED", f"expected {size} bytes after the RIFF header, found {found}")

    def _video_stream(self) -> VideoStream:
        streams = self._container.streams.video
        if len(streams) != 1:
            raise self._error("AVI-STREAMS", f"expected one video stream, found {len(streams)}")
        stream = streams[0]
        stream.codec_context.options = _STRICT  # the same option on av.open has no effect
        stream.codec_context.thread_count = 1
        return stream

    def _gray(self, frame: VideoFrame, number: int) -> np.ndarray:
        """Gray levels of a frame without any conversion that could change them."""
        if frame.is_corrupt or (frame.height, frame.width) != (self.rows, self.columns):
            cause = f"expected {self.rows} x {self.columns} intact pixels, found otherwise in slice {number}"
            raise self._error("AVI-DAMAGED", cause)
        layout = frame.format.name
        if layout == "gray":
            return frame.to_ndarray()
        if layout.startswith("yuv"):
            luma = _plane(frame)
            full = layout.startswith("yuvj") or frame.color_range == ColorRange.JPEG
            return luma if full else _expand(luma)
        if layout in _COLOR_FORMATS:
            color = frame.to_ndarray(format="rgb24")
            if (color == color[..., :1]).all():
                return np.ascontiguousarray(color[..., 0])
            raise self._error("AVI-COLOR", f"expected gray pixels, found colors in slice {number}")
        raise self._error("AVI-PIXELS", f"expected 8-bit gray pixels, found {layout} in slice {number}")


def _plane(frame: VideoFrame) -> np.ndarray:
    """Copy of the first plane, without its padding: uint8, shape (H, W)."""
    plane = frame.planes[0]
    padded = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return padded[: frame.height, : frame.width].copy()


def _expand(luma: np.ndarray) -> np.ndarray:
    """Limited range (16 to 235) to full range."""
    full = (luma.astype(np.float32) - _BLACK) * (255 / _SPAN)
    return np.rint(np.clip(full, 0, 255)).astype(np.uint8)
