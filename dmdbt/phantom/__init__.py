"""A cohort of simulated patients, imaged by physics and written as the files that a clinic exports."""

from dmdbt.phantom.dicom_and_avi import Row, write_patient
from dmdbt.phantom.imaging import image_pair
from dmdbt.phantom.patients import FindingType, Patient, PhantomSettings, patients

__all__ = ["FindingType", "Patient", "PhantomSettings", "Row", "image_pair", "patients", "write_patient"]
