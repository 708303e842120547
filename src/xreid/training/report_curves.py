"""Training curves as small SVG charts that take their colours from the page: one a quantity."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_WIDTH, _HEIGHT = 330, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 10, 26
_MOST_BINS = 100
_LOG_FROM = 300.0  # largest over smallest value, where a straight axis would show a line on the ground

# First match of a name's beginning; what a chart says below its name.
_MEANINGS = (
    ("loss", "weighted sum of the terms below"),
    ("cpcl_", "contrast with the prototypes"),
    ("triplet_", "hardest triplets"),
    ("frame_identity_", "cross-entropy over training people, frame by frame"),
    ("identity_", "cross-entropy over training people"),
    ("cmcl_", "distance to the other modality's CII feature"),
    ("cii_", "on the CII feature"),
    ("grad_norm", "length of the gradient before clipping"),
    ("lr", "learning rate"),
    ("held-out", "training people that were held out, percent"),
)
_CHOICES = ("cpcl_", "identity_", "frame_identity_", "cii_identity_")
_NO_CURVE = ("step", "epoch", "replaced_frames")
_LAST = ("grad_norm", "lr")


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One quantity.

    Attributes:
        name: As it is logged.
        meaning: What it is, in words; may be empty.
        svg: An <svg> element; its text is escaped.
    """

    name: str
    meaning: str
    svg: str


def training_charts(
    metrics: Sequence[Sequence[Mapping[str, Any]]], *, people: int | None = None
) -> tuple[Chart, ...]:
    """A chart of every number that any of the runs logged: the loss, its terms, held-out scores, the rest.

    Args:
        metrics: Per run the lines of its metrics.jsonl, in order of step.
        people: Training identities, where all runs have as many: their logarithm is what an even guess over
            them costs, and is marked in the terms that choose among them.
    """
    series = [_series(lines) for lines in metrics]
    names = list(dict.fromkeys(name for run in series for name in run))
    ordered = [n for n in names if n not in _LAST] + [n for n in _LAST if n in names]
    return tuple(_chart(name, [run.get(name) for run in series], people=people) for name in ordered)


def _series(lines: Sequence[Mapping[str, Any]]) -> dict[str, Floats]:
    """float64 [n, 2] of (step, value) by name; held-out scores as percent."""
    points: dict[str, list[tuple[int, float]]] = {}
    for line in lines:
        for name, value in line.items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if number and name not in _NO_CURVE and math.isfinite(value):
                scale = 100 if name.startswith("held-out") else 1
                points.setdefault(name, []).append((line["step"], scale * value))
    return {name: np.array(values) for name, values in points.items()}


def _chart(name: str, runs: Sequence[Floats | None], *, people: int | None) -> Chart:
    drawn = {i: binned(points) for i, points in enumerate(runs) if points is not None}
    low = min(float(bins[:, 2].min()) for bins in drawn.values())
    high = max(float(bins[:, 3].max()) for bins in drawn.values())
    last = max(float(bins[-1, 0]) for bins in drawn.values())
    even = math.log(people) if people and name.startswith(_CHOICES) else None
    if even is not None:
        low, high = min(low, even), max(high, even)
    axis = Axis.of(low, high, straight=name == "lr" or name.startswith("held-out"))
    parts = [axis.grid(), _steps(last), "" if even is None else axis.mark(even)]
    for i, bins in drawn.items():
        parts.append(_curve(bins, axis, last=last, number=i))
    meaning = next((text for start, text in _MEANINGS if name.startswith(start)), "")
    label = f"{name} over training steps"
    svg = (
        f'<svg class="curve" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg>"
    )
    meaning += ", log scale" if axis.log else ""
    meaning += "" if even is None else f"; dots: an even guess among {people:,}"
    return Chart(name=name, meaning=meaning, svg=svg)


