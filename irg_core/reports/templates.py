"""The pages of this folder, filled in."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from irg_core.reports.player import head, player

FOLDER = Path(__file__).parent


def page(name: str, has_players: bool = True, **values: object) -> str:
    """The page `name` with these values, its style and, where it has motions to show, their player."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    style = Markup((FOLDER / "page.css").read_text(encoding="utf-8"))
    return environment.get_template(name).render(
        style=style, player_head=head() if has_players else "", player=player, **values
    )
