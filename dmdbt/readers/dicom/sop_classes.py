"""Which DICOM objects are a mammogram or a tomosynthesis volume; every look-alike is refused with a sentence."""

import re

from pydicom import config
from pydicom.uid import UID

from dmdbt.errors import InputDataError
from dmdbt.readers.dicom.header import Tags
from dmdbt.readers.dicom.pixel_data import stated_frames

MAMMOGRAM = "1.2.840.10008.5.1.4.1.1.1.2"
MAMMOGRAM_FOR_PROCESSING = "1.2.840.10008.5.1.4.1.1.1.2.1"
TOMOSYNTHESIS = "1.2.840.10008.5.1.4.1.1.13.1.3"
PROJECTIONS = ("1.2.840.10008.5.1.4.1.1.13.1.4", "1.2.840.10008.5.1.4.1.1.13.1.5")
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"  # and its multi-frame kinds, .7.1 to .7.4
CT = "1.2.840.10008.5.1.4.1.1.2"
# Computed Radiography and Digital X-Ray - For Presentation: some systems store mammograms so.
OTHER_MAMMOGRAMS = ("1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.1.1")
_PROCESSING = (MAMMOGRAM_FOR_PROCESSING, "1.2.840.10008.5.1.4.1.1.1.1.1")
_SCREEN_BITS = 8  # of a thumbnail or a copy of a screen; a digitized film has more
_VIEW_CODES = {"R-10242": "CC", "399162004": "CC", "R-10226": "MLO", "399368009": "MLO"}  # PS3.16, CID 4014
_DIRECTION = re.compile("[APLRHF]{1,3}")  # PS3.3, C.7.6.1.1.1
_AS_PRESENTATION = "Export the mammogram again as DICOM, For Presentation, or convert what is shown to 16-bit gray PNG."
_AS_PICTURE = "Name the file of the image itself; if it is a digitized film, convert it to 16-bit gray PNG."
_AS_VOLUME = "Export the reconstructed slices as Breast Tomosynthesis Image Storage."


def check_mammogram(tags: Tags, file: str) -> set[str]:
    """Refuse what is no mammogram for presentation.

    Returns
    -------
    set of str
        Flags: ``digitized-film`` (a Secondary Capture of more than 8 bits and Modality MG: no archive has another),
        ``other-sop-class`` (CR or DX that states a mammographic view), ``synthesized-2d`` (computed from a volume, be
        it stored as one of a single frame), and those of `_check_any`.
    """
    sop_class = tags.text("SOPClassUID", "none")
    if sop_class in _PROCESSING or tags.text("PresentationIntentType") == "FOR PROCESSING":
        cause = "expected an image For Presentation, found raw detector data (For Processing)"
        raise InputDataError("DM-FOR-PROCESSING", file=file, cause=cause, remedy=_AS_PRESENTATION)
    frames, is_synthesized = stated_frames(tags), _is_synthesized(tags)
    if sop_class == TOMOSYNTHESIS and not (is_synthesized and frames == 1):
        cause = "expected a mammogram, found a tomosynthesis volume"
        raise InputDataError("DM-VOLUME", file=file, cause=cause, remedy="Name the file in the column dbt.")
    is_film = sop_class.startswith(SECONDARY_CAPTURE) and tags.text("Modality") == "MG"
    is_film &= tags.integer("BitsStored", 0) > _SCREEN_BITS
    flags = _check_any(tags, "" if is_film else sop_class, file)
    is_other = sop_class in OTHER_MAMMOGRAMS and bool(stated_view(tags)["stated_view"])
    if not (sop_class in (MAMMOGRAM, TOMOSYNTHESIS) or is_film or is_other):
        cause = f"expected {_named(MAMMOGRAM)}, or CR or DX of the view CC or MLO, found {_named(sop_class)}"
        raise InputDataError("DM-SOP-CLASS", file=file, cause=cause, remedy=_AS_PRESENTATION)
    if frames != 1:
        cause = f"expected one image, found {frames} frames"
        raise InputDataError("DM-FRAMES", file=file, cause=cause, remedy="Export one view per file.")
    unusual = {"digitized-film": is_film, "other-sop-class": is_other, "synthesized-2d": is_synthesized}
    return flags | {flag for flag, holds in unusual.items() if holds}


def check_tomosynthesis_object(tags: Tags, file: str) -> set[str]:
    """Refuse a file that is no whole tomosynthesis volume; return flags of `_check_any`."""
    sop_class = tags.text("SOPClassUID", "none")
    if sop_class == CT and tags.text("Modality") == "MG":
        cause = "expected a volume in one file, found a single slice"
        raise InputDataError("DBT-SLICE", file=file, cause=cause, remedy="Name the folder that holds all slices.")
    flags = _check_reconstruction(tags, sop_class, file)
    frames = stated_frames(tags)
    if frames < 2:
        cause = f"expected at least 2 slices, found {frames}"
        raise InputDataError("DBT-FEW-SLICES", file=file, cause=cause, remedy="Name the folder that holds all slices.")
    parts = tags.integer("InConcatenationTotalNumber", 1)
    if parts != 1:
        cause = f"expected a whole volume, found one of {parts} parts of a concatenation"
        raise InputDataError("DBT-PART", file=file, cause=cause, remedy="Export the volume as one instance.")
    return flags


