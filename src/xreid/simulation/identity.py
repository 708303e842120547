"""A person: body, gait, hair, clothes and accessories, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from xreid.core.seeding import numpy_generator
from xreid.simulation.wardrobe import Material, Outfit, draw_outfit, skin_material

ArmHabit = Literal["swing", "pocket", "strap", "phone", "still"]


@dataclass(frozen=True, kw_only=True)
class Body:
    """Proportions.

    Attributes:
        height_m: Standing height in metres.
        girth: Factor on all cross-sections, 0.85 (thin) to 1.3 (heavy).
        belly: Extra depth of the waist as a share of it.
        shoulders: Factor on the shoulder width.
        hips: Factor on the hip width.
        legs: Factor on the length of the legs; the trunk makes up for it.
        head: Factor on the size of the head.
        skin: Reflectance of the skin.
        face: Small random numbers that place eyes, brows and mouth.
    """

    height_m: float
    girth: float
    belly: float
    shoulders: float
    hips: float
    legs: float
    head: float
    skin: Material
    face: float


@dataclass(frozen=True, kw_only=True)
class Gait:
    """How the person moves.

    Attributes:
        speed: Walking speed in metres a second.
        cadence: Gait cycles (two steps) a second.
        stride: Factor on the swing of the legs.
        arm_swing: Factor on the swing of the arms.
        lean: Forward lean of the trunk in radians.
        stoop: Forward tilt of the head in radians.
        sway: Sideways sway in radians.
        toe_out: Outward turn of the feet in radians.
        habit: What the free arm usually does.
        habit_side: +1 left arm, -1 right arm.
    """

    speed: float
    cadence: float
    stride: float
    arm_swing: float
    lean: float
    stoop: float
    sway: float
    toe_out: float
    habit: ArmHabit
    habit_side: int


@dataclass(frozen=True, kw_only=True)
class Person:
    """One identity: everything about it that does not change from walk to walk."""

    body: Body
    gait: Gait
    outfit: Outfit


def draw_person(seed: int, name: str, *, difficulty: float) -> Person:
    """The person called `name` of the world `seed`; at difficulty 1 nearly all look alike."""
    rng = numpy_generator(seed, "person", name)
    common = numpy_generator(seed, "uniform")
    spread = 1.0 - 0.75 * max(0.0, (difficulty - 0.3) / 0.7)
    body = _draw_body(rng, spread=spread)
    gait = _draw_gait(rng, height=body.height_m, spread=spread)
    outfit = draw_outfit(rng, common, difficulty=difficulty)
    return Person(body=body, gait=gait, outfit=outfit)


def _draw_body(rng: np.random.Generator, *, spread: float) -> Body:
    def around(middle: float, sd: float) -> float:
        return float(middle + spread * sd * np.clip(rng.standard_normal(), -2, 2))

    return Body(
        height_m=around(1.71, 0.085),
        girth=float(np.exp(spread * rng.uniform(-0.15, 0.24))),
        belly=float(max(0.0, spread * rng.normal(0.05, 0.16))),
        shoulders=around(1.0, 0.06),
        hips=around(1.0, 0.06),
        legs=around(1.0, 0.03),
        head=around(1.0, 0.04),
        skin=skin_material(rng),
        face=float(rng.random()),
    )


def _draw_gait(rng: np.random.Generator, *, height: float, spread: float) -> Gait:
    habits: list[ArmHabit] = ["swing", "pocket", "strap", "phone", "still"]
    speed = float(rng.normal(1.25, 0.12 * spread))
    return Gait(
        speed=speed,
        cadence=float(speed / (0.8 * height) * rng.normal(1.0, 0.05)),
        stride=float(rng.uniform(1 - 0.2 * spread, 1 + 0.15 * spread)),
        arm_swing=float(rng.uniform(1 - 0.6 * spread, 1 + 0.4 * spread)),
        lean=float(rng.normal(0.04, 0.04 * spread)),
        stoop=float(rng.normal(0.08, 0.09 * spread)),
        sway=float(rng.uniform(0.01, 0.05)),
        toe_out=float(rng.normal(0.14, 0.1 * spread)),
        habit=habits[int(rng.choice(5, p=[0.6, 0.1, 0.1, 0.1, 0.1]))],
        habit_side=int(rng.choice([-1, 1])),
    )
