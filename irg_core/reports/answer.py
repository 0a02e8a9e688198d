"""One answer of a model as a page that moves, in the manner of the report's galleries."""

from irg_core.reports import templates
from irg_core.reports.gallery import Exhibit


def render(exhibit: Exhibit) -> str:
    """The page; it needs no network and no other file."""
    return templates.page("answer.html", exhibit=exhibit)
