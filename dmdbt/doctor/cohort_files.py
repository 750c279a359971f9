"""The decoders that the files of a cohort need, by their headers alone."""

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import av
import pydicom
from PIL import Image
from tqdm import tqdm

from dmdbt.cohort import STATEMENT_NAME, Case, Statement, read_statement
from dmdbt.doctor.advice import counts, twins
from dmdbt.doctor.machine import codec_available
from dmdbt.doctor.text import Section
from dmdbt.files import no_file
from dmdbt.readers import container, volume_files
from dmdbt.readers.avi.volume import CODECS as AVI_CODECS
from dmdbt.readers.dicom import SYNTAXES, is_available
from dmdbt.readers.other import metaimage_fields
from dmdbt.terms import Modality

_SHOWN = 64  # characters of a value of a header


@dataclass(frozen=True)
class _Kind:
    """How the pixels of a file are stored; at most one of `missing` and `fault` says why it cannot be read."""

    name: str
    missing: str = ""
    fault: str = ""


def cohort_files(cases: Sequence[Case], cohort: Path) -> Section:
    """Tell what a cohort states, count containers, codecs and transfer syntaxes, and tell which cannot be read here.

    Raises
    ------
    TableError
        The statement is malformed.
    """
    kinds: Counter[tuple[str, str]] = Counter()
    missing: Counter[str] = Counter()
    faults: list[str] = []
    statement = read_statement(cohort / STATEMENT_NAME)
    for case in tqdm(cases, desc="doctor", unit="case", disable=len(cases) < 100):
        for modality in Modality:
            name = case.file(modality)
            for kind in _kinds(cohort / name) if name else ():
                kinds[modality.value, kind.name] += 1
                missing.update([kind.missing] if kind.missing else [])
                faults += [f"case={case.case_id} file={name}: {kind.fault}"] if kind.fault else []
    lines = [*_stated(statement), *counts(cases), *twins(cases, cohort)]
    lines += [f"{modality}: {count} x {kind}" for (modality, kind), count in sorted(kinds.items())]
    needed = [f"{what} ({count} files of the cohort)" for what, count in sorted(missing.items())]
    return Section("Cohort", tuple(lines), missing=tuple(needed), faults=tuple(faults))


def _stated(statement: Statement) -> list[str]:
    if statement.simulated is None:
        return [f"not stated to be real or simulated: there is no {STATEMENT_NAME}"]
    kind = "simulated" if statement.simulated else "real"
    return [f"stated to be {kind}: {statement.source}", f"labels: {statement.label_rule}"]


def _kinds(path: Path) -> list[_Kind]:
    """Return the different kinds of files that an image or volume consists of; a fault names its first slice."""
    if not path.exists():
        fault = f"expected a file or folder, found {no_file(path)}; correct the path in cases.csv"
        return [_Kind("missing", fault=fault)]
    files = volume_files(path) if path.is_dir() else [path]
    if not files:
        return [_Kind("empty folder", fault="expected slices, found none; export the volume again")]
    kinds = {}
    for file in reversed(files):
        kind = _kind(file)
        kinds[kind.name] = replace(kind, fault=f"{file.name}: {kind.fault}") if kind.fault and path.is_dir() else kind
    return [kinds[name] for name in sorted(kinds)]


def _kind(path: Path) -> _Kind:
    found = container(path)
    try:
        with warnings.catch_warnings(action="ignore"):  # they may quote the path
            if found == "avi":
                return _avi(path)
            if found == "dicom":
                return _dicom(path)
            if found == "metaimage":
                return _Kind(f"MetaImage {metaimage_fields(path).get('ElementType', 'without ElementType')[:_SHOWN]}")
            if found == "image":
                with Image.open(path) as image:
                    return _Kind(f"{image.format} image")
    except Image.DecompressionBombError:
        fault = "expected a picture of fewer pixels, found a header that states very many (DecompressionBombError)"
        return _Kind("picture that is too large", fault=fault)
    except Exception as exc:  # the readers of headers raise over a damaged file what they like
        return _Kind(f"damaged {found} file", fault=f"expected a readable header, found damage ({type(exc).__name__})")
    return _Kind("unknown", fault="expected AVI, DICOM, MetaImage or an image, found none of these; export it again")


def _avi(path: Path) -> _Kind:
    with av.open(path, format="avi") as file:
        codecs = [stream.codec_context.name for stream in file.streams.video if stream.codec_context is not None]
    if len(codecs) != 1:
        return _Kind("AVI", fault=f"expected one video of a known codec, found {len(codecs)}; export it again as MJPEG")
    name = f"AVI {codecs[0]}"
    if codecs[0] not in AVI_CODECS:
        return _Kind(name, fault="expected a codec that is read, found another; export it as uncompressed or MJPEG")
    return _Kind(name, missing="" if codec_available(codecs[0]) else f"{name}: pip install --force-reinstall av")


def _dicom(path: Path) -> _Kind:
    uid = str(pydicom.filereader.read_file_meta_info(path).TransferSyntaxUID)
    syntax = SYNTAXES.get(uid)
    if syntax is None:
        fault = "expected a transfer syntax that is read; export it as JPEG 2000 Lossless"
        return _Kind(f"DICOM {uid[:_SHOWN]}", fault=fault)
    name = f"DICOM {syntax.name}"
    return _Kind(name, missing="" if is_available(syntax) else f"{name}: pip install {' '.join(syntax.packages)}")
