"""A walk past a camera: path, heading and gait phase; the figure placed in the world, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xreid.simulation.arrays import Floats
from xreid.simulation.camera import Camera
from xreid.simulation.identity import Person
from xreid.simulation.mesh import Mesh, skin
from xreid.simulation.skeleton import measure, rest_joints, walk_cycle


@dataclass(frozen=True, kw_only=True)
class Walk:
    """Where the person is and how far through the gait cycle.

    Attributes:
        position: float32 [F, 2], metres on the ground.
        heading: float32 [F], radians, pi / 2 walks away from the camera.
        phase: float32 [F], gait phase in radians.
        habit: Whether the person's arm habit shows.
    """

    position: Floats
    heading: Floats
    phase: Floats
    habit: bool


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A figure in the world over F frames: points and outward normals float32 [F, V, 3]."""

    points: Floats
    normals: Floats


def draw_walk(
    rng: np.random.Generator, person: Person, camera: Camera, *, frames: int, step_s: float
) -> Walk:
    """A slightly curved walk through the part of the scene where the camera sees people well."""
    gait = person.gait
    times = (np.arange(frames) - (frames - 1) / 2) * step_s
    along = float(rng.choice(camera.paths)) + float(rng.normal(0, 0.3))
    bend = float(rng.choice([-1, 1]) * rng.uniform(0.1, 0.55))
    heading = along + bend * times
    pace = min(1.0, 5.0 / max(gait.speed * frames * step_s, 1e-3))
    steps = np.stack([np.cos(heading), np.sin(heading)], 1) * gait.speed * step_s * pace
    path = np.cumsum(steps, 0)
    path -= (path.min(0) + path.max(0)) / 2
    middle = np.array([rng.uniform(-0.8, 0.8), rng.uniform(camera.near_m, camera.far_m)])
    reach = np.abs(path[:, 1]).max()
    middle[1] = np.clip(
        middle[1], camera.near_m + min(reach, 1.5), max(camera.far_m - reach, camera.near_m + 1.5)
    )
    position = path + middle
    position[:, 1] = np.maximum(position[:, 1], 3.0)
    phase = rng.uniform(0, 2 * np.pi) + 2 * np.pi * gait.cadence * times
    return Walk(
        position=position.astype(np.float32),
        heading=heading.astype(np.float32),
        phase=phase.astype(np.float32),
        habit=bool(rng.random() < 0.75),
    )


def place(person: Person, mesh: Mesh, walk: Walk) -> Placed:
    """Pose the figure in every frame, stand it on the ground, turn it and move it along the path."""
    m = measure(person.body)
    bag, side = person.outfit.bag, person.outfit.bag_side
    loads = (bag == "handbag" and side > 0, bag == "handbag" and side < 0)
    motion = walk_cycle(m, person.gait, phase=walk.phase, habit=walk.habit, loads=loads)
    points, normals = skin(mesh, motion, rest_joints(m))
    points[..., 2] -= points[..., 2].min(1, keepdims=True)
    cos, sin = np.cos(walk.heading), np.sin(walk.heading)
    turn = np.zeros((len(cos), 3, 3), np.float32)
    turn[:, 0, 0], turn[:, 0, 1], turn[:, 1, 0], turn[:, 1, 1], turn[:, 2, 2] = cos, -sin, sin, cos, 1
    points = points @ turn.transpose(0, 2, 1)
    points[..., :2] += walk.position[:, None]
    return Placed(points=points, normals=normals @ turn.transpose(0, 2, 1))
