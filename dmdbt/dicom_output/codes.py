"""Codes of the report: DICOM's, SNOMED CT's and UCUM's where there is one, else those of the private scheme 99DMDBT."""

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import CodedConcept
from pydicom.sr.codedict import codes

from dmdbt.terms import Label, Laterality

SCHEME = "99DMDBT"
# TID 4005 has it in percent too, of composite features, be they marked or not.
PROBABILITY = CodedConcept("111047", "DCM", "Probability of cancer")
PERCENT = codes.UCUM.Percent
CLASSES = {Label.BENIGN: codes.SCT.Benign, Label.MALIGNANT: codes.SCT.Malignant}
SIDES = {Laterality.LEFT: codes.SCT.Left, Laterality.RIGHT: codes.SCT.Right}

# Code values of at most 16 characters, meanings of at most 64; docs/dicom-output.md has the same list.
PRIVATE = {
    "notice": "Notice",
    "training": "Training cohort",
    "meaning": "Meaning of the probability",
    "dm": "Classifier of the mammogram",
    "dbt": "Classifier of the tomosynthesis volume",
    "dm_dbt": "Classifier of both images",
    "ensemble": "Vote of the three classifiers",
    "calibrated": "Recalibrated on the tests of the training cohort",
    "vote-fraction": "Weighted share of the classifiers that vote malignant",
    "decision": "Class by a rule, not a diagnosis",
    "rule": "Rule of the decision",
    "half": "One half",
    "majority": "Majority of the votes",
    "youden": "Largest Youden index in training",
    "sensitivity_90": "Sensitivity of 90 % in training",
    "threshold": "From this probability upwards malignant",
    "slice-evidence": "Share of a slice in the evidence",
    "slice": "Slice in reading order",
    "no-evidence": "Classifier without evidence of a slice",
    "folds": "Folds whose classifiers were used",
    "warning": "Warning",
    "flag": "Flag of a reader",
    "not-referenced": "Image without a reference",
    "sheet": "Sheet of the case",
}


def private(code: str) -> CodedConcept:
    """Return a code of this project; one that is not listed means its own name."""
    return CodedConcept(code, SCHEME, PRIVATE.get(code, code))


def scheme() -> CodingSchemeIdentificationItem:
    """Say in the object what the private scheme is (PS3.3 C.12.1.1)."""
    return CodingSchemeIdentificationItem(
        SCHEME, name="Private codes of dmdbt, see its docs/dicom-output.md", responsible_organization="dmdbt"
    )
