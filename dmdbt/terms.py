"""The words of the field that every module shares. Values are DICOM's where DICOM has them."""

from enum import StrEnum


class Laterality(StrEnum):
    """Image Laterality (0020,0062)."""

    LEFT = "L"
    RIGHT = "R"


class View(StrEnum):
    """View Position (0018,5101) of the two screening views."""

    CC = "CC"
    MLO = "MLO"


class Label(StrEnum):
    """Result of the biopsy. ``malignant`` is the positive class, index 1 everywhere."""

    BENIGN = "benign"
    MALIGNANT = "malignant"

    @property
    def target(self) -> int:
        """Class index: 0 benign, 1 malignant."""
        return int(self is Label.MALIGNANT)


class Modality(StrEnum):
    """One image of a pair. The order here is the order of every modality axis."""

    DM = "dm"
    DBT = "dbt"


class MissingModality(StrEnum):
    """Whether a pair may lack one of its two images."""

    FORBID = "forbid"
    ALLOW = "allow"


def kind_of_cohort(simulated: bool | None) -> str:
    """Say what a heading has to say of a cohort: nothing, if it is stated to be real."""
    return {True: "simulated cohort", False: "", None: "cohort not stated to be real or simulated"}[simulated]


class Head(StrEnum):
    """The three classifiers of the paper, in the order of its tables."""

    DM = "dm"
    DBT = "dbt"
    DM_DBT = "dm_dbt"

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """What the head looks at, in the order of the modality axis."""
        return {
            Head.DM: (Modality.DM,),
            Head.DBT: (Modality.DBT,),
            Head.DM_DBT: (Modality.DM, Modality.DBT),
        }[self]
