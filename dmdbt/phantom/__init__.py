"""A cohort of simulated patients, imaged by physics and written as the files that a clinic exports."""

from dmdbt.phantom.dicom_and_avi import Row, WrittenPatient, write_patient
from dmdbt.phantom.imaging import ImagePair, image_pair
from dmdbt.phantom.patients import FindingType, Patient, PhantomSettings, patients

__all__ = [
    "FindingType",
    "ImagePair",
    "Patient",
    "PhantomSettings",
    "Row",
    "WrittenPatient",
    "image_pair",
    "patients",
    "write_patient",
]
