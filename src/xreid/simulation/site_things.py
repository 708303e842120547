"""Things that stand where people walk and hide them: posts, benches, hedges."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from xreid.core.seeding import numpy_generator
from xreid.core.tracklets import Modality
from xreid.simulation.arrays import Floats
from xreid.simulation.props import Prop, paint_prop
from xreid.simulation.site_config import SiteConfig
from xreid.simulation.site_map import optics
from xreid.simulation.site_path import half_width
from xreid.simulation.wardrobe import cloth_material

#: Half width and height in metres.
_SIZES = {
    "lamp post": (0.07, 4.5),
    "trunk": (0.16, 4.5),
    "bollard": (0.09, 1.05),
    "hedge": (0.8, 0.9),
    "bench": (0.75, 0.8),
    "railing": (0.9, 1.0),
    "planter": (0.45, 0.9),
    "bicycle": (0.85, 1.05),
}


@dataclass(frozen=True, kw_only=True)
class Thing:
    """A thing on the ground.

    Attributes:
        kind: What it is.
        x_m: Its middle, metres to the right.
        y_m: Its distance along the ground.
        half_m: Half its width.
        high_m: Its height.
    """

    kind: str
    x_m: float
    y_m: float
    half_m: float
    high_m: float

    def corners(self) -> Floats:
        """Left and right on the ground, right and left at the top: float32 [4, 3], metres."""
        low, high = self.x_m - self.half_m, self.x_m + self.half_m
        return np.array(
            [
                [low, self.y_m, 0],
                [high, self.y_m, 0],
                [high, self.y_m, self.high_m],
                [low, self.y_m, self.high_m],
            ],
            np.float32,
        )


@lru_cache(maxsize=128)
def things_of(config: SiteConfig, camera: str) -> tuple[Thing, ...]:
    """What stands in a camera's view, apart from one another."""
    rng = numpy_generator(config.seed, "site", "things", camera)
    lens = optics(config, camera, Modality.VISIBLE, sunny=False)
    count = int(rng.integers(min(1, config.props), config.props + 1))
    places = np.linspace(-0.75, 0.75, max(count, 1) + 1)
    found = []
    for i in range(count):
        kind = list(_SIZES)[int(rng.integers(len(_SIZES)))]
        half, high = _SIZES[kind]
        y = float(rng.uniform(lens.near_m + 0.2, lens.far_m - 0.8))
        x = float(rng.uniform(places[i], places[i + 1])) * half_width(lens, y)
        size = float(rng.uniform(0.85, 1.2))
        found.append(Thing(kind=kind, x_m=x, y_m=y, half_m=half * size, high_m=high * min(size, 1.05)))
    return tuple(found)


@lru_cache(maxsize=64)
def painted(config: SiteConfig, camera: str, number: int) -> Prop:
    """The picture of a camera's thing."""
    thing = things_of(config, camera)[number]
    rng = numpy_generator(config.seed, "site", "paint", camera, number)
    return paint_prop(
        rng, thing.kind, wide_m=2 * thing.half_m, high_m=thing.high_m, material=cloth_material(rng)
    )
