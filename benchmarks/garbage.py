"""Measure which damage inside compressed slices is noticed, per container, and how often a sound volume is flagged.

``python -m benchmarks.garbage``, in about ten minutes. The volumes are simulated patients of other seeds than the
demo's. One damage is a flipped bit, or a run of 4 to 64 zeros, at a random place in the entropy-coded data of one
slice. It is *grave* if a decoder that forgives everything still shows all slices, and one of them differs by over 20
gray levels in more than 1 % of its pixels. It is *noticed* if the reader refuses the file, or the examination has a
flag that the sound volume lacks.
"""

import argparse
import hashlib
import io
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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

from dmdbt.cohort import Case
from dmdbt.imaging import resize
from dmdbt.ingest import examine, read_examination
from dmdbt.ingest.appearance import gray_counts, is_blank
from dmdbt.ingest.odd_slices import SliceComparison
from dmdbt.phantom import PhantomSettings, image_pair, patients
from dmdbt.readers import Limits, open_volume
from dmdbt.readers.avi.riff import read_riff
from dmdbt.terms import Label, Laterality, Modality, View

_GRAVE_SHARE, _GRAVE_LEVELS = 0.01, 20
_TOMOSYNTHESIS = "1.2.840.10008.5.1.4.1.1.13.1.3"
_PHOTO, _MPEG4, _H264 = {"qmin": "2", "qmax": "2"}, {"qmin": "2", "qmax": "3"}, {"crf": "16", "bf": "0"}


@dataclass(frozen=True)
class Format:
    """How volumes are written, where the entropy-coded data of each slice are, and how they are read regardless."""

    write: Callable[[Path, np.ndarray], None]
    spans: Callable[[Path], list[tuple[Path, int, int]]]
    read_anyway: Callable[[Path], np.ndarray | None]


def sound_volume(seed: int, *, size: int = 128) -> np.ndarray:
    """Simulate a volume, uint8 of shape (T, H, W): its spacing, dose, grain, blank ends and paddle come by the seed."""
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
    grain = rng.normal(0, rng.choice([0, 2, 8, 20]), slices.shape)
    slices = np.where(slices, np.clip(slices + grain, 0, 255), 0).astype(np.uint8)
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
                images += [frame.to_ndarray()[: frame.height, : frame.width].copy() for frame in frames]  # luma
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


