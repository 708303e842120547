"""The texture atlas of a person: one image that holds the surface of every part, in both spectra."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from xreid.simulation.arrays import Bytes, Floats
from xreid.simulation.wardrobe import Garment, Material, Pattern

#: Tile name -> (x0, y0, width, height) in atlas pixels; x runs around the part, its front in the middle.
TILES: dict[str, tuple[int, int, int, int]] = {
    "torso": (0, 0, 176, 192),
    "skirt": (176, 0, 176, 128),
    "arm_l": (352, 0, 64, 128),
    "arm_r": (416, 0, 64, 128),
    "leg_l": (0, 192, 88, 180),
    "leg_r": (88, 192, 88, 180),
    "head": (176, 128, 112, 112),
    "hair": (288, 128, 64, 96),
    "hat": (352, 128, 64, 64),
    "bag": (416, 128, 64, 64),
    "shoe": (352, 192, 40, 72),
    "scarf": (392, 192, 32, 32),
    "hand": (424, 192, 24, 24),
}
ATLAS_SIZE = (480, 372)  # width, height


@dataclass(frozen=True, kw_only=True)
class Atlas:
    """The painted surface.

    Attributes:
        visible: uint8 [372, 480, 3], blue, green, red under white light.
        infrared: uint8 [372, 480], brightness under the near-infrared illuminator.
    """

    visible: Bytes
    infrared: Bytes


class Tile:
    """One tile while it is painted: coordinates and a float32 [h, w, 4] image (blue, green, red, infrared).

    Attributes:
        angle: float32 [h, w], -pi..pi, 0 the front, pi / 2 the left side.
        v: float32 [h, w], 0..1 along the part.
        image: The surface so far.
    """

    def __init__(self, name: str, base: Material) -> None:
        _, _, width, height = TILES[name]
        v, u = np.mgrid[0:height, 0:width].astype(np.float32)
        self.name = name
        self.v = np.clip((v - 1) / (height - 3), 0, 1)
        self.angle = (np.clip((u - 1) / (width - 3), 0, 1) - 0.5) * np.float32(2 * np.pi)
        self.image = np.broadcast_to(base.array(), (height, width, 4)).copy()

    def paint(self, mask: npt.NDArray[np.generic], material: Material) -> None:
        """Cover the masked part (bool, or float 0..1) with a material."""
        if mask.dtype == np.bool_:
            self.image[mask] = material.array()
        else:
            weight = mask[..., None].astype(np.float32)
            self.image = self.image * (1 - weight) + weight * material.array()

    def shade(self, factor: npt.NDArray[np.generic] | float) -> None:
        """Darken or brighten both spectra alike: folds, seams, contact shadows."""
        self.image *= np.asarray(factor, np.float32)[..., None] if np.ndim(factor) else np.float32(factor)

    def fold(self, rng: np.random.Generator, strength: float, *, cells: tuple[int, int]) -> None:
        """Shade with random folds that run aslant; `cells` are about how many along and around.

        Folds are soft hills; where the finer noise changes its sign, cloth breaks into a sharp dark crease.
        """
        height, width = self.v.shape
        hills = _aslant(smooth_noise(rng, (height, width), cells), 0.6)
        fine = _aslant(smooth_noise(rng, (height, width), (cells[0] * 3, cells[1] * 2)), -0.5)
        crease = np.exp(-((fine / 0.22) ** 2)) * np.clip(0.5 - hills, 0, 1.5)
        self.shade(np.clip(1 + strength * (0.9 * hills + 0.25 * fine - 0.9 * crease + 0.2), 0.5, 1.35))


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], cells: tuple[int, int]) -> Floats:
    """Smooth noise of unit variance that closes around its width: float32 of the given (height, width).

    `cells` are about how many bumps there are along the height and the width.
    """
    height, width = shape
    coarse = (4 * cells[0], 4 * cells[1])
    white = np.pad(rng.standard_normal(coarse).astype(np.float32), ((4, 4), (8, 8)), mode="wrap")
    soft = cv2.GaussianBlur(white, (0, 0), 1.6)[4:-4, 6:-6]
    wide = width * (coarse[1] + 4) // coarse[1]
    field = cv2.resize(soft, (wide, height), interpolation=cv2.INTER_CUBIC)
    start = (wide - width) // 2
    field = field[:, start : start + width]
    return field / (float(field.std()) + 1e-6)


def _aslant(field: Floats, turn: float) -> Floats:
    """Shear a field that closes around its width by `turn` turns from top to bottom."""
    height, width = field.shape
    shift = np.round(np.linspace(0, turn * width, height)).astype(np.int64)
    columns = (np.arange(width)[None] + shift[:, None]) % width
    return np.take_along_axis(field, columns, 1)


def assemble(tiles: list[Tile]) -> Atlas:
    """Put painted tiles into the atlas."""
    width, height = ATLAS_SIZE
    image = np.zeros((height, width, 4), np.float32)
    for tile in tiles:
        x, y, w, h = TILES[tile.name]
        image[y : y + h, x : x + w] = tile.image
    stored = np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8)
    return Atlas(visible=np.ascontiguousarray(stored[..., :3]), infrared=np.ascontiguousarray(stored[..., 3]))


def upper_mask(garment: Garment, share: Floats, angle: Floats) -> npt.NDArray[np.bool_]:
    """Where the second material of an upper garment lies.

    Args:
        garment: The garment.
        share: float [h, w], 0 at the shoulder to 1 at the hem.
        angle: float [h, w], 0 front, pi / 2 left.
    """
    p, side = garment.pattern, np.sin(angle)
    masks = {
        "bars": lambda: np.mod(share * (p.count + 0.5) + p.place, 1) < 0.35 + 0.3 * p.size,
        "yoke": lambda: share < 0.26 + 0.3 * p.place,
        "band": lambda: np.abs(share - 0.32 - 0.36 * p.place) < 0.08 + 0.09 * p.size,
        "hem": lambda: share > 0.5 + 0.28 * p.place,
        "halves": lambda: side * p.side > 0,
        "sash": lambda: np.abs(share - 0.5 - 0.5 * p.side * side) < 0.11 + 0.07 * p.size,
        "logo": lambda: _logo(p, share, side),
        "check": lambda: (
            (np.sin(angle * (p.count + 1)) > 0) ^ (np.sin(share * np.pi * 2 * (p.count + 0.5)) > 0)
        ),
        "sides": lambda: np.abs(np.cos(angle)) < 0.4 + 0.3 * p.size,
        "pinstripe": lambda: np.mod(angle * (2 + p.count) / np.pi * 2, 1) < 0.3,
    }
    if p.kind == "plain":
        return np.zeros(share.shape, np.bool_)
    mask: npt.NDArray[np.bool_] = masks[p.kind]()
    return mask


def _logo(p: Pattern, share: Floats, side: Floats) -> npt.NDArray[np.bool_]:
    x, y = side / (0.42 + 0.2 * p.size), (share - 0.36 - 0.12 * p.place) / (0.17 + 0.08 * p.size)
    radius = np.hypot(x, y)
    shapes = (
        radius < 1,
        np.maximum(np.abs(x), np.abs(y)) < 0.9,
        (radius < 1.15) & (radius > 0.6),
        (y < 0.85) & (y > -1 + 2 * np.abs(x)),
    )
    return np.asarray(shapes[p.shape])


def lower_mask(garment: Garment, share: Floats, outward: Floats) -> npt.NDArray[np.bool_]:
    """Where the second material of a lower garment lies.

    Args:
        garment: The garment.
        share: float [h, w], 0 at its waist to 1 at its hem.
        outward: float [h, w], angle from the outer side of the leg, 0..pi.
    """
    p = garment.pattern
    if p.kind == "stripe":
        return outward < 0.35 + 0.4 * p.size
    if p.kind == "split":
        return share > 0.35 + 0.35 * p.place
    if p.kind == "cuff":
        return share > 0.86 - 0.14 * p.size
    if p.kind == "bars":
        return np.mod(share * (p.count + 0.5) + p.place, 1) < 0.4 + 0.2 * p.size
    return np.zeros(share.shape, np.bool_)
