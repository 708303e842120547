"""A camera's empty picture in one light, with the things that stand in it, ready for people to be put in."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from xreid.core.tracklets import Modality
from xreid.simulation.arrays import Bytes, Floats
from xreid.simulation.camera import FRAME_SIZE
from xreid.simulation.nuisance import Nuisance
from xreid.simulation.props import shade_ground
from xreid.simulation.scene import illumination, paint_scene
from xreid.simulation.sensor import develop, focus, grain
from xreid.simulation.site_config import SiteConfig
from xreid.simulation.site_layers import Layer, Rect
from xreid.simulation.site_map import optics
from xreid.simulation.site_things import Thing, painted, things_of

FRAME = Rect(left=0, top=0, right=FRAME_SIZE[0], bottom=FRAME_SIZE[1])
GROW = 0.5  # pixels for one of a figure of 256 pixels: people are some 128 high
_MARGIN, _GRID = 24, 8  # what blur and bloom reach; the grid on which bloom is computed
_SPARE = 96  # pixels by which the noise can be shifted
_DUSK_NOISE = 1.2  # how much more noise there is in the dark, as a share for each lost share of light


class Stage:
    """The empty picture of one camera in one spectrum.

    Args:
        config: The site.
        name: Of the camera.
        modality: The spectrum.
        sunny: Whether the sun casts shadows.

    Attributes:
        camera: The camera.
        bare: float32 light of the scene without the things that stand in it.
        full: The same with them.
        things: Their layers with their distances on the ground, farthest first.
    """

    def __init__(self, config: SiteConfig, name: str, modality: Modality, *, sunny: bool) -> None:
        self.camera = optics(config, name, modality, sunny=sunny)
        self.nuisance = _calm(config.nuisance)
        self.bare: Floats = paint_scene(config.seed, self.camera, side_wall=False).astype(np.float32)
        self.things = self._things(config, name)
        self.full: Floats = self.bare.copy()
        seen = np.zeros(self.full.shape[:2], np.int32)
        for _, layer in self.things:
            layer.lay(self.full, seen, FRAME)
        self._empty: dict[float, Bytes] = {}
        self._noise: dict[float, Floats] = {}

    def empty(self, level: float) -> Bytes:
        """The stored picture of the empty scene without noise: uint8 [H, W, 3] or [H, W]."""
        if level not in self._empty:
            self._empty = {level: self.store(self.full, FRAME, level=level)}  # dusk only gets darker
        return self._empty[level]

    def store(self, canvas: Floats, rect: Rect, *, level: float) -> Bytes:
        """The stored picture of a part of the scene without noise: uint8 of the part's size.

        Args:
            canvas: float32 light of the whole scene.
            rect: The part.
            level: Brightness of the scene, 1 by day.
        """
        wide = rect.widened(_MARGIN, grid=_GRID).meet(FRAME)
        light = focus(canvas[wide.window], self.camera, self.nuisance, GROW)
        box = (float(wide.left), float(wide.top), float(wide.size[0]))
        levels = develop(light, self.camera, gain=level, box=box)
        return np.clip(levels[rect.within(wide)] + 0.5, 0, 255).astype(np.uint8)

    def noisy(self, picture: Bytes, rng: np.random.Generator, *, level: float) -> Bytes:
        """The picture with a frame's noise: uint8 of the same shape."""
        top, left = (int(v) for v in rng.integers(0, _SPARE, 2))
        field = self._field(level)[top : top + FRAME_SIZE[1], left : left + FRAME_SIZE[0]]
        return np.asarray(cv2.add(picture, field, dtype=cv2.CV_8U))

    def _field(self, level: float) -> Floats:
        """int16 noise, larger than a frame: [H, W] or [H, W, 3]."""
        if level not in self._noise:
            rng = np.random.default_rng(7)  # one field for all; where it is cut differs from frame to frame
            size = (FRAME_SIZE[1] + _SPARE, FRAME_SIZE[0] + _SPARE)
            more = 1 + _DUSK_NOISE * (1 - level)
            sigma = self.camera.noise * (0.3 + 0.9 * self.nuisance.strength) * more
            luma = grain(rng, size)
            if self.camera.modality is Modality.INFRARED:
                field = sigma * (luma + 0.2 * grain(rng, (size[0], 1)))
            else:
                tint = grain(rng, size)
                field = sigma * np.stack([luma + share * tint for share in (0.5, 0.0, -0.5)], -1)
            self._noise = {level: np.round(field).astype(np.int16)}
        return self._noise[level]

    def _things(self, config: SiteConfig, name: str) -> list[tuple[float, Layer]]:
        found = []
        for number, thing in enumerate(things_of(config, name)):
            corners = self.camera.project(thing.corners())[0]
            shade_ground(self.bare, corners)
            found.append((thing.y_m, self._layer(config, name, number, thing, corners)))
        return sorted(found, key=lambda pair: -pair[0])

    def _layer(self, config: SiteConfig, name: str, number: int, thing: Thing, corners: Floats) -> Layer:
        prop = painted(config, name, number)
        rect = Rect.around(corners, margin=2).meet(FRAME)
        height, width = rect.size
        rows, columns = prop.cover.shape
        own = np.array([[0, rows], [columns, rows], [columns, 0], [0, 0]], np.float32)
        corner = np.array([rect.left, rect.top], np.float32)
        matrix = cv2.getPerspectiveTransform(own, (corners - corner).astype(np.float32))
        infrared = self.camera.modality is Modality.INFRARED
        shown = prop.image[..., 3] if infrared else prop.image[..., :3]
        surface = cv2.warpPerspective(shown, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
        cover = cv2.warpPerspective(prop.cover, matrix, (width, height))
        light = float(illumination(self.camera, thing.y_m)) if infrared else _daylight(thing.y_m)
        return Layer(
            rect=rect,
            light=np.clip(surface * np.float32(255 * light), 0, 255),
            weight=cv2.blur(cover, (3, 3)),
            mask=cover > 0.5,
        )


@lru_cache(maxsize=6)
def stage_of(config: SiteConfig, name: str, modality: Modality, *, sunny: bool) -> Stage:
    """A stage; those used last are kept."""
    return Stage(config, name, modality, sunny=sunny)


def _daylight(distance: float) -> float:
    return 0.88 / (1 + (distance / 60) ** 2)


def _calm(strength: float) -> Nuisance:
    """Blur and noise of the given strength and no other nuisance: the site's own are in the scene."""
    return Nuisance(
        strength=strength,
        shift=np.zeros((1, 2), np.float32),
        scale=np.ones(1, np.float32),
        aspect=0.5,
        bystander=None,
        drift=(0.0, 0.0),
        occluder=None,
        detail=1.0,
        flicker=np.ones(1, np.float32),
        quality=100,
        smear=0,
    )
