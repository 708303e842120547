"""Pieces that the charts have in common: SVG text that takes its colours from the page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape


def picture(parts: Iterable[str], *, width: int, height: int, title: str) -> str:
    """An <svg> element of these parts; `title` is for those who cannot see it."""
    return (
        f'<svg class="cmc" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )


def grid_line(text: str, *, y: float, left: int, right: int) -> str:
    """A line across the chart from `left` to `right`, and its value before it; in pixels."""
    return (
        f'<line class="grid" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="tick" x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(text)}</text>'
    )


def caption(text: str, *, x: float, y: float) -> str:
    """Text under the chart, centred at x."""
    return f'<text class="tick" x="{x:.1f}" y="{y}" text-anchor="middle">{escape(text)}</text>'


def label_heights(ends: Sequence[float], *, gap: float) -> list[float]:
    """Heights near the curves' ends that keep their names `gap` pixels apart, in the curves' order."""
    placed: dict[int, float] = {}
    lowest = -math.inf
    for number in sorted(range(len(ends)), key=lambda i: ends[i]):
        placed[number] = lowest = max(ends[number], lowest + gap)
    return [placed[i] for i in range(len(ends))]
