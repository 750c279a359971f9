"""The content of tables.json as Markdown and as LaTeX, to paste."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dmdbt.results.claims import display_name
from dmdbt.results.notation import markdown_table, number, p_value, with_interval
from dmdbt.results.paper_tables import COLUMNS
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
        lines = [" & ".join(map(_escaped, line)) + r" \\" for line in (table.heading, *table.rows)]
        columns = "l" * len(table.heading)
        parts += [
            "\n".join(
                [
                    r"\begin{table}",
                    rf"\caption{{{_escaped(table.caption)}{_escaped(_suffix(content))}}}",
                    rf"\begin{{tabular}}{{{columns}}}",
                    r"\hline",
                    lines[0],
                    r"\hline",
                    *lines[1:],
                    r"\hline",
                    r"\end{tabular}",
                    r"\end{table}",
                ]
            )
        ]
    parts += ["\n\n".join(_escaped(note) for note in _notes(content))]
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
    heading = ("claim", "metric", "first", "second", "difference", "p", "p (Holm)", "paper", "verdict")
    lines = []
    for row in rows:
        difference = with_interval(row["difference"], row["low"], row["high"], "{:+.3f}")
        papers = f"{number(row['paper_first'], '{:.2f}')}, {number(row['paper_second'], '{:.2f}')}"
        lines.append(
            (
                row["claim"],
                _HEADINGS[row["metric"]],
                number(row["first_value"]),
                number(row["second_value"]),
                difference,
                p_value(row["p_value"]),
                p_value(row["p_holm"]),
                papers,
                row["verdict"] + (f": {row['reason']}" if row["verdict"] == "undefined" else ""),
            )
        )
    return _Table("Claims", heading, lines)


def _consistency(groups: Sequence[Mapping[str, Any]]) -> _Table:
    lines = [
        (
            f"{', '.join(group['backbones'])} (weights: {', '.join(group['weights'])})",
            display_name(row["classifier"]),
            number(row["min"]),
            number(row["max"]),
            _cell(row["spread"]),
            f"{number(row['paper_min'], '{:.2f}')}, {number(row['paper_max'], '{:.2f}')}",
        )
        for group in groups
        for row in group["rows"]
    ]
    heading = ("backbones", "classifier", "smallest", "largest", "spread", "paper")
    return _Table("Consistency of the AUC over the backbones", heading, lines)


def _models(rows: Sequence[Mapping[str, Any]]) -> _Table:
    lines = [
        (display_name(row["model"]), row["input"], row["backbone"], _cell(row["ours"]), number(row["paper"], "{:.2f}"))
        for row in rows
    ]
    return _Table("AUC of the models (Table II)", ("model", "input", "backbone", "ours", "paper"), lines)


def _ensembles(rows: Sequence[Mapping[str, Any]]) -> _Table:
    lines = []
    for row in rows:
        best = row["best_head"]
        named = f"{display_name(best['name'])} {_cell(best)}" if best else "-"
        lines.append((row["backbone"], _cell(row["ours"]), named, number(row["paper"], "{:.2f}")))
    return _Table("AUC of the ensembles (Table III)", ("backbone", "ours", "best head", "paper"), lines)


def _heads(rows: Sequence[Mapping[str, Any]]) -> _Table:
    lines = []
    for row in rows:
        printed = row["paper"] or {}
        marks = [f"{_cell(row['ours'][name])} [{number(printed.get(name), '{:.2f}')}]" for name in COLUMNS]
        lines.append((row["backbone"], display_name(row["head"]), *marks))
    heading = ("backbone", "head", *(_HEADINGS[name] for name in COLUMNS))
    return _Table("The heads, the paper's figures in brackets (Table IV)", heading, lines)


def _notes(content: Mapping[str, Any]) -> list[str]:
    of_rows = [
        f"{row['backbone']} {display_name(row['head'])} in the paper: {row['note']}"
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
