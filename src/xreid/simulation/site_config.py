"""What site to simulate: cameras, people, sessions of the day, difficulty; named presets."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any

from xreid.core.errors import ConfigError

#: Hour of the day (UTC) at which each session begins.
SESSION_HOURS = {"day": (14, 30), "dusk": (16, 45), "night": (21, 30)}


@dataclass(frozen=True, kw_only=True)
class SiteConfig:
    """A simulated site, completely: the same values give the same pictures, tracks and times.

    Attributes:
        seed: Seed of everything: people, places, walks; 0 is the seed of the default archive.
        cameras: Number of cameras, cam1, cam2, ...
        always_visible: How many of them stand in lit places and never leave visible light.
        always_infrared: How many of them stand in the dark and only see infrared; all others switch at dusk.
        people: Number of people, each with a trip through several cameras in two sessions.
        stops: Cameras of the longest trip; the shortest has one less (at least one).
        longest_way_m: Metres of the longest way between neighbours; short cuts are up to half as long again.
        pairs: Share of people who walk side by side with another.
        day_s: Seconds recorded by day, from 14:30 UTC; 0 = none.
        dusk_s: Seconds recorded at dusk, from 16:45 UTC, while cameras switch; 0 = none.
        night_s: Seconds recorded at night, from 21:30 UTC; 0 = none.
        file_s: Seconds of the longest video file.
        date: Day of the recordings, YYYY-MM-DD.
        fps: Frames a second.
        props: Most things (posts, benches, hedges) that stand where people walk, for each camera.
        difficulty: 0 (varied clothes) to 1 (one uniform), as in an archive.
        nuisance: Strength of blur and noise of the sensors, 0 to 1, as in an archive.
        crf: Quality of the H.264 files: 18 (nearly lossless) to 35 (poor).
    """

    seed: int = 1
    cameras: int = 6
    always_visible: int = 1
    always_infrared: int = 1
    people: int = 50
    stops: int = 4
    longest_way_m: float = 40.0
    pairs: float = 0.2
    day_s: int = 150
    dusk_s: int = 150
    night_s: int = 150
    file_s: int = 75
    date: str = "2026-11-20"
    fps: int = 10
    props: int = 3
    difficulty: float = 0.1
    nuisance: float = 0.2
    crf: int = 23

    def __post_init__(self) -> None:
        limits: dict[str, tuple[float, float]] = {
            "seed": (0, 2**62),
            "cameras": (1, 99),
            "always_visible": (0, self.cameras),
            "always_infrared": (0, self.cameras - self.always_visible),
            "people": (1, 9999),
            "stops": (1, 20),
            "longest_way_m": (1, 1000),
            "pairs": (0, 1),
            "day_s": (0, 7200),
            "dusk_s": (0, 7200),
            "night_s": (0, 7200),
            "file_s": (1, 7200),
            "fps": (5, 30),
            "props": (0, 8),
            "difficulty": (0, 1),
            "nuisance": (0, 1),
            "crf": (18, 35),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(
                    f"--{name} does not fit",
                    expected=f"{low:g} to {high:g}",
                    got=str(value),
                    todo="They are part of --cameras." if name.startswith("always") else "",
                )
        if not self.sessions():
            raise ConfigError("the site records nothing", todo="Raise --day_s, --dusk_s or --night_s.")
        self.session_start("day")

    def sessions(self) -> dict[str, int]:
        """Name and seconds of each session that is recorded, in order of time."""
        return {name: length for name in SESSION_HOURS if (length := getattr(self, f"{name}_s"))}

    def session_start(self, name: str) -> float:
        """Unix time at which a session begins.

        Raises:
            ConfigError: The date is none.
        """
        hour, minute = SESSION_HOURS[name]
        try:
            day = datetime.strptime(self.date, "%Y-%m-%d")
        except ValueError:
            raise ConfigError("--date is no date", expected="e.g. 2026-11-20", got=self.date) from None
        return day.replace(hour=hour, minute=minute, tzinfo=UTC).timestamp()

    def resolved(self) -> dict[str, Any]:
        """All values, as written to site.json."""
        return asdict(self)


def default() -> SiteConfig:
    """Six cameras, 50 people, seven and a half minutes for each camera: for measuring."""
    return SiteConfig()


def small() -> SiteConfig:
    """Three cameras, twelve people, three minutes for each camera."""
    return SiteConfig(
        cameras=3, always_infrared=0, people=12, stops=3, day_s=60, dusk_s=60, night_s=60, file_s=60
    )


def tiny() -> SiteConfig:
    """Seconds to make: two cameras that both switch, four people."""
    return SiteConfig(
        cameras=2,
        always_visible=0,
        always_infrared=0,
        people=4,
        stops=2,
        longest_way_m=6.0,
        pairs=0.5,
        day_s=0,
        dusk_s=24,
        night_s=16,
        file_s=24,
        props=1,
    )


SITE_PRESETS = {f.__name__: f for f in (default, small, tiny)}


def site_preset_options(name: str) -> list[str]:
    """A preset as command-line options: those of its values that are not the default.

    Raises:
        ConfigError: There is no such preset.
    """
    if name not in SITE_PRESETS:
        raise ConfigError(f"unknown preset {name!r} of a site", expected=", ".join(SITE_PRESETS))
    chosen, base = SITE_PRESETS[name](), SiteConfig()
    changed = [f.name for f in fields(chosen) if getattr(chosen, f.name) != getattr(base, f.name)]
    return [f"--{field}={getattr(chosen, field)}" for field in changed]
