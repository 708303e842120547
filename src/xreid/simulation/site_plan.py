"""Who walks where and when in a simulated site: a pure function of the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import numpy as np

from xreid.core.seeding import numpy_generator
from xreid.core.tracklets import Modality
from xreid.simulation.camera import Camera
from xreid.simulation.identity import draw_person
from xreid.simulation.site_config import SiteConfig
from xreid.simulation.site_map import DETOUR, FASTEST, SLOWEST, Link, optics, site_cameras, site_links
from xreid.simulation.site_path import GATES, Path, beside, draw_path
from xreid.simulation.site_things import Thing, things_of

_TRIALS = 6  # paths drawn before the one with most room is taken
_ROOM_M = 0.8  # more room than this between people is not sought
_ABREAST_M = 0.62  # between two who walk side by side
_SAMPLE_S = 0.5


@dataclass(frozen=True, kw_only=True)
class Passage:
    """One person's walk through one camera's view.

    Attributes:
        number: From 1, unique in the site: the track number in the true tracks.
        person: Name of the person, p01 and so on.
        camera: Name of the camera.
        session: Of the day.
        start_s: Unix time at which the path begins, outside of the picture.
        path: The way.
        speed: Metres a second.
    """

    number: int
    person: str
    camera: str
    session: str
    start_s: float
    path: Path
    speed: float

    @property
    def end_s(self) -> float:
        """Unix time at which the path ends."""
        return self.start_s + self.path.length_m / self.speed


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One video file: a camera, and the stretch of a session that it records."""

    camera: str
    session: str
    start_s: float
    first_s: float
    frames: int

    @property
    def name(self) -> str:
        """Of the files without their endings, e.g. cam3_20261120T213000Z."""
        moment = datetime.fromtimestamp(self.start_s, tz=UTC)
        return f"{self.camera}_{moment:%Y%m%dT%H%M%SZ}"


def person_names(config: SiteConfig) -> list[str]:
    """All people of a site."""
    digits = len(str(config.people))
    return [f"p{i + 1:0{digits}d}" for i in range(config.people)]


def recordings(config: SiteConfig) -> list[Recording]:
    """All video files, in order of camera and time."""
    found = []
    for camera in site_cameras(config):
        for session, length in config.sessions().items():
            for first in range(0, length, config.file_s):
                found.append(
                    Recording(
                        camera=camera.name,
                        session=session,
                        start_s=config.session_start(session) + first,
                        first_s=float(first),
                        frames=min(config.file_s, length - first) * config.fps,
                    )
                )
    return found


@lru_cache(maxsize=4)
def plan_passages(config: SiteConfig) -> tuple[Passage, ...]:
    """All passages, in the order in which they were planned."""
    planner = _Planner(config)
    names = list(config.sessions())
    for i, party in enumerate(_parties(config)):
        for session in _sessions_of(names, i):
            planner.trip(party, session)
    return tuple(planner.passages)


def _parties(config: SiteConfig) -> list[tuple[str, ...]]:
    names, parties = person_names(config), list[tuple[str, ...]]()
    couples = round(config.pairs * len(names) / 2)
    for _ in range(couples):
        parties.append((names.pop(0), names.pop(0)))
    return parties + [(name,) for name in names]


def _sessions_of(names: list[str], number: int) -> list[str]:
    """Two sessions of the day for each party, all pairs of sessions alike."""
    if len(names) < 3:
        return names
    left_out = number % len(names)
    return [name for i, name in enumerate(names) if i != left_out]


