"""Charts as inline SVG: intervals on a line each, curves, bars. Colours come from the page's own style."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from trainer.page.style import STYLE

WIDTH = 720
LABEL, RIGHT = 290, 80
LINE_PX = 24
PLOT_HEIGHT, LEFT, BOTTOM, TITLE_HEIGHT = 260, 56, 42, 28
NAMES = TEXT_PX = 150  # room for the name of a line, behind its last point
TEXT_HEIGHT = 13
NAME_PX = 34  # of the name of a point
COLOURS = 6  # that the style has


@dataclass(frozen=True)
class Mark:
    """A named value with its interval; strong ones are drawn in the page's accent."""

    name: str
    value: float
    low: float
    high: float
    strong: bool = False


@dataclass(frozen=True)
class Point:
    """One point of a curve, with an interval on its y where low and high differ."""

    x: float
    y: float
    low: float
    high: float
    name: str = ""


@dataclass(frozen=True)
class Curve:
    """A named line of points. beside: their names stand to the left of them, for lines that rise steeply"""

    name: str
    points: Sequence[Point]
    beside: bool = False


@dataclass(frozen=True)
class Plot:
    """Curves over a common x, under a title."""

    title: str
    lines: Sequence[Curve]
    x_name: str
    y_name: str


def intervals(marks: Sequence[Mark], signed: bool = False) -> str:
    """A dot and an interval a line; signed: around a zero line, with signs."""
    if not marks:
        return ""
    low = min(0.0, *(mark.low for mark in marks))
    high = max(*(mark.high for mark in marks), low + 1e-9)
    height = LINE_PX * len(marks) + 8
    span = WIDTH - LABEL - RIGHT

    def x(value: float) -> float:
        return LABEL + span * (value - low) / (high - low)

    out = [f'<line class="axis" x1="{x(0):.1f}" y1="0" x2="{x(0):.1f}" y2="{height}"/>']
    for place, mark in enumerate(marks):
        y = LINE_PX * place + LINE_PX / 2 + 4
        kind = "strong" if mark.strong else "plain"
        number = f"{mark.value:+.4f}" if signed else f"{mark.value:.4f}"
        out.append(
            f"<g><title>{escape(mark.name)}: {number} [{mark.low:.4f}, {mark.high:.4f}]</title>"
            f'<text class="{kind}" x="{LABEL - 12}" y="{y + 4}" text-anchor="end">{escape(mark.name)}</text>'
            f'<line class="bar {kind}" x1="{x(mark.low):.1f}" y1="{y}" x2="{x(mark.high):.1f}" y2="{y}"/>'
            f'<circle class="{kind}" cx="{x(mark.value):.1f}" cy="{y}" r="4.5"/>'
            f'<text class="number {kind}" x="{WIDTH}" y="{y + 4}" text-anchor="end">{number}</text></g>'
        )
    return _svg(height, out)


def curves(lines: Sequence[Curve], x_name: str, y_name: str) -> str:
    """Lines over a common x; a point is named where it has a name."""
    parts = _curves(lines, x_name, y_name)
    return _svg(PLOT_HEIGHT, parts) if parts else ""


def plotted(plot: Plot) -> str:
    """The same with its title."""
    return f'<p class="lead">{escape(plot.title)}</p>{curves(plot.lines, plot.x_name, plot.y_name)}'


def drawing(plots: Sequence[Plot]) -> str:
    """Plots under each other, as an SVG file that stands alone."""
    each = TITLE_HEIGHT + PLOT_HEIGHT
    height = each * max(len(plots), 1)
    parts = [f"<style>{STYLE}</style>", f'<rect width="{WIDTH}" height="{height}" style="fill:var(--card)"/>']
    for place, plot in enumerate(plots):
        inner = "".join(_curves(plot.lines, plot.x_name, plot.y_name))
        title = f'<text class="title" x="{LEFT}" y="{TITLE_HEIGHT - 8}">{escape(plot.title)}</text>'
        moved = f'<g transform="translate(0 {TITLE_HEIGHT})">{inner}</g>'
        parts.append(f'<g transform="translate(0 {each * place})">{title}{moved}</g>')
    return _svg(height, parts, ' xmlns="http://www.w3.org/2000/svg"') + "\n"


