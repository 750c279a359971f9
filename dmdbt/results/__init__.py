"""The paper's tables and claims beside ours, as texts and tables."""

from dmdbt.results.claims import Scores
from dmdbt.results.exports import latex_tables, markdown_tables
from dmdbt.results.paper_tables import tables_content
from dmdbt.results.summary import plot_tables, summary_numbers, summary_text

__all__ = [
    "Scores",
    "latex_tables",
    "markdown_tables",
    "plot_tables",
    "summary_numbers",
    "summary_text",
    "tables_content",
]
