"""Checks that need the whole cohort: copies of an image, disagreements, and the counts of ``metrics/cohort.json``."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import Any

from dmdbt.cohort import Case, patients_alike
from dmdbt.errors import IntegrityError
from dmdbt.ingest.appearance import hash_bits, near
from dmdbt.terms import Modality

# By case, what is known of each of its images.
Records = Mapping[str, Mapping[Modality, Mapping[str, Any]]]


def check_copies(cases: Sequence[Case], records: Records) -> None:
    """Refuse the same pixels under two patients: one could be trained on, the other tested.

    Raises
    ------
    IntegrityError
        Names both cases; every other such pair is a note.
    """
    patient_of = {case.case_id: case.patient_id for case in cases}
    errors = [
        IntegrityError(
            "SAME-PIXELS",
            case=one,
            cause=f"expected pixels of its own in {modality}, found those of case {other} of another patient",
            remedy="Correct the table: both are one patient, or one file is in the wrong place.",
        )
        for modality in Modality
        for one, other in _same(records, modality)
        if patient_of[one] != patient_of[other]
    ]
    if errors:
        for other_error in errors[1:]:
            errors[0].add_note(str(other_error))
        raise errors[0]


def summarize(cases: Sequence[Case], records: Records, *, quarantined: int) -> dict[str, object]:
    """Counts that describe a cohort, and the cases that deserve a look; no identifier but the case's.

    Parameters
    ----------
    cases
        Those that go on.
    records
        Of these cases at least.
    quarantined
        How many were left out.
    """
    of = {modality: [records[c.case_id][modality] for c in cases if modality in c.modalities] for modality in Modality}
    slices = [facts["shape"][0] for facts in of[Modality.DBT]]
    return {
        "pairs": len(cases),
        "patients": len({case.patient_id for case in cases}),
        "quarantined": quarantined,
        "modalities": _count(" and ".join(case.modalities) for case in cases),
        "pairs_by_label": _count(case.label.value for case in cases),
        "patients_by_label": _count(label for _, label in sorted({(c.patient_id, c.label.value) for c in cases})),
        "pairs_by_view": _count(case.view.value for case in cases),
        "pairs_by_laterality": _count(case.laterality.value for case in cases),
        "dm_sizes": _count(" x ".join(map(str, facts["shape"])) for facts in of[Modality.DM]),
        "dm_kinds": _count(facts["kind"] for facts in of[Modality.DM]),
        "devices": _count(facts["device"] for images in of.values() for facts in images if facts["device"]),
        "dm_voi": _count(facts["voi"] for facts in of[Modality.DM]),
        "dbt_sizes": _count(" x ".join(map(str, facts["shape"][1:])) for facts in of[Modality.DBT]),
        "dbt_kinds": _count(facts["kind"] for facts in of[Modality.DBT]),
        "slice_orders": _count(facts["slice_order"] for facts in of[Modality.DBT]),
        "slices": {"min": min(slices), "median": median(slices), "max": max(slices)} if slices else {},
        "odd_slices": {c.case_id: odd for c in cases if (odd := _odd_slices(records[c.case_id]))},
        "flags": _flags(cases, records),
    }


def slice_ends(images: Iterable[Mapping[Modality, Mapping[str, Any]]]) -> dict[str, int]:
    """Count the volumes whose first slice lies at the ``paddle`` or at the ``detector``; others do not tell."""
    return _count(end for facts in images if (end := facts.get(Modality.DBT, {}).get("first_slice")))


def _odd_slices(images: Mapping[Modality, Mapping[str, Any]]) -> list[int]:
    """Numbers of the slices, from 1, that do not continue their neighbors."""
    return list(images.get(Modality.DBT, {}).get("odd_slices", []))


def _flags(cases: Sequence[Case], records: Records) -> dict[str, list[str]]:
    """Return what is unusual but no fault, and of which cases."""
    flagged: dict[str, set[str]] = defaultdict(set)
    for case in cases:
        for flag in disagreements(records[case.case_id], laterality=case.laterality, view=case.view):
            flagged[flag].add(case.case_id)
    alike = {patient_id for group in patients_alike(case.patient_id for case in cases) for patient_id in group}
    if alike:
        flagged["patient-ids-alike"].update(case.case_id for case in cases if case.patient_id in alike)
    kept = {case.case_id: records[case.case_id] for case in cases}
    for modality in Modality:
        for pair in _same(kept, modality):
            flagged[f"{modality}-same-pixels"].update(pair)
        for pair in _alike(kept, modality, patient_of={case.case_id: case.patient_id for case in cases}):
            flagged[f"{modality}-near-duplicate"].update(pair)
    if len({facts[Modality.DBT]["slice_order"] for facts in kept.values() if Modality.DBT in facts}) > 1:
        flagged["mixed-slice-order"].update(case_id for case_id, facts in kept.items() if Modality.DBT in facts)
    if len(slice_ends(kept.values())) > 1:
        flagged["mixed-slice-direction"].update(case_id for case_id, facts in kept.items() if slice_ends([facts]))
    return {flag: sorted(found) for flag, found in sorted(flagged.items())}


def disagreements(images: Mapping[Modality, Mapping[str, Any]], *, laterality: str, view: str) -> Iterator[str]:
    """Yield the flags of a pair: those of its readers, and where side and view are not what the images show.

    Where `laterality` or `view` is empty, nothing states it, and the images are compared with each other alone.
    """
    laterality = laterality or next(filter(None, (facts["stated_laterality"] for facts in images.values())), "")
    view = view or next(filter(None, (facts.get("stated_view", "") for facts in images.values())), "")
    for modality, facts in images.items():
        yield from (f"{modality}-{flag}" for flag in facts["flags"])
        if facts["stated_laterality"] not in ("", laterality):
            yield f"{modality}-laterality-of-header"
        if laterality and facts["side"] not in ("", laterality):
            yield f"{modality}-laterality-of-pixels"
        if facts.get("stated_view", "") not in ("", view):
            yield f"{modality}-view-of-header"
        if facts.get("blank_first") or facts.get("blank_last"):
            yield f"{modality}-blank-border-slices"
    sides = {facts["side"] for facts in images.values()} - {""}
    if len(sides) > 1:
        yield "chest-wall-on-different-sides"


def _same(records: Records, modality: Modality) -> Iterator[tuple[str, str]]:
    """Pairs of cases with the same pixels."""
    by_hash: dict[str, list[str]] = defaultdict(list)
    for case_id, images in records.items():
        if modality in images:
            by_hash[images[modality]["pixels_sha256"]].append(case_id)
    for members in by_hash.values():
        yield from pairwise(members)


def _alike(records: Records, modality: Modality, *, patient_of: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Pairs of cases of two patients whose texture hashes are near each other."""
    case_ids = [case_id for case_id, images in records.items() if modality in images]
    bits = hash_bits([records[case_id][modality]["texture_hash"] for case_id in case_ids])
    for index, case_id in enumerate(case_ids):
        for other in near(bits[index], bits[index + 1 :]).nonzero()[0]:
            found = case_ids[index + 1 + int(other)]
            if patient_of[case_id] != patient_of[found]:
                yield case_id, found


def _count(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))
