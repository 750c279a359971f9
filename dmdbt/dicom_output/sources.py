"""The DICOM files that a prediction was made from, as an archive knows them.

The only module of this project that reads who the patient is. An archive files objects by patient and study, and finds
images by their UIDs; so these go into the DICOM objects of `dmdbt.dicom_output`, and into nothing else: no message of
an error quotes a value.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import config, dcmread
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.valuerep import validate_value

from dmdbt.errors import InputDataError
from dmdbt.readers.containers import container, visible_entries
from dmdbt.readers.dicom.file import DicomFile
from dmdbt.readers.dicom.header import Tags
from dmdbt.readers.dicom.pixel_data import stated_frames
from dmdbt.readers.dicom.slice_order import Order, order_slices, slice_normal, stack_order, turned
from dmdbt.readers.limits import Limits
from dmdbt.terms import Modality

_UIDS = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
# Patient, and General Study (PS3.3 C.7.1.1 and C.7.2.1): what is of type 2, may be empty, and must be there.
_PATIENT = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
_TYPE_2 = (*_PATIENT, "StudyDate", "StudyTime", "ReferringPhysicianName", "StudyID", "AccessionNumber")
_IF_STATED = ("IssuerOfPatientID", "PatientIdentityRemoved", "DeidentificationMethod")
# Two files of one study agree in these; an anonymized file may lack all but the first.
_SHARED = ("StudyInstanceUID", "PatientID", "IssuerOfPatientID", "PatientBirthDate")
_SEXES = ("M", "F", "O")  # PS3.3 C.7.1.1
_REMEDY = "Predict these files without --dicom, or export them again from the archive with their identifiers."


@dataclass(frozen=True)
class Instance:
    """One DICOM file: what a reference to it consists of."""

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str


@dataclass(frozen=True)
class Sources:
    """The DICOM files of a case.

    Attributes
    ----------
    study_instance_uid
        The study of all of them.
    header
        Patient and study: what is of type 2 is there, empty where no file has a legal value.
    instances
        By modality, a volume of single slices in reading order; nothing for an image that is no DICOM file.
    frames
        Of a multi-frame volume the Referenced Frame Number, from 1, of each slice in reading order; else empty.
    is_lossy
        Whether a file states that its pixels underwent lossy compression.
    """

    study_instance_uid: str
    header: Dataset
    instances: dict[Modality, list[Instance]]
    frames: list[int]
    is_lossy: bool

    def all_instances(self) -> list[Instance]:
        """Return the instances of every modality."""
        return [instance for instances in self.instances.values() for instance in instances]


def read_sources(paths: Sequence[Path], limits: Limits) -> Sources:
    """Read the headers of a mammogram and a volume that the readers of this project have accepted.

    Parameters
    ----------
    paths
        Files, and folders of single slices. What is no DICOM is left out.
    limits
        As the volume was read: its `slice_order` decides which frame is the first slice.

    Raises
    ------
    InputDataError
        None of them is DICOM, one lacks the UIDs that a reference consists of, or they belong to two studies or
        patients.
    """
    found = [files for path in paths if (files := _dicom_files(path))]
    if not found:
        cause = "expected a DICOM file, whose patient and study the results are filed under, found none"
        remedy = "Predict without --dicom, or from the DICOM files themselves."
        raise InputDataError("DICOM-NO-SOURCE", cause=cause, remedy=remedy)
    headers: list[Dataset] = []
    instances: dict[Modality, list[Instance]] = {}
    frames: list[int] = []
    for files in found:
        modality, order = _examine(files, limits)
        own = [_header(file) for file in files]
        headers += own
        is_one_file = len(files) == 1
        instances[modality] = [_instance(own[index]) for index in ([0] if is_one_file else order)]
        frames = [index + 1 for index in order] if is_one_file and modality is Modality.DBT else frames
    _check_shared(headers)
    return Sources(
        study_instance_uid=headers[0].StudyInstanceUID,
        header=_merged(headers),
        instances={modality: instances[modality] for modality in Modality if modality in instances},
        frames=frames,
        is_lossy=any(header.LossyImageCompression == "01" for header in headers),
    )


def _dicom_files(path: Path) -> list[Path]:
    files = visible_entries(path) if path.is_dir() else [path]
    return [file for file in files if container(file) == "dicom"]


def _examine(files: Sequence[Path], limits: Limits) -> tuple[Modality, list[int]]:
    """Tell a mammogram from a volume, and order the frames or the files of a volume as its reader does."""
    tags = []
    for file in files:
        with DicomFile(file, limits) as dicom:
            tags.append(dicom.tags)
    if len(files) > 1:
        order: Order | None = _order_of_files(tags)
    elif (count := stated_frames(tags[0])) > 1:
        shared = tags[0].items("SharedFunctionalGroupsSequence")[:1]
        order = stack_order(tags[0].items("PerFrameFunctionalGroupsSequence"), shared, count, files[0].name)
    else:
        return Modality.DM, [0]
    # A reader refuses a volume without an order, so that this one is never None.
    return Modality.DBT, [] if order is None else turned(order, limits.slice_order).indices


def _order_of_files(tags: Sequence[Tags]) -> Order | None:
    numbers = [entry.integer("InstanceNumber") if "InstanceNumber" in entry else None for entry in tags]
    corners = [entry.numbers("ImagePositionPatient") for entry in tags]
    normals = (slice_normal([entry]) for entry in tags)
    return order_slices(
        numbers,
        np.array(corners) if all(len(corner) == 3 for corner in corners) else None,
        next((normal for normal in normals if normal is not None), None),
        source="instance number",
    )


def _header(file: Path) -> Dataset:
    """Read the identifying elements; one that is not legal (PS3.5, 6.2) is empty, or refused where it is needed."""
    keywords = [*_UIDS, *_TYPE_2, *_IF_STATED, "LossyImageCompression"]
    header = Dataset()
    with warnings.catch_warnings(), config.disable_value_validation():
        warnings.simplefilter("ignore")  # a warning would quote the value
        dataset = dcmread(file, stop_before_pixels=True, specific_tags=["SpecificCharacterSet", *keywords])
        for keyword in keywords:
            setattr(header, keyword, _legal(keyword, dataset.get(keyword)))
        stated = str(dataset.get("PatientID") or "").strip()
    missing = [keyword for keyword in _UIDS if not header[keyword].value]
    if stated and not header.PatientID:
        missing.append("PatientID")  # results filed under none, or under a part of it, would be another patient's
    if missing:
        cause = f"expected legal values of what the results are filed under, found none of {', '.join(missing)}"
        raise InputDataError("DICOM-REFERENCE", file=file.name, cause=cause, remedy=_REMEDY)
    return header


def _legal(keyword: str, value: object) -> str:
    text = "" if value is None or isinstance(value, MultiValue) else str(value).strip()
    vr = dictionary_VR(keyword)
    if not text.isprintable() or (vr in ("DA", "TM") and "-" in text):  # a range, which only queries have
        return ""
    if keyword == "PatientSex" and text not in _SEXES:
        return ""
    try:
        validate_value(vr, text, config.RAISE)
    except ValueError:
        return ""
    return text


def _instance(header: Dataset) -> Instance:
    return Instance(header.SOPClassUID, header.SOPInstanceUID, header.SeriesInstanceUID)


def _check_shared(headers: Sequence[Dataset]) -> None:
    stated = {keyword: {str(header[keyword].value) for header in headers} - {""} for keyword in _SHARED}
    if differing := [keyword for keyword, values in stated.items() if len(values) > 1]:
        cause = f"expected files of one patient and one study, found another {' and another '.join(differing)}"
        remedy = "Name the mammogram and the volume of one study; two studies have no place where results belong."
        raise InputDataError("DICOM-OTHER-STUDY", cause=cause, remedy=remedy)


def _merged(headers: Sequence[Dataset]) -> Dataset:
    """Take each element from the first file that has it."""
    merged = Dataset()
    for keyword in (*_TYPE_2, *_IF_STATED):
        value = next((header[keyword].value for header in headers if header[keyword].value), "")
        if value or keyword in _TYPE_2:
            setattr(merged, keyword, value)
    if merged.get("PatientIdentityRemoved") == "YES" and "DeidentificationMethod" not in merged:
        del merged.PatientIdentityRemoved  # C.7.1.1: not without the method
    return merged