def _curves(lines: Sequence[Curve], x_name: str, y_name: str) -> list[str]:
    points = [point for line in lines for point in line.points]
    if not points:
        return []
    x, x_ticks = _scale([point.x for point in points], LEFT, WIDTH - NAMES)
    y, y_ticks = _scale([bound for point in points for bound in (point.low, point.high)], PLOT_HEIGHT - BOTTOM, 12)
    out = [
        f'<line class="grid" x1="{LEFT}" y1="{y(at):.1f}" x2="{WIDTH - NAMES}" y2="{y(at):.1f}"/>'
        f'<text class="tick" x="{LEFT - 8}" y="{y(at) + 4:.1f}" text-anchor="end">{_short(at)}</text>'
        for at in y_ticks
    ]
    out += [
        f'<text class="tick" x="{x(at):.1f}" y="{PLOT_HEIGHT - BOTTOM + 18}" text-anchor="middle">{_short(at)}</text>'
        for at in x_ticks
    ]
    out.append(f'<text class="name" x="{LEFT}" y="{PLOT_HEIGHT - 4}">{escape(x_name)} →   ↑ {escape(y_name)}</text>')
    for place, line in enumerate(lines):
        out += _curve(line, place % COLOURS, x, y)
    if len(lines) > 1:
        ends = [(x(line.points[-1].x) + 9, y(line.points[-1].y) + 4) for line in lines]
        for place, (line, at, level) in enumerate(zip(lines, ends, _apart(ends, TEXT_PX), strict=True)):
            kind = f"end c{place % COLOURS}"
            out.append(f'<text class="{kind}" x="{at[0]:.1f}" y="{level:.1f}">{escape(line.name)}</text>')
    return out


def bars(values: Sequence[tuple[str, float]], unit: str = "") -> str:
    """A bar a line, from zero; longest as given."""
    if not values:
        return ""
    most = max(*(value for _, value in values), 1e-9)
    height, out = LINE_PX * len(values) + 8, []
    for place, (name, value) in enumerate(values):
        y, length = LINE_PX * place + 6, (WIDTH - LABEL - RIGHT) * value / most
        out.append(
            f'<text x="{LABEL - 12}" y="{y + 12}" text-anchor="end">{escape(name)}</text>'
            f'<rect class="fill" x="{LABEL}" y="{y}" width="{length:.1f}" height="{LINE_PX - 9}" rx="3"/>'
            f'<text class="number" x="{WIDTH}" y="{y + 12}" text-anchor="end">{_short(value)}{unit}</text>'
        )
    return _svg(height, out)


def _curve(line: Curve, colour: int, x: Callable[[float], float], y: Callable[[float], float]) -> list[str]:
    path = " ".join(f"{'L' if place else 'M'}{x(p.x):.1f},{y(p.y):.1f}" for place, p in enumerate(line.points))
    out = [f'<path class="curve c{colour}" d="{path}"/>']
    beside = _apart([(x(point.x), y(point.y)) for point in line.points], NAME_PX)
    for point, level in zip(line.points, beside, strict=True):
        at = f"{x(point.x):.1f}"
        if point.low < point.high:
            low, high = y(point.low), y(point.high)
            out.append(f'<line class="whisker c{colour}" x1="{at}" y1="{low:.1f}" x2="{at}" y2="{high:.1f}"/>')
        said = f"{escape(line.name)} {escape(point.name)}: {point.x:.4g}, {point.y:.4f}"
        out.append(
            f'<circle class="dot c{colour}" cx="{at}" cy="{y(point.y):.1f}" r="4"><title>{said}</title></circle>'
        )
        if point.name and line.beside:
            place = f'x="{x(point.x) - 9:.1f}" y="{level - 3:.1f}" text-anchor="end"'
            out.append(f'<text class="tick" {place}>{escape(point.name)}</text>')
        elif point.name:
            out.append(f'<text class="tick" x="{at}" y="{y(point.y) - 9:.1f}" text-anchor="middle">{point.name}</text>')
    return out


def _scale(values: Sequence[float], start: float, end: float) -> tuple[Callable[[float], float], list[float]]:
    """From a value to a pixel, and ticks at round values; a twentieth of room at both ends."""
    low, high = min(values), max(values)
    room = (high - low or abs(high) or 1.0) * 0.05
    low, high = low - room, high + room
    power = 10.0 ** math.floor(math.log10((high - low) / 4))
    step = next(power * factor for factor in (1, 2, 5, 10) if (high - low) / (power * factor) <= 6)
    ticks = [step * tick for tick in range(math.ceil(low / step), math.floor(high / step) + 1)]
    return lambda value: start + (end - start) * (value - low) / (high - low), ticks


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _apart(ends: Sequence[tuple[float, float]], width: float) -> list[float]:
    """The heights of texts of this width that begin at these (x, y), moved down where one would stand on another."""
    levels = [y for _, y in ends]
    for place in sorted(range(len(ends)), key=lambda at: ends[at][1]):
        settled = [at for at in range(len(ends)) if (ends[at][1], at) < (ends[place][1], place)]
        for at in sorted(settled, key=lambda other: levels[other]):
            near = abs(ends[at][0] - ends[place][0]) < width
            if near and abs(levels[at] - levels[place]) < TEXT_HEIGHT:
                levels[place] = levels[at] + TEXT_HEIGHT
    return levels


def _svg(height: float, parts: Sequence[str], kind: str = "") -> str:
    return f'<svg{kind} viewBox="0 0 {WIDTH} {height:.0f}" role="img">{"".join(parts)}</svg>'
