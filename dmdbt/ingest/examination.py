"""Examine the files of one pair: every pixel is decoded, and what is wrong is the result.

An examination is a JSON file with ``format`` ("dmdbt examination"), ``version`` (1), ``problems`` (rows of
``metrics/quarantine.csv``), and ``dm`` and ``dbt``: null if the pair lacks the image or it has a problem, else the
facts that `dmdbt.ingest.cohort` counts and compares.
"""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from dmdbt.cohort import Case, Problem
from dmdbt.errors import InputDataError, IntegrityError, error_context
from dmdbt.files import other_format, write_json
from dmdbt.ingest.appearance import chest_wall_side, gray_counts, gray_flags, is_blank, texture_hash
from dmdbt.ingest.odd_slices import SliceComparison
from dmdbt.readers import Limits, open_volume, read_mammogram, volume_files
from dmdbt.terms import Modality

_FORMAT = {"format": "dmdbt examination", "version": 1}
_LEAST_LEVELS = 32  # of 256: what is left of 12 bits under a window of 15 or more

Facts = dict[str, Any]


def case_files(case: Case, cohort: Path) -> tuple[Path, ...]:
    """Every file that a pair consists of, but for those outside the cohort's folder, which are not touched."""
    paths = [cohort / case.file(modality) for modality in case.modalities]
    try:
        return tuple(file for path in paths if _is_inside(path, cohort) for file in volume_files(path))
    except PermissionError:  # its examination tells
        return tuple(paths)


def examine(case: Case, folder: Path, *, cohort: Path, limits: Limits) -> None:
    """Decode the images of a pair, and write ``<case>.json`` in `folder`: facts, or the problems of damaged files."""
    examinations = {Modality.DM: _examine_mammogram, Modality.DBT: _examine_volume}
    facts: dict[str, Facts | None] = dict.fromkeys(Modality)
    problems: list[Problem] = []
    for modality in case.modalities:
        file = case.file(modality)
        try:
            with error_context(case=case.case_id, file=file):
                facts[modality] = _permitted(examinations[modality], cohort, file, limits)
        except InputDataError as error:
            problems.append(Problem(case.case_id, modality, error.code, error.cause, error.remedy))
    content = {**_FORMAT, "problems": [asdict(problem) for problem in problems]}
    write_json(folder / f"{case.case_id}.json", content | facts)


def _permitted(examine_image: Callable[[Path, Limits], Facts], cohort: Path, file: str, limits: Limits) -> Facts:
    try:
        return examine_image(_inside(cohort, file), limits)
    except PermissionError as error:
        cause = f"expected a file that this user may read, found: {error.strerror}"
        remedy = "Change the permissions of the file and its folders."
        raise InputDataError("FILE-PERMISSION", file=file, cause=cause, remedy=remedy) from None


def read_examination(path: Path) -> tuple[dict[Modality, Facts], list[Problem]]:
    """Read what `examine` wrote: the facts of each image that is as it should be, and the problems.

    Raises
    ------
    IntegrityError
        The file is of another format.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    if cause := other_format(content, _FORMAT):
        raise IntegrityError("EXAMINATION", file=path.name, cause=cause, remedy="Run the stage ingest again.")
    facts = {modality: content[modality] for modality in Modality if content[modality] is not None}
    return facts, [Problem(**problem) for problem in content["problems"]]


def _examine_mammogram(path: Path, limits: Limits) -> Facts:
    mammogram = read_mammogram(path, limits)
    provenance, side = mammogram.provenance, chest_wall_side(mammogram.pixels)
    keys = ("kind", "transfer_syntax", "bits_stored")
    return {
        "shape": list(mammogram.pixels.shape),
        "kind": " ".join(str(provenance[key]) for key in keys if key in provenance),
        "voi": str(provenance.get("voi", "none")),
        "device": str(provenance.get("device", "")),
        "flags": sorted([*mammogram.flags, *gray_flags(gray_counts(mammogram.pixels))]),
        "stated_laterality": str(provenance.get("stated_laterality", "")),
        "stated_view": str(provenance.get("stated_view", "")),
        "pixels_sha256": hashlib.sha256(mammogram.pixels.tobytes()).hexdigest(),
        "texture_hash": texture_hash(mammogram.pixels, side),
        "side": side,
    }


def _examine_volume(path: Path, limits: Limits) -> Facts:
    """One slice in memory, the middle one, and the maps of `SliceComparison`."""
    digest, blank, counts, comparison = hashlib.sha256(), [], np.zeros(256, np.int64), SliceComparison()
    with open_volume(path, limits) as volume:
        middle = np.zeros((volume.rows, volume.columns), np.uint8)
        for number, image in enumerate(volume):
            digest.update(np.ascontiguousarray(image).data)
            blank.append(is_blank(image))
            counts += gray_counts(image)
            comparison.add(image, is_blank=blank[-1])
            if number == volume.n_slices // 2:
                middle = image.copy()
        odd = comparison.odd_slices()
        facts = {
            "shape": [volume.n_slices, volume.rows, volume.columns],
            "kind": f"{volume.provenance['container']} {volume.provenance['codec']}",
            "slice_order": str(volume.provenance["slice_order"]),
            "first_slice": str(volume.provenance.get("first_slice", "")),
            "device": str(volume.provenance.get("device", "")),
            "stated_laterality": str(volume.provenance.get("stated_laterality", "")),
            "flags": sorted([*volume.flags, *gray_flags(counts), *(["odd-slice"] if odd else [])]),
            "odd_slices": odd,
        }
    if (levels := np.count_nonzero(counts)) < _LEAST_LEVELS:
        cause = f"expected at least {_LEAST_LEVELS} gray levels in a volume, found {levels}"
        remedy = "Export the volume with the window that it is shown with, or with all its gray levels."
        raise InputDataError("DBT-LEVELS", file=path.name, cause=cause, remedy=remedy)
    side = chest_wall_side(middle)
    return facts | {
        "blank_first": _leading(blank),
        "blank_last": _leading(blank[::-1]),
        "pixels_sha256": digest.hexdigest(),
        "texture_hash": texture_hash(middle, side),
        "side": side,
    }


def _leading(blank: list[bool]) -> int:
    """Return how many at the beginning are blank."""
    return blank.index(False) if False in blank else len(blank)


def _inside(cohort: Path, file: str) -> Path:
    if not _is_inside(cohort / file, cohort):
        cause = "expected a file inside the cohort's folder, found a link that leaves it"
        raise InputDataError("OUTSIDE", file=file, cause=cause, remedy="Copy the file into the cohort's folder.")
    return cohort / file


def _is_inside(path: Path, cohort: Path) -> bool:
    """Whether a file, or a folder and all that is in it, lies in the cohort's folder: there is where a link leads."""
    paths = [path, *path.iterdir()] if path.is_dir() else [path]
    root = os.path.realpath(cohort)
    # Unlike Path.resolve, it takes a link that leads to itself for a file.
    return all(Path(os.path.realpath(found)).is_relative_to(root) for found in paths)
