"""Where people walk in a camera's view: the ground it sees, ways in and out, curved paths between them.

World axes as in camera.py: X right, Y away from the camera, metres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xreid.simulation.arrays import Floats
from xreid.simulation.camera import FRAME_SIZE, Camera

GATES = ("left", "right", "near")
_OUT_M = 0.8  # beyond the border of the picture, so that nobody pops up
_SAMPLES = 120  # points of a path
_TALL_M = 1.95  # nobody is taller: where this is out of the picture, everybody is
_STRIDE_M = 0.35  # from the middle of a body to its foremost foot


@dataclass(frozen=True, kw_only=True)
class Path:
    """A way across the ground: points float64 [N, 2] in metres, and how far along each lies, float64 [N]."""

    points: Floats
    along: Floats

    @property
    def length_m(self) -> float:
        """Metres from end to end."""
        return float(self.along[-1])

    def at(self, metres: Floats) -> tuple[Floats, Floats]:
        """Positions float32 [F, 2] and headings float32 [F] (radians) after so many metres [F]."""
        position = np.stack([np.interp(metres, self.along, self.points[:, i]) for i in range(2)], 1)
        step = np.gradient(self.points, axis=0)
        turn = np.unwrap(np.arctan2(step[:, 1], step[:, 0]))
        return position.astype(np.float32), np.interp(metres, self.along, turn).astype(np.float32)


def half_width(camera: Camera, y: float) -> float:
    """Metres from the middle to the border of the picture on the ground at distance y."""
    depth = y * np.cos(camera.tilt) + camera.height_m * np.sin(camera.tilt)
    return float(FRAME_SIZE[0] / 2 * depth / camera.focal_px)


def draw_path(rng: np.random.Generator, camera: Camera, *, enter: str, leave: str) -> Path:
    """A curved path from one gate to another (GATES), through the part of the scene that the camera sees."""
    deep = "near" in (enter, leave)  # else they would only cut a corner
    first, last = _gate(rng, camera, enter, deep=deep), _gate(rng, camera, leave, deep=deep)
    y = float(rng.uniform(camera.near_m, camera.far_m))
    bend = np.array([float(rng.uniform(-0.55, 0.55)) * half_width(camera, y), y])
    straight = 0.2 if deep else 0.5  # people do not walk in bows
    bend = (1 - straight) * bend + straight * (0.5 * first + 0.5 * last)
    bend[1] = np.clip(bend[1], camera.near_m, camera.far_m)
    t = np.linspace(0, 1, _SAMPLES)[:, None]
    points = (1 - t) ** 2 * first + 2 * t * (1 - t) * bend + t**2 * last
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    return Path(points=points, along=along)


def beside(path: Path, metres: float) -> Path:
    """The way of somebody who walks so many metres to the left of a path, at the same pace."""
    step = np.gradient(path.points, axis=0)
    step /= np.linalg.norm(step, axis=1, keepdims=True)
    left = np.stack([-step[:, 1], step[:, 0]], 1)
    return Path(points=path.points + metres * left, along=path.along)


def _gate(rng: np.random.Generator, camera: Camera, gate: str, *, deep: bool) -> Floats:
    """A point out of sight; those at the sides lie in the farther half of the scene where `deep`."""
    if gate == "near":
        x = float(rng.uniform(-0.5, 0.5)) * half_width(camera, camera.near_m)
        return np.array([x, _under(camera)])
    nearest = 0.5 * (camera.near_m + camera.far_m) if deep else camera.near_m
    y = float(rng.uniform(nearest, camera.far_m))
    side = -1 if gate == "left" else 1
    return np.array([side * (half_width(camera, y) + _OUT_M), y])


def _under(camera: Camera) -> float:
    """Ground distance at which somebody who walks below the camera has left its picture, or is below it."""
    steepest = camera.tilt + np.arctan(FRAME_SIZE[1] / 2 / camera.focal_px)
    return float(max(0.2, (camera.height_m - _TALL_M) / np.tan(steepest) - _STRIDE_M))
