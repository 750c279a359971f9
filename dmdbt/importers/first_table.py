"""A first ``cases.csv`` for a folder of images: what headers and names tell; the user fills in the rest."""

import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pydicom

from dmdbt.cohort import TABLE_NAME, rule_broken, table_path
from dmdbt.errors import InputDataError, TableError, printable
from dmdbt.files import write_rows
from dmdbt.readers import Limits, container, open_volume, visible_entries, volume_files
from dmdbt.readers.dicom import DicomFile
from dmdbt.readers.dicom.sop_classes import check_mammogram, check_slice, check_tomosynthesis_object, stated_view
from dmdbt.terms import Label, Modality

_COLUMNS = ("patient_id", "laterality", "view", "label", "dm", "dbt", "kind")
_CHECKS = {"mammogram": check_mammogram, "volume": check_tomosynthesis_object, "slice": check_slice}
_LEAST = 8  # gray pictures in a folder that are taken for the slices of a volume
_KINDS = {
    *Modality,
    "tomo",
    "tomosynthesis",
    "mammo",
    "mammogram",
    "mammograms",
    "mammography",
}  # names of folders, of no patient
_SIDE_AND_VIEW = re.compile(r"(?P<side>l|r|left|right)?(?P<view>cc|mlo)?")
_LIMITS = Limits()


@dataclass(frozen=True)
class _Image:
    """A mammogram or a volume; `patient`, `laterality` and `view` are empty where nothing tells them.

    Whether two are of one patient tell `identity` and `study` of a DICOM header, which are compared and not written,
    and `folders`, those between the first one and the image that are named neither by kind nor by side and view.
    """

    path: str
    modality: Modality
    kind: str
    patient: str
    laterality: str
    view: str
    identity: str
    study: str
    folders: tuple[str, ...]


@dataclass(frozen=True)
class FirstTable:
    """Result of `write_first_table`: rows by column, and by reason the files that are in no row."""

    rows: list[dict[str, str]]
    left_out: dict[str, list[str]]


def write_first_table(cohort: Path, *, patient_of_header: bool = False) -> FirstTable:
    """Write ``cases.csv`` into a folder of images: a row for each view of a breast, without labels.

    Side and view are those of the DICOM header, else of the name of the file or a folder. The patient is the first
    folder, unless that is called by kind, view or label, as ``dbt``, or holds several Patient IDs. Each image
    has a row of its own where a view has several mammograms or volumes, where patient, side or view is not known, or
    where two images lie in different folders of the first one and no study in their headers says that they belong
    together.

    Parameters
    ----------
    cohort
        The folder.
    patient_of_header
        Whether the patient is Patient ID (0010,0020) instead. It may be no pseudonym.

    Raises
    ------
    InputDataError
        There is a table already, or no image.
    """
    if (table := table_path(cohort)).is_file():
        cause = "expected no table, found one"
        raise TableError("TABLE-EXISTS", file=table.name, cause=cause, remedy="Rename the table to have a new one.")
    left_out: dict[str, list[str]] = defaultdict(list)
    images = list(_images(cohort, cohort, patient_of_header, left_out)) if cohort.is_dir() else []
    if not images:
        cause = (
            f"expected a folder of mammograms and volumes, found none among {sum(map(len, left_out.values()))} files"
        )
        raise InputDataError("TABLE-NO-IMAGES", cause=cause, remedy="Name the folder that holds the images.")
    rows = _rows(images if patient_of_header else _of_one_patient(images), patient_of_header)
    write_rows(cohort / TABLE_NAME, _COLUMNS, ([row[column] for column in _COLUMNS] for row in rows))
    return FirstTable(rows, left_out)


def table_text(table: FirstTable) -> str:
    """Say what was written and what is left to do, for a reader at a terminal."""
    pairs = sum(bool(row["dm"] and row["dbt"]) for row in table.rows)
    empty = Counter(column for row in table.rows for column in _COLUMNS[:4] if not row[column])
    lines = [f"{TABLE_NAME}: {len(table.rows)} rows, {pairs} with a mammogram and a volume"]
    lines += [f"{column}: {number} rows to fill in" for column, number in empty.items()]
    for reason, files in table.left_out.items():
        more = f" and {len(files) - 1} more" if len(files) > 1 else ""
        lines.append(f"left out: {files[0]}{more}: {reason}")
    return "\n".join([*lines, "Check every row, and that no patient_id is a name; then run: python -m dmdbt doctor"])


def _images(folder: Path, cohort: Path, patient_of_header: bool, left_out: dict[str, list[str]]) -> Iterator[_Image]:
    """Find the images below a folder, in the order of their paths."""
    entries = visible_entries(folder)
    if folder != cohort and (kind := _kind_of_stack(folder, entries)):
        yield _image(folder, cohort, Modality.DBT, kind, entries[0], patient_of_header)
        return
    headers = [entry for entry in entries if container(entry) == "metaimage"]
    data = {part for header in headers for part in volume_files(header)} - set(headers)
    for entry in entries:
        if (name := printable(entry.relative_to(cohort).as_posix())) != entry.relative_to(cohort).as_posix():
            left_out["expected a name in UTF-8 without control characters, found others"].append(name)
        elif entry.is_dir() and not entry.is_symlink():
            yield from _images(entry, cohort, patient_of_header, left_out)
        elif entry not in data:
            try:
                modality, kind = _kind_of_file(entry)
            except InputDataError as error:
                left_out[error.cause].append(name)
            else:
                yield _image(entry, cohort, modality, kind, entry, patient_of_header)


