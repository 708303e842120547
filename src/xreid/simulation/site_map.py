"""The site from above: cameras, what light they see by, the ways between them and how long these take."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from xreid.core.seeding import numpy_generator
from xreid.core.tracklets import Modality
from xreid.simulation.camera import Camera, draw_camera
from xreid.simulation.site_config import SiteConfig

Kind = Literal["visible", "infrared", "switching"]

SLOWEST, USUAL, FASTEST = 0.85, 1.25, 1.65  # metres a second; walking speeds of simulated people
DETOUR = (0.95, 1.3)  # factors on the time of a way: people dawdle


_PLACES: dict[Kind, str] = {"visible": "lit entrance", "infrared": "dark passage", "switching": "street"}


@dataclass(frozen=True, kw_only=True)
class SiteCamera:
    """A camera of the site: `cam1` and so on, and the light it sees by."""

    name: str
    kind: Kind


@dataclass(frozen=True, kw_only=True)
class Link:
    """A way between two cameras, from a gate of one picture to a gate of the other, both directions."""

    first: str
    first_gate: str
    second: str
    second_gate: str
    metres: float

    def other(self, camera: str) -> tuple[str, str]:
        """The camera and gate at the end that is not `camera`."""
        if camera == self.first:
            return self.second, self.second_gate
        return self.first, self.first_gate

    def gate(self, camera: str) -> str:
        """The gate at which it begins in a camera's picture."""
        return self.first_gate if camera == self.first else self.second_gate


@lru_cache(maxsize=8)
def site_cameras(config: SiteConfig) -> tuple[SiteCamera, ...]:
    """All cameras; which of them switch is drawn."""
    fixed = config.always_visible + config.always_infrared
    kinds: list[Kind] = []
    kinds += ["visible"] * config.always_visible
    kinds += ["infrared"] * config.always_infrared
    kinds += ["switching"] * (config.cameras - fixed)
    order = numpy_generator(config.seed, "site", "kinds").permutation(len(kinds))
    return tuple(SiteCamera(name=f"cam{i + 1}", kind=kinds[j]) for i, j in enumerate(order))


@lru_cache(maxsize=8)
def site_links(config: SiteConfig) -> tuple[Link, ...]:
    """A chain past all cameras, right side to left side, and short cuts between cameras further apart."""
    rng = numpy_generator(config.seed, "site", "links")
    names, longest = [camera.name for camera in site_cameras(config)], config.longest_way_m
    links = [
        Link(first=a, first_gate="right", second=b, second_gate="left", metres=_length(rng, longest))
        for a, b in pairwise(names)
    ]
    half = len(names) // 2
    if half > 1:
        for a, b in zip(names[:half], names[half:], strict=False):
            metres = _length(rng, 1.5 * longest)
            links.append(Link(first=a, first_gate="near", second=b, second_gate="near", metres=metres))
    return tuple(links)


def _length(rng: np.random.Generator, longest: float) -> float:
    return round(float(rng.uniform(0.3, 1.0)) * longest, 1)


@lru_cache(maxsize=256)
def optics(config: SiteConfig, name: str, modality: Modality, *, sunny: bool) -> Camera:
    """The camera as it sees one spectrum: one lens for both, and a deeper scene than an archive's crops need.

    Args:
        config: The site.
        name: Of the camera.
        modality: The spectrum.
        sunny: Whether the place's sun shines, if it has one; without, light is diffuse.
    """
    visible = draw_camera(config.seed, name, Modality.VISIBLE)
    camera = visible if modality is Modality.VISIBLE else draw_camera(config.seed, name, modality)
    deeper = float(numpy_generator(config.seed, "site", "depth", name).uniform(1.0, 3.0))
    return replace(
        camera,
        height_m=visible.height_m,
        tilt=visible.tilt,
        focal_px=visible.focal_px,
        far_m=visible.far_m + deeper,
        sun=visible.sun if sunny else min(visible.sun, 0.12),
    )


def graph(config: SiteConfig) -> dict[str, Any]:
    """The camera graph as written to graph.json, in the form that searches read.

    Seconds count from leaving one view to entering the next: `least_s` nobody is faster than, `typical_s` is
    usual.
    """
    cameras = {c.name: {"place": _PLACES[c.kind], "kind": c.kind} for c in site_cameras(config)}
    edges = [
        {
            "from": link.first,
            "to": link.second,
            "least_s": round(DETOUR[0] * link.metres / FASTEST, 1),
            "typical_s": round(0.5 * sum(DETOUR) * link.metres / USUAL, 1),
        }
        for link in site_links(config)
    ]
    return {"cameras": cameras, "edges": edges, "directed": False, "clock_s": 0}
