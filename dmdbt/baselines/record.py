"""Outputs of a baseline for the evaluation: the probabilities of the tested pairs, a record, loss curves."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dmdbt.baselines.fold_training import Tested
from dmdbt.baselines.pairs import BaselinePairs
from dmdbt.errors import IntegrityError
from dmdbt.files import other_format, write_json, write_rows


@dataclass(frozen=True)
class Outputs:
    """The files of a baseline: its probabilities, its record, and the loss by fold and epoch."""

    predictions: Path
    record: Path
    history: Path


_COLUMNS = ("case_id", "patient_id", "label", "fold", "p")
_FORMAT = {"format": "dmdbt baseline", "version": 1}


def write_results(
    baseline: str,
    pairs: BaselinePairs,
    tested: Sequence[Tested],
    *,
    about: Mapping[str, Any],
    predictions: Path,
    record: Path,
) -> None:
    """Write the probabilities of the tested pairs, and what a metrics file has to say beside its metrics.

    Parameters
    ----------
    baseline
        Its name.
    pairs, tested
        The pairs, and what each fold gave. Of a fold that could not be trained the pairs are left out; it is named in
        the record and printed.
    about
        Goes into the record: ``settings``, ``weights`` and more.
    predictions
        CSV file, sorted by case: ``case_id``, ``patient_id``, ``label``, ``fold``, and ``p``, the probability of
        malignant, without rounding. Where nothing was tested, the header alone.
    record
        JSON file, see `read_record`.
    """
    untrained = [result.fold for result in tested if not len(result.pairs)]
    for fold in untrained:
        print(f"baseline {baseline}: fold {fold} is not tested: too few benign or malignant patients have the images")
    rows = [
        (case.case_id, case.patient_id, str(case.label), result.fold, float(prob))
        for result in tested
        for case, prob in zip((pairs.cases[pair] for pair in result.pairs), result.probs, strict=True)
    ]
    write_rows(predictions, _COLUMNS, sorted(rows))
    content = {
        **about,
        "baseline": baseline,
        "folds": sorted(result.fold for result in tested),
        "n_missing_modality": pairs.n_missing,
        "untrained_folds": untrained,
    }
    write_json(record, content | _FORMAT)


def write_curves(path: Path, baseline: str, head: str, tested: Sequence[Tested]) -> None:
    """Write the mean loss of every fold and epoch in the form of the heads' loss curves."""
    rows = [
        (f"baseline {baseline}", result.fold, head, epoch, loss)
        for result in tested
        for epoch, loss in enumerate(result.losses, start=1)
    ]
    write_rows(path, ("backbone", "fold", "head", "epoch", "loss"), rows)


def read_record(path: Path) -> dict[str, Any]:
    """Read what `write_results` says beside the predictions.

    Raises
    ------
    IntegrityError
        The file is of another format or version.
    """
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if cause := other_format(content, _FORMAT):
        raise IntegrityError("BASELINE-FORMAT", file=path.name, cause=cause, remedy="Train the baseline again.")
    return {key: value for key, value in content.items() if key not in _FORMAT}
