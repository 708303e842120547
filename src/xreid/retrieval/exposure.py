"""A frame as bright as the background: each channel is mapped by a straight line that people do not bend."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from xreid.retrieval.frames import Image

_STEP = 8  # every n-th pixel both ways is looked at
_ROUNDS = 4
_KEPT = 0.8  # share of the pixels that fit best: the rest is people
_LEAST = 100  # pixels
_FLAT = 25.0  # variance below which the slope is not known
_GAIN, _OFFSET = (0.5, 2.0), (-60.0, 60.0)


def lit_like(mean: Image, image: Image, *, free: npt.NDArray[np.bool_]) -> Image:
    """The frame, mapped onto the background's brightness.

    Args:
        mean: uint8 [H, W, 3], the background.
        image: uint8 [H, W, 3], the frame.
        free: bool [H, W], where nobody is known to be.
    """
    used = free[::_STEP, ::_STEP]
    seen, known = image[::_STEP, ::_STEP][used], mean[::_STEP, ::_STEP][used]
    channels = [cv2.LUT(channel, line(seen[:, i], known[:, i])) for i, channel in enumerate(cv2.split(image))]
    return np.asarray(cv2.merge(channels), dtype=np.uint8)


def line(seen: Image, known: Image) -> Image:
    """Table uint8 [256] of the straight line that maps most of `seen` onto `known`; outliers are people.

    Args:
        seen: uint8 [N], of the frame.
        known: uint8 [N], of the background.
    """
    usable = (seen > 4) & (seen < 250) & (known > 4) & (known < 250)
    xs, ys = seen[usable].astype(np.float32), known[usable].astype(np.float32)
    gain, offset = 1.0, 0.0
    x, y = xs, ys
    for rest in range(_ROUNDS - 1, -1, -1):
        if len(x) < _LEAST:
            break
        slope = _slope(x, y)
        gain = min(max(slope, _GAIN[0]), _GAIN[1])
        offset = min(max(_median(y - gain * x), _OFFSET[0]), _OFFSET[1])
        if rest:
            error = np.abs(gain * xs + offset - ys)
            place = int(_KEPT * (len(error) - 1))
            kept = error <= np.partition(error, place)[place]
            x, y = xs[kept], ys[kept]
    return np.clip(np.arange(256) * gain + offset, 0, 255).astype(np.uint8)


def _slope(x: npt.NDArray[np.float32], y: npt.NDArray[np.float32]) -> float:
    middle = np.add.reduce(x) / len(x)
    away = x - middle
    spread = float(np.add.reduce(away * away) / len(x))
    if spread <= _FLAT:
        return 1.0
    return float((np.add.reduce(x * y) / len(x) - middle * (np.add.reduce(y) / len(y))) / spread)


def _median(values: npt.NDArray[np.float32]) -> float:
    """As np.median, which takes ten times as long to begin."""
    half = len(values) // 2
    if len(values) % 2:
        return float(np.partition(values, half)[half])
    parts = np.partition(values, half)
    return float((parts[:half].max() + parts[half]) / 2)
