"""Files as a clinic would export them, written independently of the phantom."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)
FOR_PRESENTATION = "1.2.840.10008.5.1.4.1.1.1.2"


def write_dicom(path: Path, pixels: np.ndarray, *, bits: int = 12, **attributes: object) -> Path:
    """Write a mammogram; `attributes` replace the defaults, None removes one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = str(attributes.get("SOPClassUID", FOR_PRESENTATION))
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[path.name])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    values = {
        "SOPClassUID": meta.MediaStorageSOPClassUID,
        "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": 0,
        "PixelData": pixels.astype("<u2").tobytes(),
    }
    for keyword, value in (values | attributes).items():
        if value is not None:
            setattr(dataset, keyword, value)
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    return path


def write_avi(path: Path, slices: np.ndarray, *, codec: str = "ffv1", pixel_format: str = "gray") -> Path:
    """Write a volume (T, H, W) or, for color, (T, H, W, 3)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(path, "w", format="avi") as container:
        stream = container.add_stream(codec, rate=Fraction(10))
        stream.height, stream.width, stream.pix_fmt = slices.shape[1], slices.shape[2], pixel_format
        stream.codec_context.thread_count = 1
        for image in slices:
            frame = av.VideoFrame.from_ndarray(image, format="gray" if image.ndim == 2 else "rgb24")
            container.mux(stream.encode(frame.reformat(format=pixel_format)))
        container.mux(stream.encode())
    return path


def write_mhd(path, values, element_type="MET_DOUBLE", **changes):
    """Write a volume (T, H, W) with the header that the published sets have; None removes a line."""
    raw = path.with_suffix(".raw")
    raw.write_bytes(values.tobytes())
    fields = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": "False",
        "TransformMatrix": "1 0 0 0 1 0 0 0 1",
        "Offset": "0 0 0",
        "ElementSpacing": "0.085 0.085 1.0",
        "DimSize": " ".join(map(str, values.shape[::-1])),
        "AnatomicalOrientation": "???",
        "ElementType": element_type,
        "ElementDataFile": raw.name,
    } | changes
    fields["ElementDataFile"] = fields.pop("ElementDataFile")  # the last, whatever was added
    path.write_text("\n".join(f"{key} = {value}" for key, value in fields.items() if value is not None))
    return path
