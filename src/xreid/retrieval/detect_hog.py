"""Upright persons by histograms of oriented gradients (Dalal and Triggs, CVPR 2005), from single images.

OpenCV's own detector and weights. It needs no second frame and works on bright thermal figures; it misses
about half of the persons of real night streets and takes posts for people: a fallback.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from xreid.retrieval.detections import Boxes, no_boxes
from xreid.retrieval.frames import Image

_LONG_SIDE = 1280
_MIN_SCORE = 0.3
_OVERLAP = 0.4
# The detector's window has a border around the person: 1/8 at the sides, 1/16 at top and bottom.
_INSET = np.array([0.125, 0.0625, -0.125, -0.0625], dtype=np.float32)


class HogDetector:
    """OpenCV's 64 x 128 people detector; figures of at least 96 px on a long side of at most 1280 px."""

    def __init__(self) -> None:
        self._hog = cv2.HOGDescriptor()
        self._hog.setSVMDetector(np.asarray(cv2.HOGDescriptor.getDefaultPeopleDetector()))

    def __call__(self, images: Sequence[Image]) -> list[Boxes]:
        """Boxes float32 [N, 5] (see `Detector`); scores are the classifier's margin, cut to 0..1."""
        return [self._find(image) for image in images]

    def _find(self, image: Image) -> Boxes:
        scale = min(1.0, _LONG_SIDE / max(image.shape[:2]))
        small = (
            cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image
        )
        if small.shape[0] < 128 or small.shape[1] < 64:
            return no_boxes()
        places, margins = self._hog.detectMultiScale(small, winStride=(8, 8), scale=1.05)
        if not len(places):
            return no_boxes()
        x, y, w, h = np.asarray(places, dtype=np.float32).T
        boxes = np.stack([x, y, x + w, y + h], axis=1) + np.stack([w, h, w, h], axis=1) * _INSET
        scores = np.clip(np.asarray(margins, dtype=np.float32).reshape(-1), 0, 1)
        corners = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
        keep = np.asarray(
            cv2.dnn.NMSBoxes(corners.tolist(), scores.tolist(), _MIN_SCORE, _OVERLAP), dtype=np.int64
        ).reshape(-1)
        return np.concatenate([boxes / scale, scores[:, None]], axis=1)[np.sort(keep)].astype(np.float32)
