"""Counts of a table, and the command that runs the pipeline on it."""

import hashlib
import re
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from dmdbt.cohort import Case
from dmdbt.doctor.text import Section
from dmdbt.terms import Label, Modality

_SMALL = 60  # patients: below, a fold of five has too few to test
_LEAST = 3  # patients of each class, one for each fold of settings/small.yaml
_HEAD = 1 << 16  # bytes of a file that are compared


def counts(cases: Sequence[Case]) -> list[str]:
    """Count patients by class, and pairs by view and side."""
    malignant = {case.patient_id for case in cases if case.label is Label.MALIGNANT}
    patients = {case.patient_id for case in cases}
    views, sides = (_counted(values) for values in ((c.view for c in cases), (c.laterality for c in cases)))
    images = _counted(" and ".join(case.modalities) for case in cases)
    return [
        f"{len(patients)} patients: {len(malignant)} with a malignant pair, {len(patients - malignant)} without",
        f"{len(cases)} pairs: {views}; {sides}; {images}",
    ]


def twins(cases: Sequence[Case], cohort: Path) -> list[str]:
    """Name files of different cases that have the same size and the same beginning."""
    alike = defaultdict(set)
    for name in {case.file(modality) for case in cases for modality in case.modalities}:
        if (path := cohort / name).is_file():
            with path.open("rb") as file:
                alike[path.stat().st_size, hashlib.sha256(file.read(_HEAD)).digest()].add(name)
    return [f"these files look the same: {', '.join(sorted(names))}" for names in alike.values() if len(names) > 1]


def next_command(cases: Sequence[Case], cohort: Path) -> Section:
    """Recommend settings for the size of a cohort, and give the command that runs the pipeline on it."""
    of_class = [len({case.patient_id for case in cases if case.label is label}) for label in Label]
    if min(of_class) < _LEAST:
        line = f"to train, at least {_LEAST} patients of each class are needed; one has {min(of_class)}"
        return Section("Next", (line,))
    small = len({case.patient_id for case in cases}) < _SMALL
    line = f"fewer than {_SMALL} patients: settings/small.yaml" if small else "no setting is needed for its size"
    path = str(cohort.absolute())
    plain = re.fullmatch(r"[\w./-]+", path, re.ASCII)
    options = ["$(python -m dmdbt settings small)"] if small else []
    options += [f"-S {shlex.quote(f'cohort={path}' if plain else f'cohort={_quoted(path)}')}"]
    if any(len(case.modalities) < len(Modality) for case in cases):
        options.append("-S missing_modality=allow")
    return Section("Next", (line, f"dvc exp run {' '.join(options)}"))


def _quoted(text: str) -> str:
    """Quote a value for ``-S``, whose grammar is Hydra's."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _counted(values: Iterable[str]) -> str:
    return ", ".join(f"{count} {value}" for value, count in sorted(Counter(map(str, values)).items()))
