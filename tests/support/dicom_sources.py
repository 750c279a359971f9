"""Mammograms and volumes with patient and study, as an archive has them; synthetic pixels."""

from tests.support.dicom_corpus import J2K, noise, write, write_slices, write_tomosynthesis

STUDY = "2.25.101"
PATIENT = {
    "StudyInstanceUID": STUDY,
    "PatientName": "Doe^Jane",
    "PatientID": "ID-7",
    "PatientBirthDate": "19610203",
    "PatientSex": "F",
    "StudyDate": "20240506",
    "StudyTime": "070809",
    "StudyID": "S1",
    "AccessionNumber": "A1",
    "ReferringPhysicianName": "Roe^Richard",
}


def write_mammogram(path, **changes):
    """Write a mammogram, by default of `PATIENT`; None removes an element."""
    defaults = {"SeriesInstanceUID": "2.25.201", "SOPInstanceUID": "2.25.301"}
    return write(path, noise(12), **(PATIENT | defaults | changes))


def write_multi_frame(path, n_slices, *, groups=None, **changes):
    """Write a Breast Tomosynthesis Image of `n_slices` different frames, and return their values."""
    frames = noise(8, (n_slices, 24, 20))
    defaults = {"SeriesInstanceUID": "2.25.202", "SOPInstanceUID": "2.25.302", "window": (128, 256)}
    write_tomosynthesis(path, frames, bits=8, syntax=J2K, groups=groups, **(PATIENT | defaults | changes))
    return frames


def write_folder(folder, n_slices, numbers, **changes):
    """Write single slices in one series, with the Instance Numbers given; return their files."""
    defaults = {"SeriesInstanceUID": "2.25.203"}
    return write_slices(folder, noise(12, (n_slices, 24, 20)), numbers=numbers, **(PATIENT | defaults | changes))
