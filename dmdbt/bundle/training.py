"""The pairs of a training, so that a bundle knows again what it was trained on.

``training.csv`` has a row for each pair: its ``fold``; ``patient``, a digest of the pseudonym with the ``salt`` of the
file; ``dm`` and ``dbt``, the SHA-256 of the decoded pixels; ``dm_texture`` and ``dbt_texture``, which copies of an
image in another size, window or compression share nearly (`dmdbt.ingest.appearance.texture_hash`); ``patient_alike``, a
digest that pseudonyms have in common which may be of one patient (`dmdbt.cohort.identifier_words`). A pseudonym cannot
be read from it, but whoever guesses one can test the guess.
"""

import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dmdbt.bundle.model import MODEL_NAME, TrainingCohort, damaged
from dmdbt.cohort import Case, identifier_words
from dmdbt.files import write_rows
from dmdbt.ingest import Facts, hash_bits, near
from dmdbt.terms import Modality

TRAINING_NAME = "training.csv"
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
    alike
        Whether an image resembles one of the training so much that it may be a copy.
    name_alike
        Whether a patient of the training has nearly the same pseudonym, such as ``P001`` for ``p1``.
    """

    folds: frozenset[int]
    patient: bool
    pixels: bool
    alike: bool
    name_alike: bool


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
        self._folds: dict[tuple[str, str], set[int]] = {}
        try:
            with path.open(encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file, strict=True))
            for row in rows:
                for column in ("patient", *Modality):
                    if row[column]:
                        self._folds.setdefault((column, row[column]), set()).add(int(row["fold"]))
            self._alike = {row.get("patient_alike") for row in rows}  # bundles of earlier versions lack it
            self._textures = {m: hash_bits([row[f"{m}_texture"] for row in rows]) for m in Modality}
        except (OSError, ValueError, LookupError, TypeError, csv.Error) as exc:
            raise damaged(path.name, f"expected a table of {', '.join(_COLUMNS)}, found {exc!r}") from exc
        found = len(rows), len({row["patient"] for row in rows})
        if found != (cohort.pairs, cohort.patients):
            expected = f"{cohort.pairs} pairs of {cohort.patients} patients as in {MODEL_NAME}"
            raise damaged(path.name, f"expected {expected}, found {found[0]} of {found[1]}")

    def seen(self, patient_id: str, images: Images) -> Seen:
        """Compare a pair; without a `patient_id` by its images alone."""
        by_patient = self._folds.get(("patient", patient_digest(patient_id)), set()) if patient_id else set()
        by_pixels = set().union(
            *(self._folds.get((str(modality), image["pixels_sha256"]), set()) for modality, image in images.items())
        )
        alike = any(
            near(hash_bits([image["texture_hash"]])[0], self._textures[modality]).any()
            for modality, image in images.items()
        )
        name_alike = bool(patient_id) and not by_patient and _digest_alike(patient_id) in self._alike
        return Seen(frozenset(by_patient | by_pixels), bool(by_patient), bool(by_pixels), alike, name_alike)
