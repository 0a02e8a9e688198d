"""A motion as one picture: eight stick figures in a row, for people to hold against the caption.

Seen from the front, a little from the performer's left. Left limbs are blue and right ones orange; on the floor lie a
grid that stays in place, the way the pelvis came, and a short black line that shows where the hips face.
"""

import textwrap

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from irg_core.motion.skeleton import FPS, JOINTS, PARENTS

LEFT, RIGHT, MIDDLE = "#1f5fbf", "#d9700f", "#333333"
_GRID, _PATH, _FACING = "#e6e6e6", "#9a9a9a", "black"
_CELL, _HEADER, _FLOOR, _FOOTER = 170, 54, 70, 34
"""Pixels: side of the square a figure stands in, and what lies above it, under its feet, and below for the time."""
_TURN, _RISE = np.radians(35.0), np.radians(12.0)
"""How far the eye stands towards the performer's left, and above the floor."""
_TALL = 1.75
"""Metres that fill a cell; a crouch is drawn at the size of a standing person, and only a leap makes all smaller."""
_TILE, _REACH = 0.3, 0.9
"""Metres: width of the floor's squares, and how far they reach around the figure."""


def strip(joints: np.ndarray, caption: str, frames: int = 8) -> Image.Image:
    """Draw `frames` moments of joints [T, 22, 3], evenly spaced in time, under their caption."""
    bottom = _HEADER + _CELL + _FLOOR
    picture = Image.new("RGB", (_CELL * frames, bottom + _FOOTER), "white")
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=14)
    pen.multiline_text((8, 6), "\n".join(textwrap.wrap(caption, 24 * frames)[:2]), fill="black", font=font)
    scale = _CELL / max(_TALL, float(joints[..., 1].max()) + 0.1)
    for column, moment in enumerate(np.linspace(0, len(joints) - 1, frames).round().astype(int).tolist()):
        left = column * _CELL
        _Cell(pen, np.array([left + _CELL / 2, bottom - 30.0]), scale).draw(joints, moment)
        pen.rectangle((left + 2, _HEADER, left + _CELL - 2, bottom), outline=_GRID)
        pen.text((left + 8, bottom + 4), f"{moment / FPS:.1f} s", fill=MIDDLE, font=font)
    return picture


class _Cell:
    """One moment, drawn around a place in the picture that the pelvis stands over."""

    def __init__(self, pen: ImageDraw.ImageDraw, place: np.ndarray, scale: float) -> None:
        self.pen, self.place, self.scale = pen, place, scale

    def draw(self, joints: np.ndarray, moment: int) -> None:
        centre = joints[moment, 0] * (1.0, 0.0, 1.0)
        self._grid(centre)
        way = joints[: moment + 1, 0] * (1.0, 0.0, 1.0) - centre
        self._line(way[np.abs(way).max(axis=-1) < _REACH], _PATH, 2)
        across = joints[moment, 2] - joints[moment, 1]
        facing = np.array([across[2], 0.0, -across[0]]) / max(float(np.hypot(across[0], across[2])), 1e-9)
        self._line(np.stack([np.zeros(3), 0.35 * facing]), _FACING, 2)
        self._body(joints[moment] - centre)

    def _grid(self, centre: np.ndarray) -> None:
        for along in np.arange(-_REACH, _REACH + 0.01, _TILE).tolist():
            for ends in ([(along, 0, -_REACH), (along, 0, _REACH)], [(-_REACH, 0, along), (_REACH, 0, along)]):
                # Shifted back by what the performer has moved within a tile, so that travel can be seen.
                self._line(np.array(ends) - centre % _TILE, _GRID, 1)

    def _body(self, points: np.ndarray) -> None:
        towards_eye = np.array([np.sin(_TURN) * np.cos(_RISE), np.sin(_RISE), np.cos(_TURN) * np.cos(_RISE)])
        for joint in np.argsort(points @ towards_eye, kind="stable").tolist():
            if joint > 0:
                self._line(points[[PARENTS[joint], joint]], _colour(JOINTS[joint]), 4)
        x, y = self._project(points[JOINTS.index("head")])
        radius = 0.09 * self.scale
        self.pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill="white", outline=MIDDLE, width=3)

    def _line(self, points: np.ndarray, colour: str, width: int) -> None:
        self.pen.line([self._project(point) for point in points], fill=colour, width=width)

    def _project(self, point: np.ndarray) -> tuple[float, float]:
        """A point in metres as pixels, by parallel projection."""
        right = point[0] * np.cos(_TURN) - point[2] * np.sin(_TURN)
        nearer = point[0] * np.sin(_TURN) + point[2] * np.cos(_TURN)
        up = point[1] * np.cos(_RISE) - nearer * np.sin(_RISE)
        return float(self.place[0] + right * self.scale), float(self.place[1] - up * self.scale)


def _colour(joint: str) -> str:
    return LEFT if joint.startswith("left") else RIGHT if joint.startswith("right") else MIDDLE
