"""One self-contained page that shows colleagues what ran and what came out."""

from dmdbt.report.page import render_page
from dmdbt.report.pairs import Images
from dmdbt.report.results import Results, read_results
from dmdbt.report.run import Settings

__all__ = ["Images", "Results", "Settings", "read_results", "render_page"]
