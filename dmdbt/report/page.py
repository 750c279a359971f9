"""The page: everything that it says, and the template that lays it out."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from tqdm import tqdm

from dmdbt.evaluation import CLASSIFIERS, is_measured, metrics_by_classifier, units
from dmdbt.report import words
from dmdbt.report.choice import best_backbone, median_pairs, worst_mistakes
from dmdbt.report.cohort import cohort_rows, flag_rows
from dmdbt.report.figures import (
    Drawing,
    calibration_figure,
    forest_figure,
    learning_figure,
    precision_recall_figure,
    roc_figure,
)
from dmdbt.report.pairs import Images, Pair, shown_pair
from dmdbt.report.results import Results
from dmdbt.report.run import Settings, input_sizes, library_versions, settings_rows

_EXAMPLE_SLICES = 5
_MISTAKES = 6
_TEMPLATE = "report.html.jinja"


def render_page(results: Results, images: Images, settings: Settings, *, simulated: bool) -> str:
    """Write the page as HTML that needs no other file; equal results give equal text.

    Parameters
    ----------
    results
        Of the stages.
    images
        Where the images of the cohort are; few pairs are opened.
    settings
        What decides the results.
    simulated
        The cohort is the simulated one, which the title says.
    """
    shown = best_backbone(results.predictions)
    content = {
        "simulated": simulated,
        "negative_control": simulated and settings.phantom.contrast == 0,
        "tables": results.tables,
        "claims": _named(results.tables["claims"]),
        "forest": forest_figure(_named(results.tables["claims"])),
        "settings": settings_rows(settings, simulated=simulated),
        "input_sizes": input_sizes(settings),
        "versions": library_versions(),
        "counts": results.counts,
        "cohort_rows": cohort_rows(results.counts),
        "flags": flag_rows(results.counts, results.certificates),
        "certificates": results.certificates,
        "problems": results.problems,
        "backbones": [_backbone(name, results) for name in results.predictions],
        "heads": _by_backbone(results.tables["heads"]),
        "classifiers": CLASSIFIERS,
        "shown": shown,
        "examples": _pairs(list(_median_cases(results, shown)), results, shown, images, n_slices=_EXAMPLE_SLICES),
        "mistakes": _pairs(_mistaken_cases(results, shown), results, shown, images, n_slices=1),
        "n_mistakes": len(worst_mistakes(results.predictions[shown], len(results.predictions[shown]))),
    }
    return _environment().get_template(_TEMPLATE).render(content) + "\n"


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
        words.number,
        words.signed,
        words.interval,
        words.p_value,
        words.published,
        words.classifier_name,
        words.backbone_name,
        words.source_of_weights,
        words.verdict,
    )
    environment.filters |= {function.__name__: function for function in filters}
    return environment


def _named(claims: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Add the names that a reader knows to the claims."""
    names = (("first_name", "first"), ("second_name", "second"))
    return [{**claim, **{name: words.side_name(claim[side]) for name, side in names}} for claim in claims]


def _by_backbone(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Rows of Table IV by backbone, in their order."""
    names = dict.fromkeys(row["backbone"] for row in rows)
    return {name: [row for row in rows if row["backbone"] == name] for name in names}


def _backbone(name: str, results: Results) -> dict[str, Any]:
    """Curves, results fold by fold and by unit of a backbone."""
    table = results.predictions[name]
    compared = table[is_measured(table)]
    drawings: list[Drawing | None] = [
        figure(name, compared) for figure in (roc_figure, precision_recall_figure, calibration_figure)
    ]
    return {
        "name": name,
        "figures": [drawing for drawing in drawings if drawing is not None],
        "learning": learning_figure(name, results.learning[name]),
        "folds": _folds(compared),
        "units": _units(compared, results),
    }


def _folds(compared: pd.DataFrame) -> list[dict[str, Any]]:
    """One row per fold in the order of their numbers, and all together."""
    numbers = compared["fold"].astype(int)
    parts = {str(fold): compared[numbers == fold] for fold in sorted(set(numbers))}
    return [
        {"name": name, "metrics": metrics_by_classifier(rows)} for name, rows in (parts | {"all": compared}).items()
    ]


def _units(compared: pd.DataFrame, results: Results) -> list[dict[str, Any]]:
    """One row each per pair, breast and patient."""
    sides = [results.cases[case].laterality.value for case in compared["case_id"]]
    by_side = compared.assign(laterality=sides)
    parts = {"pair": compared} | {
        name: units(by_side, keys)
        for name, keys in (("breast", ["patient_id", "laterality"]), ("patient", ["patient_id"]))
    }
    return [{"name": name, "metrics": metrics_by_classifier(rows)} for name, rows in parts.items()]


def _median_cases(results: Results, backbone: str) -> list[str]:
    return list(median_pairs(results.predictions[backbone]).values())


def _mistaken_cases(results: Results, backbone: str) -> list[str]:
    return worst_mistakes(results.predictions[backbone], _MISTAKES)


def _pairs(case_ids: Sequence[str], results: Results, backbone: str, images: Images, *, n_slices: int) -> list[Pair]:
    by_case = {row["case_id"]: row for row in results.predictions[backbone].to_dict("records")}
    return [
        shown_pair(results.cases[case_id], by_case[case_id], images, n_slices=n_slices)
        for case_id in tqdm(case_ids, desc="pictures", unit="pair", disable=None)
    ]
