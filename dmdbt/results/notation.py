"""One notation for tables: ``0.852 (0.803 to 0.894)`` is a value with its 95 % interval, ``-`` is undefined."""

from collections.abc import Iterable, Sequence

_SMALLEST_P = 0.001


def number(value: float | None, form: str = "{:.3f}") -> str:
    """Return a number, or a dash where there is none."""
    return "-" if value is None else form.format(value)


def with_interval(value: float | None, low: float | None, high: float | None, form: str = "{:.3f}") -> str:
    """Return a number with its interval, if it has one."""
    within = "" if value is None or low is None or high is None else f" ({form.format(low)} to {form.format(high)})"
    return number(value, form) + within


def p_value(value: float | None) -> str:
    """Return a p-value; one too small for its digits is given by a bound."""
    return f"< {_SMALLEST_P}" if value is not None and value < _SMALLEST_P else number(value)


def markdown_table(heading: Sequence[str], rows: Iterable[Sequence[str]], *, right: bool = False) -> str:
    """Return a table in Markdown; with `right` every column but the first is aligned to the right."""
    rule = ["---", *["---:" if right else "---"] * (len(heading) - 1)]
    lines = [heading, rule, *([cell.replace("|", r"\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
