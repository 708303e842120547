"""Persons as what differs from the background: the detector that needs no weights, for fixed cameras.

Why not OpenCV's MOG2, which the stack named first: it takes a person who stands still for background within
seconds, and an automatic exposure for foreground. On the office video, where six people come one after the
other, MOG2 with person-shaped filters and OC-SORT gave 74 tracklets of 8 frames or more, most of them wall
and floor, and 46 when helped against both; this gives 6 (docs/footage.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock

import cv2
import numpy as np

from xreid.core.errors import DataError
from xreid.retrieval.background import Background, Part
from xreid.retrieval.detections import Boxes, State, no_boxes
from xreid.retrieval.frames import Anchor, FrameSource, Image

_WIDTH = 480  # pixels that frames are shrunk to
_MIN_STILLS, _MAX_STILLS = 8, 64


@dataclass(frozen=True, kw_only=True)
class Shapes:
    """What a person's blob looks like; lengths relative to the frame, measured on both videos.

    Attributes:
        min_part: Least area of a part, as a share of the frame.
        min_area: Least area of a person, as a share of the frame.
        min_height: Least height of a person, as a share of the frame's.
        max_width: Greatest width of a person, as a share of the frame's.
        min_fill: Least share of its box that a blob covers.
        min_aspect: Least height over width.
        min_aspect_cut: The same where the top or bottom border cuts the person.
        max_aspect: Greatest height over width.
        max_gap: Greatest vertical gap between parts of one person, as a share of their height.
        max_joined_aspect: Greatest height over width of joined parts.
        min_overlap: Least horizontal overlap of parts of one person, as a share of the narrower.
    """

    min_part: float = 0.0003
    min_area: float = 0.0006
    min_height: float = 0.07
    max_width: float = 0.5
    min_fill: float = 0.25
    min_aspect: float = 1.3
    min_aspect_cut: float = 0.9
    max_aspect: float = 6.0
    max_gap: float = 0.06
    max_joined_aspect: float = 3.6
    min_overlap: float = 0.6


_LOCK = Lock()
_BEFORE: list[int] = []  # threads that OpenCV had, for each that is at it


@contextmanager
def one_thread() -> Iterator[None]:
    """OpenCV works in this thread alone: its others wait by turning, longer than small pictures take.

    That holds for the whole process; of several at once whoever leaves last gives it its threads again.
    """
    with _LOCK:
        _BEFORE.append(_BEFORE[0] if _BEFORE else cv2.getNumThreads())
        cv2.setNumThreads(1)
    try:
        yield
    finally:
        with _LOCK:
            before = _BEFORE.pop()
            if not _BEFORE:
                cv2.setNumThreads(before)


class MotionDetector:
    """Blobs that differ from the background, joined and filtered by a person's shape.

    Args:
        fps: Frames a second that it will see.
        shapes: What counts as a person.
    """

    def __init__(self, *, fps: float, shapes: Shapes | None = None) -> None:
        self.shapes = shapes or Shapes()
        self._background = Background(fps=fps)

    @classmethod
    def for_stills(cls, source: FrameSource) -> MotionDetector:
        """For images far apart in time: the background is the median of up to 64 of them, and stays.

        Raises:
            DataError: There are too few images, or they differ in size.
        """
        stride = max(1, (source.total or 0) // _MAX_STILLS)
        small = [
            _shrunk(frame.image)[0]
            for frame in source.read(Anchor(), count=source.total or _MAX_STILLS, warmup_s=0)
            if ((frame.number or 1) - 1) % stride == 0
        ]
        if len(small) < _MIN_STILLS or len({image.shape for image in small}) != 1:
            raise DataError(
                f"the background of {source.path} cannot be found",
                expected=f"{_MIN_STILLS} readable images or more, of one fixed camera and one size",
                got=f"{len(small)} images of {len({image.shape for image in small})} sizes",
                todo="Use --detector hog, or give tracks.",
            )
        detector = cls(fps=1.0)
        detector._background.fix(np.median(np.stack(small), axis=0).astype(np.float32))
        return detector

    def __call__(self, images: Sequence[Image]) -> list[Boxes]:
        """Boxes float32 [N, 5] (see `Detector`); the score is 0.6 + 0.4 x the covered share of the box."""
        return [self._find(image) for image in images]

    def look_ahead(self, images: Iterable[Image]) -> None:
        """Learn who stands in the first of these frames and leaves: not the background."""
        small = [_shrunk(image)[0] for image in images]
        self._background.look_ahead(small, min_area=self.shapes.min_part)

    def state(self) -> State:
        """The background as it was learnt."""
        return self._background.state()

    def restore(self, state: State) -> None:
        """Go on with the background of another one."""
        self._background.restore(state)

    def _find(self, image: Image) -> Boxes:
        small, scale = _shrunk(image)
        parts = self._background.moving_parts(small, min_area=self.shapes.min_part)
        joined = join_parts(parts, self.shapes)
        found = [(part, score) for part in joined if (score := self._score(part, small)) is not None]
        if not found:
            return no_boxes()
        boxes = np.array([[*part[:4], score] for part, score in found], dtype=np.float32)
        boxes[:, :4] /= scale
        return boxes

    def _score(self, part: Part, image: Image) -> float | None:
        left, top, right, bottom, area = part
        height, width = image.shape[:2]
        tall, wide, shape = bottom - top, right - left, self.shapes
        fill = area / (tall * wide)
        cut = top <= 1 or bottom >= height - 2
        if tall < shape.min_height * height or wide > shape.max_width * width:
            return None
        if area < shape.min_area * height * width or fill < shape.min_fill:
            return None
        least = shape.min_aspect_cut if cut else shape.min_aspect
        return min(1.0, 0.6 + 0.4 * fill) if least <= tall / wide <= shape.max_aspect else None


def join_parts(parts: list[Part], shapes: Shapes) -> list[Part]:
    """Join parts that lie above each other as head, body and legs do, the largest first."""
    parts = sorted(parts, key=lambda part: -part[4])
    while (pair := _first_pair(parts, shapes)) is not None:
        i, j = pair
        parts[i] = _union(parts[i], parts.pop(j))
    return parts


def _first_pair(parts: list[Part], shapes: Shapes) -> tuple[int, int] | None:
    for i, a in enumerate(parts):
        for j in range(i + 1, len(parts)):
            b = parts[j]
            left, top, right, bottom, _ = _union(a, b)
            overlap = min(a[2], b[2]) - max(a[0], b[0])
            gap = max(a[1], b[1]) - min(a[3], b[3])
            narrow = min(a[2] - a[0], b[2] - b[0])
            near = overlap >= shapes.min_overlap * narrow and gap < shapes.max_gap * (bottom - top)
            if near and bottom - top < shapes.max_joined_aspect * (right - left):
                return i, j
    return None


def _union(a: Part, b: Part) -> Part:
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3]), a[4] + b[4]


def _shrunk(image: Image) -> tuple[Image, float]:
    """The image at most 480 px wide, lightly smoothed, and the factor."""
    scale = min(1.0, _WIDTH / image.shape[1])
    if scale < 1:
        image = np.asarray(
            cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8
        )
    return np.asarray(cv2.GaussianBlur(image, (3, 3), 0), np.uint8), scale
