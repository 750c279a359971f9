"""The content of tables.json as Markdown and as LaTeX, to paste."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dmdbt.evaluation.predictions import classifier_name
from dmdbt.results.notation import markdown_table, number, p_value, with_interval
from dmdbt.results.published import COLUMNS
from dmdbt.terms import kind_of_cohort

_HEADINGS = dict(zip(COLUMNS, ("ACC", "AUC", "F1", "Prec", "Reca", "AP", "AC"), strict=True))
_LATEX = {"\\": r"\textbackslash{}", **{sign: f"\\{sign}" for sign in "&%$#_{}"}, "~": r"\textasciitilde{}"}
_LATEX |= {"^": r"\textasciicircum{}", "<": r"$<$", ">": r"$>$"}


class _Table(NamedTuple):
    caption: str
    heading: Sequence[str]
    rows: Sequence[Sequence[str]]


def markdown_tables(content: Mapping[str, Any]) -> str:
    """Return the claims, the consistency and the three tables of `tables_content` as Markdown."""
    parts = [f"# {_title(content)}", _measured_on(content)]
    for table in _tables(content):
        parts += [f"## {table.caption}", markdown_table(table.heading, table.rows).rstrip()]
    parts += ["\n".join(f"* {note}" for note in _notes(content))]
    return "\n\n".join(parts) + "\n"


def latex_tables(content: Mapping[str, Any]) -> str:
    """Return the same as LaTeX tables that need no package."""
    parts = [f"% {_title(content)}. {_measured_on(content)}"]
    for table in _tables(content):
        heading, *rows = (" & ".join(map(_escaped, line)) + r" \\" for line in (table.heading, *table.rows))
        begin = [
            r"\begin{table}",
            rf"\caption{{{_escaped(table.caption + _suffix(content))}}}",
            rf"\begin{{tabular}}{{{'l' * len(table.heading)}}}",
        ]
        end = [r"\hline", r"\end{tabular}", r"\end{table}"]
        parts.append("\n".join([*begin, r"\hline", heading, r"\hline", *rows, *end]))
    parts.append("\n\n".join(map(_escaped, _notes(content))))
    return "\n\n".join(parts) + "\n"


def _title(content: Mapping[str, Any]) -> str:
    return "Tables" + _suffix(content)


def _suffix(content: Mapping[str, Any]) -> str:
    kind = kind_of_cohort(content["simulated"])
    return f" ({kind})" if kind else ""


def _measured_on(content: Mapping[str, Any]) -> str:
    parts = [
        f"{content['n_pairs']} pairs of {content['n_patients']} patients, {content['n_malignant']} pairs malignant",
        f"tested in folds {', '.join(map(str, content['folds']))}",
        f"95 % intervals in parentheses: {content['bootstrap']['draws']} draws of patients",
    ]
    if content["incomplete_pairs"]:
        parts.append(f"{content['incomplete_pairs']} more pairs lack a modality or a head")
    if content["quarantined"]:
        parts.append(f"cases in quarantine: {content['quarantined']}")
    return "; ".join(parts) + "."


def _tables(content: Mapping[str, Any]) -> list[_Table]:
    return [
        _claims(content["claims"]),
        _consistency(content["consistency"]),
        _models(content["models"]),
        _ensembles(content["ensembles"]),
        _heads(content["heads"]),
    ]


def _claims(rows: Sequence[Mapping[str, Any]]) -> _Table:
    lines = [
        (
            row["claim"],
            _HEADINGS[row["metric"]],
            number(row["first_value"]),
            number(row["second_value"]),
            with_interval(row["difference"], row["low"], row["high"], "{:+.3f}"),
            p_value(row["p_value"]),
            p_value(row["p_holm"]),
            _printed(row["paper_first"], row["paper_second"]),
            row["verdict"] + (f": {row['reason']}" if row["verdict"] == "undefined" else ""),
        )
        for row in rows
    ]
    heading = ("claim", "metric", "first", "second", "difference", "p", "p (Holm)", "paper", "verdict")
    return _Table("Claims", heading, lines)


def _consistency(groups: Sequence[Mapping[str, Any]]) -> _Table:
    lines = [
        (
            f"{', '.join(group['backbones'])} (weights: {', '.join(group['weights'])})",
            classifier_name(row["classifier"]),
            number(row["min"]),
            number(row["max"]),
            _cell(row["spread"]),
            _printed(row["paper_min"], row["paper_max"]),
        )
        for group in groups
        for row in group["rows"]
    ]
    heading = ("backbones", "classifier", "smallest", "largest", "spread", "paper")
    return _Table("Consistency of the AUC over the backbones", heading, lines)


def _models(rows: Sequence[Mapping[str, Any]]) -> _Table:
    lines = [
        (classifier_name(row["model"]), row["input"], row["backbone"], _cell(row["ours"]), _printed(row["paper"]))
        for row in rows
    ]
    return _Table("AUC of the models (Table II)", ("model", "input", "backbone", "ours", "paper"), lines)


def _ensembles(rows: Sequence[Mapping[str, Any]]) -> _Table:
    lines = []
    for row in rows:
        best = row["best_head"]
        named = f"{classifier_name(best['name'])} {_cell(best)}" if best else "-"
        lines.append((row["backbone"], _cell(row["ours"]), named, _printed(row["paper"])))
    return _Table("AUC of the ensembles (Table III)", ("backbone", "ours", "best head", "paper"), lines)


def _heads(rows: Sequence[Mapping[str, Any]]) -> _Table:
    lines = []
    for row in rows:
        paper = row["paper"] or {}
        marks = [f"{_cell(row['ours'][name])} [{_printed(paper.get(name))}]" for name in COLUMNS]
        lines.append((row["backbone"], classifier_name(row["head"]), *marks))
    heading = ("backbone", "head", *_HEADINGS.values())
    return _Table("The heads, the paper's figures in brackets (Table IV)", heading, lines)


def _printed(*figures: float | None) -> str:
    """Return figures of the paper in their two digits."""
    return ", ".join(number(figure, "{:.2f}") for figure in figures)


def _notes(content: Mapping[str, Any]) -> list[str]:
    of_rows = [
        f"{row['backbone']} {classifier_name(row['head'])} in the paper: {row['note']}"
        for row in content["heads"]
        if row["note"]
    ]
    return [*content["footnotes"], *of_rows]


def _cell(cell: Mapping[str, Any]) -> str:
    if cell["value"] is None:
        return f"undefined: {cell['reason']}"
    return with_interval(cell["value"], cell["low"], cell["high"])


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in text)
