"""Measure which damage inside compressed slices is noticed, per container, and how often a sound volume is flagged.

``python -m benchmarks.garbage``, in minutes. The volumes are simulated patients of other seeds than the demo's. One
damage is a flipped bit, or a run of 4 to 64 zeros, somewhere in the entropy-coded data of one slice. It is *grave* if a
decoder that forgives everything still shows all slices, and one of them differs by over 20 gray levels in more than 1 %
of its pixels. It is *noticed* if the reader refuses the file, or the examination flags the slice.
"""

import argparse
import io
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.logging
import numpy as np
import pydicom
from av.video.stream import VideoStream
from PIL import Image, ImageFile
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import UID, JPEG2000Lossless, generate_uid

from dmdbt.errors import InputDataError
from dmdbt.phantom import PhantomSettings, image_pair, patients
from dmdbt.readers import Limits, open_volume

GRAVE_SHARE, GRAVE_LEVELS = 0.01, 20
_TOMOSYNTHESIS = "1.2.840.10008.5.1.4.1.1.13.1.3"
_PHOTO, _MPEG4, _H264 = {"qmin": "2", "qmax": "2"}, {"qmin": "2", "qmax": "3"}, {"crf": "16", "bf": "0"}


@dataclass(frozen=True)
class Format:
    """How volumes are written, where the entropy-coded data of each slice are, and how they are read regardless."""

    write: Callable[[Path, np.ndarray], None]
    spans: Callable[[Path], list[tuple[Path, int, int]]]
    read_anyway: Callable[[Path], np.ndarray | None]


def sound_volume(seed: int, *, size: int = 128) -> np.ndarray:
    """Simulate one volume, uint8 of shape (T, H, W): spacing, dose, density, blank ends and a paddle by the seed."""
    rng = np.random.default_rng([seed, 77])
    settings = PhantomSettings(
        patients=1,
        seed=seed,
        dm_rows=64,
        dm_columns=64,
        dbt_size=size,
        slice_spacing_mm=float(rng.choice([1.0, 1.5, 2.0, 3.0, 5.0])),
        dose=float(rng.choice([0.1, 0.3, 1.0, 10.0])),
        density=float(rng.choice([0.1, 0.15, 0.35])),
        contrast=float(rng.choice([1.0, 2.0])),
    )
    patient = patients(settings)[0]
    slices = image_pair(patient, patient.views[0], settings).slices.copy()
    if rng.random() < 0.3:
        _add_paddle(slices, rng)
    blank = np.zeros_like(slices[:1])
    before, after = (rng.integers(1, 4) if rng.random() < 0.3 else 0 for _ in range(2))
    return np.concatenate([blank.repeat(before, 0), slices, blank.repeat(after, 0)])


def _add_paddle(slices: np.ndarray, rng: np.random.Generator) -> None:
    """Let the bright edge of a paddle be in focus in the first slice, or in the last; it fades over some slices."""
    end = 1 if rng.random() < 0.5 else -1
    row, width = rng.integers(0, slices.shape[1] // 4), rng.integers(2, max(3, slices.shape[1] // 16))
    reach = rng.uniform(0.2, 4)  # slices; 0.2 is hardly more than one
    for number, image in enumerate(slices[::end]):
        band = image[row : row + width]
        band[:] = np.clip(band + 200 * np.exp(-number / reach), 0, 255)


def _video(codec: str, pixel_format: str, options: dict[str, str]) -> Callable[[Path, np.ndarray], None]:
    def write(path: Path, slices: np.ndarray) -> None:
        with av.open(str(path), "w", format="avi") as container:
            stream = container.add_stream(codec, rate=Fraction(10))
            assert isinstance(stream, VideoStream)
            stream.height, stream.width, stream.pix_fmt = *slices.shape[1:], pixel_format
            stream.codec_context.thread_count = 1
            stream.codec_context.options = options
            stream.bit_rate = 50_000_000
            for image in slices:
                frame = av.VideoFrame.from_ndarray(image, format="gray").reformat(format=pixel_format)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))

    return write


