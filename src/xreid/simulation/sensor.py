"""From the light that reaches the lens to stored pixels: blur, gain, glow, noise, compression."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from xreid.core.errors import XReidError
from xreid.simulation.arrays import Bytes, Floats
from xreid.simulation.camera import FRAME_SIZE, Camera
from xreid.simulation.nuisance import Nuisance

FIELD = 1280  # side of the stored noise field; crops take windows of it


@lru_cache(maxsize=1)
def noise_field() -> Floats:
    """Standard normal noise, slightly smooth as after a camera's own processing: float32 [1280, 1280]."""
    field = np.random.default_rng(20261120).standard_normal((FIELD, FIELD)).astype(np.float32)
    smooth = cv2.GaussianBlur(field, (0, 0), 0.7)
    return smooth / np.float32(smooth.std())


def grain(rng: np.random.Generator, size: tuple[int, int]) -> Floats:
    """A random window of the noise field: float32 of the given (height, width), read only."""
    top, left = rng.integers(0, FIELD - size[0]), rng.integers(0, FIELD - size[1])
    return noise_field()[top : top + size[0], left : left + size[1]]


def expose(
    light: Floats,
    camera: Camera,
    nuisance: Nuisance,
    *,
    frame: int,
    box: tuple[float, float, float],
    rng: np.random.Generator,
) -> Bytes:
    """The picture that the camera stores.

    Args:
        light: float32 [H, W, 3] or [H, W], 0..255.
        camera: The camera.
        nuisance: Nuisances of the walk.
        frame: Number of the frame in the walk.
        box: Left, top and height of the crop in pixels of the camera's frame.
        rng: Generator of the noise.

    Returns:
        uint8 [H, W, 3].
    """
    height, width = light.shape[:2]
    grow = height / 256
    image = focus(light, camera, nuisance, grow)
    image = develop(image, camera, gain=nuisance.flicker[frame], box=box)
    sigma = camera.noise * (0.3 + 0.9 * nuisance.strength)
    if image.ndim == 2:
        image = image + sigma * grain(rng, (height, width))
        rows = grain(rng, (height, 1))
        stored = np.clip(image + 0.2 * sigma * rows, 0, 255).astype(np.uint8)
        return cv2.merge([stored, stored, stored])
    luma, tint = grain(rng, (height, width)), grain(rng, (height, width))
    for channel, share in enumerate((0.5, 0.0, -0.5)):
        image[..., channel] += sigma * (luma + share * tint)
    return np.clip(image, 0, 255).astype(np.uint8)


def develop(image: Floats, camera: Camera, *, gain: float, box: tuple[float, float, float]) -> Floats:
    """Light on the sensor to stored levels, without noise: gain, lamp or colours, tone curve.

    Args:
        image: float32 [H, W, 3] or [H, W], 0..255.
        camera: The camera.
        gain: Factor on its exposure.
        box: Left, top and height of the picture in pixels of the camera's frame.

    Returns:
        float32 of the same shape, about 0..255.
    """
    image = image * np.float32(camera.exposure * gain)
    if camera.modality.value == "ir":
        image = image * _lamp(camera, box, (image.shape[0], image.shape[1]))
    else:
        grey = image @ np.array([0.114, 0.587, 0.299], np.float32)
        image = grey[..., None] + camera.saturation * (image - grey[..., None])
        image = image * np.array(camera.cast, np.float32)
    image = np.clip(image / 255, 0, 1.2) ** np.float32(camera.gamma)
    return 255 * (camera.lift + camera.contrast * (1 - camera.lift) * image)


def focus(light: Floats, camera: Camera, nuisance: Nuisance, grow: float) -> Floats:
    """What the lens makes of the light: lost detail, blur, smear, bloom.

    Args:
        light: float32 [H, W, 3] or [H, W].
        camera: The camera.
        nuisance: Strength, detail and smear.
        grow: Pixels for one of a figure that is 256 pixels high.
    """
    height, width = light.shape[:2]
    if nuisance.detail < 0.95:
        small = (max(8, round(width * nuisance.detail)), max(16, round(height * nuisance.detail)))
        light = cv2.resize(cv2.resize(light, small, interpolation=cv2.INTER_AREA), (width, height))
    sigma = camera.blur * grow * (0.6 + 0.8 * nuisance.strength)
    image = cv2.GaussianBlur(light, (0, 0), max(sigma, 0.3))
    if nuisance.smear * grow >= 2:
        image = cv2.blur(image, (int(nuisance.smear * grow), 1))
    if camera.bloom > 0.03:
        quarter = cv2.resize(image, (max(2, width // 8), max(2, height // 8)), interpolation=cv2.INTER_AREA)
        halo = cv2.resize(cv2.blur(quarter, (5, 5)), (width, height))
        image = cv2.addWeighted(image, 1 - camera.bloom, halo, camera.bloom, 0)
    return image


def _lamp(camera: Camera, box: tuple[float, float, float], size: tuple[int, int]) -> Floats:
    """The illuminator's cone over the crop: float32 [H, W], 1 in its middle."""
    left, top, high = box
    scale = high / size[0]
    x = (left + scale * np.arange(size[1], dtype=np.float32)) / FRAME_SIZE[0] - camera.glow[0]
    y = (top + scale * np.arange(size[0], dtype=np.float32)) / FRAME_SIZE[1] - camera.glow[1]
    return 1.12 - np.float32(camera.vignette) * np.minimum(2.2 * (x[None] ** 2 + 0.5 * y[:, None] ** 2), 0.8)


def encode(image: Bytes, quality: int) -> bytes:
    """JPEG bytes."""
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise XReidError("cannot encode a simulated frame as JPEG", todo="Check the OpenCV installation.")
    return bytes(data)
