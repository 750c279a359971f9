"""One self-contained page that shows colleagues what ran and what came out."""

from dmdbt.report.page import render_page
from dmdbt.report.pairs import Images
from dmdbt.report.results import ReportInputs, Results, read_results
from dmdbt.report.settings import ReportSettings

__all__ = ["Images", "ReportInputs", "ReportSettings", "Results", "read_results", "render_page"]