def _video_spans(path: Path) -> list[tuple[Path, int, int]]:
    from dmdbt.readers.avi.riff import read_riff

    content, spans = path.read_bytes(), []
    for chunk in read_riff(path, most_frames=1000).chunks:
        data = content[chunk.offset : chunk.offset + chunk.size]
        start = data.index(b"\xff\xda") + 10 if data.startswith(b"\xff\xd8") else min(24, len(data) // 2)
        if chunk.size - 2 > start:
            spans.append((path, chunk.offset + start, chunk.offset + chunk.size - 2))
    return spans


def _video_anyway(path: Path) -> np.ndarray | None:
    av.logging.set_level(av.logging.PANIC)
    images = []
    try:
        with av.open(str(path), format="avi") as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            for packet in container.demux(stream):
                try:
                    frames = stream.decode(packet)
                except av.FFmpegError:
                    return None
                images += [frame.to_ndarray()[: frame.height, : frame.width].copy() for frame in frames]
    except av.FFmpegError:
        return None
    return np.stack(images)


def _write_folder(path: Path, slices: np.ndarray) -> None:
    path.mkdir(exist_ok=True)
    for number, image in enumerate(slices):
        Image.fromarray(image).save(path / f"{number:03d}.jpg", quality=95)


def _folder_spans(path: Path) -> list[tuple[Path, int, int]]:
    contents = {file: file.read_bytes() for file in sorted(path.iterdir())}
    return [(file, content.index(b"\xff\xda") + 10, len(content) - 2) for file, content in contents.items()]


def _still_anyway(contents: list[bytes]) -> np.ndarray | None:
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        return np.stack([np.asarray(Image.open(io.BytesIO(content))) for content in contents])
    except (OSError, SyntaxError, ValueError):
        return None
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


def _folder_anyway(path: Path) -> np.ndarray | None:
    return _still_anyway([file.read_bytes() for file in sorted(path.iterdir())])


def _jpeg2000(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG2000", no_jp2=True, irreversible=False)
    return buffer.getvalue()


def _write_dicom(path: Path, slices: np.ndarray) -> None:
    """Write a Breast Tomosynthesis Image of 8 bits without loss."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = UID(_TOMOSYNTHESIS), JPEG2000Lossless
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["garbage"])
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = meta.MediaStorageSOPClassUID
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = slices.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, "MONOCHROME2", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.WindowCenter, dataset.WindowWidth = 128, 256
    dataset.PerFrameFunctionalGroupsSequence = [_place(index) for index in range(len(slices))]
    dataset.PixelData = encapsulate([_jpeg2000(image) for image in slices])
    dataset["PixelData"].VR = "OB"
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)


def _place(index: int) -> Dataset:
    content, group = Dataset(), Dataset()
    content.InStackPositionNumber, content.StackID = index + 1, "1"
    group.FrameContentSequence = [content]
    return group


def _frames(path: Path) -> list[bytes]:
    dataset = pydicom.dcmread(path)
    return list(generate_frames(dataset.PixelData, number_of_frames=dataset.NumberOfFrames))


def _dicom_spans(path: Path) -> list[tuple[Path, int, int]]:
    content, spans, position = path.read_bytes(), [], 0
    for frame in _frames(path):
        position = content.index(frame, position)
        start = position + frame.index(b"\xff\x93") + 2
        spans.append((path, start, position + len(frame.rstrip(b"\0")) - 2))
    return spans


def _dicom_anyway(path: Path) -> np.ndarray | None:
    return _still_anyway(_frames(path))


FORMATS = {
    "MJPEG in AVI": Format(_video("mjpeg", "yuvj420p", _PHOTO), _video_spans, _video_anyway),
    "MPEG-4 in AVI": Format(_video("mpeg4", "yuv420p", _MPEG4), _video_spans, _video_anyway),
    "H.264 in AVI": Format(_video("libx264", "yuv420p", _H264), _video_spans, _video_anyway),
    "JPEG slices": Format(_write_folder, _folder_spans, _folder_anyway),
    "JPEG 2000 in DICOM": Format(_write_dicom, _dicom_spans, _dicom_anyway),
}
