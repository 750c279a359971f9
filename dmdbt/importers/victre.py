"""The VICTRE trial of The Cancer Imaging Archive: simulated pairs of the FDA.

The folder is searched for DICOM files; their headers tell what they are, whatever the folders are called:

=============== ===================================================================================================
slices          SOP Class CT Image (though Modality is MG), one file each; Instance Number orders them; Image Comments
                ``SA`` or ``SP``, else Patient State, tell the label
mammogram       SOP Class Digital Mammography X-Ray Image - For Processing; Patient State ``Signal absent`` or
                ``Signal present``, else the label of the slices
projections     as the mammogram, but with Study Description ``Simulated DBT Projection``: left out
=============== ===================================================================================================

Files belong together by Patient ID and label. The mammogram holds detector counts, fewer behind tissue; it is written
as PNG with 16 bits by their negative logarithm (see `dmdbt.importers.gray.gray_of_counts`). The slices are linked as
they are. No header has a View Position: the simulated compression is that of a CC view, which is written. The side is
that of Image Laterality, though the chest wall is on the left of the images where a right breast has it on the right:
the check of the cohort will say so, and nothing is turned.
"""

import re
import warnings
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pydicom
from pydicom.errors import InvalidDicomError
from tqdm import tqdm

from dmdbt.cohort import Case, Statement
from dmdbt.errors import InputDataError
from dmdbt.imaging import write_gray
from dmdbt.importers.cohort_folder import Findings, Pair, Transfer
from dmdbt.importers.gray import gray_of_counts
from dmdbt.readers import container
from dmdbt.terms import Label, Laterality, View

ABOUT = """Imported from the VICTRE trial (FDA, The Cancer Imaging Archive), simulated images.

Label rule: signal present (SP) -> malignant, signal absent (SA) -> benign. The trial knows no biopsy: a simulated
lesion is no cancer and its absence no benign finding. Results tell how well lesions are detected, and nothing about
malignancy.
View: CC, which the trial simulates and no header states. Side: Image Laterality of the header."""

STATEMENT = Statement(
    simulated=True,
    source="VICTRE",
    label_rule="A simulated lesion is present (malignant) or absent (benign); there is no biopsy.",
)

_PROJECTION = "Simulated DBT Projection"
_FOR_PROCESSING, _CT = "1.2.840.10008.5.1.4.1.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2"
_TAGS = [
    "SOPClassUID",
    "PatientID",
    "PatientState",
    "StudyDescription",
    "ImageComments",
    "ImageLaterality",
    "InstanceNumber",
    "ImagesInAcquisition",
    "SeriesInstanceUID",
]
_LABELS = {"SA": Label.BENIGN, "SP": Label.MALIGNANT, "SIGNAL ABSENT": Label.BENIGN, "SIGNAL PRESENT": Label.MALIGNANT}
_PATIENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,40}")
_REMEDY = "Download the file again."


class _File(NamedTuple):
    path: Path
    name: str  # relative to the source
    label: Label | None
    mammogram: bool
    number: int
    expected: int | None  # images of the volume, as the header says
    series: str
    laterality: Laterality


def find_pairs(source: Path, *, unpaired: bool = False) -> Findings:
    """Find the pairs in a download; with `unpaired` also what has only one of the two images."""
    findings = Findings()
    patients: dict[str, list[_File]] = defaultdict(list)
    paths = sorted(path for path in source.rglob("*") if path.is_file() and not path.name.startswith("."))
    for path in tqdm(paths, desc="headers", unit="file", disable=len(paths) < 1000):
        name = path.relative_to(source).as_posix()
        if container(path) != "dicom":
            findings.left_out["file that is no DICOM file"] += 1
        elif (described := _describe(path, name, findings)) is not None:
            patients[described[0]].append(described[1])
    for patient, files in sorted(patients.items()):
        labels = sorted({file.label for file in files if file.label is not None})
        if any(file.label is None for file in files) and len(labels) != 1:
            findings.problems.append(f"{patient}: expected Image Comments SA or SP, or a Patient State, found none")
            continue
        for label in labels:
            of_label = [file for file in files if file.label in (label, None)]
            _add_pair(findings, patient, label, of_label, unpaired=unpaired)
    return findings