def binned(points: Floats) -> Floats:
    """float64 [m, 4]: last step, mean, least and greatest value of up to 100 equal bins of (step, value)."""
    parts = np.array_split(points, min(_MOST_BINS, len(points)))
    return np.array([(p[-1, 0], p[:, 1].mean(), p[:, 1].min(), p[:, 1].max()) for p in parts])


@dataclass(frozen=True, kw_only=True)
class Axis:
    """The vertical axis.

    Attributes:
        low: Value at the bottom.
        high: Value at the top.
        log: Whether it is logarithmic.
        ticks: Values that are written beside it.
    """

    low: float
    high: float
    log: bool
    ticks: tuple[float, ...]

    @classmethod
    def of(cls, low: float, high: float, *, straight: bool) -> Axis:
        """An axis that holds these values; logarithmic where they span a lot, unless it must be straight."""
        if not straight and low > 0 and high / low > _LOG_FROM:
            first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
            every = max(1, math.ceil((last - first) / 4))
            ticks = tuple(10.0**e for e in range(first, last + 1, every))
            return cls(low=10.0**first, high=10.0**last, log=True, ticks=ticks)
        if low >= 0 and low < high / 2:
            low = 0.0
        step = _nice((high - low or abs(high) or 1.0) / 4)
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        last = max(last, first + 1)
        ticks = tuple(i * step for i in range(first, last + 1))
        return cls(low=ticks[0], high=ticks[-1], log=False, ticks=ticks)

    def y(self, value: float) -> float:
        """Height of a value in the chart."""
        if self.log:
            share = math.log10(value / self.low) / math.log10(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - share)

    def mark(self, value: float) -> str:
        """A dotted line at a value."""
        y, right = self.y(value), _WIDTH - _RIGHT
        return f'<line class="even" x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'

    def grid(self) -> str:
        """Lines and numbers."""
        left, right = _LEFT, _WIDTH - _RIGHT
        return "".join(
            f'<line class="grid" x1="{left}" x2="{right}" y1="{self.y(t):.1f}" y2="{self.y(t):.1f}"/>'
            f'<text class="tick" x="{left - 6}" y="{self.y(t) + 4:.1f}" text-anchor="end">{_short(t)}</text>'
            for t in self.ticks
        )


def _curve(bins: Floats, axis: Axis, *, last: float, number: int) -> str:
    """A band from the least to the greatest value of each bin, and a line through the means."""
    x = [_x(step, last) for step in bins[:, 0]]
    line = _points(x, [axis.y(v) for v in bins[:, 1]])
    if len(bins) == 1:
        shape = f'<circle cx="{x[0]:.1f}" cy="{axis.y(bins[0, 1]):.1f}" r="3.5"/>'
    else:
        edge = _points(x + x[::-1], [axis.y(v) for v in bins[:, 3]] + [axis.y(v) for v in bins[::-1, 2]])
        shape = f'<polygon points="{edge}"/><polyline points="{line}"/>'
    return f'<g class="series s{number % 5}">{shape}</g>'


def _points(x: Sequence[float], y: Sequence[float]) -> str:
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))


def _steps(last: float) -> str:
    places = (0.0, last / 2, last)
    anchors = ("start", "middle", "end")
    words = ("0", f"{last / 2:,.0f}", f"{last:,.0f} steps")
    return "".join(
        f'<text class="tick" x="{_x(place, last):.1f}" y="{_HEIGHT - 6}" text-anchor="{anchor}">{word}</text>'
        for place, anchor, word in zip(places, anchors, words, strict=True)
    )


def _x(step: float, last: float) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * step / (last or 1.0)


def _nice(step: float) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * f for f in (1, 2, 2.5, 5, 10) if power * f >= step * (1 - 1e-9))


def _short(value: float) -> str:
    """A tick without zeros that say nothing: 0.0015 and 25,000 and 1e-05."""
    if value and (abs(value) < 1e-4 or abs(value) >= 1e6):
        return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{value:,.6f}".rstrip("0").rstrip(".")
