"""One answer of a model as a page that moves, in the manner of the report's galleries."""

from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from irg_core.reports.gallery import Exhibit
from irg_core.reports.player import head, player

PAGE, STYLE = (Path(__file__).with_name(name) for name in ("answer.html", "page.css"))


def render(exhibit: Exhibit) -> str:
    """The page; it needs no network and no other file."""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    template = environment.from_string(PAGE.read_text(encoding="utf-8"))
    style = Markup(STYLE.read_text(encoding="utf-8"))
    return template.render(exhibit=exhibit, style=style, player_head=head(), player=player)