def _kind_of_stack(folder: Path, entries: Sequence[Path]) -> str:
    """Return what the slices are whose volume a folder is; empty if it is none."""
    kinds = {container(entry) if entry.is_file() else "folder" for entry in entries}
    with suppress(InputDataError):
        if kinds == {"dicom"} and len(entries) > 1 and all(_dicom_kind(entry) == "slice" for entry in entries):
            return f"{len(entries)} DICOM slices"
        if kinds == {"image"} and len(entries) >= _LEAST:
            with open_volume(folder, _LIMITS):
                return f"{len(entries)} pictures"
    return ""


def _kind_of_file(path: Path) -> tuple[Modality, str]:
    """Return the column and the kind of a file; InputDataError if it is no image of a pair."""
    found = container(path)
    if found == "dicom":
        kind = _dicom_kind(path)
        if kind != "slice":
            return (Modality.DM if kind == "mammogram" else Modality.DBT), f"DICOM {kind}"
        cause = "expected slices alone in a folder of their own, found one among other files"
        raise InputDataError("DBT-SLICE", cause=cause, remedy="Name the folder that holds all slices.")
    if found == "unknown":
        cause = "expected an image, found a file of no known kind"
        raise InputDataError("DBT-KIND", cause=cause, remedy="Export it as DICOM or AVI if it is an image.")
    return (Modality.DM, "picture") if found == "image" else (Modality.DBT, found)


def _dicom_kind(path: Path) -> str:
    with DicomFile(path, _LIMITS) as dicom:
        errors = {}
        for kind, check in _CHECKS.items():
            try:
                check(dicom.tags, dicom.file)
                return kind
            except InputDataError as error:
                errors[kind] = error
    raise errors["volume" if errors["mammogram"].code == "DM-VOLUME" else "mammogram"]


def _image(path: Path, cohort: Path, modality: Modality, kind: str, header: Path, patient_of_header: bool) -> _Image:
    """Describe an image by a file with its header, and by its path."""
    parts = path.relative_to(cohort).parts
    stated = {"stated_laterality": "", "stated_view": ""}
    identity, study = "", ""
    if container(header) == "dicom":
        identity, study = _identity(header)
        with DicomFile(header, _LIMITS) as dicom:
            stated |= {name: str(value) for name, value in stated_view(dicom.tags).items()}
    is_patient = len(parts) > 1 and not _is_kind_or_view(parts[0]) and parts[0].lower() not in list(Label)
    patient = parts[0] if is_patient else ""
    if patient_of_header:
        patient = identity
    return _Image(
        "/".join(parts),
        modality,
        kind,
        "" if rule_broken(patient) else patient,
        stated["stated_laterality"] or _of_names(parts, "side"),
        stated["stated_view"] or _of_names(parts, "view"),
        identity,
        study,
        tuple(part for part in parts[1:-1] if not _is_kind_or_view(part)),
    )


def _identity(path: Path) -> tuple[str, str]:
    """Return Patient ID and Study Instance UID; empty where pydicom cannot read what no image is made of."""
    try:
        with warnings.catch_warnings(action="ignore"):  # they may quote the value
            tags = ["PatientID", "StudyInstanceUID"]
            header = pydicom.dcmread(path, specific_tags=tags, stop_before_pixels=True)
            patient, study = (str(header.get(tag) or "") for tag in tags)
            return patient, study
    except Exception:  # it raises what it likes
        return "", ""


def _is_kind_or_view(name: str) -> bool:
    words = re.split(r"[\W_]+", name.lower())
    return any(words) and all(word in _KINDS or _SIDE_AND_VIEW.fullmatch(word) for word in words)


def _of_names(parts: Sequence[str], what: str) -> str:
    """Return the side or view that the name of the file tells, else that of the nearest folder; empty if two differ."""
    for part in reversed(parts):
        words = [_SIDE_AND_VIEW.fullmatch(word) for word in re.split(r"[^a-z]+", part.lower())]
        if found := {word[what] for word in words if word and word[what]}:
            text = found.pop().upper()
            return "" if found else (text[0] if what == "side" else text)
    return ""


def _of_one_patient(images: Sequence[_Image]) -> list[_Image]:
    """Leave the patient empty where the first folder holds images of several Patient IDs."""
    identities: dict[str, set[str]] = defaultdict(set)
    for image in images:
        identities[image.patient] |= {image.identity} - {""}
    return [image if len(identities[image.patient]) < 2 else replace(image, patient="") for image in images]


def _belong_together(images: Sequence[_Image]) -> bool:
    studies = {image.study for image in images}
    return len({image.folders for image in images}) == 1 or (len(studies) == 1 and "" not in studies)


def _rows(images: Sequence[_Image], patient_of_header: bool) -> list[dict[str, str]]:
    views: dict[tuple[str, ...], list[_Image]] = defaultdict(list)
    for image in images:
        view = (image.patient, image.laterality, image.view)
        views[view if all(view) else (image.path,)].append(image)
    rows = []
    for members in views.values():
        is_clear = max(Counter(image.modality for image in members).values()) == 1
        is_clear &= patient_of_header or _belong_together(members)
        rows += [_row(members)] if is_clear else [_row([image]) for image in members]
    return rows


def _row(images: Sequence[_Image]) -> dict[str, str]:
    """Make a row of the images of a view, at most one of each modality."""
    first, by_modality = images[0], {image.modality: image for image in images}
    row = {"patient_id": first.patient, "laterality": first.laterality, "view": first.view, "label": ""}
    row |= {modality.value: by_modality[modality].path if modality in by_modality else "" for modality in Modality}
    return row | {"kind": ", ".join(by_modality[modality].kind for modality in Modality if modality in by_modality)}
