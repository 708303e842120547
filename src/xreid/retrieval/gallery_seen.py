"""What each camera has seen, counted from columns; counts of several sets add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from xreid.core.tracklets import Tracklet
from xreid.retrieval.columns import UNIX_FROM_S, Columns
from xreid.retrieval.gallery_parts import SCHEMA

HOUR_S = 3600


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a camera has seen.

    Attributes:
        camera: Its name; None for tracklets without one.
        places: Where it stands, as its tracklets say, and how many of them.
        visible: Visible tracklets.
        infrared: Infrared tracklets.
        first_s: Earliest start, of those that have a date, or, where none has one, a time.
        last_s: Latest end, likewise.
        hours: Tracklets by hour: Unix seconds of its beginning -> count; only those with a date.
    """

    camera: str | None
    places: Mapping[str, int]
    visible: int
    infrared: int
    first_s: float | None
    last_s: float | None
    hours: Mapping[int, int]

    @property
    def place(self) -> str | None:
        """Where it stands, as most of its tracklets say; None where none does."""
        return min(self.places, key=lambda name: (-self.places[name], name), default=None)


def seen_in(columns: Columns) -> list[Seen]:
    """What each camera has seen in N tracklets, by name, the unknown one last."""
    timed = ~np.isnan(columns.start_s)
    dated = timed & (columns.start_s >= UNIX_FROM_S)
    order = np.argsort(columns.camera.code, kind="stable")
    codes, starts = np.unique(columns.camera.code[order], return_index=True)
    found = []
    for code, rows in zip(codes.tolist(), np.split(order, starts[1:]), strict=True) if len(order) else ():
        infrared = int(columns.infrared[rows].sum())
        at = rows[dated[rows]] if dated[rows].any() else rows[timed[rows]]
        hours = columns.start_s[rows[dated[rows]]] // HOUR_S
        placed = columns.place.code[rows]
        found.append(
            Seen(
                camera=None if code < 0 else columns.camera.values[code],
                places={columns.place.values[k]: n for k, n in _counted(placed[placed >= 0]).items()},
                visible=len(rows) - infrared,
                infrared=infrared,
                first_s=float(columns.start_s[at].min()) if len(at) else None,
                last_s=float(columns.end_s[at].max()) if len(at) else None,
                hours={hour * HOUR_S: n for hour, n in _counted(hours.astype(np.int64)).items()},
            )
        )
    return in_order(found)


def seen_by(rows: Iterable[Tracklet]) -> list[Seen]:
    """The same, in tracklets."""
    plain = [{name: getattr(row, name) for name in SCHEMA.names} for row in rows]
    return seen_in(Columns.of(pa.Table.from_pylist(plain, schema=SCHEMA)))


def added(seen: Iterable[Seen]) -> list[Seen]:
    """What each camera has seen, from the counts of several sets."""
    by_camera: dict[str | None, list[Seen]] = {}
    for one in seen:
        by_camera.setdefault(one.camera, []).append(one)
    return in_order(_sum(camera, several) for camera, several in by_camera.items())


def in_order(seen: Iterable[Seen]) -> list[Seen]:
    """By name, the unknown camera last."""
    return sorted(seen, key=lambda one: (one.camera is None, one.camera or ""))


def plain_seen(seen: Iterable[Seen]) -> list[dict[str, Any]]:
    """As plain values."""
    return [asdict(one) for one in seen]


def seen_from(plain: Iterable[Mapping[str, Any]]) -> list[Seen]:
    """From plain values, whose hours JSON has made texts."""
    return [Seen(**{**one, "hours": {int(hour): n for hour, n in one["hours"].items()}}) for one in plain]


def _sum(camera: str | None, several: list[Seen]) -> Seen:
    places, hours = Counter[str](), Counter[int]()
    for one in several:
        places.update(one.places)
        hours.update(one.hours)
    spans = _of_one_clock(several)
    return Seen(
        camera=camera,
        places=dict(sorted(places.items())),
        visible=sum(one.visible for one in several),
        infrared=sum(one.infrared for one in several),
        first_s=min((start for start, _ in spans), default=None),
        last_s=max((end for _, end in spans), default=None),
        hours=dict(sorted(hours.items())),
    )


def _counted(values: npt.NDArray[Any]) -> dict[int, int]:
    found, counts = np.unique(values, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def _of_one_clock(several: Iterable[Seen]) -> list[tuple[float, float]]:
    """First and last times of those that begin with a date; where none does, of all that have times."""
    spans = [(o.first_s, o.last_s) for o in several if o.first_s is not None and o.last_s is not None]
    return [span for span in spans if span[0] >= UNIX_FROM_S] or spans
