"""Detections -> tracks: the kept tracker library, and a gate that keeps each track to one person."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from xreid.retrieval.crops import Crop
from xreid.retrieval.detections import Boxes

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
    sizes: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=5))
    waiting: list[Crop] = field(default_factory=list)


class SizeGate:
    """Splits tracks where the box changes size for good, and drops boxes where it does so for a moment.

    A tracker without appearance follows boxes: when two people meet, their boxes merge, and one of them is
    followed on. A merged box is larger. Shorter and purer tracklets are what a search needs.

    Args:
        ratio: Change of height, or of the root of the area, against the median of the last five boxes.
        patience: Boxes of the new size in a row that make it a new piece.
    """

    def __init__(self, *, ratio: float = 1.3, patience: int = 4) -> None:
        self.ratio, self.patience = ratio, patience
        self.dropped = 0
        self._states: dict[int, _State] = {}
        self._pieces = 0

    def push(self, track: int, crop: Crop) -> list[tuple[int, Crop]]:
        """The crops that are certain now, each with the number of its piece."""
        state = self._states.get(track)
        if state is None:
            state = self._states[track] = _State(piece=self._next_piece())
        if self._fits(state, crop):
            self.dropped += len(state.waiting)
            state.waiting.clear()
            state.sizes.append((crop.width, crop.height))
            return [(state.piece, crop)]
        state.waiting.append(crop)
        if len(state.waiting) < self.patience:
            return []
        state.piece = self._next_piece()
        state.sizes.clear()
        state.sizes.extend((crop.width, crop.height) for crop in state.waiting)
        released = [(state.piece, crop) for crop in state.waiting]
        state.waiting.clear()
        return released

    def close(self) -> None:
        """No box follows: those still in doubt are dropped."""
        self.dropped += sum(len(state.waiting) for state in self._states.values())
        self._states.clear()

    def _fits(self, state: _State, crop: Crop) -> bool:
        if not state.sizes:
            return True
        width, height = np.median(np.array(state.sizes), axis=0)
        tall, area = crop.height / height, crop.height * crop.width / (height * width)
        return max(tall, 1 / tall) <= self.ratio and max(area, 1 / area) <= self.ratio**2

    def _next_piece(self) -> int:
        self._pieces += 1
        return self._pieces - 1
