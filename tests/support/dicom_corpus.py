"""DICOM files of every kind that the readers know, and what they must show, by formulas on the pixels themselves.

Synthetic: random gray levels. Frames are compressed by packages that are not the ones that decode them where there is
a second one: JPEG 2000 and JPEG Lossless by GDCM, RLE by pydicom, JPEG-LS by CharLS.
"""

import functools
import io
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import jpeg_ls
import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import UID, generate_uid

IMPLICIT, EXPLICIT, DEFLATED, BIG = (f"1.2.840.10008.1.2{end}" for end in ("", ".1", ".1.99", ".2"))
RLE = "1.2.840.10008.1.2.5"
JPEG, EXTENDED, LOSSLESS, LOSSLESS_SV1, LS, NEAR_LS, J2K, LOSSY_J2K = (
    f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 57, 70, 80, 81, 90, 91)
)
NATIVE = (IMPLICIT, EXPLICIT, DEFLATED, BIG)
COMPRESSED = (RLE, LOSSLESS, LOSSLESS_SV1, LS, NEAR_LS, J2K, LOSSY_J2K)
NAMES = {JPEG: "JPEG", LOSSLESS: "lossless", LOSSLESS_SV1: "lossless-sv1", LS: "ls", NEAR_LS: "ls-near", J2K: "j2k"}
MAMMOGRAM = "1.2.840.10008.5.1.4.1.1.1.2"
TOMOSYNTHESIS = "1.2.840.10008.5.1.4.1.1.13.1.3"
CT = "1.2.840.10008.5.1.4.1.1.2"
SECONDARY = "1.2.840.10008.5.1.4.1.1.7"
CR = "1.2.840.10008.5.1.4.1.1.1"
DX = "1.2.840.10008.5.1.4.1.1.1.1"


def noise(bits, shape=(24, 20), *, signed=False, seed=0):
    """Random stored values that reach both ends of their range."""
    low = -(1 << (bits - 1)) if signed else 0
    pixels = np.random.default_rng(seed).integers(low, low + (1 << bits), shape)
    pixels.flat[0], pixels.flat[-1] = low, low + (1 << bits) - 1
    return pixels


def compress(syntax, frame, bits, *, signed=False):
    """Encode one frame of whole numbers, shape (H, W)."""
    words = frame.astype(f"<{'i' if signed else 'u'}{1 if bits == 8 else 2}")
    if syntax == RLE:
        return _rle(words)
    if syntax in (LS, NEAR_LS):
        codes = (words.astype(np.int64) & ((1 << bits) - 1)).astype(f"<u{words.itemsize}")
        return jpeg_ls_codestream(codes, bits)
    if syntax == JPEG:
        return _baseline(words)
    option = "--j2k" if syntax in (J2K, LOSSY_J2K) else "--jpeg"
    return _gdcm(words.tobytes(), len(words), bits, option, signed)


def _rle(words):
    """Literal runs only (PS3.5, Annex G), most significant byte first."""
    segments = []
    for plane in reversed(range(words.itemsize)):
        content = words.astype(words.dtype.newbyteorder("<")).tobytes()[plane :: words.itemsize]
        runs = (content[start : start + 128] for start in range(0, len(content), 128))
        segment = b"".join(bytes([len(run) - 1]) + run for run in runs)
        segments.append(segment + b"\0" * (len(segment) % 2))
    offsets = [64 + sum(map(len, segments[:index])) for index in range(len(segments))]
    return struct.pack("<16L", len(segments), *offsets, *[0] * (15 - len(offsets))) + b"".join(segments)


def jpeg_ls_codestream(codes, bits, *, error=0):
    """Encode unsigned values; near-lossless with an `error` above 0."""
    codes = codes.astype("<u1" if bits == 8 else "<u2")
    return bytes(
        jpeg_ls.encode_pixel_data(
            codes.tobytes(),
            lossy_error=error,
            rows=codes.shape[0],
            columns=codes.shape[1],
            samples_per_pixel=1,
            bits_stored=bits,
            bits_allocated=8 * codes.itemsize,
            photometric_interpretation="MONOCHROME2",
            pixel_representation=0,
        )
    )


@functools.cache
def _gdcm(content, rows, bits, option, signed):
    """Lossless JPEG or JPEG 2000 by GDCM's command: called in this process, its encoder corrupts the memory."""
    words = np.frombuffer(content, f"<{'i' if signed else 'u'}{1 if bits == 8 else 2}").reshape(rows, -1)
    with tempfile.TemporaryDirectory() as name:
        plain, coded = Path(name) / "plain.dcm", Path(name) / "coded.dcm"
        write(plain, words, bits=bits, signed=signed)
        subprocess.run([Path(sys.executable).parent / "gdcmconv", option, plain, coded], check=True)
        return next(generate_frames(pydicom.dcmread(coded).PixelData, number_of_frames=1))


def _baseline(words):
    buffer = io.BytesIO()
    Image.fromarray(words).save(buffer, "JPEG", quality=100)
    return buffer.getvalue()


