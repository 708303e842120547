"""Tracks from boxes, and the gate that keeps a track to one person."""

import numpy as np
import pytest

from xreid.retrieval.crops import Crop
from xreid.retrieval.detections import no_boxes
from xreid.retrieval.tracking import SizeGate, Tracker


def _boxes(*lefts: float) -> np.ndarray:
    return np.array([[x, 10, x + 20, 70, 0.9] for x in lefts], dtype=np.float32).reshape(-1, 5)


@pytest.mark.parametrize("name", ["ocsort", "bytetrack"])
def test_two_people_keep_their_numbers_over_a_short_gap(name: str) -> None:
    tracker = Tracker(name, fps=10, max_gap_s=1.0)  # type: ignore[arg-type]
    seen: dict[int, set[str]] = {}
    for i in range(40):
        boxes = no_boxes() if 20 <= i < 23 else _boxes(10 + 2 * i, 300 - 2 * i)
        for track, box in tracker(boxes):
            seen.setdefault(track, set()).add("left" if abs(box[0] - (10 + 2 * i)) < 1 else "right")
    assert sorted(map(sorted, seen.values())) == [["left"], ["right"]]


def test_a_long_gap_ends_a_track() -> None:
    tracker = Tracker("ocsort", fps=10, max_gap_s=0.5)
    seen = set()
    for i in range(60):
        seen |= {track for track, _ in tracker(no_boxes() if 20 <= i < 40 else _boxes(10))}
    assert len(seen) == 2


def _crop(frame: int, size: float) -> Crop:
    return Crop(frame=frame, x=0, y=0, width=size, height=2 * size, score=1, time_s=0, chroma=0)


def _run(sizes: list[float]) -> tuple[dict[int, list[int]], int]:
    gate, pieces = SizeGate(ratio=1.3, patience=4), dict[int, list[int]]()
    for frame, size in enumerate(sizes, start=1):
        for piece, crop in gate.push(0, _crop(frame, size)):
            pieces.setdefault(piece, []).append(crop.frame)
    gate.close()
    return pieces, gate.dropped


@pytest.mark.parametrize(
    ("sizes", "pieces", "dropped"),
    [
        ([30] * 10, [range(1, 11)], 0),
        ([30, 30, 30, 60, 60, 30, 30], [(1, 2, 3, 6, 7)], 2),  # a moment: dropped
        ([30] * 5 + [60] * 6, [range(1, 6), range(6, 12)], 0),  # for good: split
        ([30] * 5 + [60] * 3, [range(1, 6)], 3),  # in doubt at the end: dropped
        ([30 * 1.05**i for i in range(40)], [range(1, 41)], 0),  # somebody who comes nearer
        ([60] * 5 + [30] * 5 + [60] * 5, [range(1, 6), range(6, 11), range(11, 16)], 0),
    ],
)
def test_the_gate(sizes: list[float], pieces: list[range], dropped: int) -> None:
    got, count = _run(sizes)
    assert list(got.values()) == [list(piece) for piece in pieces]
    assert count == dropped
