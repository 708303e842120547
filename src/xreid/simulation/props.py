"""Pictures of the things that stand about: posts, trunks, hedges, benches, railings, parked cars, corners.

Each is a flat picture in both spectra with its outline, painted once a walk or scene and then seen in
perspective. Rows run from the top to the ground; H and W are its height and width in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from xreid.simulation.arrays import Floats
from xreid.simulation.atlas import smooth_noise
from xreid.simulation.wardrobe import Material

LEAVES = Material(colour=(0.25, 0.45, 0.38), nir=0.72)  # plants are bright in near infrared
STEEL = Material(colour=(0.5, 0.49, 0.47), nir=0.42)
RUBBER = Material(colour=(0.07, 0.07, 0.07), nir=0.06)
GLASS = Material(colour=(0.16, 0.14, 0.12), nir=0.1)
BARK = Material(colour=(0.2, 0.27, 0.33), nir=0.44)

NARROW = ("lamp post", "trunk", "bollard")
LOW = ("hedge", "bench", "railing", "car", "planter", "bicycle")
SIDES = ("bricks", "panels", "column")
_PIXELS = 110.0  # of a picture for a metre; a crop has about as many
_LARGEST = 420


@dataclass(frozen=True, kw_only=True)
class Prop:
    """A painted thing.

    Attributes:
        image: float32 [H, W, 4], blue, green, red, near infrared, 0..1.
        cover: float32 [H, W], 1 where it hides what lies behind.
    """

    image: Floats
    cover: Floats


def paint_prop(
    rng: np.random.Generator, kind: str, *, wide_m: float, high_m: float, material: Material
) -> Prop:
    """Paint a thing of the given width and height in metres.

    Args:
        rng: For its leaves, stains and bricks.
        kind: One of NARROW, LOW or SIDES.
        wide_m: Its whole width.
        high_m: Its height above the ground.
        material: Its main surface where it has a choice.
    """
    width = int(np.clip(wide_m * _PIXELS, 16, _LARGEST))
    height = int(np.clip(high_m * _PIXELS, 24, _LARGEST))
    canvas = _Canvas(rng, (height, width), (high_m, wide_m), _weathered(material))
    {
        "lamp post": _lamp_post, "trunk": _trunk, "bollard": _bollard, "hedge": _hedge, "bench": _bench,
        "railing": _railing, "car": _car, "planter": _planter, "bicycle": _bicycle, "bricks": _bricks,
        "panels": _panels, "column": _column,
    }[kind](canvas)  # fmt: skip
    grime = 0.06 * smooth_noise(rng, (height, width), (4, 4))
    foot = 1 - 0.35 * np.exp(-canvas.z / 0.08)  # dirt and the shadow near the ground
    canvas.image *= ((1 + grime) * foot)[..., None]
    return Prop(image=np.clip(canvas.image, 0, 1).astype(np.float32), cover=canvas.cover)


def _weathered(material: Material) -> Material:
    """Things in the street are greyer than clothes; how they look in near infrared stays."""
    grey = sum(material.colour) / 3
    blue, green, red = (0.5 * c + 0.5 * grey for c in material.colour)
    return Material(colour=(blue, green, red), nir=material.nir)


class _Canvas:
    """A picture while it is painted: x and z in metres (x from the left, z from the ground)."""

    def __init__(
        self, rng: np.random.Generator, size: tuple[int, int], metres: tuple[float, float], material: Material
    ) -> None:
        rows, columns = np.mgrid[0 : size[0], 0 : size[1]].astype(np.float32)
        self.rng, self.size, self.material = rng, size, material
        self.high, self.wide = metres
        self.x: Floats = (columns + 0.5) * np.float32(self.wide / size[1])
        self.z: Floats = (size[0] - 0.5 - rows) * np.float32(self.high / size[0])
        self.image = np.broadcast_to(material.array(), (*size, 4)).copy()
        self.cover: Floats = np.ones(size, np.float32)

    def fill(self, mask: npt.NDArray[np.bool_], material: Material, shade: Floats | float = 1.0) -> None:
        """Paint and uncover nothing: only the surface changes."""
        tone = np.broadcast_to(np.asarray(shade, np.float32), self.size)[mask]
        self.image[mask] = tone[:, None] * material.array()

    def round_(self) -> Floats:
        """Light on an upright cylinder as wide as the picture."""
        across = 2 * self.x / self.wide - 1
        return (0.45 + 0.6 * np.sqrt(np.clip(1 - (across + 0.25) ** 2 / 1.6, 0, 1))).astype(np.float32)


def _lamp_post(c: _Canvas) -> None:
    c.image *= c.round_()[..., None]
    across = np.abs(2 * c.x / c.wide - 1)
    c.image += (0.22 * np.exp(-(((across - 0.25) / 0.12) ** 2)))[..., None]  # a highlight along the metal
    c.cover = np.where((c.z > 0.55) & (across > 0.72), 0.0, 1.0).astype(np.float32)  # thicker at its foot
    c.image[np.abs(c.z - 0.55) < 0.02] *= 0.6
    low = float(c.rng.uniform(1.1, 1.5))
    notice = (c.z > low) & (c.z < low + 0.28) & (across < 0.7)
    c.fill(notice, Material(colour=(0.72, 0.78, 0.8), nir=0.7), 0.8 * c.round_())
    c.fill(notice & (np.mod(c.z, 0.06) < 0.02) & (across < 0.5), RUBBER)


def _trunk(c: _Canvas) -> None:
    c.image[:] = BARK.array()
    ridges = smooth_noise(c.rng, c.size, (5, 7))
    fine = c.rng.standard_normal(c.size).astype(np.float32)
    c.image *= (c.round_() * (1 + 0.25 * ridges + 0.08 * fine))[..., None]
    edge = 0.1 + 0.07 * np.sin(c.z * 2.3 + float(c.rng.uniform(0, 6))) - 0.3 * np.exp(-c.z / 0.12)
    c.cover = (np.minimum(c.x, c.wide - c.x) > edge * 0.5 * c.wide).astype(np.float32)


def _bollard(c: _Canvas) -> None:
    c.image *= c.round_()[..., None]
    bands = np.mod(c.z / 0.42, 1) < 0.22
    c.fill(bands, Material(colour=(0.78, 0.8, 0.82), nir=0.78), c.round_())


def _leaves(c: _Canvas, mask: npt.NDArray[np.bool_]) -> None:
    """Leaves in the light and gaps in the dark between them."""
    size = c.size
    clumps = smooth_noise(c.rng, size, (max(3, size[0] // 22), max(3, size[1] // 22)))
    specks = cv2.GaussianBlur(c.rng.standard_normal(size).astype(np.float32), (0, 0), 1.1) * 3.2
    tone = 0.72 + 0.2 * clumps + 0.26 * specks + 0.3 * (c.z / c.high - 0.5)
    c.fill(mask, LEAVES, np.clip(tone, 0.12, 1.5))


def _hedge(c: _Canvas) -> None:
    ragged = 0.06 * smooth_noise(c.rng, c.size, (6, 9)) + 0.04 * smooth_noise(c.rng, c.size, (16, 24))
    sides = np.minimum(c.x, c.wide - c.x)
    c.cover = ((c.z < c.high - 0.12 + ragged) & (sides > 0.05 + ragged)).astype(np.float32)
    _leaves(c, np.ones(c.size, np.bool_))


def _planter(c: _Canvas) -> None:
    box = c.z < 0.45 * c.high
    c.image[np.abs(c.z - 0.42 * c.high) < 0.02] *= 0.6
    c.image *= (1 - 0.25 * (np.mod(c.x, 0.6) < 0.03))[..., None]
    _leaves(c, ~box)
    ragged = 0.08 * smooth_noise(c.rng, c.size, (7, 9))
    top = c.high * (0.82 + 0.12 * np.sin(3.0 * np.pi * c.x / c.wide))
    c.cover = (box | (c.z < top + ragged)).astype(np.float32)


def _bench(c: _Canvas) -> None:
    slat = np.mod(c.z / c.high * 6 + 0.1, 1)
    boards = (slat < 0.74) & (c.z > 0.36 * c.high)
    legs = (np.abs(np.abs(c.x - c.wide / 2) - 0.4 * c.wide) < 0.035) | ((c.z < 0.05) & (c.x < 0))
    grain = 1 + 0.1 * smooth_noise(c.rng, c.size, (30, 3))
    c.fill(boards, c.material, grain * (1.12 - 0.4 * slat))
    c.fill(legs, STEEL, 0.6)
    c.cover = (boards | legs).astype(np.float32)


def _railing(c: _Canvas) -> None:
    bars = np.mod(c.x, 0.13) < 0.022
    rails = (np.abs(c.z - c.high + 0.03) < 0.028) | (np.abs(c.z - 0.14) < 0.018)
    posts = np.mod(c.x + 0.1, 1.1) < 0.055
    light = 0.75 + 0.4 * (np.mod(c.x, 0.13) < 0.01)
    c.image *= np.where(rails, 1.1, light).astype(np.float32)[..., None]
    c.cover = ((bars & (c.z < c.high - 0.03)) | posts | rails).astype(np.float32)


def _car(c: _Canvas) -> None:
    """The flank of a parked car: sill, door lines, windows, one or two wheels."""
    up = c.z / c.high
    c.image *= (0.8 + 0.35 * np.exp(-(((up - 0.55) / 0.08) ** 2)) - 0.25 * (up < 0.3))[..., None]
    start = float(c.rng.uniform(0, 1.0))
    c.image[(np.abs(np.mod(c.x + start, 1.05) - 0.5) < 0.008) & (up > 0.2)] *= 0.45  # gaps of the doors
    handle = (np.abs(np.mod(c.x + start, 1.05) - 0.62) < 0.06) & (np.abs(up - 0.56) < 0.018)
    c.fill(handle, STEEL, 1.2)
    if c.high > 0.7:
        pane = (up > 0.68) & (up < 0.93) & (np.abs(np.mod(c.x + start, 1.05) - 0.5) > 0.04)
        c.fill(pane, GLASS, 1 + 2.2 * np.clip(up - 0.7 + 0.1 * np.sin(3 * c.x), 0, 1))
    c.cover = np.where(c.z < 0.16 * c.high, 0.0, 1.0).astype(np.float32)
    for place in (0.22, 0.22 + 2.4 / max(c.wide, 1.0)):
        away = np.hypot(c.x - place * c.wide, c.z - 0.29) / 0.29
        c.fill(away < 1.15, RUBBER)
        c.fill(away < 0.62, STEEL, 1.0 - 0.4 * (np.sin(5 * np.arctan2(c.z - 0.29, c.x - place * c.wide)) > 0))
        c.cover[away < 1] = 1


def _bicycle(c: _Canvas) -> None:
    """A bicycle at the kerb: wheels, frame, saddle, handlebar."""
    unit = 0.5 * c.high  # the wheels reach to half its height or more
    radius = min(0.34, 0.95 * unit, 0.24 * c.wide)
    left, right = 0.5 * c.wide - 1.55 * radius, 0.5 * c.wide + 1.55 * radius
    mask = np.zeros(c.size, np.uint8)
    scale = np.array([c.size[1] / c.wide, -c.size[0] / c.high])

    def at(x: float, z: float) -> tuple[int, int]:
        px, py = np.array([x, z]) * scale + (0, c.size[0])
        return int(px), int(py)

    for x in (left, right):
        away = np.hypot(c.x - x, c.z - radius) / radius
        spokes = (np.abs(np.sin(8 * np.arctan2(c.z - radius, c.x - x))) < 0.1) & (away < 1)
        c.fill((away < 1) & (away > 0.88), RUBBER)
        c.fill(spokes & (away < 0.88), STEEL, 1.2)
        mask[((away < 1) & (away > 0.88)) | spokes] = 1
    crank, seat = (left + 1.35 * radius, radius), (left + 1.0 * radius, 2.2 * radius)
    head = (right - 0.45 * radius, 2.35 * radius)
    tubes = np.zeros(c.size, np.uint8)
    pairs = ((crank, seat), (crank, head), (seat, head), ((left, radius), crank), ((left, radius), seat))
    for first, second in (*pairs, ((right, radius), head), (head, (head[0] + 0.3 * radius, 2.7 * radius))):
        cv2.line(tubes, at(*first), at(*second), 1, 4)
    cv2.line(
        tubes, at(seat[0] - 0.3 * radius, 2.35 * radius), at(seat[0] + 0.4 * radius, 2.35 * radius), 1, 6
    )
    c.fill(tubes > 0, c.material)
    c.cover = np.maximum(mask, tubes).astype(np.float32)


def _bricks(c: _Canvas) -> None:
    row = np.floor(c.z / 0.085)
    along = c.x / 0.26 + 0.5 * np.mod(row, 2)
    tone = c.rng.uniform(0.82, 1.15, (64, 64)).astype(np.float32)
    c.image *= tone[row.astype(np.int64) % 64, np.floor(along).astype(np.int64) % 64][..., None]
    joint = (np.mod(c.z / 0.085, 1) < 0.14) | (np.mod(along, 1) < 0.05)
    c.fill(joint, Material(colour=(0.55, 0.56, 0.57), nir=0.5))


def _panels(c: _Canvas) -> None:
    c.image *= (1 + 0.05 * np.sin(c.z * 1.7))[..., None]
    joint = (np.mod(c.z, 0.9) < 0.02) | (np.mod(np.minimum(c.x, c.wide - c.x), 0.7) < 0.02)
    c.image[joint] *= 0.55
    c.fill((c.z < 0.12), STEEL, 0.55)


def _column(c: _Canvas) -> None:
    near = np.minimum(c.x, c.wide - c.x)
    c.image *= (0.55 + 0.45 * np.clip(near / 0.16, 0, 1))[..., None]  # a rounded corner of concrete
    specks = c.rng.standard_normal(c.size).astype(np.float32)
    c.image *= (1 + 0.05 * specks - 0.2 * (np.mod(c.z, 1.2) < 0.025))[..., None]


def shade_ground(image: Floats, corners: Floats) -> None:
    """Darken the ground where a thing stands on it.

    Args:
        image: float32 [H, W] or [H, W, C], changed in place.
        corners: float32 [4, 2], pixels: left and right on the ground, right and left at the top.
    """
    foot = float(corners[:2, 1].mean())
    if foot > image.shape[0] * 1.05:
        return
    middle, half = float(corners[:2, 0].mean()), float(np.ptp(corners[:2, 0])) / 2
    y = (np.arange(image.shape[0], dtype=np.float32) - foot) / (0.035 * image.shape[0])
    x = np.abs(np.arange(image.shape[1], dtype=np.float32) - middle) - half
    beside = 1 / (1 + np.exp(np.clip(x / (0.02 * image.shape[0]), -30, 30)))
    factor = 1 - 0.5 * np.exp(-(y[:, None] ** 2)) * beside[None]
    image *= (factor if image.ndim == 2 else factor[..., None]).astype(np.float32)
