"""Rank-1 over the levels of one kind, as an SVG that takes its colours from the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from xreid.evaluation.intervals import Estimate
from xreid.evaluation.svg import caption, grid_line, label_heights, picture
from xreid.evaluation.text import interval, percent

_WIDTH, _HEIGHT = 560, 320
_LEFT, _TOP, _BOTTOM = 44, 14, 56
_LETTER = 10.5  # pixels of a letter of a curve's name, as wide as phones draw it
_LONGEST = 12  # letters of a curve's name
_LABEL_GAP = 19  # pixels between the names of two curves that end at one height
_TICK_GAP = 30  # pixels between two levels that are both written
_APART = 4  # pixels between the middle and the points of a curve, so that intervals do not hide each other


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One point of a curve.

    Attributes:
        place: Where it stands on the level axis, in any unit.
        label: The level in words.
        score: Rank-1 with its interval.
        sure: Whether the difference to the clean score has an interval without zero; True for the clean one.
    """

    place: float
    label: str
    score: Estimate
    sure: bool


def level_chart(curves: Sequence[tuple[str, int, Sequence[Mark]]], *, axis: str, title: str) -> str:
    """An <svg> element.

    Args:
        curves: Name, number of its colour and marks of each curve, from left to right.
        axis: What the levels count.
        title: For those who cannot see it.
    """
    places = [mark.place for _, _, marks in curves for mark in marks]
    across = _Across(low=min(places), high=max(places), end=_WIDTH - _margin([name for name, _, _ in curves]))
    parts = [
        grid_line(str(share), y=_y(share / 100), left=_LEFT, right=across.end)
        for share in (0, 25, 50, 75, 100)
    ]
    parts += _ticks(sorted({(mark.place, mark.label) for _, _, marks in curves for mark in marks}), across)
    parts.append(caption(axis, x=(_LEFT + across.end) / 2, y=_HEIGHT - 10))
    heights = label_heights([_y(marks[-1].score.value) for _, _, marks in curves], gap=_LABEL_GAP)
    for number, ((name, colour, marks), height) in enumerate(zip(curves, heights, strict=True)):
        shift = _APART * (2 * number - len(curves) + 1)
        xs = [across.x(mark.place) + shift for mark in marks]
        parts.append(_curve(name, colour, marks, xs=xs, label=(across.end + 12, height + 5)))
    return picture(parts, width=_WIDTH, height=_HEIGHT, title=title)


@dataclass(frozen=True, kw_only=True)
class _Across:
    """Where levels lie between the left and the right end of the chart, in pixels."""

    low: float
    high: float
    end: int

    def x(self, place: float) -> float:
        share = (place - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return _LEFT + 16 + share * (self.end - _LEFT - 32)


def _margin(names: Sequence[str]) -> int:
    """Pixels right of the chart for the curves' names."""
    return round(max(58, 18 + _LETTER * max(len(_short(name)) for name in names)))


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _curve(
    name: str, colour: int, marks: Sequence[Mark], *, xs: Sequence[float], label: tuple[float, float]
) -> str:
    points = " ".join(f"{x:.1f},{_y(m.score.value):.1f}" for x, m in zip(xs, marks, strict=True))
    drawn = "".join(_whisker(m.score, x) + _dot(name, m, x) for x, m in zip(xs, marks, strict=True))
    text = f'<text x="{label[0]}" y="{label[1]:.1f}">{escape(_short(name))}</text>'
    return f'<g class="series s{colour % 5}"><polyline points="{points}"/>{drawn}{text}</g>'


def _whisker(score: Estimate, x: float) -> str:
    if score.low is None or score.high is None:
        return ""
    low, high = _y(score.low), _y(score.high)
    ends = "".join(f"M{x - 4:.1f} {y:.1f}h8" for y in (low, high))
    return f'<path d="M{x:.1f} {low:.1f}V{high:.1f}{ends}"/>'


def _dot(name: str, mark: Mark, x: float) -> str:
    kind = "" if mark.sure else ' class="open"'
    said = f"{name}, {mark.label}: Rank-1 {percent(mark.score.value)} {interval(mark.score)}"
    place = f'cx="{x:.1f}" cy="{_y(mark.score.value):.1f}" r="4.5"'
    return f"<circle{kind} {place}><title>{escape(said)}</title></circle>"


def _ticks(levels: Sequence[tuple[float, str]], across: _Across) -> list[str]:
    """The levels in words, but for those that would run into their left neighbour."""
    written, last = [], -math.inf
    for place, label in levels:
        x = across.x(place)
        if x >= last + _TICK_GAP:
            written.append(caption(label, x=x, y=_HEIGHT - _BOTTOM + 20))
            last = x
    return written


def _y(share: float) -> float:
    return _TOP + (1 - share) * (_HEIGHT - _TOP - _BOTTOM)
