"""Motions that move: a 3-D player for pages that open without a network.

A page carries three.js once, in the copy that trimesh ships inside of its own viewer: 0.6 MB, where plotly's script is
4.8 MB and took four times as long for a frame. One WebGL context draws every player of a page (browsers allow about
sixteen), each only while it is on the screen.
"""

import base64
import importlib.util
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from irg_core.errors import FactoryError
from irg_core.motion.skeleton import FPS, JOINTS, PARENTS

MILLIMETRE = 0.001
LARGEST = 2**15 - 1
_STYLE, _SCRIPT = (Path(__file__).with_name(name) for name in ("player.css", "player.js"))
_LIBRARY_ENDS = "\n(function(){const _changeEvent"
"""Where trimesh's page goes on from three.js to its own controls."""
_PLAYER = """
<figure class="player" tabindex="0" aria-label="motion player" style="--panels: {{ tracks | length }}"
 data-frame="0" data-state="paused">
<div class="panels">
{% for track in tracks %}
<div class="panel" data-frame="0" data-fps="{{ track.fps }}" data-unit="{{ track.unit }}"
 data-motion="{{ track.data }}">
<canvas></canvas><span class="label">{{ track.label }}</span></div>
{% endfor %}
</div>
<div class="controls">
<button class="play" type="button" aria-label="play or pause" title="play or pause (space)">&#9654;</button>
<input class="scrub" type="range" min="0" step="1" value="0" aria-label="frame">
<output>0.0 s</output>
<select class="speed" aria-label="speed">
{% for speed in (0.25, 0.5, 1, 1.5, 2) %}
<option value="{{ speed }}"{{ ' selected' if speed == 1 }}>{{ speed }}×</option>
{% endfor %}
</select>
<button class="follow" type="button" aria-pressed="false" title="keep the performer in the middle (f)">follow</button>
<button class="home" type="button" title="the first view (double click)">view</button>
</div>
{% if caption %}
<figcaption>{{ caption }}</figcaption>
{% endif %}
</figure>
"""


@dataclass(frozen=True)
class Track:
    """One motion of a player, in a panel of its own."""

    label: str
    joints: np.ndarray  # [frames, 22, 3] metres, y up
    fps: float = FPS

    def __post_init__(self) -> None:
        if self.joints.ndim != 3 or self.joints.shape[1:] != (len(JOINTS), 3) or not len(self.joints):
            raise ValueError(f"track '{self.label}' has joints {self.joints.shape}; a player shows [frames, 22, 3]")
        if not np.isfinite(self.joints).all():
            raise ValueError(f"track '{self.label}' holds numbers that are not finite")

    @property
    def unit(self) -> float:
        """Metres of one step of `data`: a millimetre, unless the motion leaves a square of 65 metres."""
        return max(MILLIMETRE, float(np.abs(self.joints).max()) / LARGEST)

    @property
    def data(self) -> str:
        """The joints in steps of `unit`, as base64 of little-endian 16-bit numbers, frame by frame."""
        return base64.b64encode(np.round(self.joints / self.unit).astype("<i2").tobytes()).decode()


def head() -> Markup:
    """The library, and the player's script and style: once on a page, before its players or after them."""
    script = _SCRIPT.read_text(encoding="utf-8").replace("PARENTS", str(PARENTS)).replace("SIDES", str(_sides()))
    style = _STYLE.read_text(encoding="utf-8")
    return Markup(f"<style>{style}</style>\n<script>{_three()}</script>\n<script>{script}</script>")


def player(tracks: Sequence[Track], caption: str = "") -> Markup:
    """Panels side by side, one a track, on one clock; a shorter track waits in its last frame."""
    environment = Environment(autoescape=True, trim_blocks=True, undefined=StrictUndefined)
    return Markup(environment.from_string(_PLAYER).render(tracks=tracks, caption=caption))


def _sides() -> list[int]:
    """Of each joint: 1 left, -1 right, 0 in the middle."""
    return [joint.startswith("left") - joint.startswith("right") for joint in JOINTS]


def _three() -> str:
    found = importlib.util.find_spec("trimesh")  # not imported: that takes a second, and only a file is wanted
    if found is None or not found.submodule_search_locations:
        raise FactoryError("the motion player needs three.js from the package trimesh; run `make setup`")
    archive = Path(found.submodule_search_locations[0]) / "resources" / "templates" / "viewer.zip"
    with zipfile.ZipFile(archive) as pages:
        page = pages.read("viewer.html.template").decode("utf-8")
    library, end, _ = page.partition("<script>")[2].partition(_LIBRARY_ENDS)
    if not end:
        raise FactoryError(f"{archive} holds three.js in another form than the pinned trimesh; run `make setup`")
    return library
