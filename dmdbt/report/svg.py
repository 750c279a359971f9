"""Figures of matplotlib as SVG inside a page: colors of its style sheet, no identifier twice, no outside address."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.figure import Figure

# What a figure is drawn in stands for a color of the style sheet, so that one drawing suits light, dark and paper.
INK, MUTED, RULE = "#010101", "#020202", "#030303"
SERIES = ("#040401", "#040402", "#040403", "#040404")
_VARIABLES = {INK: "--ink", MUTED: "--muted", RULE: "--rule"} | {
    color: f"--series-{number}" for number, color in enumerate(SERIES, start=1)
}
_STYLE: dict[Any, object] = {
    "font.family": "sans-serif",
    "font.size": 9.0,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "svg.fonttype": "none",  # text stays text: it is searched, read aloud and has the page's font
    "svg.hashsalt": "dmdbt",  # without it identifiers are random
    "path.simplify": False,
}


@contextmanager
def style() -> Iterator[None]:
    """Draw as this page does, whatever the user's own settings of matplotlib are."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def inline_svg(figure: Figure, name: str, *, alternative: str) -> Markup:
    """Return a figure as an ``<svg>`` element for an HTML page; equal figures give equal text.

    Parameters
    ----------
    figure
        Drawn in `INK`, `MUTED`, `RULE` and `SERIES` alone, under `style`.
    name
        Of this figure alone on its page: it begins every identifier.
    alternative
        What is seen, for whoever does not see it.
    """
    with style():
        buffer = io.StringIO()
        # No date, and no other metadata, whose vocabulary is named by addresses.
        figure.savefig(
            buffer, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'\s+xmlns(:xlink)?="[^"]*"', "", text).replace("xlink:href=", "href=")
    text = re.sub(r'\bid="', f'id="{name}-', text).replace("url(#", f"url(#{name}-").replace('="#', f'="#{name}-')
    for color, variable in _VARIABLES.items():
        text = text.replace(color, f"var({variable})")
    text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", text)
    head, _, rest = text.partition(">")
    return Markup(f"{_head(head, alternative)}>{rest.strip()}")


def _head(head: str, alternative: str) -> str:
    """The opening tag without a size of its own, which the style sheet gives it."""
    head = re.sub(r'\s(?:width|height|version)="[^"]*"', "", head)
    return f'{" ".join(head.split())} role="img" aria-label="{escape(alternative)}"'
