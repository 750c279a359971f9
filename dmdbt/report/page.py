"""The page: everything that it says, and the template that lays it out."""

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from tqdm import tqdm

from dmdbt.cohort import Statement
from dmdbt.evaluation import CLASSIFIERS, classifier_name, comparable_pairs, metrics_by_classifier
from dmdbt.report import figures, words
from dmdbt.report.choice import best_backbone, median_pairs, mistakes
from dmdbt.report.cohort import cohort_rows, flag_rows
from dmdbt.report.pairs import Images, shown_pair
from dmdbt.report.results import Results
from dmdbt.report.settings import ReportSettings, input_sizes, library_versions, settings_rows
from dmdbt.terms import kind_of_cohort

_EXAMPLE_SLICES = 5
_MISTAKES = 6
_SIGNED = ("ranksvm", "approximate", "svr")  # poolers whose images have values on both sides of no change
_APART = {"incomplete_pairs": "pair that lacks an image or a head", "paper_protocol": "copy of a pair, as in the paper"}


def render_page(results: Results, images: Images, settings: ReportSettings, statement: Statement) -> str:
    """Write the page as HTML that needs no other file; equal results give equal text.

    Parameters
    ----------
    results
        Of the stages.
    images
        Where the images of the cohort are; few pairs are opened.
    settings
        What decides the results.
    statement
        What the cohort states of itself: the title says that it is simulated, or that nothing is stated.
    """
    content = {
        "simulated": statement.simulated,
        "kind_of_cohort": kind_of_cohort(statement.simulated),
        "same_field": images.same_field,
        "negative_control": statement.is_negative_control,
        "settings": settings_rows(settings, statement),
        "input_sizes": input_sizes(settings),
        "versions": library_versions(),
        "even_gray": settings.rankpool.mapping == "symmetric" and settings.rankpool.pooler in _SIGNED,
        "backbones": [
            _backbone(name, results)
            for name in tqdm(results.predictions, desc="figures", unit="backbone", disable=None)
        ],
        "digest": results.digest,
        "classifiers": CLASSIFIERS,
        "problems": results.problems,
        "counts": results.counts,
        "cohort_rows": cohort_rows(results.counts),
        "flags": flag_rows(results.counts, results.certificates),
        "certificates": results.certificates,
    }
    content |= _comparison(results) | _shown(results, images)
    return _environment().get_template("report.html.jinja").render(content) + "\n"


def _environment() -> Environment:
    """Jinja2, which escapes everything that no macro or figure has made, and refuses what is not defined."""
    environment = Environment(
        loader=PackageLoader("dmdbt.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (
        words.metric_name,
        words.number,
        words.signed,
        words.interval,
        words.p_value,
        classifier_name,
        words.model_name,
        words.short_name,
        words.sentence,
        words.backbone_name,
        words.computed_on,
        words.source_of_weights,
        words.backbones_with,
    )
    environment.filters |= {function.__name__: function for function in filters}
    return environment


def _claims(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Claims by backbone, numbered in the order of the page."""
    grouped = _by_backbone([{**row, "backbone": row["first"].partition(" ")[0]} for row in rows])
    numbers = count(1)
    return {name: [{**row, "number": next(numbers)} for row in of_name] for name, of_name in grouped.items()}


def _comparison(results: Results) -> dict[str, Any]:
    """Claims, and tables beside the paper's."""
    claims = _claims(results.tables["claims"])
    return {
        "tables": results.tables,
        "claims": claims,
        "forests": figures.forest_figures(claims),
        "heads": _by_backbone(results.tables["heads"]),
        "protocols": {name: measured.get("paper_protocol") for name, measured in results.metrics.items()},
    }


def _shown(results: Results, images: Images) -> dict[str, Any]:
    """Examples and mistakes of the backbone that is best here."""
    backbone = best_backbone(results.predictions)
    table = results.predictions[backbone]
    wrong = mistakes(table)
    medians = list(median_pairs(table).values())
    rows = {row["case_id"]: row for row in table.to_dict("records")}
    wanted = [(case, _EXAMPLE_SLICES) for case in medians] + [(case, 1) for case in wrong[:_MISTAKES]]
    pairs = [
        shown_pair(results.cases[case], rows[case], images, n_slices=n_slices)
        for case, n_slices in tqdm(wanted, desc="pictures", unit="pair", disable=None)
    ]
    return {
        "shown": backbone,
        "examples": pairs[: len(medians)],
        "mistakes": pairs[len(medians) :],
        "n_mistakes": len(wrong),
    }


def _by_backbone(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Rows by backbone, in their order."""
    names = dict.fromkeys(row["backbone"] for row in rows)
    return {name: [row for row in rows if row["backbone"] == name] for name in names}


def _backbone(name: str, results: Results) -> dict[str, Any]:
    """Curves, results fold by fold and by unit of a backbone."""
    table = results.predictions[name]
    compared = table[comparable_pairs(table)]
    drawings = (figures.roc_figure, figures.precision_recall_figure, figures.calibration_figure)
    return {
        "name": name,
        "figures": [drawing for draw in drawings if (drawing := draw(name, compared))],
        "losses": figures.loss_figure(name, results.losses[name]),
        "folds": _folds(compared),
        "units": _units(results.metrics[name]),
    }


def _folds(compared: pd.DataFrame) -> list[dict[str, Any]]:
    """One row per fold in the order of their numbers, and all together."""
    numbers = compared["fold"].astype(int)
    parts = {str(fold): compared[numbers == fold] for fold in sorted(set(numbers))}
    return [
        {"name": name, "metrics": metrics_by_classifier(rows)} for name, rows in (parts | {"all": compared}).items()
    ]


def _units(measured: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row each per pair, breast and patient; below, what is measured apart."""
    parts = {"pair": measured} | {name: measured["units"][name] for name in ("breast", "patient")}
    parts |= {name: measured[key] for key, name in _APART.items() if key in measured}
    return [{"name": name, "metrics": metrics} for name, metrics in parts.items()]
