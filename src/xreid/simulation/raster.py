"""Draws posed meshes: far-to-near quads into a map of quad numbers, then texture and shade per pixel.

Shape legend: V vertices, Q quads, N covered pixels, H x W the picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from xreid.simulation.arrays import Floats

SHIFT = 3  # fractional bits of the polygon corners
ROW = 64  # cv2.remap takes pictures, so the covered pixels are laid out in rows of this width


@dataclass(frozen=True, kw_only=True)
class Surface:
    """What a drawn figure covers.

    Attributes:
        pixels: int64 [N], flat indices of the covered pixels, ascending.
        texture: Two float32 [ceil(N / 64), 64] maps (x, y) into the atlas, for cv2.remap.
        shade: float32 [N], light that falls on the pixel.
        depth: float32 [N], distance from the camera in metres.
        mask: float32 [H, W], 1 where covered.
    """

    pixels: npt.NDArray[np.int64]
    texture: tuple[Floats, Floats]
    shade: Floats
    depth: Floats
    mask: Floats

    def look_up(self, atlas: npt.NDArray[np.uint8]) -> Floats:
        """Texture values of the covered pixels: float32 [N] or [N, 3], 0..255."""
        values = cv2.remap(atlas, self.texture[0], self.texture[1], cv2.INTER_LINEAR)
        count = len(self.pixels)
        flat = values.reshape(-1) if values.ndim == 2 else values.reshape(-1, values.shape[2])
        return flat[:count].astype(np.float32)


def draw(
    pixels: Floats,
    depth: Floats,
    facing: Floats,
    *,
    quads: npt.NDArray[np.int64],
    lift: Floats,
    uv: Floats,
    shade: Floats,
    size: tuple[int, int],
) -> Surface | None:
    """Draw one figure.

    Args:
        pixels: float32 [V, 2], image positions (x, y).
        depth: float32 [V], distances from the camera.
        facing: float32 [V], cosine between normal and view; quads that look away are not drawn.
        quads: int64 [Q, 4], corners in order.
        lift: float32 [Q], metres by which each quad is drawn as if nearer.
        uv: float32 [V, 2], texture positions.
        shade: float32 [V], light at the vertices.
        size: Height and width of the picture.

    Returns:
        The covered surface, or None where nothing falls into the picture.
    """
    height, width = size
    far = _mean(depth, quads)
    front = np.flatnonzero(_mean(facing, quads) > -0.03)
    order = front[np.argsort((lift - far)[front], kind="stable")]
    corners = pixels[quads[order]]  # [n, 4, 2]
    if pixels.min() < 0 or (pixels > (width, height)).any():
        low, high = corners.min(1), corners.max(1)
        seen = (high[:, 0] >= 0) & (high[:, 1] >= 0) & (low[:, 0] <= width) & (low[:, 1] <= height)
        order, corners = order[seen], corners[seen]
    number = np.zeros((height, width), np.int32)
    fixed = np.round(corners * (1 << SHIFT)).astype(np.int32)
    fill = cv2.fillConvexPoly
    for i, polygon in enumerate(fixed, start=1):
        fill(number, polygon, i, 8, SHIFT)
    covered = np.flatnonzero(number)
    if not len(covered):
        return None
    attributes = np.concatenate([uv, shade[:, None]], 1)[quads[order]]  # [n, 4, 3]
    table = _planes(corners, attributes, far[order])
    x, y = (covered % width).astype(np.float32), (covered // width).astype(np.float32)
    rows = table[number.ravel()[covered] - 1].T  # [14, N]
    u = np.clip(rows[0] + rows[1] * x + rows[2] * y, rows[9], rows[10])
    v = np.clip(rows[3] + rows[4] * x + rows[5] * y, rows[11], rows[12])
    light = np.maximum(rows[6] + rows[7] * x + rows[8] * y, 0.02)
    mask = (number > 0).astype(np.float32)
    return Surface(pixels=covered, texture=(_in_rows(u), _in_rows(v)), shade=light, depth=rows[13], mask=mask)


def _mean(values: Floats, quads: npt.NDArray[np.int64]) -> Floats:
    """Mean over the corners of each quad: four gathers are faster than a mean along so short an axis."""
    a, b, c, d = (values[quads[:, i]] for i in range(4))
    return (a + b + c + d) * np.float32(0.25)


def _planes(corners: Floats, attributes: Floats, far: Floats) -> Floats:
    """Fit value = a + b x + c y to the corners of each quad through its diagonals: float32 [n, 14].

    Columns: (a, b, c) of u, v and shade, limits of u and v, depth.
    """
    first, second = corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1]
    area = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    inverse = area / (area * area + 0.5)  # slivers at the outline get a constant value
    rise_1, rise_2 = attributes[:, 2] - attributes[:, 0], attributes[:, 3] - attributes[:, 1]  # [n, 3]
    b = (rise_1 * second[:, 1:2] - rise_2 * first[:, 1:2]) * inverse[:, None]
    c = (rise_2 * first[:, 0:1] - rise_1 * second[:, 0:1]) * inverse[:, None]
    middle = (corners[:, 0] + corners[:, 1] + corners[:, 2] + corners[:, 3]) * np.float32(0.25)
    mean = (attributes[:, 0] + attributes[:, 1] + attributes[:, 2] + attributes[:, 3]) * np.float32(0.25)
    a = mean - b * middle[:, 0:1] - c * middle[:, 1:2]
    table = np.empty((len(corners), 14), np.float32)
    table[:, :9] = np.stack([a, b, c], 2).reshape(-1, 9)
    pairs = np.minimum(attributes[:, :2], attributes[:, 2:]), np.maximum(attributes[:, :2], attributes[:, 2:])
    low, high = np.minimum(pairs[0][:, 0], pairs[0][:, 1]), np.maximum(pairs[1][:, 0], pairs[1][:, 1])
    table[:, 9], table[:, 10], table[:, 11], table[:, 12] = low[:, 0], high[:, 0], low[:, 1], high[:, 1]
    table[:, 13] = far
    return table


def _in_rows(values: Floats) -> Floats:
    rows = -(-len(values) // ROW)
    padded = np.zeros(rows * ROW, np.float32)
    padded[: len(values)] = values
    return padded.reshape(rows, ROW)


def crevices(surface: Surface, size: tuple[int, int]) -> Floats:
    """Light left where nearer parts of the figure are close by: float32 [N], 1 = all of it."""
    depth = np.zeros(size[0] * size[1], np.float32)
    depth[surface.pixels] = surface.depth
    window = max(3, round(size[0] / 26) | 1)
    around = cv2.blur(depth.reshape(size), (window, window)).ravel()[surface.pixels]
    weight = cv2.blur(surface.mask, (window, window)).ravel()[surface.pixels]
    behind = surface.depth - around / weight
    return 1 - np.clip(behind * 5.0, 0, 0.45)
