"""How much a comparison can rest on a tracklet: size, sharpness, what hides the person, number of frames.

Each part is 0 (useless) to 1 (as good as it gets); the quality is their geometric mean, so that one bad part
cannot be outweighed, and 0 for what never moves (`stillness`). It is known without any model; how much worse
searches get below some value was not measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from xreid.retrieval.crops import XYWH, Crop
from xreid.retrieval.frames import Image

LOW = 0.4  # below it a tracklet counts as of low quality in reports
_ENOUGH_HEIGHT = 128  # pixels
_SHARPNESS = (0.25, 0.6)  # none and enough
_NOISE = 1.0  # grey levels between neighbours that say nothing: a flat crop is not a sharp one
_ENOUGH_FRAMES = 16
_CUT = 0.5  # what a border of the picture is taken to hide of somebody it cuts
_SCALE = 96  # pixels in height that sharpness is measured at
_BLUR = 9
_GRID = (16, 8)  # points of a box that are looked up in the others


@dataclass(frozen=True, kw_only=True)
class Quality:
    """The parts of a tracklet's quality, each 0 to 1.

    Attributes:
        size: Median height of the boxes over 128 pixels.
        sharpness: Median sharpness of the crops, from 0.25 (0) to 0.6 (1).
        visible: Mean share of the box that no other box in front of it, and no border, hides.
        frames: Number of frames over 16.
        moves: 0 for what a detector by motion found and never moves: most likely a thing; else 1.
    """

    size: float
    sharpness: float
    visible: float
    frames: float
    moves: float = 1.0

    @property
    def value(self) -> float:
        """The geometric mean of the first four parts, times the last."""
        parts = np.clip([self.size, self.sharpness, self.visible, self.frames], 1e-3, 1)
        return round(float(np.exp(np.log(parts).mean())) * self.moves, 4)


def quality_of(crops: Sequence[Crop], *, stills: bool = False) -> Quality:
    """The quality of a tracklet; with `stills`, where one frame is all there can be, frames do not count."""
    return Quality(
        size=_share(float(np.median([crop.height for crop in crops])), _ENOUGH_HEIGHT),
        sharpness=_share(
            float(np.median([crop.sharpness for crop in crops])) - _SHARPNESS[0],
            _SHARPNESS[1] - _SHARPNESS[0],
        ),
        visible=_share(1 - float(np.mean([crop.hidden for crop in crops])), 1),
        frames=1.0 if stills else _share(len(crops), _ENOUGH_FRAMES),
    )


def _share(value: float, enough: float) -> float:
    return round(min(1.0, max(0.0, value / enough)), 4)


def sharpness_of(image: Image) -> float:
    """Share of the differences between neighbouring pixels that a blur takes away: 0 (blurred or flat) to 1.

    After Crété et al., "The blur effect: perception and estimation with a new no-reference perceptual blur
    metric" (SPIE 2007), at a height of 96 pixels: a small crop is a blurred one.

    Args:
        image: uint8 [H, W, 3], BGR.
    """
    height, width = image.shape[:2]
    size = (max(8, round(width * _SCALE / height)), _SCALE)
    how = cv2.INTER_AREA if height > _SCALE else cv2.INTER_LINEAR
    grey = cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), size, interpolation=how).astype(np.float32)
    return round(min(_kept(grey, axis=0), _kept(grey, axis=1)), 4)


def _kept(grey: npt.NDArray[np.float32], *, axis: int) -> float:
    kernel = (1, _BLUR) if axis == 0 else (_BLUR, 1)
    before, after = (_steps(one, axis=axis) for one in (grey, np.asarray(cv2.blur(grey, kernel), np.float32)))
    return float(np.maximum(before - after, 0).sum()) / float((before + _NOISE).sum())


def _steps(grey: npt.NDArray[np.float32], *, axis: int) -> npt.NDArray[np.float32]:
    """Differences of neighbours, without sign."""
    one, next_one = (grey[:-1], grey[1:]) if axis == 0 else (grey[:, :-1], grey[:, 1:])
    return np.abs(next_one - one)


def hidden_of(boxes: Sequence[XYWH], *, size: tuple[int, int]) -> list[float]:
    """How much of each person of a frame is hidden, 0 to 1.

    By boxes in front of it, which are those whose lower edge is lower in the picture; and by the border,
    where the box reaches it, which is taken to hide half of a person.

    Args:
        boxes: left, top, width, height; of all persons of the frame, clipped to it.
        size: Height and width of the frame.
    """
    corners = [(left, top, left + wide, top + tall) for left, top, wide, tall in boxes]
    height, width = size
    hidden = []
    for one in corners:
        left, top, right, bottom = one
        front = [c for c in corners if c[3] > bottom > c[1] and c[0] < right and c[2] > left]
        share = _covered(one, front) if front else 0.0
        cut = left <= 1 or top <= 1 or right >= width - 1 or bottom >= height - 1
        hidden.append(round(max(share, _CUT if cut else 0.0), 4))
    return hidden


def _covered(box: XYWH, by: Sequence[XYWH]) -> float:
    """Share of a box's points that lie in one of the others; left, top, right, bottom of each."""
    left, top, right, bottom = box
    rows, columns = ((np.arange(n) + 0.5) / n for n in _GRID)
    others = np.array(by, dtype=np.float64)
    y = (top + rows * (bottom - top))[:, None, None]
    x = (left + columns * (right - left))[None, :, None]
    inside = (x >= others[:, 0]) & (x < others[:, 2]) & (y >= others[:, 1]) & (y < others[:, 3])
    return float(inside.any(axis=2).mean())