class _Planner:
    """Plans trip after trip and keeps who is where."""

    def __init__(self, config: SiteConfig) -> None:
        self.config = config
        self.passages: list[Passage] = []

    def trip(self, party: tuple[str, ...], session: str) -> None:
        """A walk of a party from camera to camera, along links, within one session."""
        config = self.config
        rng = numpy_generator(config.seed, "site", "trip", party[0], session)
        gait = draw_person(config.seed, party[0], difficulty=config.difficulty).gait
        speed = float(np.clip(gait.speed * rng.uniform(0.94, 1.06), SLOWEST, FASTEST))
        length = config.sessions()[session]
        now = config.session_start(session) + float(rng.uniform(-0.05, 0.55)) * length
        route = _route(config, rng)
        enter = _free_gate(config, rng, route[0])
        for i, camera in enumerate(route):
            link = _link(config, camera, route[i + 1]) if i + 1 < len(route) else None
            leave = link.gate(camera) if link else _free_gate(config, rng, camera, other_than=enter)
            path = self._path(rng, camera, now, speed, gates=(enter, leave))
            for place, person in enumerate(party):
                self._add(
                    person=person,
                    camera=camera,
                    session=session,
                    start_s=now,
                    path=beside(path, place * _ABREAST_M),
                    speed=speed,
                )
            now += path.length_m / speed
            if link:
                now += link.metres / speed * float(rng.uniform(*DETOUR))
                enter = link.other(camera)[1]

    def _add(
        self, *, person: str, camera: str, session: str, start_s: float, path: Path, speed: float
    ) -> None:
        self.passages.append(
            Passage(
                number=len(self.passages) + 1,
                person=person,
                camera=camera,
                session=session,
                start_s=start_s,
                path=path,
                speed=speed,
            )
        )

    def _path(
        self, rng: np.random.Generator, camera: str, start_s: float, speed: float, *, gates: tuple[str, str]
    ) -> Path:
        """Of some random paths the first with room to everybody and everything, else the one with most."""
        lens = optics(self.config, camera, Modality.VISIBLE, sunny=False)
        things = things_of(self.config, camera)
        best: tuple[float, Path] | None = None
        for _ in range(_TRIALS):
            path = draw_path(rng, lens, enter=gates[0], leave=gates[1])
            room = min(_room_to_things(path, things), self._room_to_people(path, camera, start_s, speed))
            if best is None or room > best[0]:
                best = (room, path)
            if room >= _ROOM_M:
                break
        assert best is not None  # there is at least one trial
        return best[1]

    def _room_to_people(self, path: Path, camera: str, start_s: float, speed: float) -> float:
        end = start_s + path.length_m / speed
        room = np.inf
        for other in self.passages:
            low, high = max(start_s, other.start_s), min(end, other.end_s)
            if other.camera == camera and low < high:
                times = np.arange(low, high, _SAMPLE_S)
                ours, _ = path.at((times - start_s) * speed)
                theirs, _ = other.path.at((times - other.start_s) * other.speed)
                room = min(room, float(np.linalg.norm(ours - theirs, axis=1).min()))
        return room


def _room_to_things(path: Path, things: tuple[Thing, ...]) -> float:
    room = np.inf
    for thing in things:
        x = np.maximum(np.abs(path.points[:, 0] - thing.x_m) - thing.half_m, 0)
        room = min(room, float(np.hypot(x, path.points[:, 1] - thing.y_m).min()) + 0.3)
    return room


def _route(config: SiteConfig, rng: np.random.Generator) -> list[str]:
    """Cameras in the order of a trip: a walk along links that does not turn back at once."""
    names = [camera.name for camera in site_cameras(config)]
    stops = int(rng.integers(max(1, config.stops - 1), config.stops + 1))
    route = [names[int(rng.integers(len(names)))]]
    while len(route) < stops:
        onward = [
            link.other(route[-1])[0]
            for link in site_links(config)
            if route[-1] in (link.first, link.second) and link.other(route[-1])[0] not in route[-2:]
        ]
        if not onward:
            break
        route.append(onward[int(rng.integers(len(onward)))])
    return route


def _link(config: SiteConfig, first: str, second: str) -> Link:
    links = [link for link in site_links(config) if {first, second} == {link.first, link.second}]
    return links[0]


def _free_gate(config: SiteConfig, rng: np.random.Generator, camera: str, *, other_than: str = "") -> str:
    """A way into the site from outside; where all lead to other cameras, any."""
    taken = {link.gate(camera) for link in site_links(config) if camera in (link.first, link.second)}
    free = [gate for gate in GATES if gate not in taken and gate != other_than]
    choice = free or [gate for gate in GATES if gate != other_than]
    return choice[int(rng.integers(len(choice)))]


def lens_of(config: SiteConfig, camera: str) -> Camera:
    """The geometry of a camera, whatever its light."""
    return optics(config, camera, Modality.VISIBLE, sunny=False)
