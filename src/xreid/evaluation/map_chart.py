"""The embedding map as SVG panels that take their colours from the page: by person, camera and modality."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from xreid.core.embeddings import EmbeddingSet
from xreid.core.tracklets import Modality, Tracklet
from xreid.evaluation.embedding_map import EmbeddingMap

MOST_COLOURS = 10
_SIDE, _MARGIN = 320, 14
_LABEL = (30, 11)  # width and height that a label of four signs takes


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One view of the map.

    Attributes:
        title: What the colours tell.
        svg: An <svg> element; its text is escaped.
        legend: (colour class, name, number of tracklets drawn in it).
    """

    title: str
    svg: str
    legend: tuple[tuple[str, str, int], ...]


def map_panels(drawn: EmbeddingMap, embeddings: EmbeddingSet) -> tuple[Panel, ...]:
    """Three panels of the same points; people and cameras beyond the colours are grey."""
    rows = [embeddings.table[int(i)] for i in drawn.rows]
    people = _colours(_spread_people(rows))
    modalities = {str(Modality.VISIBLE): "kvis", str(Modality.INFRARED): "kir"}
    cameras = Counter(row.camera for row in rows if row.camera is not None)
    frequent = [name for name, _ in sorted(cameras.items(), key=lambda item: (-item[1], item[0]))]
    return (
        _panel("Person", drawn, rows, [row.identity for row in rows], people, stars=True),
        _panel(
            "Camera", drawn, rows, [row.camera for row in rows], _colours(sorted(frequent[:MOST_COLOURS]))
        ),
        _panel("Modality", drawn, rows, [str(row.modality) for row in rows], modalities),
    )


def _colours(names: Sequence[str]) -> dict[str, str]:
    return {name: f"k{i}" for i, name in enumerate(names)}


def _spread_people(rows: Sequence[Tracklet]) -> list[str]:
    """Evenly spread over the sorted list of people seen in most modalities: not chosen by success."""
    seen: dict[str, set[Modality]] = defaultdict(set)
    for row in rows:
        if row.identity is not None:
            seen[row.identity].add(row.modality)
    most = max((len(found) for found in seen.values()), default=0)
    names = sorted(name for name, found in seen.items() if len(found) == most)
    count = min(MOST_COLOURS, len(names))
    return [names[(2 * i + 1) * len(names) // (2 * count)] for i in range(count)]


def _panel(
    title: str,
    drawn: EmbeddingMap,
    rows: Sequence[Tracklet],
    values: Sequence[str | None],
    colours: Mapping[str, str],
    *,
    stars: bool = False,
) -> Panel:
    places = _MARGIN + drawn.points * (_SIDE - 2 * _MARGIN)
    classes = [colours.get(value or "", "") for value in values]
    # what is coloured lies on top of what is grey
    order = sorted(range(len(rows)), key=lambda i: (classes[i] != "", i))
    marks = [_mark(places[i], rows[i], classes[i], named=stars) for i in order]
    lines, names, labels = list[str](), list[str](), list[tuple[float, float]]()
    if stars:
        for name, colour in colours.items():
            own = places[[i for i, value in enumerate(values) if value == name]]
            lines.append(_star(own, colour))
            label = _free_place(own.mean(axis=0), labels)
            labels.append(label)
            x, y = label
            names.append(f'<text class="{colour}" x="{x:.1f}" y="{y:.1f}">{escape(name)}</text>')
    counts = Counter(classes)
    legend = [(colour, _name(name), counts[colour]) for name, colour in colours.items()]
    if counts[""]:
        legend.append(("", "all others", counts[""]))
    head = f"Embedding map, coloured by {title.lower()}"
    height = 2 * _MARGIN + float(drawn.points[:, 1].max()) * (_SIDE - 2 * _MARGIN)
    svg = (
        f'<svg class="map" viewBox="0 0 {_SIDE} {height:.0f}" role="img" aria-label="{head}">'
        f"{''.join(lines)}{''.join(marks)}{''.join(names)}</svg>"
    )
    return Panel(title=title, svg=svg, legend=tuple(legend))


def _free_place(wanted: np.ndarray, taken: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Where a label lies over none of those before it: as wanted, or further down."""
    x, y = (float(v) for v in wanted)
    for a, b in sorted(taken, key=lambda place: place[1]):
        if abs(a - x) < _LABEL[0] and abs(b - y) < _LABEL[1]:
            y = b + _LABEL[1]
    return x, y


def _name(value: str) -> str:
    return {str(Modality.VISIBLE): "visible", str(Modality.INFRARED): "infrared"}.get(value, value)


def _mark(place: np.ndarray, row: Tracklet, colour: str, *, named: bool) -> str:
    """A disc for visible, a triangle for infrared."""
    x, y = place
    title = ""
    if named:
        who = escape(f"person {row.identity or '?'}, {_name(str(row.modality))}, camera {row.camera or '?'}")
        title = f"<title>{who}</title>"
    kind = f' class="{colour}"' if colour else ""
    if row.modality is Modality.VISIBLE:
        return f'<circle{kind} cx="{x:.1f}" cy="{y:.1f}" r="3.4">{title}</circle>'
    return f'<path{kind} d="M{x:.1f} {y - 4.4:.1f}l4 6.8h-8z">{title}</path>'


def _star(places: np.ndarray, colour: str) -> str:
    """Lines from a person's mean to each of its tracklets: long ones are people torn apart."""
    x, y = places.mean(axis=0)
    return "".join(
        f'<line class="{colour}" x1="{x:.1f}" y1="{y:.1f}" x2="{a:.1f}" y2="{b:.1f}"/>' for a, b in places
    )
