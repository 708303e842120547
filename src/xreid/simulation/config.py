"""What to simulate: sizes, layout, difficulty and nuisances; named presets."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from xreid.core.errors import ConfigError

Layout = Literal["hitsz-vcm", "bupt-campus"]

BUPT_CAMERAS = ("LS3", "G25", "CQ1", "W4", "TSG1", "TSG2")


@dataclass(frozen=True, kw_only=True)
class SimulationConfig:
    """A simulated archive, completely: the same values give the same bytes.

    Attributes:
        layout: Tree to write: "hitsz-vcm" (Train/ Test/ info/) or "bupt-campus" (DATA/ and its lists).
        seed: Seed of everything: people, cameras, walks, nuisances.
        train_identities: Number of training identities.
        test_identities: Number of test identities, none of which is a training identity.
        auxiliary_identities: Number of BUPTCampus auxiliary identities, one camera each; 0 in hitsz-vcm.
        cameras: Number of camera places; each has a visible and an infrared camera under one number.
        cameras_per_identity: Number of camera places every person walks past.
        shortest_walk: Frames of the shortest walk past a camera.
        longest_walk: Frames of the longest walk past a camera.
        difficulty: 0 (varied clothes, strong textures in both spectra) to 1 (one uniform, near-equal bodies).
        nuisance: Strength of occlusion, crop jitter, bystanders, blur, noise, compression: 0 (off) to 1.
        frame_height: Height of the crops in pixels; the width varies from tracklet to tracklet.
        jpeg_quality: Quality of the JPEG files without nuisances, 30 to 100.
    """

    layout: Layout = "hitsz-vcm"
    seed: int = 0
    train_identities: int = 400
    test_identities: int = 50
    auxiliary_identities: int = 0
    cameras: int = 6
    cameras_per_identity: int = 2
    shortest_walk: int = 12
    longest_walk: int = 14
    difficulty: float = 0.1
    nuisance: float = 0.2
    frame_height: int = 128
    jpeg_quality: int = 92

    def __post_init__(self) -> None:
        if self.layout not in ("hitsz-vcm", "bupt-campus"):
            raise ConfigError(f"unknown layout {self.layout!r}", expected="hitsz-vcm or bupt-campus")
        limits: dict[str, tuple[float, float]] = {
            "seed": (0, 2**62),
            "train_identities": (1, 4000 if self.layout == "hitsz-vcm" else 100_000),
            "test_identities": (1, 4000 if self.layout == "hitsz-vcm" else 100_000),
            "auxiliary_identities": (0, 0 if self.layout == "hitsz-vcm" else 100_000),
            "cameras": (2, 12 if self.layout == "hitsz-vcm" else len(BUPT_CAMERAS)),
            "cameras_per_identity": (2, self.cameras),
            "shortest_walk": (1, 400),
            "longest_walk": (1, 400),
            "difficulty": (0, 1),
            "nuisance": (0, 1),
            "frame_height": (32, 1024),
            "jpeg_quality": (30, 100),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(
                    f"--{name} does not fit layout {self.layout}",
                    expected=f"{low:g} to {high:g}",
                    got=str(value),
                )

        if self.shortest_walk > self.longest_walk:
            raise ConfigError(
                "the shortest walk is longer than the longest",
                expected=f"--shortest_walk of at most {self.longest_walk}",
                got=str(self.shortest_walk),
                todo="Raise --longest_walk as well.",
            )

    def resolved(self) -> dict[str, Any]:
        """All values, as written to simulation.json."""
        return asdict(self)


def default() -> SimulationConfig:
    """The demo's archive: 400 + 50 people, about 23,000 frames."""
    return SimulationConfig()


def large() -> SimulationConfig:
    """More training people, the same test people: for training longer than some minutes."""
    return SimulationConfig(train_identities=1500)


def small() -> SimulationConfig:
    """A few seconds' worth, just enough for a batch of the tiny scale: for trying things out."""
    return SimulationConfig(train_identities=40, test_identities=10)


def tiny() -> SimulationConfig:
    """A second's worth: for tests."""
    return SimulationConfig(
        train_identities=3,
        test_identities=2,
        cameras=3,
        cameras_per_identity=2,
        shortest_walk=12,
        longest_walk=14,
        frame_height=64,
    )


def clean() -> SimulationConfig:
    """The default archive without nuisances."""
    return SimulationConfig(nuisance=0.0)


def hard() -> SimulationConfig:
    """Similar clothes, prints that vanish in infrared, strong nuisances."""
    return SimulationConfig(difficulty=0.7, nuisance=0.8)


def uniform() -> SimulationConfig:
    """Everybody wears the same uniform; only bodies, gait, hair and a few accessories differ."""
    return SimulationConfig(difficulty=1.0, nuisance=1.0)


PRESETS = {f.__name__: f for f in (default, large, small, tiny, clean, hard, uniform)}


def preset_options(name: str) -> list[str]:
    """A preset as command-line options: those of its values that are not the default.

    Raises:
        ConfigError: There is no such preset.
    """
    if name not in PRESETS:
        raise ConfigError(f"unknown preset {name!r}", expected=", ".join(PRESETS))
    chosen, base = PRESETS[name](), SimulationConfig()
    changed = [f.name for f in fields(chosen) if getattr(chosen, f.name) != getattr(base, f.name)]
    return [f"--{field}={getattr(chosen, field)}" for field in changed]
