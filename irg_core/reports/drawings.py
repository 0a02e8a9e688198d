"""Small drawings as inline SVG, so that the report is one file and opens without a network."""

from collections.abc import Mapping, Sequence
from html import escape

from irg_core.reports.results import Line

Point = tuple[float, float]
COLOURS = ("#2563a8", "#c2571a", "#2f8a5b", "#8a4fa3", "#8a6d1f")

WIDTH, HEIGHT = 340.0, 190.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 18.0, 10.0, 24.0


def curves(series: Mapping[str, Sequence[Point]]) -> str:
    """Lines over steps, on common axes with round tick marks."""
    points = [point for line in series.values() for point in line]
    xs, ys = _Axis([x for x, _ in points], LEFT, WIDTH - RIGHT), _Axis([y for _, y in points], HEIGHT - BOTTOM, TOP)
    parts = [
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{ys.at(tick):.1f}" y2="{ys.at(tick):.1f}"/>'
        f'<text class="tick" x="{LEFT - 6}" y="{ys.at(tick) + 3.5:.1f}" text-anchor="end">{tick:g}</text>'
        for tick in ys.ticks
    ]
    parts += [
        f'<text class="tick" x="{xs.at(tick):.1f}" y="{HEIGHT - 8}" text-anchor="middle">{tick:g}</text>'
        for tick in xs.ticks
    ]
    for colour, line in zip(COLOURS * len(series), series.values(), strict=False):
        path = " ".join(f"{xs.at(x):.1f},{ys.at(y):.1f}" for x, y in line)
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.6" points="{path}"/>')
    return f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img">{"".join(parts)}</svg>'


def legend(series: Mapping[str, object]) -> str:
    names = zip(COLOURS * len(series), series, strict=False)
    return "".join(
        f'<span class="key"><i style="background:{colour}"></i>{escape(name)}</span>' for colour, name in names
    )


def intervals(lines: Sequence[Line], metric: str) -> str:
    """One dot a row with its interval, on a scale from 0 to 1: what overlaps, and what does not."""
    shown = [line for line in lines if metric in line.scores]
    row, left, width = 22.0, 150.0, 640.0
    height = row * len(shown) + 26
    axis = _Axis([0.0, 1.0], left, width - 60)
    parts = [
        f'<line class="grid" x1="{axis.at(tick):.1f}" x2="{axis.at(tick):.1f}" y1="4" y2="{height - 20:g}"/>'
        f'<text class="tick" x="{axis.at(tick):.1f}" y="{height - 5:g}" text-anchor="middle">{tick:g}</text>'
        for tick in axis.ticks
    ]
    for index, line in enumerate(shown):
        score, y = line.scores[metric], row * index + 15
        low, high = (axis.at(min(1.0, max(0.0, score.mean + side * score.interval))) for side in (-1, 1))
        colour = "#7b8794" if line.is_reference else COLOURS[0]
        parts.append(
            f'<text class="name" x="{left - 12}" y="{y + 4:g}" text-anchor="end">{escape(line.name)}</text>'
            f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y:g}" y2="{y:g}" stroke="{colour}" stroke-width="2"/>'
            f'<circle cx="{axis.at(score.mean):.1f}" cy="{y:g}" r="4" fill="{colour}"/>'
            f'<text class="tick" x="{width - 8}" y="{y + 4:g}" text-anchor="end">{score.mean:.3f}</text>'
        )
    return f'<svg class="wide" viewBox="0 0 {width:g} {height:g}" role="img">{"".join(parts)}</svg>'


class _Axis:
    """A linear scale from values to a stretch of the drawing, with three to six round ticks."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        self.low, self.high = min(values), max(values)
        if self.low == self.high:
            self.low, self.high = self.low - 0.5, self.high + 0.5
        self.start, self.end = start, end

    def at(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    @property
    def ticks(self) -> list[float]:
        span = self.high - self.low
        power = 10.0 ** (len(f"{int(span)}") - 1 if span >= 1 else -next(n for n in range(1, 30) if span * 10**n >= 1))
        step = next(step for step in (power / 5, power / 2, power, 2 * power, 5 * power) if span / step <= 5)
        first = int(-(-self.low // step))
        return [round(n * step, 10) for n in range(first, first + 7) if n * step <= self.high + 1e-9 * span]
