"""What makes real crops hard: jittered boxes, things in front, bystanders, poor resolution, compression."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from xreid.simulation.arrays import Floats
from xreid.simulation.props import LOW, NARROW, SIDES, Prop, paint_prop, shade_ground
from xreid.simulation.wardrobe import cloth_material


@dataclass(frozen=True, kw_only=True)
class Nuisance:
    """Nuisances of one walk; F frames.

    Attributes:
        strength: 0 (all off) to 1.
        shift: float32 [F, 2], error of the box's middle in shares of its height.
        scale: float32 [F], error of its height as a factor.
        aspect: Width of the box by its height.
        bystander: Ground offset (x, y) of another person from this one in metres, or None.
        drift: Movement of the bystander in metres a frame.
        occluder: What stands in the way, or None.
        detail: Resolution as a share of the crop's.
        flicker: float32 [F], factors on the brightness.
        quality: JPEG quality.
        smear: Length of the motion blur in pixels.
    """

    strength: float
    shift: Floats
    scale: Floats
    aspect: float
    bystander: tuple[float, float] | None
    drift: tuple[float, float]
    occluder: Occluder | None
    detail: float
    flicker: Floats
    quality: int
    smear: int


@dataclass(frozen=True, kw_only=True)
class Occluder:
    """A thing between camera and person, fixed in the world.

    Attributes:
        kind: "post" (narrow, full height), "low" (hedge, bench, car), "edge" (a wall's corner).
        offset_m: Where it stands beside the middle of the path.
        width_m: Half width.
        height_m: Height of a low one.
        nearer: Its distance as a share of the person's.
        prop: What it is, painted.
    """

    kind: str
    offset_m: float
    width_m: float
    height_m: float
    nearer: float
    prop: Prop


def draw_nuisance(rng: np.random.Generator, *, frames: int, strength: float, quality: int) -> Nuisance:
    """Nuisances for a walk of `frames` frames."""
    s = strength
    loose = np.sqrt(s)  # boxes are never tight for long, even where little else goes wrong
    bias = loose * rng.uniform(-0.13, 0.13, 2)
    shake = s * rng.normal(0, 0.012, (frames, 2))
    scale = 1 + loose * rng.uniform(-0.15, 0.45) + s * rng.normal(0, 0.015, frames)
    away = rng.choice([-1, 1]) * rng.uniform(0.4, 0.75)
    bystander = (float(away), float(rng.uniform(-0.9, 1.2))) if rng.random() < 0.5 * s else None
    return Nuisance(
        strength=s,
        shift=(bias + shake).astype(np.float32),
        scale=np.clip(scale, 0.82, 1.45).astype(np.float32),
        aspect=float(rng.uniform(0.43 - 0.04 * s, 0.46 + 0.14 * s)),
        bystander=bystander,
        drift=(float(rng.normal(0, 0.03)), float(rng.normal(0, 0.03))),
        occluder=_draw_occluder(rng) if rng.random() < 0.55 * s else None,
        detail=float(1 - s * rng.uniform(0, 0.65)),
        flicker=(1 + s * rng.normal(0, 0.03, frames)).astype(np.float32),
        quality=int(np.clip(quality - s * rng.uniform(5, 60), 20, 100)),
        smear=int(rng.integers(0, 1 + round(5 * s))),
    )


def _draw_occluder(rng: np.random.Generator) -> Occluder:
    kind = str(rng.choice(["post", "low", "edge"], p=[0.4, 0.38, 0.22]))
    sides = {"post": rng.uniform(-0.5, 0.5), "low": rng.uniform(-0.6, 0.6)}
    widths = {"post": rng.uniform(0.04, 0.1), "low": rng.uniform(0.35, 1.2), "edge": 3.0}
    edge = float(rng.choice([-1, 1]) * (3.0 + rng.uniform(-0.1, 0.4)))
    high = float(rng.uniform(0.35, 0.95)) if kind == "low" else 4.0
    nearer, material = float(rng.uniform(0.7, 0.9)), cloth_material(rng)
    (own,) = rng.spawn(1)  # what is painted on a thing must not move the numbers drawn after it
    kinds = {"post": NARROW, "low": LOW, "edge": SIDES}[kind]
    thing = str(own.choice(kinds))
    if thing == "bollard":
        high = 1.15
    prop = paint_prop(own, thing, wide_m=2 * float(widths[kind]), high_m=high, material=material)
    return Occluder(
        kind=kind,
        offset_m=float(sides.get(kind, edge)),
        width_m=float(widths[kind]),
        height_m=high,
        nearer=nearer,
        prop=prop,
    )


def draw_occluder(
    image: Floats, occluder: Occluder, corners: Floats, *, infrared: bool, light: float, grain: Floats
) -> None:
    """Draw an occluder and its shadow on the ground into a crop.

    Args:
        image: float32 [H, W] or [H, W, 3], 0..255, changed in place.
        occluder: The thing.
        corners: float32 [4, 2], in crop pixels: left and right on the ground, right and left at the top.
        infrared: Which reflectance to show.
        light: Brightness factor.
        grain: float32 [H, W], surface texture around 0.
    """
    height, width = image.shape[:2]
    low, high = corners.min(0), corners.max(0)
    if low[0] > width or high[0] < 0 or low[1] > height or high[1] < 0:
        return
    rows, columns = occluder.prop.cover.shape
    own = np.array([[0, rows], [columns, rows], [columns, 0], [0, 0]], np.float32)
    matrix = cv2.getPerspectiveTransform(own, corners.astype(np.float32))
    shown = occluder.prop.image[..., 3] if infrared else occluder.prop.image[..., :3]
    surface = cv2.warpPerspective(shown, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    cover = cv2.warpPerspective(occluder.prop.cover, matrix, (width, height))
    shade_ground(image, corners)
    weight = cv2.blur(cover, (3, 3))
    tone = surface * np.float32(light * 255)
    tone *= (1 + 0.05 * grain) if infrared else (1 + 0.05 * grain)[..., None]
    image += (weight if infrared else weight[..., None]) * (tone - image)
