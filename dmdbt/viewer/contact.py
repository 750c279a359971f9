"""The cases of a folder as a page: a table with a small picture, the numbers and a link for each."""

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from dmdbt.files import whole_file
from dmdbt.viewer.page import environment, inlined

_TEXTS = ("case_id", "patient_id", "laterality", "view", "label", "decision", "page", "thumbnail")
_OF_ERRORS = ("code", "cause", "remedy")
_PIECE = 2**16  # letters of the page, written at once


def write_contact(
    path: Path, rows: Iterable[Mapping[str, Any]], thumbnails: str, *, model: str, simulated: bool | None
) -> None:
    """Write the page of many cases: those without a result first, then a table of the others.

    Memory depends on the number of those without a result only: the rows of the others wait in a file.

    Parameters
    ----------
    path
        Ends in ``.html``. The file appears whole or not at all.
    rows
        One per case. A key may be missing, which is as an empty text or None.

        ``case_id``, ``patient_id``, ``laterality``, ``view``, ``label``
            As in `dmdbt.prediction.result.Prediction`.
        ``p_dm``, ``p_dbt``, ``p_dm_dbt``, ``p_ensemble``
            Probability of malignancy, or None.
        ``vote_fraction``
            Share of the votes for malignant, or None.
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
    page, of_row = (environment().get_template(f"{name}.html.jinja") for name in ("contact", "contact_row"))
    failed, n_predicted = [], 0
    with TemporaryFile("w+", encoding="utf-8", newline="\n") as predicted:
        for row in rows:
            complete = _complete(row, thumbnails)
            if complete["code"]:
                failed.append(complete)
            else:
                predicted.write(of_row.render(row=complete))
                n_predicted += 1
        predicted.seek(0)
        content = {"failed": failed, "n_predicted": n_predicted, "model": model, "simulated": simulated}
        content["pieces"] = map(Markup, iter(partial(predicted.read, _PIECE), ""))  # that were escaped above
        # From disk, the page's own origin does not cover the pictures beside it.
        content |= inlined("viewer.css", "contact.js", images="'self' file: data:")
        with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(page.generate(content))


def _complete(row: Mapping[str, Any], thumbnails: str) -> dict[str, Any]:
    """Return a row with every key; names of files become addresses, in which nothing is a scheme or a query."""
    texts = {key: row.get(key) or "" for key in (*_TEXTS, *_OF_ERRORS)}
    files = {"page": texts["page"], "thumbnail": texts["thumbnail"] and f"{thumbnails}/{texts['thumbnail']}"}
    addresses = {name: file and f"./{quote(file)}" for name, file in files.items()}
    return {**row, **texts, **addresses, "warnings": row.get("warnings") or 0}
