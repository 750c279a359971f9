"""The two objects: a Comprehensive 3D SR with the numbers, a Secondary Capture Image with the sheet."""

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from highdicom.sc import SCImage
from highdicom.sr import CodedConcept, Comprehensive3DSR
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from dmdbt import __version__
from dmdbt.dicom_output.codes import scheme
from dmdbt.dicom_output.report import report_content
from dmdbt.dicom_output.sources import Instance, Sources
from dmdbt.dicom_output.words import cohort_sentence, uid
from dmdbt.prediction.result import NOTICE
from dmdbt.terms import Laterality
from dmdbt.viewer.view import CaseView

# Numbers that no modality gives, so that both stand behind the images of the study.
_SERIES = {"report": 9701, "sheet": 9702}
_UNKNOWN = ("19000101", "000000")


def report_object(view: CaseView, sources: Sources, sheet: Dataset, created: datetime | None) -> Dataset:
    """Return the report: partial, preliminary and unverified, as no person has seen it."""
    content = report_content(view, sources, sheet)
    evidence = [_evidence(sources, instance) for instance in sources.all_instances()]
    own = Instance(sheet.SOPClassUID, sheet.SOPInstanceUID, sheet.SeriesInstanceUID)
    dataset = Comprehensive3DSR(
        evidence=[*evidence, _evidence(sources, own)],
        content=content,
        is_complete=False,
        is_final=False,
        is_verified=False,
        coding_schemes=[scheme()],
        **_common("report", [content.to_json()], sources, created),
    )
    return _filed(dataset, sources)


def sheet_object(path: Path, view: CaseView, sources: Sources, created: datetime | None) -> Dataset:
    """Return the sheet as RGB without compression, which every archive can show."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    side = view.prediction.laterality
    description = (
        f"Sheet of dmdbt {__version__}: images, heat maps and numbers. {NOTICE} {cohort_sentence(view.simulated)}"
    )
    dataset = SCImage(
        pixels,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "F"),  # highdicom needs one, though pictures side by side have none
        laterality=side if side in list(Laterality) else None,
        study_instance_uid=sources.study_instance_uid,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **_common("sheet", [hashlib.sha256(pixels.tobytes()).hexdigest(), pixels.shape, description], sources, created),
    )
    dataset.PatientOrientation = []
    dataset.ConversionType = "WSD"
    dataset.BurnedInAnnotation = "YES"
    dataset.DerivationDescription = description
    dataset.SourceImageSequence = [_reference(instance) for instance in sources.all_instances()]
    if sources.is_lossy:
        dataset.LossyImageCompression = "01"
    del dataset.DateOfSecondaryCapture, dataset.TimeOfSecondaryCapture
    return _filed(dataset, sources)


def _common(name: str, content: list[Any], sources: Sources, created: datetime | None) -> dict[str, Any]:
    """Return the arguments that both objects have; their UIDs depend on all that the object says."""
    date, time = _moment(sources, created)
    instances = [instance.sop_instance_uid for instance in sources.all_instances()]
    instance_uid = uid(name, __version__, content, instances, sources.header.to_json(), date, time)
    return {
        "series_instance_uid": uid("series", instance_uid),
        "series_number": _SERIES[name],
        "sop_instance_uid": instance_uid,
        "instance_number": 1,
        "series_description": f"dmdbt {name}. {NOTICE}",
        "manufacturer": "dmdbt",
        "manufacturer_model_name": "dmdbt",
        "software_versions": __version__,
        "specific_character_set": "ISO_IR 192",
        "content_date": date,
        "content_time": time,
    }


def _moment(sources: Sources, created: datetime | None) -> tuple[str, str]:
    if created is not None:
        return created.strftime("%Y%m%d"), created.strftime("%H%M%S")
    return (sources.header.StudyDate or _UNKNOWN[0], sources.header.StudyTime or _UNKNOWN[1])


def _filed(dataset: Dataset, sources: Sources) -> Dataset:
    """File an object under patient and study, and take out what highdicom took from the clock."""
    for element in sources.header:  # not through highdicom, which quotes a name of one part in a warning
        dataset[element.tag] = element
    del dataset.InstanceCreationDate, dataset.InstanceCreationTime
    for library in dataset.ContributingEquipmentSequence:
        del library.ContributionDateTime
    return dataset


def _evidence(sources: Sources, instance: Instance) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = instance.sop_class_uid, instance.sop_instance_uid
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = sources.study_instance_uid, instance.series_instance_uid
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID"):
        setattr(dataset, keyword, "")
    dataset.StudyDate = dataset.StudyTime = ""
    return dataset


def _reference(instance: Instance) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID = instance.sop_class_uid
    reference.ReferencedSOPInstanceUID = instance.sop_instance_uid
    reference.SpatialLocationsPreserved = "NO"
    purpose = CodedConcept("121322", "DCM", "Source image for image processing operation")
    reference.PurposeOfReferenceCodeSequence = [purpose]
    return reference
