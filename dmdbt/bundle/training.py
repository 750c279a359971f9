"""The pairs of a training, so that a bundle knows again what it was trained on.

``training.csv`` has a row for each pair: its ``fold``; ``patient``, a digest of the pseudonym with the ``salt`` of the
file; ``dm`` and ``dbt``, the SHA-256 of the decoded pixels; ``dm_texture`` and ``dbt_texture``, which copies of an
image in another size, window or compression share nearly (`dmdbt.ingest.appearance.texture_hash`); ``patient_alike``, a
digest that pseudonyms have in common which may be of one patient (`dmdbt.cohort.identifier_words`). A pseudonym cannot
be read from it, but whoever guesses one can test the guess.
"""

import csv
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dmdbt.bundle.model import MODEL_NAME, TrainingCohort, damaged
from dmdbt.cohort import Case, identifier_words
from dmdbt.files import write_rows
from dmdbt.ingest import Facts, hash_bits, near
from dmdbt.terms import Modality

TRAINING_NAME = "training.csv"
_DIGEST = re.compile("[0-9a-f]+")
_COLUMNS = ("fold", "patient", *Modality, *(f"{modality}_texture" for modality in Modality), "patient_alike")

Images = Mapping[Modality, Facts]


@dataclass(frozen=True)
class Seen:
    """How much of a pair was seen in training.

    Attributes
    ----------
    folds
        In which the same patient or the same pixels were: only the model of this fold was not trained on them.
    patient, pixels
        Which of both it was.
    patients
        To how many patients of the training they belong.
    alike
        Folds of the images of the training that an image resembles so much that it may be a copy.
    name_alike
        Folds of the patients of the training that have nearly the same pseudonym, such as ``P001`` for ``p1``.
    """

    folds: frozenset[int]
    patient: bool
    pixels: bool
    patients: int
    alike: frozenset[int]
    name_alike: frozenset[int]


def write_training(path: Path, cases: Sequence[Case], folds: Sequence[int], facts: Mapping[str, Images]) -> None:
    """Write ``training.csv``; `facts` are those of the examination, by case."""
    rows = []
    for case, fold in zip(cases, folds, strict=True):
        images = [facts[case.case_id].get(modality, {}) for modality in Modality]
        hashes = [image.get(key, "") for key in ("pixels_sha256", "texture_hash") for image in images]
        rows.append([fold, patient_digest(case.patient_id), *hashes, _digest_alike(case.patient_id)])
    write_rows(path, _COLUMNS, sorted(rows))  # in another order than the cohort's


def patient_digest(patient_id: str) -> str:
    """Return the digest under which ``training.csv`` has a patient."""
    return hashlib.scrypt(patient_id.encode(), salt=b"dmdbt bundle", n=2**10, r=8, p=1, dklen=16).hex()


def _digest_alike(patient_id: str) -> str:
    return patient_digest("alike " + " ".join(identifier_words(patient_id)))


class Training:
    """The pairs of a training, to compare others with.

    Parameters
    ----------
    path
        ``training.csv``.
    cohort
        The cohort of the training, whose numbers of pairs and patients the file must have.

    Raises
    ------
    IntegrityError
        The file has other numbers, or is not what `write_training` writes.
    """

    def __init__(self, path: Path, cohort: TrainingCohort) -> None:
        self._rows: dict[tuple[str, str], list[int]] = {}
        try:
            with path.open(encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file, strict=True))
            self._folds = [int(row["fold"]) for row in rows]
            if any(fold < 0 for fold in self._folds):
                raise ValueError("a fold below 0")
            self._patients = [row["patient"] for row in rows]
            for number, row in enumerate(rows):
                for column in ("patient", *Modality, "patient_alike"):
                    if value := row.get(column):  # bundles of earlier versions lack the last
                        if _DIGEST.fullmatch(value) is None:
                            raise ValueError(f"{value!r} in {column}")
                        self._rows.setdefault((column, value), []).append(number)
                if any(bool(row[modality]) != bool(row[f"{modality}_texture"]) for modality in Modality):
                    raise ValueError("digests without textures")
            self._textures = {m: hash_bits([row[f"{m}_texture"] for row in rows]) for m in Modality}
        except (OSError, ValueError, LookupError, TypeError, csv.Error) as exc:
            raise damaged(path.name, f"expected a table of {', '.join(_COLUMNS)}, found {exc!r}") from exc
        found = len(rows), len(set(self._patients))
        if found != (cohort.pairs, cohort.patients):
            expected = f"{cohort.pairs} pairs of {cohort.patients} patients as in {MODEL_NAME}"
            raise damaged(path.name, f"expected {expected}, found {found[0]} of {found[1]}")

    def seen(self, patient_id: str, images: Images) -> Seen:
        """Compare a pair; without a `patient_id` by its images alone."""
        by_patient = self._rows.get(("patient", patient_digest(patient_id)), []) if patient_id else []
        by_pixels = [
            number
            for modality, image in images.items()
            for number in self._rows.get((str(modality), image["pixels_sha256"]), [])
        ]
        alike = [
            int(number)
            for modality, image in images.items()
            for number in near(hash_bits([image["texture_hash"]])[0], self._textures[modality]).nonzero()[0]
        ]
        name_alike = self._rows.get(("patient_alike", _digest_alike(patient_id)), []) if patient_id else []
        return Seen(
            folds=self._folds_of([*by_patient, *by_pixels]),
            patient=bool(by_patient),
            pixels=bool(by_pixels),
            patients=len({self._patients[number] for number in (*by_patient, *by_pixels)}),
            alike=self._folds_of(alike),
            name_alike=self._folds_of(name_alike) if not by_patient else frozenset(),
        )

    def _folds_of(self, rows: Iterable[int]) -> frozenset[int]:
        return frozenset(self._folds[number] for number in rows)
