"""The figures of the page. Every one says in words what it shows."""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dmdbt.evaluation import CLASSIFIERS, classifier_name, precision_recall_points, roc_points
from dmdbt.evaluation.predictions import targets
from dmdbt.report.svg import INK, MUTED, RULE, SERIES, inline_svg, style
from dmdbt.report.words import backbone_name, metric_name, number, short_name
from dmdbt.terms import Head

_SQUARE = (3.5, 3.3)
# Told apart without color too, on paper and by whoever does not see it.
_DASHES = ("-", (0, (5, 2)), (0, (1, 1.3)), "-")
_LINES: dict[str, dict[str, Any]] = {
    name: {"color": color, "linestyle": dashes, "linewidth": width, "label": classifier_name(name)}
    for name, color, dashes, width in zip(CLASSIFIERS, SERIES, _DASHES, (1.3, 1.3, 1.8, 2.0), strict=True)
}
_GROUPS, _LEAST = 5, 10  # of the calibration: so many groups, of so many pairs at least


class Drawing(NamedTuple):
    """A figure of the page: its element, with the alternative text, and what stands below it."""

    svg: Markup
    caption: str


@style()
def roc_figure(backbone: str, table: pd.DataFrame) -> Drawing | None:
    """ROC curves of the four classifiers on the rows of a table of predictions; None where no curve is defined."""
    drawn = _curves(roc_points, table)
    if not drawn:
        return None
    figure, axes = _axes("1 - specificity", "sensitivity")
    axes.plot([0, 1], [0, 1], color=RULE, linewidth=1)
    for name, curve in drawn.items():
        axes.plot(curve["false_positive_rate"], curve["true_positive_rate"], **_LINES[name])
    _legend(axes, "lower right")
    at = {name: np.interp(0.1, c["false_positive_rate"], c["true_positive_rate"]) for name, c in drawn.items()}
    alternative = f"ROC curves of {backbone_name(backbone)}. Sensitivity at a specificity of 0.90: {_words(at)}."
    caption = "ROC curves; the diagonal is chance."
    return Drawing(inline_svg(figure, f"roc-{backbone}", alternative=alternative), caption)


@style()
def precision_recall_figure(backbone: str, table: pd.DataFrame) -> Drawing | None:
    """Precision over recall, as `roc_figure`, but for the convention at recall 0; the share of malignant is a line."""
    drawn = _curves(precision_recall_points, table)
    if not drawn:
        return None
    prevalence = float(targets(table).mean())
    figure, axes = _axes("recall (sensitivity)", "precision")
    axes.axhline(prevalence, color=RULE, linewidth=1)
    for name, curve in drawn.items():
        measured = curve[curve["recall"] > 0]
        axes.plot(measured["recall"], measured["precision"], drawstyle="steps-pre", **_LINES[name])
    _legend(axes, "lower left")
    at = {name: float(curve.loc[curve["recall"] >= 0.8, "precision"].max()) for name, curve in drawn.items()}
    alternative = (
        f"Precision-recall curves of {backbone_name(backbone)}. Best precision at a recall of 0.8: {_words(at)}."
    )
    caption = f"Precision and recall; the horizontal line is the share of malignant pairs, {number(prevalence, 2)}."
    return Drawing(inline_svg(figure, f"pr-{backbone}", alternative=alternative), caption)


@style()
def calibration_figure(backbone: str, table: pd.DataFrame) -> Drawing | None:
    """Share of malignant pairs over the mean probability, in groups of equal size; None without a pair.

    Bins of equal width, as in the calibration error, may hold a single pair, which lies at 0 or 1 and misleads the eye.
    """
    drawn = {name: _calibration(rows, f"p_{name}") for name, rows in _rows(table).items() if len(rows)}
    if not drawn:
        return None
    figure, axes = _axes("mean probability of malignant", "share of malignant pairs")
    axes.plot([0, 1], [0, 1], color=RULE, linewidth=1)
    for name, points in drawn.items():
        axes.plot(points["probability"], points["share"], **_LINES[name], marker="o", markersize=4)
    _legend(axes, "best")
    points = drawn[CLASSIFIERS[-1]]
    ends = zip(points["probability"].tolist(), points["share"].tolist(), strict=True)
    words = ", ".join(f"{number(probability, 2)} and {number(share, 2)}" for probability, share in ends)
    alternative = (
        f"Calibration of {backbone_name(backbone)}. Ensemble, mean probability and share of malignant: {words}."
    )
    groups = "1 group" if len(points) == 1 else f"{len(points)} groups"
    caption = (
        f"Calibration: the pairs sorted by probability in {groups} of equal size. "
        "On the diagonal a probability comes true as often as it says."
    )
    return Drawing(inline_svg(figure, f"calibration-{backbone}", alternative=alternative), caption)


