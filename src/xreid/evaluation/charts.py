"""DET curves and reliability diagrams as SVG that takes its colours from the page, as `curves` does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from xreid.evaluation.svg import grid_line, picture

_WIDTH, _HEIGHT = 560, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 16, 14, 56
_LINE = 20  # pixels between lines of the legend


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One axis.

    Attributes:
        label: What it shows.
        ticks: (value, text).
        low: Value at its beginning.
        high: Value at its end.
        logarithmic: Whether equal ratios are equally long.
    """

    label: str
    ticks: tuple[tuple[float, str], ...]
    low: float = 0.0
    high: float = 1.0
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """0 at the beginning, 1 at the end; values outside stay at the ends."""
        value = min(max(value, self.low), self.high)
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One line of a chart.

    Attributes:
        name: For the legend.
        points: (x, y), joined by straight lines.
        dots: (x, y, radius in pixels, what a pointer is told).
        number: Chooses colour and dashes.
    """

    name: str
    points: tuple[tuple[float, float], ...]
    dots: tuple[tuple[float, float, float, str], ...] = ()
    number: int = 0


PERCENT = tuple((v / 100, str(v)) for v in (0, 25, 50, 75, 100))


def chart(
    curves: Sequence[Curve],
    *,
    x: Axis,
    y: Axis,
    title: str,
    diagonal: bool = False,
    legend_left: bool = False,
) -> str:
    """An <svg> element.

    Args:
        curves: What to draw.
        x: Horizontal axis.
        y: Vertical axis.
        title: For those who hear the page.
        diagonal: Draw y = x, on axes that are alike.
        legend_left: Names stand at the upper left instead of the upper right.
    """
    parts = [grid_line(text, y=_y(y.place(v)), left=_LEFT, right=_WIDTH - _RIGHT) for v, text in y.ticks]
    parts += [_upright(x.place(v), text) for v, text in x.ticks]
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(
        f'<text class="tick" x="{middle:.0f}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(x.label)}</text>'
    )
    if diagonal:
        a, b = (_x(0), _y(0)), (_x(1), _y(1))
        look = 'style="stroke:var(--soft)" stroke-dasharray="3 4"'
        parts.append(f'<line x1="{a[0]}" y1="{a[1]}" x2="{b[0]}" y2="{b[1]}" {look}/>')
    parts += [_curve(curve, x, y) for curve in curves]
    parts += [_name(curve, row, left=legend_left) for row, curve in enumerate(curves)]
    return picture(parts, width=_WIDTH, height=_HEIGHT, title=title)


def _curve(curve: Curve, x: Axis, y: Axis) -> str:
    path = " ".join(f"{_x(x.place(a)):.1f},{_y(y.place(b)):.1f}" for a, b in curve.points)
    dots = "".join(
        f'<circle cx="{_x(x.place(a)):.1f}" cy="{_y(y.place(b)):.1f}" r="{radius:.1f}">'
        f"<title>{escape(told)}</title></circle>"
        for a, b, radius, told in curve.dots
    )
    return f'<g class="series s{curve.number % 5}"><polyline points="{path}"/>{dots}</g>'


def _name(curve: Curve, row: int, *, left: bool) -> str:
    """A piece of the line and its name."""
    height = _TOP + 16 + row * _LINE
    start = _LEFT + 12 if left else _WIDTH - _RIGHT - 10
    end = start + (34 if left else -34)
    text = end + (8 if left else -8)
    anchor = "start" if left else "end"
    return (
        f'<g class="series s{curve.number % 5}"><polyline points="{start},{height} {end},{height}"/>'
        f'<text x="{text}" y="{height + 5}" text-anchor="{anchor}">{escape(curve.name)}</text></g>'
    )


def _upright(place: float, text: str) -> str:
    x, foot = _x(place), _HEIGHT - _BOTTOM
    return (
        f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{foot}"/>'
        f'<text class="tick" x="{x:.1f}" y="{foot + 20}" text-anchor="middle">{escape(text)}</text>'
    )


def _x(place: float) -> float:
    return round(_LEFT + place * (_WIDTH - _LEFT - _RIGHT), 1)


def _y(place: float) -> float:
    return round(_TOP + (1 - place) * (_HEIGHT - _TOP - _BOTTOM), 1)
