"""Description of the cohort, as rows of the page."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dmdbt.readers.dicom import SYNTAXES
from dmdbt.report.words import TIMES
from dmdbt.terms import FLAGS

_LISTED = 24  # so many cases of a flag are named
_GROUPS = {
    "modalities": "Images of a pair",
    "pairs_by_label": "Pairs by label",
    "patients_by_label": "Patients by label",
    "pairs_by_view": "Pairs by view",
    "pairs_by_laterality": "Pairs by side",
    "dm_sizes": f"Mammogram, rows {TIMES} columns",
    "dm_kinds": "Mammogram, file",
    "dm_voi": "Mammogram, gray levels",
    "dbt_sizes": f"Slice, rows {TIMES} columns",
    "dbt_kinds": "Volume, file",
    "slice_orders": "Order of the slices",
}
_WORDS = {"L": "left", "R": "right", "dm": "DM alone", "dbt": "DBT alone", "dm and dbt": "DM and DBT"}


class Flag(NamedTuple):
    """Something unusual that some cases share: `n_cases` all together, of which `cases` are the first."""

    name: str
    meaning: str
    cases: Sequence[str]
    n_cases: int


def cohort_rows(counts: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, int]]]]:
    """By property, its values and how many have each; properties that no pair has are left out."""
    return [
        (heading, [(_words(key, value), number) for value, number in counts[key].items()])
        for key, heading in _GROUPS.items()
        if counts.get(key)
    ]


def flag_rows(counts: Mapping[str, Any], certificates: Mapping[str, Any]) -> list[Flag]:
    """Every flag that a case has, those of the files first, then those of the dynamic images."""
    pooled = {f"dynamic-image-{name}": cases for name, cases in certificates.get("flagged", {}).items()}
    flagged = counts.get("flags", {}) | pooled
    return [
        Flag(name.replace("_", "-"), _meaning(name.replace("_", "-")), cases[:_LISTED], len(cases))
        for name, cases in flagged.items()
        if cases
    ]


def _meaning(flag: str) -> str:
    return FLAGS[re.sub("^(dm|dbt|dynamic-image)-", "", flag)]


def _words(key: str, value: str) -> str:
    """The value in words; a transfer syntax with its name in the place of its number."""
    if key.endswith("_sizes"):
        return value.replace(" x ", f" {TIMES} ")
    if key == "dm_kinds":
        words = [SYNTAXES[word].name if word in SYNTAXES else word for word in value.split()]
        return " ".join([*words[:-1], f"{words[-1]} bits"] if words[-1].isdigit() else words).replace("dicom", "DICOM,")
    return _WORDS.get(value, value)
