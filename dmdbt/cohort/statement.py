"""Statement of a cohort about itself: whether it is simulated, where it is from, and what its labels mean.

The file ``cohort.json`` in a cohort's folder is a JSON object:

* ``format`` is "dmdbt cohort", ``version`` is 1.
* ``simulated`` is true or false.
* ``source`` is one line: the name of the data set, or of the program and the settings that made it.
* ``label_rule`` is one line: what makes a pair malignant or benign.

Other keys are ignored. A cohort without this file is neither real nor simulated: nobody has stated it.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dmdbt.errors import IntegrityError, TableError
from dmdbt.files import other_format, write_json

STATEMENT_NAME = "cohort.json"
_FORMAT = {"format": "dmdbt cohort", "version": 1}
_PHANTOM = "dmdbt phantom"
_NO_FINDING = "contrast 0"
_TEXTS = ("source", "label_rule")
_REMEDY = "Correct the file, or remove it; README.md shows one."


@dataclass(frozen=True)
class Statement:
    """Statement of a cohort about itself.

    Attributes
    ----------
    simulated
        None: not stated. It never means that the cohort is real.
    source, label_rule
        One line each; empty where nothing is stated.
    """

    simulated: bool | None = None
    source: str = ""
    label_rule: str = ""

    @property
    def is_phantom(self) -> bool:
        """Whether the phantom of this project made the cohort: its slices have the field of view of the mammogram."""
        return self.simulated is True and self.source.partition(",")[0] == _PHANTOM

    @property
    def is_negative_control(self) -> bool:
        """Whether the phantom made the cohort and inserted no finding."""
        return self.is_phantom and self.source.endswith(f", {_NO_FINDING}")


def phantom_source(*, seed: int, contrast: float) -> str:
    """Name the phantom, with its seed and the contrast of its findings, as the `source` of a cohort."""
    return f"{_PHANTOM}, seed {seed}, contrast {contrast:g}"


def write_statement(path: Path, statement: Statement) -> None:
    """Write a statement that `read_statement` reads; ValueError where it would not."""
    content = _FORMAT | asdict(statement)
    if problems := list(_problems(content)):
        raise ValueError(f"statement of a cohort: {'; '.join(problems)}")
    write_json(path, content)


def read_statement(path: Path) -> Statement:
    """Read the statement of a cohort; without the file nothing is stated.

    Raises
    ------
    TableError
        The file is damaged or of another format. Every key with a wrong value is a note of the error.
    """
    if not path.exists() and not path.is_symlink():
        return Statement()
    content = _read_object(path)
    if cause := other_format(content, _FORMAT):
        raise TableError("STATEMENT-FORMAT", file=path.name, cause=cause, remedy=_REMEDY)
    if problems := list(_problems(content)):
        cause = f"expected a correct statement, found {len(problems)} problems"
        error = TableError("STATEMENT", file=path.name, cause=cause, remedy=_REMEDY)
        for problem in problems:
            error.add_note(problem)
        raise error
    return _statement(content)


def stated(statement: Statement) -> dict[str, object]:
    """Return a statement as ``metrics/cohort.json`` has it; see `read_stated`."""
    return {"cohort": asdict(statement)}


def read_stated(path: Path) -> Statement:
    """Read the statement that the stage ingest has put into ``metrics/cohort.json``.

    Raises
    ------
    IntegrityError
        The file has none: an earlier version wrote it.
    """
    content = json.loads(path.read_text(encoding="utf-8")).get("cohort")
    if not isinstance(content, dict) or not {"simulated", *_TEXTS} <= content.keys():
        cause = "expected the key cohort with simulated, source and label_rule, found no such key"
        raise IntegrityError("STATEMENT-COUNTS", file=path.name, cause=cause, remedy="Run the stage ingest again.")
    return _statement(content)


def _read_object(path: Path) -> dict[str, Any]:
    content, found = None, "no file"
    try:
        if path.is_file():  # a pipe would wait for somebody who writes into it
            content = json.loads(path.read_text(encoding="utf-8-sig"))
            found = type(content).__name__
    except (OSError, ValueError, RecursionError) as exc:  # JSON and UTF-8 that are malformed are ValueErrors
        found = type(exc).__name__
    if not isinstance(content, dict):
        cause = f"expected a JSON object in UTF-8, found {found}"
        raise TableError("STATEMENT-MALFORMED", file=path.name, cause=cause, remedy=_REMEDY)
    return content


def _problems(content: Mapping[str, Any]) -> Iterator[str]:
    if not isinstance(simulated := content.get("simulated"), bool):
        yield f"simulated: expected true or false, found {json.dumps(simulated)}"
    for key in _TEXTS:
        text = content.get(key)
        if not isinstance(text, str) or len(text.splitlines()) != 1 or not text.strip():
            yield f"{key}: expected one line of text, found {json.dumps(text)}"


def _statement(content: Mapping[str, Any]) -> Statement:
    return Statement(content["simulated"], content["source"].strip(), content["label_rule"].strip())
