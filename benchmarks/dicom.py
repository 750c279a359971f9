"""Measure the readers of DICOM: peak memory of a large volume, seconds of a full mammogram.

``python -m benchmarks.dicom``, in a minute. The volume has 40 slices of 2457 x 1890 pixels in 16 bits, 372 MB
uncompressed; a process that does nothing else iterates over it, and the kernel tells its peak (VmHWM). The images are
simulated: a smooth breast with noise of three bits.
"""

import argparse
import struct
import subprocess
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEG2000Lossless, generate_uid

from dmdbt.readers import read_mammogram

_VOLUME, _MAMMOGRAM = "1.2.840.10008.5.1.4.1.1.13.1.3", "1.2.840.10008.5.1.4.1.1.1.2"
_ITERATE = """
import sys, time
from pathlib import Path
from dmdbt.readers import Limits
from dmdbt.readers.dicom import BtoVolume
start = time.perf_counter()
with BtoVolume(Path(sys.argv[1]), Limits()) as volume:
    count = sum(1 for _ in volume)
assert count == volume.n_slices
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
print(int(peak.split()[1]) * 1024, time.perf_counter() - start)
"""


def main() -> None:
    """Print a table of memory and times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=40)
    slices = parser.parse_args().slices
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "image.dcm"
        print("| file | peak memory, MB | seconds |\n| --- | ---: | ---: |")
        for syntax in (ExplicitVRLittleEndian, JPEG2000Lossless):
            for window in (True, False):
                write_image(path, breast(2457, 1890), syntax=syntax, slices=slices, window=window)
                memory, seconds = peak(path)
                voi = "window" if window else "no VOI"
                print(f"| {slices} slices, {UID(syntax).name}, {voi} | {memory / 1e6:.0f} | {seconds:.1f} |")
            write_image(path, breast(4096, 3328), syntax=syntax)
            start = time.perf_counter()
            read_mammogram(path)
            print(f"| mammogram, {UID(syntax).name} | | {time.perf_counter() - start:.2f} |")


def breast(rows: int, columns: int) -> np.ndarray:
    """Simulate stored values of 12 bits; uint16, shape (H, W)."""
    y, x = np.ogrid[-1 : 1 : rows * 1j, 0 : 1 : columns * 1j]
    smooth = 3000 * np.clip(1 - y**2 - x**2, 0, 1) + 300
    return (smooth + np.random.default_rng(0).integers(0, 8, (rows, columns))).astype(np.uint16)


def write_image(path: Path, image: np.ndarray, *, syntax: str, slices: int = 0, window: bool = True) -> None:
    """Write a mammogram, or with `slices` a volume that repeats one image, never holding more than that one."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = _VOLUME if slices else _MAMMOGRAM
    meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID = generate_uid(), UID(syntax)
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = meta.MediaStorageSOPClassUID
    dataset.NumberOfFrames, (dataset.Rows, dataset.Columns) = max(slices, 1), image.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, "MONOCHROME2", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PerFrameFunctionalGroupsSequence = [_place(index) for index in range(slices)]
    if window:
        dataset.WindowCenter, dataset.WindowWidth = 2048, 4096
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    with path.open("ab") as file:
        if syntax == ExplicitVRLittleEndian:
            content = image.astype("<u2").tobytes()
            file.write(b"\xe0\x7f\x10\x00OW\0\0" + struct.pack("<L", len(content) * max(slices, 1)))
            for _ in range(max(slices, 1)):
                file.write(content)
        else:
            content = encapsulate([_jpeg2000(image)] * max(slices, 1), has_bot=False)
            file.write(b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + content + b"\xfe\xff\xdd\xe0\0\0\0\0")


def peak(path: Path) -> tuple[int, float]:
    """Bytes and seconds of a fresh process that iterates over a volume."""
    done = subprocess.run([sys.executable, "-c", _ITERATE, str(path)], capture_output=True, text=True, check=True)
    memory, seconds = done.stdout.split()
    return int(memory), float(seconds)


def _place(index: int) -> Dataset:
    content, group = Dataset(), Dataset()
    content.InStackPositionNumber, content.StackID = index + 1, "1"
    group.FrameContentSequence = [content]
    return group


def _jpeg2000(image: np.ndarray) -> bytes:
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, "JPEG2000", no_jp2=True, irreversible=False)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
