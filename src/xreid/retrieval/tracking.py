"""Detections -> tracks: the kept tracker library, and a gate that keeps each track to one person."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any, Literal

import numpy as np

from xreid.retrieval.crops import Crop
from xreid.retrieval.detections import Boxes

_EDGE = 0.12  # of the height; what an edge may move from box to box

TrackerName = Literal["ocsort", "bytetrack"]


class Tracker:
    """OC-SORT or ByteTrack of the `trackers` library (Apache-2.0), fed with our boxes.

    https://github.com/roboflow/trackers. Unconfirmed boxes, which it numbers -1, are left out.

    Args:
        name: Which of them.
        fps: Frames a second that it will see.
        max_gap_s: Seconds without detection after which a track ends.
    """

    def __init__(self, name: TrackerName, *, fps: float, max_gap_s: float) -> None:
        import trackers

        options: dict[str, Any] = {
            "lost_track_buffer": round(max_gap_s * 30),  # counted by the library in frames of 30 a second
            "frame_rate": fps,
            "minimum_consecutive_frames": 1,
            "minimum_iou_threshold": 0.2,
            "high_conf_det_threshold": 0.5,
        }
        if name == "bytetrack":
            self._tracker: Any = trackers.ByteTrackTracker(track_activation_threshold=0.5, **options)
        else:
            self._tracker = trackers.OCSORTTracker(**options)

    def __call__(self, boxes: Boxes) -> list[tuple[int, Boxes]]:
        """The tracks seen in the next frame: number, and float32 [5] box with score."""
        import supervision as sv

        found = (
            sv.Detections(xyxy=boxes[:, :4], confidence=boxes[:, 4]) if len(boxes) else sv.Detections.empty()
        )
        tracked = self._tracker.update(found)
        if tracked.tracker_id is None or tracked.confidence is None:
            return []
        rows = zip(tracked.tracker_id, tracked.xyxy, tracked.confidence, strict=True)
        return [(int(track), np.append(box, score)) for track, box, score in rows if track >= 0]


@dataclass
class _State:
    piece: int
    sizes: deque[tuple[float, float]]  # of the last second
    last: Crop | None = None
    merged: bool = False  # the piece began by growth: more than one person may be in its boxes
    waiting: list[Crop] = field(default_factory=list)


class SizeGate:
    """Splits tracks where the box grows for good, and drops boxes where it does so for a moment.

    A tracker without appearance follows boxes: when two people meet, their boxes merge, and one of them is
    followed on. A merged box is larger. A smaller one is mostly the same person with the feet behind a bench,
    or the head behind a branch: one edge goes on where it was. Such boxes stay, marked as hidden in part; but
    where a merged box shrinks, somebody has left it, and a new piece begins. Strides change the width within
    a second, so it is held against the widest box of the last one.

    Args:
        fps: Boxes a second.
        ratio: Change of height, against the median of the last half second.
        wider: Growth of width, against the widest box of the last second, or 0.45 of the height.
        patience_s: Seconds of the new size that make it a new piece.
    """

    def __init__(
        self, *, fps: float, ratio: float = 1.3, wider: float = 1.5, patience_s: float = 0.4
    ) -> None:
        self.ratio, self.wider = ratio, wider
        self.patience, self.memory = max(4, round(patience_s * fps)), max(5, round(fps))
        self.dropped = 0
        self._states: dict[int, _State] = {}
        self._pieces = 0

    def push(self, track: int, crop: Crop) -> list[tuple[int, Crop]]:
        """The crops that are certain now, each with the number of its piece."""
        state = self._states.get(track)
        if state is None:
            state = self._states[track] = _State(piece=self._next_piece(), sizes=deque(maxlen=self.memory))
        if (fitting := self._fitting(state, crop)) is not None:
            self.dropped += len(state.waiting)
            state.waiting.clear()
            state.last = crop
            return [(state.piece, fitting)]
        state.waiting.append(crop)
        if len(state.waiting) < self.patience:
            return []
        state.merged = self._grows(state, crop)
        state.piece, state.last = self._next_piece(), crop
        state.sizes.clear()
        state.sizes.extend((one.width, one.height) for one in state.waiting)
        released = [(state.piece, one) for one in state.waiting]
        state.waiting.clear()
        return released

    def close(self) -> None:
        """No box follows: those still in doubt are dropped."""
        self.dropped += sum(len(state.waiting) for state in self._states.values())
        self._states.clear()

    def _fitting(self, state: _State, crop: Crop) -> Crop | None:
        """The crop, marked where a part is hidden; None where it does not fit. Learns whole ones."""
        if state.sizes and self._grows(state, crop):
            return None
        height = self._height(state)
        if state.sizes and crop.height < height / self.ratio:
            if state.merged or not _goes_on(state.last, crop, height):
                return None
            return replace(crop, hidden=round(max(crop.hidden, 1 - crop.height / height), 4))
        state.sizes.append((crop.width, crop.height))
        return crop

    def _grows(self, state: _State, crop: Crop) -> bool:
        height = self._height(state)
        width = max(0.45 * height, max(width for width, _ in state.sizes))
        return crop.height > self.ratio * height or crop.width > self.wider * width

    def _height(self, state: _State) -> float:
        recent = list(state.sizes)[-max(5, self.memory // 2) :]
        return median(height for _, height in recent) if recent else 0.0

    def _next_piece(self) -> int:
        self._pieces += 1
        return self._pieces - 1


def _goes_on(last: Crop | None, crop: Crop, height: float) -> bool:
    """Whether the top or the bottom edge is where it was."""
    if last is None:
        return False
    top, bottom = crop.y - last.y, crop.y + crop.height - last.y - last.height
    return min(abs(top), abs(bottom)) <= _EDGE * height
