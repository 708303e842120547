"""Rectangles of a picture, and layers that are laid over it: the arithmetic of compositing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xreid.simulation.arrays import Floats


@dataclass(frozen=True, kw_only=True, slots=True)
class Rect:
    """Pixels from left and top up to, and without, right and bottom."""

    left: int
    top: int
    right: int
    bottom: int

    @classmethod
    def around(cls, points: Floats, *, margin: int = 0) -> Rect:
        """The smallest around points [..., 2] (x, y), wider by a margin."""
        flat = points.reshape(-1, 2)
        low = np.floor(flat.min(0)).astype(int) - margin
        high = np.ceil(flat.max(0)).astype(int) + margin + 1
        return cls(left=int(low[0]), top=int(low[1]), right=int(high[0]), bottom=int(high[1]))

    @property
    def empty(self) -> bool:
        """Whether no pixel is in it."""
        return self.left >= self.right or self.top >= self.bottom

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns, to index a picture with."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.bottom - self.top, self.right - self.left

    def meet(self, other: Rect) -> Rect:
        """What both cover; may be empty."""
        return Rect(
            left=max(self.left, other.left),
            top=max(self.top, other.top),
            right=min(self.right, other.right),
            bottom=min(self.bottom, other.bottom),
        )

    def join(self, other: Rect) -> Rect:
        """The smallest around both."""
        return Rect(
            left=min(self.left, other.left),
            top=min(self.top, other.top),
            right=max(self.right, other.right),
            bottom=max(self.bottom, other.bottom),
        )

    def widened(self, margin: int, *, grid: int = 1) -> Rect:
        """Wider by a margin on each side, and out to the next multiples of a grid."""
        return Rect(
            left=(self.left - margin) // grid * grid,
            top=(self.top - margin) // grid * grid,
            right=-((-self.right - margin) // grid) * grid,
            bottom=-((-self.bottom - margin) // grid) * grid,
        )

    def within(self, other: Rect) -> tuple[slice, slice]:
        """Rows and columns of this one counted from another's corner."""
        return (
            slice(self.top - other.top, self.bottom - other.top),
            slice(self.left - other.left, self.right - other.left),
        )


def disjoint(rects: Sequence[Rect]) -> list[Rect]:
    """Join rectangles that overlap until none do."""
    found: list[Rect] = []
    for rect in rects:
        while (hit := next((other for other in found if not other.meet(rect).empty), None)) is not None:
            found.remove(hit)
            rect = rect.join(hit)
        found.append(rect)
    return found


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A picture to lay over another.

    Attributes:
        rect: Where it lies; may reach beyond the frame.
        light: float32 [h, w] or [h, w, 3], 0..255.
        weight: float32 [h, w], 0..1.
        mask: bool [h, w], what it hides.
        shown: Number in the map of who is seen where; 0 for things.
    """

    rect: Rect
    light: Floats
    weight: Floats
    mask: Floats
    shown: int = 0

    def lay(self, canvas: Floats, seen: Floats, clip: Rect) -> None:
        """Lay it over a canvas inside `clip`, and write `shown` into the map.

        Args:
            canvas: float32 [H, W] or [H, W, 3], changed in place.
            seen: int32 [H, W], changed in place.
            clip: A part of the canvas.
        """
        part = self.rect.meet(clip)
        if part.empty:
            return
        own = part.within(self.rect)
        under, weight = canvas[part.window], self.weight[own]
        under += (weight if canvas.ndim == 2 else weight[..., None]) * (self.light[own] - under)
        seen[part.window][self.mask[own]] = self.shown
