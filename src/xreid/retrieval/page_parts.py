"""Parts of the page of a search that only some searches have: timelines of probable persons, and reasons."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from xreid.core.tracklets import Tracklet
from xreid.evaluation.pictures import data_uri, small_frame
from xreid.retrieval.columns import UNIX_FROM_S
from xreid.retrieval.persons import Person, Sighting
from xreid.retrieval.why import Why
from xreid.retrieval.words import name_of, show_span, show_time

Pictures = Callable[[Tracklet, Path, int], list[str | None]]

_FRAMES = 2
_LEAST_WIDTH = 0.8  # percent of a lane, so that a short sighting can be seen


def plain_person(person: Person) -> dict[str, Any]:
    """A probable person as plain values."""
    return {
        "probability": person.probability,
        "weakest": person.weakest,
        "sightings": [
            {
                "tracklet": s.query.name,
                "id": s.query.id,
                "camera": s.query.tracklet.camera,
                "start_s": s.query.tracklet.start_s,
                "end_s": s.query.tracklet.end_s,
                "transition": None if s.transition is None else s.transition.judgement,
            }
            for s in person.sightings
        ],
    }


def show_person(person: Person, asking: Sequence[object], pictures: Pictures) -> dict[str, Any]:
    """A probable person for the page.

    Args:
        person: The person.
        asking: The query's examples, which are marked.
        pictures: Thumbnails of a tracklet.
    """
    return {
        "count": len(person.sightings),
        "cameras": len(person.cameras),
        "mean": f"{person.probability:.2f}",
        "weakest": f"{person.weakest:.2f}",
        "lanes": _lanes(person.sightings),
        "span": _span(person.sightings),
        "sightings": [
            {
                "name": s.query.name,
                "when": show_span(s.query.tracklet) or "time unknown",
                "camera": s.query.tracklet.camera or "unknown",
                "modality": name_of(s.query.tracklet.modality),
                "asked": any(s.query is one for one in asking),
                "judgement": "" if s.transition is None else s.transition.judgement,
                "came": "" if s.transition is None else s.transition.why,
                "frames": pictures(s.query.tracklet, s.query.root, _FRAMES),
            }
            for s in person.sightings
        ],
    }


def _lanes(sightings: Sequence[Sighting]) -> list[dict[str, Any]]:
    """One lane per camera with its sightings in percent of the whole span; none without two times."""
    rows = _of_one_clock(sightings)
    if len(rows) < 2:
        return []
    first, last = _ends(rows)
    lanes: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        start, end = _times(row)
        width = max(_LEAST_WIDTH, 100 * (end - start) / max(last - first, 1e-9))
        left = min(100 * (start - first) / max(last - first, 1e-9), 100 - width)
        bar = {"left": left, "width": width, "modality": name_of(row.modality), "when": show_span(row)}
        lanes.setdefault(row.camera or "unknown", []).append(bar)
    return [{"camera": camera, "bars": bars} for camera, bars in sorted(lanes.items())]


def _span(sightings: Sequence[Sighting]) -> tuple[str, str]:
    rows = _of_one_clock(sightings)
    if not rows:
        return "", ""
    first, last = _ends(rows)
    return show_time(first), show_time(last)


def _of_one_clock(sightings: Sequence[Sighting]) -> list[Tracklet]:
    """Those with a date; without any, those with a time, if they are of one recording."""
    rows = [s.query.tracklet for s in sightings if s.query.tracklet.start_s is not None]
    dated = [row for row in rows if _times(row)[0] >= UNIX_FROM_S]
    if dated or len({row.source for row in rows}) != 1:
        return dated
    return rows


def _ends(rows: Sequence[Tracklet]) -> tuple[float, float]:
    times = [_times(row) for row in rows]
    return min(start for start, _ in times), max(end for _, end in times)


def _times(row: Tracklet) -> tuple[float, float]:
    assert row.start_s is not None
    return row.start_s, row.start_s if row.end_s is None else row.end_s


def show_why(why: Why) -> Mapping[str, Any]:
    """The reasons of a hit for the page."""
    return {
        "parts": [{"name": p.name, "value": f"{p.log_odds:+.2f}", "text": p.text} for p in why.parts],
        "total": f"{sum(p.log_odds for p in why.parts):+.2f}",
        "frames": [
            {"score": f"{pair.score:.3f}", "pictures": [_picture(pair.asking), _picture(pair.answering)]}
            for pair in why.frames
        ],
        "missing": list(why.missing),
        "joined": why.joined,
    }


def _picture(path: Path) -> str | None:
    small = small_frame(path)
    return None if small is None else data_uri(small)
