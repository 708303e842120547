"""Can one person have been seen there and then? Cameras, the ways between them, and what they say of a pair.

The file (JSON or YAML):

    cameras:  {"3": {"place": "yard"}, "4": {}}
    edges:    [{"from": "3", "to": "4", "least_s": 20, "typical_s": 45}]
    overlaps: [["1", "2"]]        cameras that see the same ground (optional)
    directed: false               whether edges lead one way only (optional)
    clock_s:  1                   how far two cameras' clocks may be apart (optional)

A transition over several edges takes the shortest way. The factor that a transition multiplies the odds by is
a rule, not a measurement: 1 from the typical time on, since people also linger; 0.1 at the least time, rising
to 1 along a straight line; 0.001 below it, since graphs, clocks and trackers err too. It never speaks FOR two
sightings being of one person.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from xreid.core.tracklets import Tracklet
from xreid.retrieval.columns import UNIX_FROM_S

IMPOSSIBLE_FACTOR = 1e-3
FASTEST_FACTOR = 0.1

Judgement = Literal["possible", "fast", "impossible", "not judged"]


@dataclass(frozen=True, kw_only=True)
class Edge:
    """A way from one camera to the next.

    Attributes:
        start: The camera it leaves.
        end: The camera it reaches.
        least_s: Seconds that nobody is faster than.
        typical_s: Seconds it usually takes.
    """

    start: str
    end: str
    least_s: float
    typical_s: float


@dataclass(frozen=True, kw_only=True)
class Way:
    """The shortest way between two cameras.

    Attributes:
        least_s: Seconds at least.
        typical_s: Seconds as usual.
        cameras: The cameras on it, both ends included.
    """

    least_s: float
    typical_s: float
    cameras: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Transition:
    """What space and time say about two sightings being of one person.

    Attributes:
        judgement: "possible", "fast" (between least and typical time), "impossible", or "not judged".
        factor: What the odds are multiplied by, 0.001 to 1.
        gap_s: Seconds from the end of the earlier to the start of the later; negative: both at once.
        way: The shortest way, where there is one.
        why: One sentence.
    """

    judgement: Judgement
    factor: float
    why: str
    gap_s: float | None = None
    way: Way | None = None

    @property
    def impossible(self) -> bool:
        """Whether it contradicts the graph."""
        return self.judgement == "impossible"


@dataclass(frozen=True, kw_only=True)
class CameraGraph:
    """Cameras of a site and the ways between them; an empty one only knows that nobody is in two places.

    Attributes:
        places: Where each camera stands, by name; cameras missing here are not judged.
        edges: The ways.
        overlaps: Pairs of cameras that see the same ground.
        directed: Whether the edges lead one way only.
        clock_s: Seconds that two cameras' clocks may be apart.
    """

    places: Mapping[str, str] = field(default_factory=dict)
    edges: tuple[Edge, ...] = ()
    overlaps: tuple[tuple[str, str], ...] = ()
    directed: bool = False
    clock_s: float = 1.0

    def judge(self, first: Tracklet, second: Tracklet) -> Transition:
        """What space and time say about two tracklets, in either order."""
        missing = self._missing(first, second)
        if missing:
            return Transition(judgement="not judged", factor=1.0, why=missing)
        early, late = sorted((first, second), key=lambda row: (row.start_s, row.end_s))
        assert early.camera is not None
        assert late.camera is not None
        assert late.start_s is not None
        gap = late.start_s - _end(early)
        if early.camera == late.camera:
            return self._same_camera(early, late, gap)
        if self.overlap(early.camera, late.camera):
            return Transition(judgement="possible", factor=1.0, gap_s=gap, why="the two cameras overlap")
        if gap < -self.clock_s:
            why = f"seen by two cameras at once for {-gap:.0f} s"
            return Transition(judgement="impossible", factor=IMPOSSIBLE_FACTOR, gap_s=gap, why=why)
        way = self.way(early.camera, late.camera)
        if way is None:
            why = f"no way from camera {early.camera} to {late.camera} is known"
            return Transition(judgement="not judged", factor=1.0, gap_s=gap, why=why)
        return self._timed(gap, way)

    def worst(self, rows: Sequence[Tracklet], row: Tracklet) -> Transition | None:
        """The judgement that speaks most against `row` being of the person of `rows`; None without any."""
        judged = [self.judge(other, row) for other in rows]
        return min(judged, key=lambda t: (t.factor, t.judgement == "not judged"), default=None)

    def overlap(self, first: str, second: str) -> bool:
        """Whether two cameras see the same ground."""
        return (first, second) in self._overlapping

    def way(self, start: str, end: str) -> Way | None:
        """The shortest way: each time over its own shortest path; None where there is none."""
        return self._ways(start).get(end)

    def _missing(self, first: Tracklet, second: Tracklet) -> str:
        for row in (first, second):
            if row.camera is None:
                return "a camera is unknown"
            if self.places and row.camera not in self.places:
                return f"camera {row.camera} is not in the graph"
            if row.start_s is None:
                return "a time is unknown"
        assert first.start_s is not None
        assert second.start_s is not None
        relative = [row.start_s < UNIX_FROM_S for row in (first, second) if row.start_s is not None]
        if any(relative) and (not all(relative) or first.source != second.source or first.source is None):
            return "the times count from the start of different recordings"
        return ""

    def _same_camera(self, early: Tracklet, late: Tracklet, gap: float) -> Transition:
        if gap < -self.clock_s and early.modality is late.modality:
            why = "seen twice in the same picture"
            return Transition(judgement="impossible", factor=IMPOSSIBLE_FACTOR, gap_s=gap, why=why)
        return Transition(judgement="possible", factor=1.0, gap_s=gap, why="the same camera")

    def _timed(self, gap: float, way: Way) -> Transition:
        why = (
            f"{max(gap, 0):.0f} s for a way of at least {way.least_s:.0f} s, typically {way.typical_s:.0f} s"
        )
        if gap < way.least_s - self.clock_s:
            return Transition(judgement="impossible", factor=IMPOSSIBLE_FACTOR, gap_s=gap, way=way, why=why)
        if gap >= way.typical_s:
            return Transition(judgement="possible", factor=1.0, gap_s=gap, way=way, why=why)
        share = max(0.0, gap - way.least_s) / (way.typical_s - way.least_s)
        factor = FASTEST_FACTOR + (1 - FASTEST_FACTOR) * share
        return Transition(judgement="fast", factor=factor, gap_s=gap, way=way, why=why)

    @cached_property
    def _overlapping(self) -> frozenset[tuple[str, str]]:
        return frozenset((*self.overlaps, *((b, a) for a, b in self.overlaps)))

    @cached_property
    def _neighbours(self) -> dict[str, list[Edge]]:
        found: dict[str, list[Edge]] = {}
        both = [Edge(start=a, end=b, least_s=0.0, typical_s=0.0) for a, b in self._overlapping]
        for edge in (*self.edges, *both):
            found.setdefault(edge.start, []).append(edge)
            if not self.directed:
                back = Edge(start=edge.end, end=edge.start, least_s=edge.least_s, typical_s=edge.typical_s)
                found.setdefault(edge.end, []).append(back)
        return found

    @cached_property
    def _known_ways(self) -> dict[str, dict[str, Way]]:
        return {}

    def _ways(self, start: str) -> dict[str, Way]:
        """The shortest ways from one camera to all others; kept, since a search asks from few cameras."""
        if start not in self._known_ways:
            least = _shortest(self._neighbours, start, "least_s")
            typical = _shortest(self._neighbours, start, "typical_s")
            self._known_ways[start] = {
                end: Way(least_s=seconds, typical_s=typical[end][0], cameras=path)
                for end, (seconds, path) in least.items()
            }
        return self._known_ways[start]


def _shortest(
    neighbours: Mapping[str, Sequence[Edge]], start: str, weight: Literal["least_s", "typical_s"]
) -> dict[str, tuple[float, tuple[str, ...]]]:
    """Dijkstra: seconds and cameras of the shortest way to each camera that can be reached."""
    done: dict[str, tuple[float, tuple[str, ...]]] = {}
    queue: list[tuple[float, tuple[str, ...]]] = [(0.0, (start,))]
    while queue:
        seconds, path = heapq.heappop(queue)
        if path[-1] in done:
            continue
        done[path[-1]] = seconds, path
        for edge in neighbours.get(path[-1], ()):
            if edge.end not in done:
                heapq.heappush(queue, (seconds + getattr(edge, weight), (*path, edge.end)))
    return done


def _end(row: Tracklet) -> float:
    end = row.start_s if row.end_s is None else row.end_s
    assert end is not None
    return end


def log_factor(transition: Transition | None) -> float:
    """What a transition adds to the log-odds; 0 where nothing was judged."""
    return 0.0 if transition is None else math.log(transition.factor)
