"""Camera places: pose, optics, light, and the character of the visible and the infrared sensor.

World axes: X right, Y away from the camera, Z up, metres; the camera stands above the origin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xreid.core.seeding import numpy_generator
from xreid.core.tracklets import Modality
from xreid.simulation.arrays import Floats

FRAME_SIZE = (640, 360)  # width, height of the whole camera picture that crops are cut from


@dataclass(frozen=True, kw_only=True)
class Camera:
    """One camera of a place in one spectrum.

    Attributes:
        name: Of the place, shared by its visible and its infrared camera.
        modality: Its spectrum.
        height_m: Above the ground.
        tilt: Downward tilt in radians.
        focal_px: Focal length in pixels of FRAME_SIZE.
        near_m: Nearest and
        far_m: farthest distance at which people walk.
        paths: float [P], headings in radians that people mostly walk along; pi / 2 walks away.
        light: Unit vector towards the sun or main lamp.
        sun: Strength of that lamp; the rest is ambient.
        exposure: Brightness factor.
        cast: Factors on blue, green, red.
        saturation: 1 = as seen.
        contrast: 1 = full.
        lift: Black level, 0..1.
        gamma: Exponent on the brightness.
        blur: Standard deviation of the lens blur in pixels of a 256-pixel crop.
        noise: Standard deviation of the noise, 0..255.
        glow: Middle of the illuminator's cone in shares of the frame (x, y); infrared only.
        vignette: Loss of light towards the corners.
        bloom: Share of light that bright parts spread around them.
    """

    name: str
    modality: Modality
    height_m: float
    tilt: float
    focal_px: float
    near_m: float
    far_m: float
    paths: tuple[float, ...]
    light: tuple[float, float, float]
    sun: float
    exposure: float
    cast: tuple[float, float, float]
    saturation: float
    contrast: float
    lift: float
    gamma: float
    blur: float
    noise: float
    glow: tuple[float, float]
    vignette: float
    bloom: float

    def axes(self) -> Floats:
        """Right, up and forward as rows: float32 [3, 3]."""
        sin, cos = np.sin(self.tilt), np.cos(self.tilt)
        return np.array([[1, 0, 0], [0, sin, cos], [0, cos, -sin]], np.float32)

    def project(self, points: Floats) -> tuple[Floats, Floats]:
        """World points [..., 3] -> frame pixels float32 [..., 2] and depths float32 [...]."""
        seen = (points - np.array([0, 0, self.height_m], np.float32)) @ self.axes().T
        depth = np.maximum(seen[..., 2], 0.3)
        centre = np.array([FRAME_SIZE[0] / 2, FRAME_SIZE[1] / 2], np.float32)
        flat = seen[..., :2] * np.array([1, -1], np.float32) * np.float32(self.focal_px) / depth[..., None]
        return flat + centre, depth


def draw_camera(seed: int, name: str, modality: Modality) -> Camera:
    """The camera of a spectrum at the place `name`: both stand together but look through their own optics."""
    place, own = numpy_generator(seed, "place", name), numpy_generator(seed, "camera", name, modality.value)
    height, near = float(place.uniform(2.1, 4.6)), float(place.uniform(4.2, 5.6))
    far = near + float(place.uniform(3.0, 5.0))
    main = float(place.uniform(0, 2 * np.pi))
    paths = (main, main + np.pi, float(place.uniform(0, 2 * np.pi)))
    azimuth, high = place.uniform(0, 2 * np.pi), place.uniform(0.5, 1.1)
    light = (
        float(np.cos(azimuth) * np.cos(high)),
        float(np.sin(azimuth) * np.cos(high)),
        float(np.sin(high)),
    )
    sun = float(place.choice([0.12, place.uniform(0.35, 0.75)]))
    middle = (near + far) / 2
    infrared = modality is Modality.INFRARED
    warm = float(own.normal(0, 0.07))
    return Camera(
        name=name,
        modality=modality,
        height_m=height + float(own.uniform(-0.1, 0.1)),
        tilt=float(np.arctan((height - 1.0) / middle) + own.normal(0, 0.015)),
        focal_px=float(own.uniform(480, 580)),
        near_m=near,
        far_m=far,
        paths=paths,
        light=light,
        sun=sun,
        exposure=float(own.uniform(0.85, 1.15) if infrared else own.uniform(0.9, 1.2)),
        cast=(1.0, 1.0, 1.0) if infrared else (1 - warm, float(own.normal(1, 0.025)), 1 + warm),
        saturation=0.0 if infrared else float(own.uniform(0.7, 1.1)),
        contrast=float(own.uniform(0.75, 0.92) if infrared else own.uniform(0.85, 1.05)),
        lift=float(own.uniform(0.03, 0.1) if infrared else own.uniform(0.0, 0.06)),
        gamma=float(own.uniform(0.8, 1.15)),
        blur=float(own.uniform(0.9, 1.5) if infrared else own.uniform(0.6, 1.2)),
        noise=float(own.uniform(3, 6.5) if infrared else own.uniform(2, 4.5)),
        glow=(float(own.uniform(0.35, 0.65)), float(own.uniform(0.4, 0.65))),
        vignette=float(own.uniform(0.5, 0.9) if infrared else own.uniform(0.05, 0.3)),
        bloom=float(own.uniform(0.08, 0.2) if infrared else own.uniform(0.0, 0.05)),
    )