@style()
def loss_figure(backbone: str, history: pd.DataFrame) -> Drawing | None:
    """Training loss over the epochs, a line per head and fold; None without an epoch."""
    if not len(history):
        return None
    figure, axes = _axes("epoch", "training loss (cross-entropy)", unit=False)
    ends = []
    for head in Head:
        of_head = history[history["head"] == head.value]
        for index, (_, of_fold) in enumerate(of_head.groupby("fold", sort=True)):
            look = _LINES[head] | ({} if index == 0 else {"label": "_"})
            axes.plot(of_fold["epoch"], of_fold["loss"], **look, marker="." if len(of_fold) < 3 else "")
        if len(of_head):
            first, last = (of_head[of_head["epoch"] == of_head["epoch"].agg(edge)]["loss"] for edge in ("min", "max"))
            ends.append(f"{classifier_name(head.value)} {number(first.mean(), 2)} to {number(last.mean(), 2)}")
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _legend(axes, "best")
    alternative = (
        f"Loss curves of {backbone_name(backbone)}, mean of the folds, first to last epoch: {', '.join(ends)}."
    )
    return Drawing(inline_svg(figure, f"loss-{backbone}", alternative=alternative), backbone_name(backbone))


def forest_figures(claims: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Drawing]:
    """Differences with their intervals, a figure per backbone on one scale; none where all are undefined."""
    drawn = {name: [row for row in rows if row["difference"] is not None] for name, rows in claims.items()}
    shown = chain.from_iterable(drawn.values())
    ends = [row[end] for row in shown for end in ("difference", "low", "high") if row[end] is not None]
    limits = min([0, *ends]), max([0, *ends])
    return [_forest_figure(name, rows, limits) for name, rows in drawn.items() if rows]


@style()
def _forest_figure(backbone: str, claims: Sequence[Mapping[str, Any]], limits: tuple[float, float]) -> Drawing:
    """One row per claim in the order of the table."""
    figure = Figure(figsize=(_SQUARE[0], 0.7 + 0.32 * len(claims)), layout="constrained")
    axes = figure.add_subplot(xlabel="difference, first minus second")
    for place, claim in enumerate(claims):
        _forest_row(axes, place, claim)
    margin = 0.05 * (limits[1] - limits[0]) or 0.05
    axes.set(xlim=(limits[0] - margin, limits[1] + margin), ylim=(len(claims) - 0.6, -0.8))
    axes.yaxis.set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.spines["left"].set_visible(False)
    words = "; ".join(
        f"{c['number']}: {number(c['difference'])} from {number(c['low'])} to {number(c['high'])}" for c in claims
    )
    alternative = f"Difference and interval of each claim of {backbone_name(backbone)}, by its number: {words}."
    return Drawing(inline_svg(figure, f"forest-{backbone}", alternative=alternative), backbone_name(backbone))


def _forest_row(axes: Axes, place: int, claim: Mapping[str, Any]) -> None:
    """One interval about a mark at 0, and above it what is compared."""
    axes.plot([0, 0], [place - 0.13, place + 0.13], color=MUTED, linewidth=1)
    if claim["low"] is not None and claim["high"] is not None:
        axes.plot([claim["low"], claim["high"]], [place, place], color=INK, linewidth=1.4, solid_capstyle="butt")
    axes.plot([claim["difference"]], [place], color=INK, marker="s", markersize=4.5)
    sides = f"{short_name(claim['first'])} \N{MINUS SIGN} {short_name(claim['second'])}"
    text = f"{claim['number']}  {metric_name(claim['metric'])}: {sides}"
    axes.text(0, place - 0.32, text, color=INK, transform=axes.get_yaxis_transform(), va="center")


def _axes(x_label: str, y_label: str, *, unit: bool = True) -> tuple[Figure, Axes]:
    """An empty figure with labeled axes; `unit`: both from 0 to 1, drawn square."""
    figure = Figure(figsize=_SQUARE, layout="constrained")
    axes = figure.add_subplot(xlabel=x_label, ylabel=y_label)
    axes.grid(visible=True)
    axes.set_axisbelow(True)
    if unit:
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    return figure, axes


def _legend(axes: Axes, place: Literal["best", "lower left", "lower right"]) -> None:
    axes.legend(loc=place, handlelength=2.2, labelspacing=0.25)


def _rows(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """By classifier, the pairs that it has seen."""
    return {name: table[table[f"p_{name}"].notna()] for name in CLASSIFIERS}


def _curves(points: Callable[..., pd.DataFrame], table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """By classifier, its curve on the pairs that it has seen, if that is defined."""
    curves = {name: points(targets(rows), rows[f"p_{name}"]) for name, rows in _rows(table).items()}
    return {name: curve for name, curve in curves.items() if len(curve)}


def _words(values: Mapping[str, float]) -> str:
    return ", ".join(f"{classifier_name(name)} {number(value, 2)}" for name, value in values.items())


def _calibration(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Mean ``probability`` and ``share`` of malignant in each group, by rising probability."""
    ranked = rows.sort_values([column, "case_id"])
    n_groups = min(_GROUPS, max(1, len(ranked) // _LEAST))
    places = np.arange(len(ranked)) * n_groups // len(ranked)
    values = pd.DataFrame({"probability": ranked[column], "share": targets(ranked)})
    return values.groupby(places).mean()