def main() -> None:
    """Print the tables of rates, of false flags and of costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=6, help="volumes to damage")
    parser.add_argument("--tries", type=int, default=150, help="damages of each")
    parser.add_argument("--size", type=int, default=128, help="rows and columns of a slice")
    parser.add_argument("--sound", type=int, default=1000, help="sound volumes to examine")
    options = parser.parse_args()
    print("| container | damages | grave | refused | flagged | noticed |\n| --- | ---: | ---: | ---: | ---: | ---: |")
    for name in FORMATS:
        found: Counter[str] = Counter()
        for seed in range(500, 500 + options.seeds):
            found += damage_counts(name, seed, tries=options.tries, size=options.size)
        shares = [found[key] / max(found["grave"], 1) for key in ("refused", "flagged", "noticed")]
        print(f"| {name} | {found['tried']} | {found['grave']} | {' | '.join(f'{share:.1%}' for share in shares)} |")
    flagged = [seed for seed in range(40_000, 40_000 + options.sound) if odd_slices(sound_volume(seed))]
    print(f"\n{len(flagged)} of {options.sound} sound volumes flagged: seeds {flagged or 'none'}")
    print("\n| container | CPU seconds per slice of 2456 x 1996, before | ratio |\n| --- | ---: | ---: |")
    for name in FORMATS:
        before, ratio = cost(name)
        print(f"| {name} | {before:.3f} | {ratio:.3f} |")


def odd_slices(slices: np.ndarray) -> list[int]:
    """Compare the slices of a volume in memory."""
    comparison = SliceComparison()
    for image in slices:
        comparison.add(image, is_blank=is_blank(image))
    return comparison.odd_slices()


def damage_counts(name: str, seed: int, *, tries: int, size: int) -> Counter[str]:
    """Damage one volume that often, each time from sound, and count what is grave and of that what is noticed."""
    found: Counter[str] = Counter(tried=tries)
    rng = np.random.default_rng([seed, tries])
    with tempfile.TemporaryDirectory() as folder:
        path, kind = Path(folder) / "volume", FORMATS[name]
        kind.write(path, sound_volume(seed, size=size))
        sound, flags, spans = kind.read_anyway(path), _flags(path), kind.spans(path)
        assert sound is not None
        assert flags is not None
        for _ in range(tries):
            with _damaged(*spans[rng.integers(len(spans))], rng):
                if _is_grave(kind.read_anyway(path), sound):
                    now = _flags(path)
                    outcome = "refused" if now is None else "flagged" if now - flags else "missed"
                    found.update(["grave", outcome, *(["noticed"] if outcome != "missed" else [])])
    return found


@contextmanager
def _damaged(file: Path, start: int, end: int, rng: np.random.Generator) -> Iterator[None]:
    whole = file.read_bytes()
    content, place = bytearray(whole), int(rng.integers(start, end))
    if rng.random() < 0.5:
        content[place] ^= 1 << int(rng.integers(8))
    else:
        stop = min(place + int(rng.integers(4, 65)), end)
        content[place:stop] = bytes(stop - place)
    file.write_bytes(content)
    try:
        yield
    finally:
        file.write_bytes(whole)


def _is_grave(shown: np.ndarray | None, sound: np.ndarray) -> bool:
    if shown is None or shown.shape != sound.shape:
        return False  # every reader notices
    changed = np.abs(shown.astype(np.int16) - sound) > _GRAVE_LEVELS
    return bool(changed.mean(axis=(1, 2)).max() > _GRAVE_SHARE)


def _flags(path: Path) -> set[str] | None:
    """Flags of a volume, or None if it is refused."""
    case = Case("c", "p", Laterality.LEFT, View.CC, Label.BENIGN, "", path.name)
    with tempfile.TemporaryDirectory() as folder:
        examine(case, Path(folder), cohort=path.parent, limits=Limits())
        facts, problems = read_examination(Path(folder) / "c.json")
    if problems:
        return None
    volume = facts[Modality.DBT]
    blank = {f"blank-{end}-{volume[f'blank_{end}']}" for end in ("first", "last") if volume[f"blank_{end}"]}
    return {*volume["flags"], *blank}


def cost(name: str, *, slices: int = 12) -> tuple[float, float]:
    """CPU seconds per slice to examine a large volume without the comparison, and the ratio with it."""
    small = sound_volume(500)[10 : 10 + slices]
    noise = np.random.default_rng(0).normal(0, 4, (2456, 1996))
    large = np.stack([np.clip(resize(image, 2456, 1996) + noise * (image.max() > 0), 0, 255) for image in small])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "volume"
        FORMATS[name].write(path, large.astype(np.uint8))
        without, added = min(_seconds(path) for _ in range(3))
    return without / slices, 1 + added / without


def _seconds(path: Path) -> tuple[float, float]:
    """Seconds that the examination takes without the comparison, and those of the comparison."""
    digest, comparison, added, start = hashlib.sha256(), SliceComparison(), 0.0, time.process_time()
    with open_volume(path, Limits()) as volume:
        for image in volume:
            digest.update(np.ascontiguousarray(image).data)
            blank = is_blank(image)
            gray_counts(image)
            before = time.process_time()
            comparison.add(image, is_blank=blank)
            added += time.process_time() - before
    before = time.process_time()
    comparison.odd_slices()
    end = time.process_time()
    added += end - before
    return end - start - added, added


if __name__ == "__main__":
    main()
