"""Meshes of tubes: rings of points around an axis, bound to bones, with texture coordinates.

Shape legend: F frames, V vertices, Q quads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xreid.simulation.arrays import Floats
from xreid.simulation.atlas import TILES
from xreid.simulation.skeleton import BONE, Motion

FULL = (-np.pi, np.pi)


@dataclass(frozen=True, kw_only=True)
class Ring:
    """One cross-section of a tube.

    Attributes:
        centre: Its middle in the standing body, metres.
        side: Half-extent to the left and right, metres.
        front: Half-extent to the front and back (or up and down for a tube along x), metres.
        v: Texture coordinate along the tube, 0..1.
        bones: (bone name, weight) pairs, at most three; the weights add up to 1.
        shade: Ambient light that reaches it, 0..1.
        tilt: How much higher its front is than its middle, metres (tubes along z only).
    """

    centre: tuple[float, float, float]
    side: float
    front: float
    v: float
    bones: tuple[tuple[str, float], ...]
    shade: float = 1.0
    tilt: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Mesh:
    """A standing figure.

    Attributes:
        points: float32 [V, 3] at rest.
        normals: float32 [V, 3] at rest, unit length, outward.
        uv: float32 [V, 2], pixels of the texture atlas.
        ambient: float32 [V], ambient light that reaches the vertex.
        bones: int64 [V, 3] and weights float32 [V, 3].
        weights: See bones.
        quads: int64 [Q, 4].
        lift: float32 [Q], metres by which a quad is drawn as if nearer: cloth over what it covers.
    """

    points: Floats
    normals: Floats
    uv: Floats
    ambient: Floats
    bones: npt.NDArray[np.int64]
    weights: Floats
    quads: npt.NDArray[np.int64]
    lift: Floats


class MeshBuilder:
    """Collects tubes and makes one mesh of them."""

    def __init__(self) -> None:
        self._parts: list[dict[str, np.ndarray]] = []
        self._count = 0

    def tube(
        self,
        tile: str,
        rings: Sequence[Ring],
        *,
        around: int,
        axis: str = "z",
        arc: tuple[float, float] = FULL,
        square: float = 2.0,
        lift: float = 0.0,
    ) -> None:
        """Add a tube through `rings`.

        Args:
            tile: Texture tile, a key of atlas.TILES.
            rings: Two or more, from top to bottom (axis z) or back to front (axis x).
            around: Quads around.
            axis: "z", or "x" for tubes that lie along the walking direction (feet).
            arc: Range of angles covered; 0 is the front, pi / 2 the left side.
            square: Exponent of the superellipse; 2 round, 4 boxy.
            lift: Metres by which it is drawn as if nearer.
        """
        angle = np.linspace(*arc, around + 1)
        cos = np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** (2 / square)
        sin = np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** (2 / square)
        points, normals, uv, bones, weights, ambient = [], [], [], [], [], []
        x0, y0, width, height = TILES[tile]
        slopes = _slopes(rings, axis)
        for ring, slope in zip(rings, slopes, strict=True):
            flat = np.zeros((around + 1, 3))
            normal = np.zeros((around + 1, 3))
            flat[:, 2] = ring.tilt * np.cos(angle)
            across, up = (1, 0) if axis == "z" else (1, 2)
            flat[:, across], flat[:, up] = ring.side * sin, ring.front * cos
            normal[:, across] = np.sin(angle) / max(ring.side, 1e-3)
            normal[:, up] = np.cos(angle) / max(ring.front, 1e-3)
            normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-9
            normal[:, 2 if axis == "z" else 0] = slope
            points.append(flat + ring.centre)
            normals.append(normal / np.linalg.norm(normal, axis=1, keepdims=True))
            u = (angle - arc[0]) / (arc[1] - arc[0])
            uv.append(
                np.stack([x0 + 1 + u * (width - 3), np.full_like(u, y0 + 1 + ring.v * (height - 3))], 1)
            )
            index, weight = np.zeros((around + 1, 3), np.int64), np.zeros((around + 1, 3))
            for k, (bone, share) in enumerate(ring.bones):
                index[:, k], weight[:, k] = BONE[bone], share
            bones.append(index)
            weights.append(weight)
            ambient.append(np.full(around + 1, ring.shade))
        corner = np.arange(around)[None] + np.arange(len(rings) - 1)[:, None] * (around + 1)
        quads = np.stack([corner, corner + 1, corner + around + 2, corner + around + 1], -1).reshape(-1, 4)
        self._add(points, normals, uv, bones, weights, ambient, quads, lift)

    def reweight_skirt(self, sway: float) -> None:
        """Let the last tube follow the thighs: each side and the hem follow the leg of their side."""
        part = self._parts[-1]
        points = part["points"]
        top, bottom = points[:, 2].max(), points[:, 2].min()
        down = np.clip((top - points[:, 2] - 0.1) / max(top - bottom, 0.1), 0, 1) ** 0.7
        left = np.clip(0.5 + points[:, 1] / (2 * np.abs(points[:, 1]).max()), 0, 1)
        part["bones"][:] = [BONE["pelvis"], BONE["thigh_l"], BONE["thigh_r"]]
        part["weights"][:] = np.stack([1 - sway * down, sway * down * left, sway * down * (1 - left)], 1)

    def build(self) -> Mesh:
        """All tubes as one mesh."""

        def joined(name: str, kind: npt.DTypeLike) -> np.ndarray:
            return np.concatenate([part[name] for part in self._parts]).astype(kind)

        return Mesh(
            points=joined("points", np.float32),
            normals=joined("normals", np.float32),
            uv=joined("uv", np.float32),
            ambient=joined("ambient", np.float32),
            bones=joined("bones", np.int64),
            weights=joined("weights", np.float32),
            quads=joined("quads", np.int64),
            lift=joined("lift", np.float32),
        )

    def _add(
        self,
        points: list[np.ndarray],
        normals: list[np.ndarray],
        uv: list[np.ndarray],
        bones: list[np.ndarray],
        weights: list[np.ndarray],
        ambient: list[np.ndarray],
        quads: np.ndarray,
        lift: float,
    ) -> None:
        lists = {
            "points": points,
            "normals": normals,
            "uv": uv,
            "bones": bones,
            "weights": weights,
            "ambient": ambient,
        }
        part = {name: np.concatenate(values) for name, values in lists.items()}
        part |= {"quads": quads + self._count, "lift": np.full(len(quads), lift)}
        self._count += len(part["points"])
        self._parts.append(part)


def _slopes(rings: Sequence[Ring], axis: str) -> np.ndarray:
    """How much the surface faces along the axis at each ring: the derivative of the radius."""
    along = np.array([ring.centre[2] if axis == "z" else ring.centre[0] for ring in rings])
    radius = np.array([(ring.side + ring.front) / 2 for ring in rings])
    step = np.gradient(along)
    step = np.where(np.abs(step) < 1e-4, -1e-4 if axis == "z" else 1e-4, step)
    return np.clip(-np.gradient(radius) / step, -3, 3)


def skin(mesh: Mesh, motion: Motion, rest: Floats) -> tuple[Floats, Floats]:
    """Linear blend skinning: points and normals float32 [F, V, 3] in the walker's axes."""
    frames, bones = motion.joints.shape[:2]
    (x, y, z), (nx, ny, nz) = mesh.points.T, mesh.normals.T
    shift = motion.joints - np.einsum("fbij,bj->fbi", motion.rotations, rest)  # x -> R x + shift
    affine = np.concatenate([motion.rotations, shift[..., None]], -1).reshape(frames, bones, 12)
    weights = np.zeros((bones, len(mesh.points)), np.float32)
    for k in range(3):
        weights[mesh.bones[:, k], np.arange(len(mesh.points))] += mesh.weights[:, k]
    blended = (affine.transpose(2, 0, 1).astype(np.float32) @ weights).reshape(3, 4, frames, -1)
    # Written out because einsum over such short axes takes several times as long.
    points = np.stack([b[0] * x + b[1] * y + b[2] * z + b[3] for b in blended], -1)
    normals = np.stack([b[0] * nx + b[1] * ny + b[2] * nz for b in blended], -1)
    length = np.sqrt(normals[..., 0] ** 2 + normals[..., 1] ** 2 + normals[..., 2] ** 2)
    normals /= length[..., None] + 1e-9
    return points, normals