def item(**attributes):
    dataset = Dataset()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def lut(entries, *, first=0, bits=16, data=None):
    """Item of a VOI or Modality LUT Sequence."""
    content = np.asarray(entries, "<u2").tobytes() if data is None else data
    return item(LUTDescriptor=[len(entries) % 65536, first, bits], LUTData=content, ModalityLUTType="US")


def pixel_data(frames, syntax, bits, *, signed=False):
    """Value of the element PixelData; frames have shape (T, H, W)."""
    if syntax not in NATIVE:
        return encapsulate([compress(syntax, frame, bits, signed=signed) for frame in frames])
    order = ">" if syntax == BIG else "<"
    content = frames.astype(f"{order}{'i' if signed else 'u'}{1 if bits == 8 else 2}").tobytes()
    return content + b"\0" * (len(content) % 2)


def write(
    path, pixels, *, bits=12, syntax=EXPLICIT, signed=False, sop_class=MAMMOGRAM, content=None, vr=None, **attributes
):
    """Write an image (H, W) or a multi-frame one (T, H, W); `attributes` replace the defaults, None removes one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = pixels if pixels.ndim == 3 else pixels[None]
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = sop_class, UID(syntax)
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[path.name])
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    values = {
        "SOPClassUID": sop_class,
        "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
        "PatientName": "CANARY^NAME",
        "PatientID": "CANARY-ID",
        "Modality": "MG",
        "BurnedInAnnotation": "NO",
        "Rows": frames.shape[1],
        "Columns": frames.shape[2],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 8 if bits == 8 else 16,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(signed),
        "NumberOfFrames": len(frames) if pixels.ndim == 3 else None,
        "PixelData": pixel_data(frames, syntax, bits, signed=signed) if content is None else content,
    }
    for keyword, value in (values | attributes).items():
        if value is not None:
            setattr(dataset, keyword, value)
    if "PixelData" in dataset:
        dataset["PixelData"].VR = vr or ("OB" if bits == 8 or syntax not in NATIVE else "OW")
        dataset["PixelData"].is_undefined_length = syntax not in NATIVE
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    return path


def write_tomosynthesis(path, pixels, *, window=(2048, 4096), rescale=(1, 0), groups=None, **options):
    """Write a multi-frame volume (T, H, W); window and rescale stand in the shared functional groups."""
    shared = item(FrameAnatomySequence=[item(FrameLaterality="L")])
    if window:
        shared.FrameVOILUTSequence = [item(WindowCenter=window[0], WindowWidth=window[1])]
    if rescale:
        transformation = item(RescaleSlope=rescale[0], RescaleIntercept=rescale[1], RescaleType="US")
        shared.PixelValueTransformationSequence = [transformation]
    if groups is None:
        groups = [item(FrameContentSequence=[in_stack(number)]) for number in range(1, len(pixels) + 1)]
    defaults = {
        "ImageType": ["ORIGINAL", "PRIMARY", "TOMOSYNTHESIS", "NONE"],
        "SharedFunctionalGroupsSequence": [shared],
        "PerFrameFunctionalGroupsSequence": groups,
        "ViewCodeSequence": [
            item(CodeValue="R-10226", CodingSchemeDesignator="SRT", CodeMeaning="medio-lateral oblique")
        ],
    }
    return write(path, pixels, sop_class=options.pop("sop_class", TOMOSYNTHESIS), **(defaults | options))


def in_stack(number):
    return item(StackID="1", InStackPositionNumber=number)


def write_slices(folder, pixels, *, numbers=None, **options):
    """Write a volume (T, H, W) as single slices in the manner of VICTRE; return the files, sorted by name."""
    numbers = range(1, len(pixels) + 1) if numbers is None else numbers
    attributes = {"SeriesInstanceUID": "1.2.3", "WindowCenter": 2048, "WindowWidth": 4096, "sop_class": CT} | options
    return [
        write(folder / f"{index:03d}.dcm", frame, InstanceNumber=number, **attributes)
        for index, (number, frame) in enumerate(zip(numbers, pixels, strict=True))
    ]


def shown(stored, *, window=None, function="LINEAR", rescale=(1, 0), table=None, padding=None, negative=False):
    """Gray from 0 to 1 by PS3.3 C.11 on every pixel; `table` maps modality values, `window` is (center, width)."""
    values = rescale[0] * stored.astype(np.float64) + rescale[1]
    is_padding = np.isin(stored, padding) if padding is not None else np.zeros(stored.shape, bool)
    if table is not None:
        gray = table(values)
    elif window is None:
        low, high = values[~is_padding].min(), values[~is_padding].max()
        gray = (values - low) / (high - low)
    else:
        center, width = window
        gray = {
            "LINEAR": lambda: (values - (center - 0.5)) / (width - 1) + 0.5,
            "LINEAR_EXACT": lambda: (values - center) / width + 0.5,
            "SIGMOID": lambda: 1 / (1 + np.exp(-4 * (values - center) / width)),
        }[function]()
    gray = np.clip(gray, 0, 1)
    return np.where(is_padding, 0, 1 - gray if negative else gray)