def check_slice(tags: Tags, file: str) -> set[str]:
    """Refuse a file that is no single reconstructed slice; return flags of `_check_any`."""
    sop_class = tags.text("SOPClassUID", "none")
    if sop_class == CT:
        if tags.text("Modality") != "MG":
            cause = f"expected slices of Modality MG, found {tags.text('Modality') or 'none'}"
            raise InputDataError("DBT-SOP-CLASS", file=file, cause=cause, remedy=_AS_VOLUME)
        flags = _check_any(tags, sop_class, file)
    else:
        flags = _check_reconstruction(tags, sop_class, file)
    frames = stated_frames(tags)
    if frames != 1:
        cause = f"expected one slice per file of a folder, found {frames} frames"
        raise InputDataError("DBT-FRAMES", file=file, cause=cause, remedy="Name the multi-frame file itself.")
    return flags


def stated_view(tags: Tags) -> dict[str, str | int]:
    """Return side and view of the header: ``stated_laterality`` L, R or empty, ``stated_view`` CC, MLO or empty."""
    anatomy = [item for group in _groups_of_first_frame(tags) for item in group.items("FrameAnatomySequence")]
    sides = [tags.text("ImageLaterality"), tags.text("Laterality"), *(item.text("FrameLaterality") for item in anatomy)]
    codes = [_VIEW_CODES.get(item.text("CodeValue"), "") for item in tags.items("ViewCodeSequence")]
    views = [tags.text("ViewPosition"), *codes]
    return {
        "stated_laterality": next((side for side in sides if side in ("L", "R")), ""),
        "stated_view": next((view for view in views if view in ("CC", "MLO")), ""),
    }


def stated_orientation(tags: Tags) -> str:
    r"""Return Patient Orientation, such as ``A\R``: to where rows run, and to where columns do; empty if not stated."""
    frames = [
        item for group in _groups_of_first_frame(tags) for item in group.items("PatientOrientationInFrameSequence")
    ]
    found = [item.texts("PatientOrientation") for item in (tags, *frames)]
    return next(("\\".join(two) for two in found if len(two) == 2 and all(map(_DIRECTION.fullmatch, two))), "")


def _groups_of_first_frame(tags: Tags) -> list[Tags]:
    return tags.items("SharedFunctionalGroupsSequence")[:1] + tags.items("PerFrameFunctionalGroupsSequence")[:1]


def stated_device(tags: Tags) -> str:
    """Return manufacturer and model in capitals, empty where the header has none: they name a machine, no person."""
    words = " ".join([tags.text("Manufacturer"), tags.text("ManufacturerModelName")])
    return " ".join("".join(letter if letter.isalnum() or letter in ".-" else " " for letter in words).split())[:64]


def _check_reconstruction(tags: Tags, sop_class: str, file: str) -> set[str]:
    if sop_class in PROJECTIONS:
        cause = "expected reconstructed slices, found the projections that they are made of"
        raise InputDataError("DBT-PROJECTIONS", file=file, cause=cause, remedy=_AS_VOLUME)
    if sop_class in (MAMMOGRAM, MAMMOGRAM_FOR_PROCESSING, TOMOSYNTHESIS) and _is_synthesized(tags):
        cause = "expected reconstructed slices, found a 2D image synthesized from them"
        remedy = "Name the file in the column dm, and the volume that it was made from in the column dbt."
        raise InputDataError("DBT-SYNTHESIZED", file=file, cause=cause, remedy=remedy)
    if sop_class in (MAMMOGRAM, MAMMOGRAM_FOR_PROCESSING):
        cause = "expected a tomosynthesis volume, found a mammogram"
        raise InputDataError("DBT-MAMMOGRAM", file=file, cause=cause, remedy="Name the file in the column dm.")
    flags = _check_any(tags, sop_class, file)
    if sop_class != TOMOSYNTHESIS:
        cause = f"expected {_named(TOMOSYNTHESIS)}, found {_named(sop_class)}"
        raise InputDataError("DBT-SOP-CLASS", file=file, cause=cause, remedy=_AS_VOLUME)
    return flags


def _check_any(tags: Tags, sop_class: str, file: str) -> set[str]:
    """Refuse captures and burned in identities; flag ``burned-in-annotation-unknown`` where the header is silent."""
    if tags.is_hologic_capture() or sop_class.startswith(SECONDARY_CAPTURE):
        cause = "expected the image itself, found a secondary capture, whose pixels are a thumbnail or a screen"
        raise InputDataError("DICOM-SECONDARY", file=file, cause=cause, remedy=_AS_PICTURE)
    burned_in = tags.text("BurnedInAnnotation")
    if burned_in == "YES":
        cause = "expected pixels without annotation, found Burned In Annotation YES"
        remedy = "Export the image without text in its pixels, which may name the patient."
        raise InputDataError("DICOM-BURNED-IN", file=file, cause=cause, remedy=remedy)
    return set() if burned_in == "NO" else {"burned-in-annotation-unknown"}


def _named(sop_class: str) -> str:
    """Return a SOP Class as PS3.6 names it, with its UID."""
    name = UID(sop_class, validation_mode=config.IGNORE).name
    return f"{name} ({sop_class})" if name != sop_class else f"SOP Class {sop_class}"


def _is_synthesized(tags: Tags) -> bool:
    return any("2D" in value for value in tags.texts("ImageType")[2:])
