"""Tomosynthesis volumes stored as AVI: gray slices, exactly as many as the file says."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import av.logging
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from dmdbt.errors import InputDataError
from dmdbt.readers.avi.luma import GrayFrames, same_pixels
from dmdbt.readers.avi.riff import REMEDY, Chunk, read_riff
from dmdbt.readers.closing import Opened
from dmdbt.readers.limits import Limits, check_limit, check_volume_size

CODECS = (
    *("rawvideo", "mjpeg", "png", "msrle", "mpeg4", "msmpeg4", "msmpeg4v1", "msmpeg4v2", "h264", "huffyuv", "ffvhuff"),
    *("ffv1", "cinepak", "msvideo1", "zlib", "utvideo", "lagarith"),
)  # names of libav's decoders
_OWN_PALETTE = ("png",)
_UNCHECKED = (
    "huffyuv",
    "ffvhuff",
)  # decoders that fill up a frame when its bits end early; so does FFV1 before version 2
_OTHER_END = b"\xff" * 64  # libav reads zeros behind a packet
_BLOCK = 64  # pixels to which a codec may round up the size of a frame, and that it may add on either side
_DAMAGE = ("concealing", "no end-of-picture")  # what libav takes for less than an error


class AviVolume(Opened):
    """An AVI file as a `dmdbt.readers.Volume`, and a context manager; it can be read once.

    The file's structure is walked before anything is decoded, and every packet that libav returns has to be the next
    chunk of that walk: what libav would skip, guess or repeat in a damaged file is an error. Frames of codecs without
    any check are decoded twice, the second time with other bytes behind them, on which a whole frame cannot depend.

    Attributes
    ----------
    flags
        ``empty-frames``: the file has some, treated as the limits say; those of `GrayFrames`.

    Raises
    ------
    InputDataError
        At opening: what `read_riff` refuses, too large, another codec than `CODECS`, empty frames unless the limits
        allow them. While iterating: a damaged frame, a frame that is not gray or differs from the first in size or
        kind, another number of frames than chunks.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        self._file, self._limits = path.name, limits
        check_limit("file_gib", path.stat().st_size / 2**30, limits, what="GiB in the file", file=path.name)
        layout = self._layout = read_riff(path, most_frames=limits.slices)
        self.rows, self.columns = layout.rows, layout.columns
        self._filled = sum(1 for chunk in layout.chunks if chunk.size)
        self.n_slices = self._filled if limits.empty_frames == "skip" else len(layout.chunks)
        self.flags: list[str] = []
        self._decoded = 0
        check_volume_size(len(layout.chunks), self.rows, self.columns, limits, file=self._file)
        self._check_empty_frames()
        self._containers = [self._open(path)]
        try:
            self._stream = self._checked_stream()
            self._codec = self._stream.codec_context.name
            self._second = self._opened_again(path)
        except InputDataError:
            self.close()
            raise
        self.provenance: dict[str, str | int] = {
            "container": "avi",
            "codec": self._codec,
            "slice_order": "order of the video's frames",
        }
        entries = None if self._codec in _OWN_PALETTE else layout.palette_entries
        self._gray = GrayFrames(self._file, entries, self.flags)
        self._kind: tuple[object, ...] | None = None

    def close(self) -> None:
        """Close the file."""
        for container in self._containers:
            container.close()

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield uint8 slices of shape (H, W) in the order of the file; once, or ValueError."""
        if self._decoded:
            raise ValueError(f"{self._file}: expected a volume that was not read yet. Open it again.")
        packets = self._containers[0].demux(self._stream)
        fed, image = 0, None
        for chunk in self._layout.chunks:
            if chunk.size:
                fed += 1
                for frame in self._decode(self._packet(packets, chunk)):
                    image = self._image(frame)
                    yield image
            elif self._limits.empty_frames == "repeat":
                if image is None or self._decoded != fed:
                    cause = f"expected a frame to repeat, found that the codec shows frame {fed} later"
                    raise self._error("AVI-EMPTY", cause)
                yield image.copy()
        for frame in self._decode(self._packet(packets, None)):
            yield self._image(frame)
        if self._decoded != self._filled:
            cause = f"expected {self._filled} slices as the file has frames, found {self._decoded}"
            raise self._error("AVI-COUNT", cause)

    def _error(self, code: str, cause: str) -> InputDataError:
        return InputDataError(code, file=self._file, cause=cause, remedy=REMEDY)

    def _damage(self, what: str) -> InputDataError:
        cause = f"expected {self.n_slices} slices, found damage after {self._decoded}: {what.strip()}"
        return self._error("AVI-DAMAGED", cause)

    def _check_empty_frames(self) -> None:
        empty = len(self._layout.chunks) - self._filled
        if not empty:
            return
        unrepeatable = self._limits.empty_frames == "repeat" and not self._layout.chunks[0].size
        if self._limits.empty_frames == "error" or unrepeatable:
            cause = f"expected {len(self._layout.chunks)} frames, found {empty} of them empty"
            remedy = "Export the volume again without dropped frames, or set reading.empty_frames in params.yaml."
            raise InputDataError("AVI-EMPTY", file=self._file, cause=cause, remedy=remedy)
        self.flags.append("empty-frames")

    def _open(self, path: Path) -> InputContainer:
        """Open the file with libav, which decodes a frame to find out about the stream: under the same limits."""
        try:
            with _logged():  # what is wrong is found again, and with a better message, while decoding
                # With ``file:`` no part of a name is taken for a protocol.
                return av.open(f"file:{path}", format="avi", options=self._options(), metadata_errors="replace")
        except av.FFmpegError as exc:
            raise self._damage(str(exc.strerror)) from exc

    def _options(self) -> dict[str, str]:
        return {
            "codec_whitelist": ",".join(CODECS),
            "err_detect": "crccheck+bitstream+buffer+careful+explode",
            "max_pixels": str(self._most_pixels()),
        }

    def _most_pixels(self) -> int:
        """Pixels of a frame with the borders of any codec: a larger one in the data is not what the header says."""
        return (self.rows + 3 * _BLOCK) * (self.columns + 3 * _BLOCK)

    def _checked_stream(self) -> VideoStream:
        stream = self._containers[-1].streams.video[0]
        name = stream.codec_context.name if stream.codec_context else "none"
        if name not in CODECS:
            fourcc = self._layout.fourcc
            raise self._error("AVI-CODEC", f"expected a codec such as MJPG, found {fourcc} (to libav: {name})")
        stream.codec_context.options = self._options()  # those of the file do not reach it
        stream.codec_context.thread_count = 1
        return stream

    def _opened_again(self, path: Path) -> VideoStream | None:
        """Return a stream with a decoder of its own, for a codec without any check."""
        versioned = self._codec == "ffv1" and self._stream.codec_context.extradata
        if versioned or self._codec not in (*_UNCHECKED, "ffv1"):
            return None
        self._containers.append(self._open(path))
        return self._checked_stream()

    def _packet(self, packets: "Iterator[Packet[VideoStream]]", chunk: Chunk | None) -> "Packet[VideoStream]":
        """Return the next packet that is not empty, which has to be that chunk, or the last one."""
        with self._watched():
            packet = next((packet for packet in packets if packet.size or packet.dts is None), None)
        if packet is None or packet.is_corrupt or (packet.size and (packet.pos, packet.size)) != (chunk or 0):
            raise self._damage("libav found another frame than the file's structure tells")
        compressed = self._codec != "rawvideo"
        if chunk and compressed and not np.frombuffer(memoryview(packet), np.uint8).any():
            raise self._damage("a frame of zeros")  # FFV1's checksum of which is right
        return packet

    def _decode(self, packet: "Packet[VideoStream]") -> list[VideoFrame]:
        with self._watched():
            frames = self._stream.decode(packet)
            if self._second is None or not packet.size:
                return frames
            others = self._second.codec_context.decode(Packet(bytes(packet) + _OTHER_END))
        if len(others) != len(frames) or not all(map(same_pixels, frames, others)):
            raise self._damage("a frame that is not whole")
        return frames

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Turn what libav raises or logs (all that FFV1 does about a wrong checksum) into an error."""
        try:
            with _logged() as messages:
                yield
        except av.FFmpegError as exc:
            if isinstance(exc, MemoryError):  # libav says so of absurd sizes in damaged data as well
                np.empty(8 * self._most_pixels(), np.uint8)  # where it is true, this raises a MemoryError of its own
            raise self._damage(str(exc.strerror)) from exc
        for level, _, message in messages:
            if level <= av.logging.ERROR or any(word in message for word in _DAMAGE):
                raise self._damage(message)

    def _image(self, frame: VideoFrame) -> np.ndarray:
        """Gray levels of the next frame."""
        self._decoded += 1
        kind = (frame.format.name, frame.height, frame.width, frame.color_range)
        if frame.is_corrupt:
            raise self._damage("a corrupt frame")
        if self._kind is None:
            self._kind = kind
            self._check_raw_sizes(frame)
        if (frame.height, frame.width) != (self.rows, self.columns) or kind != self._kind:
            cause = f"expected {self.rows} x {self.columns} pixels of the same kind in every slice"
            found = f"{frame.height} x {frame.width} ({frame.format.name}) in slice {self._decoded}"
            raise self._error("AVI-CHANGE", f"{cause}, found {found}")
        return self._gray.gray(frame, self._decoded)

    def _check_raw_sizes(self, frame: VideoFrame) -> None:
        """Refuse uncompressed frames with too many bytes, of which libav would take the first ones."""
        if self._codec != "rawvideo":
            return
        bits = self._layout.bit_count if frame.format.name == "pal8" else frame.format.padded_bits_per_pixel
        row = -(-self.columns * bits // 8)
        allowed = {self.rows * row, self.rows * -(-row // 4) * 4}  # rows as they are, or padded to 4 bytes
        if len(frame.format.components) > 1 and frame.format.is_planar:
            allowed = {sum(plane.width * plane.height for plane in frame.format.components)}
        wrong = {chunk.size for chunk in self._layout.chunks if chunk.size} - allowed
        if wrong:
            cause = f"expected uncompressed frames of {max(allowed)} bytes, found {max(wrong)}"
            raise self._error("AVI-RAW-SIZE", cause)


@contextmanager
def _logged() -> Iterator[list[tuple[int, str, str]]]:
    """Capture what libav logs: all of it, also what equals the last of the file before."""
    level, skip = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(av.logging.INFO)
    av.logging.set_skip_repeated(False)
    try:
        with av.logging.Capture() as messages:
            yield messages
    finally:
        av.logging.set_level(level)
        av.logging.set_skip_repeated(skip)
