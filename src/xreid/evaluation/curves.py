"""The CMC curve as an SVG that takes its colours from the page, so that it fits light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from xreid.evaluation.results import EvaluationResult
from xreid.evaluation.svg import caption, grid_line, label_heights, picture

_WIDTH, _HEIGHT = 560, 330
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 88, 14, 48
_LONGEST = 20
_LABEL_GAP = 19  # pixels between the labels of two curves that end at one height


def cmc_chart(results: Sequence[EvaluationResult]) -> str:
    """An <svg> element: Rank-k in percent over k, one labelled curve per direction."""
    longest = max(2, min(_LONGEST, max(len(r.cmc) for r in results)))
    ticks = [k for k in (1, 5, 10, 15, 20) if k <= longest]
    parts = [
        grid_line(str(share), y=_y(share / 100), left=_LEFT, right=_WIDTH - _RIGHT)
        for share in (0, 25, 50, 75, 100)
    ]
    parts += [caption(str(k), x=_x(k, longest), y=_HEIGHT - _BOTTOM + 22) for k in ticks]
    parts.append(caption("rank k", x=(_LEFT + _WIDTH - _RIGHT) / 2, y=_HEIGHT - 4))
    heights = label_heights([_y(float(r.cmc[min(longest, len(r.cmc)) - 1])) for r in results], gap=_LABEL_GAP)
    for number, (result, height) in enumerate(zip(results, heights, strict=True)):
        parts.append(_curve(result, number, longest=longest, label_y=height))
    title = "Share of queries with a right tracklet among the first k, by direction"
    return picture(parts, width=_WIDTH, height=_HEIGHT, title=title)


def _curve(result: EvaluationResult, number: int, *, longest: int, label_y: float) -> str:
    values = [float(v) for v in result.cmc[:longest]]
    points = [(_x(k, longest), _y(v)) for k, v in enumerate(values, start=1)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(
        f'<circle cx="{_x(k, longest):.1f}" cy="{_y(values[k - 1]):.1f}" r="3.5">'
        f"<title>{escape(result.direction.name)} Rank-{k}: {100 * values[k - 1]:.2f}</title></circle>"
        for k in (1, 5, 10, 20)
        if k <= len(values)
    )
    label = f'<text x="{points[-1][0] + 9:.1f}" y="{label_y + 4:.1f}">{escape(result.direction.name)}</text>'
    return f'<g class="series s{number % 5}"><polyline points="{path}"/>{dots}{label}</g>'


def _x(rank: int, longest: int) -> float:
    return _LEFT + 6 + (rank - 1) / (longest - 1) * (_WIDTH - _LEFT - _RIGHT - 12)


def _y(share: float) -> float:
    return _TOP + (1 - share) * (_HEIGHT - _TOP - _BOTTOM)
