"""The cases of a folder as a page: a table with a small picture, the numbers and a link for each."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dmdbt.files import whole_file
from dmdbt.viewer.page import environment, inlined

_TEXTS = ("case_id", "patient_id", "laterality", "view", "label", "decision", "page", "thumbnail")
_OF_ERRORS = ("code", "cause", "remedy")
_PIECES = 200  # of the page, written at once


def write_contact(
    path: Path, rows: Iterable[Mapping[str, Any]], thumbnails: str, *, model: str, simulated: bool | None
) -> None:
    """Write the page of many cases, row by row: memory does not depend on their number.

    Parameters
    ----------
    path
        Ends in ``.html``. The file appears whole or not at all.
    rows
        One per case, in the order of the page. A key may be missing, which is as an empty text or None.

        ``case_id``, ``patient_id``, ``laterality``, ``view``, ``label``
            As in `dmdbt.prediction.result.Prediction`.
        ``p_dm``, ``p_dbt``, ``p_dm_dbt``, ``p_ensemble``
            Probability of malignant, or None.
        ``decision``
            Of the ensemble under the rule ``half``: ``benign``, ``malignant`` or empty.
        ``warnings``
            Their number.
        ``page``
            Name of the case's page, relative to `path`; empty without one.
        ``thumbnail``
            Name of the picture in `thumbnails`; empty without one.
        ``code``, ``cause``, ``remedy``
            Of an error, as in `dmdbt.errors.InputDataError`; empty for a case with a result.
    thumbnails
        Folder of the pictures, relative to `path`.
    model, simulated
        As in `dmdbt.viewer.view.CaseView`.
    """
    content = {"rows": _complete(rows, thumbnails), "model": model, "simulated": simulated}
    template = environment().get_template("contact.html.jinja")
    # From disk, the page's own origin does not cover the pictures beside it.
    pieces = template.generate(content | inlined("viewer.css", "contact.js", images="'self' file: data:"))
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for first in pieces:
            file.write("".join(chain([first], islice(pieces, _PIECES))))


def _complete(rows: Iterable[Mapping[str, Any]], thumbnails: str) -> Iterator[dict[str, Any]]:
    """Yield rows with every key; names of files become addresses, in which nothing is a scheme or a query."""
    for row in rows:
        texts = {key: row.get(key) or "" for key in (*_TEXTS, *_OF_ERRORS)}
        files = {"page": texts["page"], "thumbnail": texts["thumbnail"] and f"{thumbnails}/{texts['thumbnail']}"}
        addresses = {name: file and f"./{quote(file)}" for name, file in files.items()}
        yield {**row, **texts, **addresses, "warnings": row.get("warnings") or 0}
