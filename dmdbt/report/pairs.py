"""One pair as the page shows it: its pictures and what the classifiers say of it."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dmdbt.cohort import Case
from dmdbt.evaluation import CLASSIFIERS
from dmdbt.imaging import read_gray, read_slices
from dmdbt.report.pictures import Picture, frame, picture
from dmdbt.terms import Laterality, Modality

_SIDES = {Laterality.LEFT: "left", Laterality.RIGHT: "right"}
_LACKS = {Modality.DM: "This pair has no mammogram.", Modality.DBT: "This pair has no volume."}


@dataclass(frozen=True)
class Images:
    """Where the images of the cohort are, and how they are stored.

    Attributes
    ----------
    mammograms, slices, dynamic
        Folders that the stages mammogram, decode and rankpool wrote.
    file_shape
        Gives rows and columns of the mammogram's file.
    stretched
        Mammograms were stretched to a square, so that they are shown in the shape of their file.
    same_field
        Slices have the field of view of their mammogram, as the phantom of this project makes them, so that they are
        shown in its shape. Elsewhere the pixels of a slice are taken as square.
    """

    mammograms: Path
    slices: Path
    dynamic: Path
    file_shape: Callable[[Case], tuple[int, int]]
    stretched: bool
    same_field: bool


@dataclass(frozen=True)
class Pair:
    """A pair on the page; `lacks` has a sentence for each image that it lacks, instead of a picture.

    By classifier, the probability of malignant and the decision; None and empty where it cannot run.
    """

    case: Case
    pictures: Sequence[Picture]
    lacks: Sequence[str]
    probabilities: dict[str, float | None]
    decisions: dict[str, str]


def shown_pair(case: Case, row: Mapping[Hashable, Any], images: Images, *, n_slices: int) -> Pair:
    """Make the pictures of a pair.

    Parameters
    ----------
    case
        The pair.
    row
        Of the table of predictions.
    images
        Where they are.
    n_slices
        So many slices at equal distances, the first and the last among them; 1 is the middle slice.
    """
    pictures: list[Picture] = []
    if Modality.DM in case.modalities:
        pictures.append(_mammogram(case, images))
    if Modality.DBT in case.modalities:
        pictures += _volume(case, images, n_slices)
    return Pair(
        case=case,
        pictures=pictures,
        lacks=[sentence for modality, sentence in _LACKS.items() if modality not in case.modalities],
        probabilities={n: None if pd.isna(row[f"p_{n}"]) else float(row[f"p_{n}"]) for n in CLASSIFIERS},
        decisions={name: str(row[f"decision_{name}"]) for name in CLASSIFIERS},
    )


def _mammogram(case: Case, images: Images) -> Picture:
    image = read_gray(images.mammograms / f"{case.case_id}.png")
    shape = images.file_shape(case) if images.stretched else None
    seen = f"Mammogram of the {_described(case)}: skin line, fat dark, gland and findings bright."
    return picture(image, frame(image), caption="Mammogram", alternative=seen, shape=shape)


def _volume(case: Case, images: Images, n_slices: int) -> list[Picture]:
    volume = read_slices(images.slices / case.case_id)
    middle = len(volume) // 2
    places = np.unique(np.rint(np.linspace(0, len(volume) - 1, n_slices)).astype(int)) if n_slices > 1 else [middle]
    shape = images.file_shape(case) if images.same_field and Modality.DM in case.modalities else None
    box = frame(volume[middle])  # one for all, so that they lie on each other
    pictures = [
        picture(
            volume[place],
            box,
            caption=f"Slice {place + 1} of {len(volume)}",
            alternative=f"Slice {place + 1} of {len(volume)} of the volume of the {_described(case)}.",
            shape=shape,
        )
        for place in places
    ]
    dynamic = read_gray(images.dynamic / f"{case.case_id}.png")
    seen = f"Dynamic image of the {_described(case)}: all slices pooled into one image."
    return [*pictures, picture(dynamic, box, caption="Dynamic image", alternative=seen, shape=shape)]


def _described(case: Case) -> str:
    return f"{_SIDES[case.laterality]} breast, {case.view} view, {case.label}"
