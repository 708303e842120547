"""The empty scene that a camera looks at: ground, walls, windows, posts, plants, in one spectrum."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from xreid.core.seeding import numpy_generator
from xreid.core.tracklets import Modality
from xreid.simulation.arrays import Bytes, Floats
from xreid.simulation.atlas import smooth_noise
from xreid.simulation.camera import FRAME_SIZE, Camera
from xreid.simulation.props import LEAVES, paint_prop, shade_ground
from xreid.simulation.wardrobe import Material

#: Half width and height in metres of what stands behind the paths.
_SIZES = {
    "lamp post": (0.07, 3.5),
    "hedge": (1.2, 1.1),
    "planter": (0.5, 1.0),
    "car": (1.8, 1.3),
    "bench": (0.8, 0.85),
    "railing": (1.5, 1.0),
}


@dataclass(frozen=True, kw_only=True)
class Hits:
    """Where the rays of a camera meet the scene: kind 0 ground, 1 back wall, 2 side wall; all [H, W]."""

    kind: npt.NDArray[np.int64]
    x: Floats
    y: Floats
    z: Floats
    distance: Floats


def paint_scene(seed: int, camera: Camera, *, side_wall: bool = True) -> Bytes:
    """The picture of the empty scene as the sensor would get it before its own processing.

    Args:
        seed: Of the world.
        camera: The camera.
        side_wall: Whether a wall may stand along the path; without, people can come from both sides.

    Returns:
        uint8 [360, 640, 3] (visible) or [360, 640] (infrared).
    """
    rng = numpy_generator(seed, "scene", camera.name)
    wall_y = camera.far_m + float(rng.uniform(2.0, 7.0))
    wall_x = float(rng.choice([-1, 1]) * rng.uniform(2.6, 5.0)) if rng.random() < 0.55 else None
    hits = _cast(camera, wall_y=wall_y, wall_x=wall_x if side_wall else None)
    image = np.zeros((*hits.x.shape, 4), np.float32)
    surfaces = (_ground(rng, hits), _wall(rng, hits), _wall(rng, hits, along=hits.y))
    for kind, surface in enumerate(surfaces):
        image = np.where((hits.kind == kind)[..., None], surface, image)
    grime = smooth_noise(rng, hits.x.shape, (5, 8))
    image *= (1 + 0.06 * grime)[..., None]
    corner = np.where(hits.kind == 0, wall_y - hits.y, 1.5 * hits.z)  # less light where wall and ground meet
    image *= (1 - 0.3 * np.exp(-np.clip(corner, 0, 9) / 0.35))[..., None]
    for _ in range(int(rng.integers(3, 8))):
        _stand(image, rng, camera, wall_y=wall_y)
    return _light(image, camera, hits)


def _cast(camera: Camera, *, wall_y: float, wall_x: float | None) -> Hits:
    width, height = FRAME_SIZE
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    flat = np.stack([columns - width / 2, height / 2 - rows, np.full_like(rows, camera.focal_px)], -1)
    rays = (flat / camera.focal_px) @ camera.axes()
    ground = np.where(rays[..., 2] < -1e-4, camera.height_m / np.maximum(-rays[..., 2], 1e-4), 1e4)
    distances = [ground, wall_y / np.maximum(rays[..., 1], 1e-3)]
    if wall_x is not None:
        distances.append(
            np.where(rays[..., 0] * wall_x > 1e-3, wall_x / np.where(rays[..., 0] == 0, 1, rays[..., 0]), 1e4)
        )
    stacked = np.stack(distances)
    kind = stacked.argmin(0)
    distance = np.minimum(stacked.min(0), 80).astype(np.float32)
    return Hits(
        kind=kind,
        x=rays[..., 0] * distance,
        y=rays[..., 1] * distance,
        z=camera.height_m + rays[..., 2] * distance,
        distance=distance,
    )


def _stone(rng: np.random.Generator, low: float = 0.35, high: float = 0.8) -> Material:
    grey = rng.uniform(low, high)
    tint = rng.normal(0, 0.03, 3) + np.array([-0.03, 0, 0.03]) * rng.uniform(-0.5, 1.5)
    blue, green, red = np.clip(grey + tint, 0.05, 0.95)
    return Material(
        colour=(float(blue), float(green), float(red)), nir=float(np.clip(rng.uniform(0.2, 0.7), 0, 1))
    )


def _hash(i: npt.NDArray[np.int64], j: npt.NDArray[np.int64]) -> Floats:
    """A fixed pseudo-random number in -1..1 for every cell (i, j)."""
    mixed = (i * 73856093) ^ (j * 19349663)
    return (((mixed * 2654435761) >> 7) % 2048 / 1024.0 - 1).astype(np.float32)


def _ground(rng: np.random.Generator, hits: Hits) -> Floats:
    base = _stone(rng).array()
    style, size = int(rng.integers(3)), float(rng.uniform(0.4, 1.2))
    angle = float(rng.uniform(0, np.pi / 2))
    a = (hits.x * np.cos(angle) + hits.y * np.sin(angle)) / size
    b = (hits.y * np.cos(angle) - hits.x * np.sin(angle)) / size
    tone = np.ones_like(hits.x)
    if style < 2:  # slabs
        cell_a, cell_b = np.floor(a).astype(np.int64), np.floor(b).astype(np.int64)
        tone += (0.07 if style else 0.16) * _hash(cell_a, cell_b)
        joint = (
            np.minimum(np.minimum(a - cell_a, 1 - a + cell_a), np.minimum(b - cell_b, 1 - b + cell_b)) * size
        )
        tone *= np.where(joint < 0.012 + 0.002 * hits.distance, 0.8, 1.0)
    image = tone[..., None] * base
    image = image * (1 + 0.05 * rng.standard_normal(hits.x.shape).astype(np.float32))[..., None]
    if rng.random() < 0.5:  # a painted line or a kerb
        offset, wide = rng.uniform(-2, 2), rng.uniform(0.05, 0.2)
        line = np.abs(b * size - offset - 5) < wide
        image[line] = _stone(rng, 0.6, 0.95).array()
    if rng.random() < 0.35:  # lawn
        far = hits.y > rng.uniform(6.5, 11)
        image[far] = (
            LEAVES.array() * (1 + 0.15 * rng.standard_normal((*hits.x.shape, 1))).astype(np.float32)
        )[far]
    return image


def _wall(rng: np.random.Generator, hits: Hits, *, along: Floats | None = None) -> Floats:
    s, z = hits.x if along is None else along, hits.z
    base, other = _stone(rng).array(), _stone(rng, 0.08, 0.5).array()
    image = np.broadcast_to(base, (*s.shape, 4)).copy()
    style = int(rng.integers(4))
    if style == 0:  # bricks
        row = np.floor(z / 0.09).astype(np.int64)
        column = np.floor(s / 0.3 + 0.5 * (row % 2)).astype(np.int64)
        image *= (1 + 0.12 * _hash(row, column))[..., None]
    elif style == 1:  # panels
        wide, high = rng.uniform(0.8, 1.8), rng.uniform(0.6, 1.5)
        image *= (1 + 0.08 * _hash(np.floor(s / wide).astype(np.int64), np.floor(z / high).astype(np.int64)))[
            ..., None
        ]
        edge = (np.mod(s / wide, 1) < 0.03) | (np.mod(z / high, 1) < 0.03)
        image[edge] *= 0.7
    elif style == 2:  # glass front
        wide = rng.uniform(0.9, 1.6)
        frame = (np.mod(s / wide, 1) < 0.07) | (np.mod(z / 2.4, 1) < 0.03)
        image = np.where(frame[..., None], other, base * (0.7 + 0.3 * np.sin(s * 0.8 + z)[..., None] ** 2))
    else:  # plaster with a dado
        image = np.where((z < rng.uniform(0.7, 1.3))[..., None], other, base)
    for _ in range(int(rng.integers(1, 5))):  # doors, windows, notices
        middle, wide = rng.uniform(-6, 6) + (0 if along is None else 7), rng.uniform(0.3, 0.9)
        low, high = (0.0, 2.1) if rng.random() < 0.4 else (rng.uniform(0.8, 1.3), rng.uniform(1.6, 2.6))
        inside = (np.abs(s - middle) < wide) & (z > low) & (z < high)
        border = inside & ((np.abs(s - middle) > wide - 0.07) | (z > high - 0.07))
        image[inside] = _stone(rng, 0.08, 0.9).array()
        image[border] *= 0.6
    return np.where((z > 3.4)[..., None], image * 0.85, image).astype(np.float32)


def _stand(image: Floats, rng: np.random.Generator, camera: Camera, *, wall_y: float) -> None:
    """Put a post, a hedge, a bench, a parked car behind where people walk."""
    x, y = rng.uniform(-6, 6), rng.uniform(camera.far_m + 0.5, wall_y - 0.2)
    kind = ("lamp post", "hedge", "planter", "car", "bench", "railing")[int(rng.integers(6))]
    wide, high = _SIZES[kind]
    wide, high = wide * rng.uniform(0.8, 1.3), high * rng.uniform(0.8, 1.2)
    corners = np.array(
        [[x - wide, y, 0], [x + wide, y, 0], [x + wide, y, high], [x - wide, y, high]], np.float32
    )
    flat, _ = camera.project(corners)
    prop = paint_prop(rng, kind, wide_m=2 * wide, high_m=high, material=_stone(rng, 0.1, 0.8))
    rows, columns = prop.cover.shape
    own = np.array([[0, rows], [columns, rows], [columns, 0], [0, 0]], np.float32)
    matrix = cv2.getPerspectiveTransform(own, flat.astype(np.float32))
    size = (image.shape[1], image.shape[0])
    surface = cv2.warpPerspective(prop.image, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    shade_ground(image, flat)
    cover = cv2.warpPerspective(prop.cover, matrix, size)[..., None]
    image += cover * (surface - image)


def _light(image: Floats, camera: Camera, hits: Hits) -> Bytes:
    if camera.modality is Modality.INFRARED:
        lit = image[..., 3] * illumination(camera, hits.distance)
    else:
        slope = np.array([1.1 - camera.sun * 0.2, 0.85, 0.95], np.float32)[hits.kind]
        far = 1 / (1 + (hits.distance / 60) ** 2)
        lit = image[..., :3] * (slope * far)[..., None]
    soft = cv2.GaussianBlur(np.clip(lit, 0, 1), (0, 0), 0.8)
    return (soft * 255 + 0.5).astype(np.uint8)


def illumination(camera: Camera, distance: Floats | float) -> Floats:
    """Light of the camera's own lamp at a distance in metres, 1 in the middle of where people walk."""
    middle = (camera.near_m + camera.far_m) / 2
    return np.clip((middle / np.maximum(distance, 1.0)) ** 1.3, 0.05, 1.7).astype(np.float32)
