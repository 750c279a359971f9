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
        """Modalities that the head looks at, in the order of the modality axis."""
        return {
            Head.DM: (Modality.DM,),
            Head.DBT: (Modality.DBT,),
            Head.DM_DBT: (Modality.DM, Modality.DBT),
        }[self]


# What each flag of a file or a case means, without the modality that stands before it.
FLAGS = {
    "blank-border": "the first or the last slices show nothing; they still count in the pooling",
    "blank-border-slices": "the first or the last slices show nothing; they still count in the pooling",
    "burned-in-annotation-unknown": "the header does not say that no text stands in the pixels: look for names",
    "chest-wall-on-different-sides": "the breast lies at different sides in the two images: one may be flipped",
    "codestream-bits": "compressed frames have another number of bits than the header; the values are unambiguous",
    "constant": "all slices are equal: there is no order to pool",
    "delimiter-missing": "the end of the pixel data is not marked; all frames are there",
    "digitized-film": "a digitized film in a Secondary Capture object",
    "empty-frames": "the video has empty frames, treated as reading.empty_frames says",
    "few-grays": "almost every pixel is black or white: the window may not fit the pixels",
    "few-slices": "fewer than 8 slices: this may be part of a volume",
    "laterality-of-header": "the header names the other side than the table or the other image",
    "laterality-of-pixels": "the chest wall lies where the other side has it",
    "low-range": "less than half of black to white is used, as of 12 bits in 16",
    "lut-bits": "a lookup table states more bits than its entries take, which decide what is white",
    "many-slices": "more than 200 slices",
    "meta-length": "the length of the file meta information is wrong; it is not needed",
    "mixed-slice-direction": "volumes begin at different ends: set reading.slice_order",
    "mixed-slice-order": "different things order the slices, such as numbers and names: compare a few cases by eye",
    "near-duplicate": "the texture is nearly that of another patient's image: this may be one patient under two names",
    "no-voi": "no window is stated: the darkest and brightest pixel become black and white",
    "number-of-frames": "the header states 0 frames; there is one",
    "odd-slice": "a slice does not continue its neighbors: it may be damaged, or of another volume",
    "offset-table": "the table of frames is wrong; each frame is one fragment",
    "orientation-tag": "a viewer would turn the image, which is not done here",
    "other-sop-class": "a mammogram stored as CR or DX; it may not be meant for presentation",
    "overlay-bits": "an overlay in the unused bits of the pixels was left out",
    "patient-ids-alike": "another patient's id differs in case, zeros or the like: this may be one patient",
    "pixel-data-length": "the pixel data have excess bytes or lack the last one, which is padding",
    "presentation-shape-contradicts": "two elements disagree on which end is white; Photometric Interpretation decides",
    "range-contradicts": "the pixels exceed the range of gray levels that the video states",
    "same-pixels": "the same pixels as in another case of this patient",
    "saturated": "over 5 % of the pixels are white",
    "several-windows": "several windows or tables are stated; the first is used",
    "sign-extension": "negative values do not fill the unused bits; they are unambiguous",
    "slice-end-unknown": "positions do not tell where the paddle is, so that reading.slice_order changes nothing",
    "slice-numbers-gap": "slice numbers leave out some; the distances are even",
    "slice-order-contradicts": "slice numbers contradict the positions, which decide",
    "slice-order-unstated": "nothing states an order; frames are taken as stored",
    "slice-positions-equal": "some slices have the same position; the numbers decide",
    "slice-spacing-uneven": "distances between slices differ: one may be missing",
    "starts-late": "the first slice has neither number 0 nor 1: some may be missing",
    "synthesized-2d": "an image computed from a volume, not a mammogram of its own",
    "view-of-header": "the header names another view than the table or the other image",
    "voi-varies": "slices are shown with different windows",
}
