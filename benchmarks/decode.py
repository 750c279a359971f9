"""Measure what decoding volumes to JPEG slices costs beside the program ffmpeg.

``python -m benchmarks.decode`` prints the table of docs/benchmarks.md; it takes a minute, 1 GB of memory, 300 MB
of disk and the program ``ffmpeg``. Both read the same file and write the same number of JPEG files in turn. Seconds
are those of the processor, user and system, of the process that does it and of its children, the median of all
rounds. Ours begins with Python and its modules loaded, as in a worker of the stage that decodes one case after the
other.

JPEG quality is made equal by its effect: of ffmpeg's quantizers that whose files err as ours do from the slices
before the JPEG. Its tables differ in form from those of quality 95, so that error and size cannot both be equal.
"""

import os
import resource
import shutil
import statistics
import subprocess
import tempfile
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path

import av
import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from dmdbt.imaging import write_slices
from dmdbt.phantom.dicom_and_avi import write_volume
from dmdbt.readers import open_volume

_SHAPE = 82, 1024, 1024
_ROUNDS = 5
_QUALITY = 95
_QUANTIZERS = (1, 2, 3)
_COMPARED = (0, 27, 54, 81)  # slices of which the error is measured


def main() -> None:
    """Print a line per codec."""
    slices = _volume()
    print(f"| {' x '.join(map(str, _SHAPE))} | dmdbt s | ffmpeg s | ratio | dB, MB | ffmpeg's |")
    print("| --- | ---: | ---: | ---: | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for codec in ("mjpeg", "raw", "ffv1", "h264"):
            path = Path(folder) / f"{codec}.avi"
            _write(path, slices, codec)
            _measure(path, codec)
            path.unlink()


def _volume() -> np.ndarray:
    """A simulated breast: smooth tissue and noise, which change from slice to slice, beside black air."""
    rng = np.random.default_rng(0)
    n_slices, rows, columns = _SHAPE
    row, column = np.mgrid[:rows, :columns]
    inside = (column / (0.65 * columns)) ** 2 + ((row - rows / 2) / (0.48 * rows)) ** 2 < 1
    ends = [_smooth(rng, (rows, columns), 40) * 45 + _smooth(rng, (rows, columns), 8) * 15 for _ in range(2)]
    slices = np.empty(_SHAPE, np.uint8)
    for index, share in enumerate(np.linspace(0, 1, n_slices)):
        tissue = 120 + (1 - share) * ends[0] + share * ends[1] + _smooth(rng, (rows, columns), 1) * 4
        slices[index] = np.rint(np.where(inside, tissue, 0).clip(0, 255))
    return slices


def _smooth(rng: np.random.Generator, shape: tuple[int, int], sigma: float) -> np.ndarray:
    """Gaussian noise of unit variance."""
    noise = gaussian_filter(rng.standard_normal(shape, np.float32), sigma)
    return noise / noise.std()


def _write(path: Path, slices: np.ndarray, codec: str) -> None:
    if codec != "h264":
        write_volume(path, slices, codec=codec)
        return
    with av.open(path, "w", format="avi") as container:
        stream = container.add_stream("libx264", rate=Fraction(10), options={"crf": "18"})
        stream.height, stream.width, stream.pix_fmt = *slices.shape[1:], "yuv420p"
        for image in slices:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="gray").reformat(format="yuv420p")))
        container.mux(stream.encode())


def _measure(path: Path, codec: str) -> None:
    with open_volume(path) as volume:
        expected = [image for number, image in enumerate(volume) if number in _COMPARED]
    ours = path.with_name("ours")
    _ours(path, ours)
    error, size = _quality(ours, expected)
    found = {quantizer: _quality(_ffmpeg(path, quantizer)[1], expected) for quantizer in _QUANTIZERS}
    quantizer = min(found, key=lambda number: abs(found[number][0] - error))
    seconds: dict[str, list[float]] = {"ours": [], "ffmpeg": []}
    for _ in range(_ROUNDS):
        seconds["ours"].append(_ours(path, ours))
        seconds["ffmpeg"].append(_ffmpeg(path, quantizer)[0])
    mine, theirs = (statistics.median(seconds[name]) for name in ("ours", "ffmpeg"))
    their_error, their_size = found[quantizer]
    print(
        f"| {codec} | {mine:.2f} | {theirs:.2f} | {mine / theirs:.2f} | {error:.1f}, {size:.1f} "
        f"| {their_error:.1f}, {their_size:.1f} (`-q:v {quantizer}`) |",
        flush=True,
    )


def _ours(path: Path, folder: Path) -> float:
    """Seconds of the stage's work, in a process that has its modules from this one."""
    process = get_context("fork").Process(target=_decode, args=(path, folder))
    before = _children()
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"{path.name}: decoding failed with exit code {process.exitcode}")
    return _children() - before


def _decode(path: Path, folder: Path) -> None:
    with open_volume(path) as volume:
        write_slices(volume, folder, quality=_QUALITY)


def _ffmpeg(path: Path, quantizer: int) -> tuple[float, Path]:
    folder = path.with_name("theirs")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    options = ["-fps_mode", "passthrough", "-qmin", "1", "-q:v", str(quantizer)]
    before = _children()
    subprocess.run(
        ["ffmpeg", "-v", "error", "-nostdin", "-i", path, *options, folder / "%04d.jpg"],
        check=True,
        stderr=subprocess.DEVNULL,
        env=os.environ,
    )
    return _children() - before, folder


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _quality(folder: Path, expected: list[np.ndarray]) -> tuple[float, float]:
    """Peak signal-to-noise ratio in dB and size of all files in MB."""
    files = sorted(folder.glob("*.jpg"))
    if len(files) != _SHAPE[0]:
        raise RuntimeError(f"{folder.name}: expected {_SHAPE[0]} files, found {len(files)}")
    squares = []
    for number, image in zip(_COMPARED, expected, strict=True):
        with Image.open(files[number]) as opened:
            opened.draft("L", opened.size)  # the luma as it is
            squares.append(np.mean((np.asarray(opened.convert("L"), np.float64) - image) ** 2))
    size = sum(file.stat().st_size for file in files) / 1e6
    return 10 * np.log10(255**2 / np.mean(squares)), size


if __name__ == "__main__":
    main()