def _describe(path: Path, name: str, findings: Findings) -> tuple[str, _File] | None:
    """Read the header of a file: its patient and the rest; None where it is left out or a problem."""
    try:
        with warnings.catch_warnings(record=True):  # they may quote values
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_TAGS)
            kind = header.get("SOPClassUID")
            if kind not in (_FOR_PROCESSING, _CT) or header.get("StudyDescription") == _PROJECTION:
                findings.left_out["projection" if kind == _FOR_PROCESSING else "DICOM file of another kind"] += 1
                return None
            state = str(header.get("ImageComments", "")).strip().upper()
            label = _LABELS.get(state) or _LABELS.get(str(header.get("PatientState", "")).strip().upper())
            patient = str(header.get("PatientID", ""))
            number = int(header.get("InstanceNumber") or 0)
            expected = int(header.get("ImagesInAcquisition") or 0) or None
            laterality = Laterality(header.get("ImageLaterality", "R"))
    except (InvalidDicomError, OSError, ValueError, TypeError, EOFError, AttributeError, KeyError) as exc:
        findings.problems.append(f"{name}: expected a readable header, found {type(exc).__name__}")
        return None
    if not _PATIENT_ID.fullmatch(patient):
        findings.problems.append(f"{name}: expected a Patient ID of letters and digits, found another")
        return None
    series = str(header.get("SeriesInstanceUID", ""))
    return patient, _File(path, name, label, kind == _FOR_PROCESSING, number, expected, series, laterality)


def _add_pair(findings: Findings, patient: str, label: Label, files: list[_File], *, unpaired: bool) -> None:
    mammograms = [file for file in files if file.mammogram]
    slices = sorted((file for file in files if not file.mammogram), key=lambda file: file.number)
    signal = "sp" if label is Label.MALIGNANT else "sa"
    case_id = f"victre-{patient}-{signal}"
    problems = list(_problems(mammograms, slices))
    if problems:
        findings.problems += [f"{case_id}: {problem}" for problem in problems]
        return
    if not (mammograms and slices) and not unpaired:
        findings.left_out["mammogram without its volume" if mammograms else "volume without its mammogram"] += 1
        return
    dm, dbt = f"{case_id}/dm.png" if mammograms else "", f"{case_id}/dbt" if slices else ""
    transfers = [Transfer(file.path, dm, partial(_write_mammogram, file=file.name)) for file in mammograms]
    transfers += [Transfer(file.path, f"{dbt}/{file.number:04d}.dcm") for file in slices]
    case = Case(case_id, f"victre-{patient}", files[0].laterality, View.CC, label, dm=dm, dbt=dbt)
    columns = {"signal": signal.upper(), "label_rule": "signal present or absent, no malignancy"}
    findings.pairs.append(Pair(case, tuple(transfers), columns))


def _problems(mammograms: list[_File], slices: list[_File]) -> Iterator[str]:
    """Yield what contradicts one mammogram and one whole volume."""
    if len(mammograms) > 1:
        yield f"expected one mammogram, found {len(mammograms)}"
    if len({file.laterality for file in [*mammograms, *slices]}) > 1:
        yield "expected images of one side, found both"
    if not slices:
        return
    if (series := len({file.series for file in slices})) > 1:
        yield f"expected one volume, found slices of {series} series"
        return
    numbers = [file.number for file in slices]
    expected = slices[0].expected or len(slices)
    if numbers != list(range(1, expected + 1)):
        lost = sorted(set(range(1, expected + 1)) - set(numbers))
        which = f"no number {', '.join(map(str, lost[:3]))}" if lost else "other numbers"
        yield f"expected slices numbered 1 to {expected}, found {len(numbers)} and {which}"


def _write_mammogram(source: Path, target: Path, *, file: str) -> None:
    try:
        with warnings.catch_warnings(record=True):
            counts = pydicom.dcmread(source).pixel_array
        if counts.ndim != 2 or not np.issubdtype(counts.dtype, np.unsignedinteger):
            raise ValueError(f"expected one image of unsigned counts, found {counts.dtype} of shape {counts.shape}")
        gray = gray_of_counts(counts)
    except Exception as exc:  # decoders raise whatever they like
        cause = f"expected a decodable mammogram, found {type(exc).__name__}: {str(exc)[:100]}"
        raise InputDataError("VICTRE-DM", file=file, cause=cause, remedy=_REMEDY) from exc
    write_gray(target, gray)
