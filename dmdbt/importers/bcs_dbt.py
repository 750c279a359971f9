"""BCS-DBT of Duke University, The Cancer Imaging Archive: tomosynthesis volumes of screening, without mammograms.

Layout, as published: beside the images, ``Breast-Cancer-Screening-DBT/...`` with or without a folder ``manifest-*``
above them, two tables per part::

    BCS-DBT file-paths-<part>.csv    PatientID,StudyUID,View,descriptive_path,classic_path
    BCS-DBT labels-<part>.csv        PatientID,StudyUID,View,Normal,Actionable,Benign,Cancer

They are joined by the first three columns. ``View`` is ``lcc``, ``rmlo`` and so on, with a number for a repeated one,
``rmlo2``. A file stands at one of the two paths, by the downloader that was used.

The side in the header is wrong for some files, and some images are turned by 180 degrees against it. The table's view
is what the curators hold for right, and what is written. A header that contradicts it is counted, and stands in the
column ``header_laterality``. The pixels are not looked at here and nothing is turned: files are linked as they are, and
the check of the cohort compares each image's bright edge with its side and reports what it finds.
"""

import csv
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError
from tqdm import tqdm

from dmdbt.cohort import Case, Statement
from dmdbt.importers.cohort_folder import Findings, Pair, Transfer
from dmdbt.terms import Label, Laterality, View

ABOUT = """Imported from BCS-DBT (Duke University, The Cancer Imaging Archive): tomosynthesis alone, `dm` is empty.

Label rule, per view: Cancer -> malignant, Benign -> benign; both are proven by biopsy.
Normal and Actionable (recalled, no biopsy) are left out, unless --normal-as benign or --actionable-as benign say
otherwise: their label is then no result of a biopsy.
View and side are those of the set's table; `header_laterality` is what the header says. Nothing was turned."""

_KEY = ("PatientID", "StudyUID", "View")
_PATHS = ("descriptive_path", "classic_path")
_CATEGORIES = ("Normal", "Actionable", "Benign", "Cancer")
_RULE = {"Benign": Label.BENIGN, "Cancer": Label.MALIGNANT}
_VIEW = re.compile(r"(?P<side>[lr])(?P<view>cc|mlo)\d*")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

_Row = dict[str, str]


def find_pairs(source: Path, *, normal_as: Label | None = None, actionable_as: Label | None = None) -> Findings:
    """Find the volumes that the tables name.

    Parameters
    ----------
    source
        Folder with the tables.
    normal_as, actionable_as
        Label of views without a biopsy; None leaves them out.
    """
    findings = Findings()
    rule = _RULE | {name: label for name, label in (("Normal", normal_as), ("Actionable", actionable_as)) if label}
    paths, labels = _tables(source, "file-paths", findings), _tables(source, "labels", findings)
    for key in sorted(set(labels) - set(paths)):
        findings.problems.append(f"{' '.join(key)}: expected a row in the table of paths, found none")
    for key, row in tqdm(sorted(paths.items()), desc="headers", unit="view", disable=len(paths) < 100):
        if key not in labels:
            findings.problems.append(f"{' '.join(key)}: expected a row in the table of labels, found none")
        else:
            _add_view(findings, source, row, labels[key], rule)
    return findings


def statement(*, normal_as: Label | None = None, actionable_as: Label | None = None) -> Statement:
    """State that the set is real, and its label rule with the options of `find_pairs`."""
    others = {"Normal": normal_as, "Actionable": actionable_as}
    without = ", ".join(f"{name} is {label}" for name, label in others.items() if label)
    rule = "Per view, proven by biopsy: Cancer is malignant, Benign is benign"
    rule += f"; without a biopsy: {without}." if without else "."
    return Statement(simulated=False, source="BCS-DBT", label_rule=rule)


def _tables(source: Path, kind: str, findings: Findings) -> dict[tuple[str, ...], _Row]:
    """Rows of every table of a kind, by patient, study and view."""
    columns = (*_KEY, *(_PATHS if kind == "file-paths" else _CATEGORIES))
    rows: dict[tuple[str, ...], _Row] = {}
    name = re.compile(rf"BCS-DBT[ _-]{kind}[ _-].+\.csv", re.IGNORECASE)
    files = [path for path in sorted(source.glob("*.csv")) if name.fullmatch(path.name)]
    if not files:
        findings.problems.append(f"expected BCS-DBT {kind}-<part>.csv in SOURCE, found none")
    for path in files:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="")
            missing = [column for column in columns if column not in (reader.fieldnames or ())]
            if missing:
                findings.problems.append(f"{path.name}: expected the columns {', '.join(missing)}, found none")
                continue
            for row in reader:
                key = tuple(row[column].strip() for column in _KEY)
                if rows.setdefault(key, row) is not row:
                    findings.problems.append(f"{path.name}: expected {' '.join(key)} once, found it twice")
    return rows


def _add_view(findings: Findings, source: Path, row: _Row, labels: _Row, rule: Mapping[str, Label]) -> None:
    patient, study, name = (row[column].strip() for column in _KEY)
    true = [category for category in _CATEGORIES if labels[category].strip() in ("1", "1.0")]
    view = _VIEW.fullmatch(name.lower())
    case_id = f"{patient}-{study}-{name.lower()}"
    if len(true) != 1 or not _ID.fullmatch(case_id):
        findings.problems.append(f"{case_id}: expected one of {', '.join(_CATEGORIES)}, found {len(true)}")
        return
    if view is None or true[0] not in rule:
        findings.left_out[true[0] if view else f"view {name}"] += 1
        return
    path = _image(source, row)
    if path is None:
        findings.problems.append(f"{case_id}: expected a file at {row[_PATHS[0]].strip()}, found none")
        return
    side = Laterality(view["side"].upper())
    header = _header_laterality(path)
    if header not in (side.value, ""):
        findings.noted["header with another side than the table"] += 1
    target = f"{case_id}/dbt.dcm"
    case = Case(case_id, patient, side, View(view["view"].upper()), rule[true[0]], dm="", dbt=target)
    columns = {"category": true[0], "header_laterality": header, "label_rule": "biopsy" if true[0] in _RULE else "none"}
    findings.pairs.append(Pair(case, (Transfer(path, target),), columns))


def _image(source: Path, row: _Row) -> Path | None:
    """The file of a view, by either path; a lone file in the folder of the path, whatever its name, as well."""
    for path in _candidates(source, [row[column].strip() for column in _PATHS]):
        if path.is_file():
            return path
        if len(alone := list(path.parent.glob("*.dcm"))) == 1:
            return alone[0]
    return None


def _candidates(source: Path, names: Sequence[str]) -> Iterator[Path]:
    roots = [source, *sorted(path for path in source.glob("manifest-*") if path.is_dir())]
    for name in names:
        parts = [part for part in re.split(r"[/\\]", name) if part]
        if parts and ".." not in parts:
            yield from (root.joinpath(*parts) for root in roots)


def _header_laterality(path: Path) -> str:
    """Frame Laterality of the shared functional group; empty where the header does not say."""
    try:
        with warnings.catch_warnings(record=True):  # they may quote values
            header = pydicom.dcmread(path, stop_before_pixels=True)
            shared = header.SharedFunctionalGroupsSequence[0]
            return str(shared.FrameAnatomySequence[0].FrameLaterality)
    except (InvalidDicomError, OSError, AttributeError, KeyError, IndexError, ValueError, TypeError, EOFError):
        return ""
