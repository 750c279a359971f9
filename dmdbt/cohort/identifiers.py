"""Identifiers of patients and cases: they become names of files, on any file system."""

import re
from collections import defaultdict
from collections.abc import Iterable

LONGEST = 64
_ALLOWED = re.compile(r"[A-Za-z0-9._-]+")
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_OWN_FILES = re.compile(r"(manifest|journal)(\..*)?", re.IGNORECASE)  # `dmdbt.running` writes them beside the cases'
_ROUNDED = re.compile(r"-?\d([.,]\d+)?E[+-]?\d+", re.IGNORECASE)


def rule_broken(identifier: str) -> str:
    """Return the rule that an identifier breaks; empty if it can name a file.

    All that is allowed is ASCII, so that no Unicode normalization changes a name.
    """
    if not identifier:
        return "a pseudonym"
    if len(identifier) > LONGEST:
        return f"at most {LONGEST} characters, not {len(identifier)}"
    if not _ALLOWED.fullmatch(identifier):
        if _ROUNDED.fullmatch(identifier):
            return "the whole number, not what a spreadsheet has rounded it to (format the column as text)"
        other = next(character for character in identifier if not _ALLOWED.fullmatch(character))
        return f"letters A to Z, digits, dots, underscores and hyphens, not {other!r} (U+{ord(other):04X})"
    if identifier[0] in ".-":
        return "a letter, digit or underscore at the start"
    if identifier[-1] == ".":
        return "a last character other than a dot, because Windows drops it"
    if _DEVICES.fullmatch(identifier):
        return "another name, because Windows reserves this one for a device"
    if _OWN_FILES.fullmatch(identifier):
        return "another name, because the pipeline uses this one for its own files"
    return ""


def patients_alike(patient_ids: Iterable[str]) -> list[list[str]]:
    """Return groups of different identifiers that may be one patient: those with the same `identifier_words`."""
    groups = defaultdict(set)
    for identifier in patient_ids:
        groups[identifier_words(identifier)].add(identifier)
    return sorted(sorted(group) for group in groups.values() if len(group) > 1)


def identifier_words(identifier: str) -> tuple[str, ...]:
    """Return what identifiers have in common that may be one patient, such as ``1``, ``01``, ``1.0``, ``P1``, ``p1``.

    They differ only in case, in zeros before a number, in ``.0`` at the end, in what stands between letters and
    numbers, or in a P before a number.
    """
    words = re.findall(r"[a-z]+|\d+", re.sub(r"\.0+$", "", identifier.casefold()))
    words = [word.lstrip("0") if word.isdigit() else word for word in words]
    return tuple(words[1:] if words[:1] == ["p"] and len(words) > 1 else words)
