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


BOX = (100.0, 60.0, 25.0)  # top, height, width


def _run(boxes: list[tuple[float, float, float]], *, fps: float = 5) -> tuple[dict[int, list[Crop]], int]:
    gate, pieces = SizeGate(fps=fps), dict[int, list[Crop]]()
    for frame, (top, height, width) in enumerate(boxes, start=1):
        crop = Crop(frame=frame, x=0, y=top, width=width, height=height, score=1, time_s=0, chroma=0)
        for piece, kept in gate.push(0, crop):
            pieces.setdefault(piece, []).append(kept)
    gate.close()
    return pieces, gate.dropped


def _frames(*runs: range) -> list[list[int]]:
    return [list(run) for run in runs]


TALL, WIDE = (60.0, 120.0, 50.0), (100.0, 60.0, 60.0)
LOWER = (140.0, 40.0, 25.0)  # smaller, and both edges elsewhere


@pytest.mark.parametrize(
    ("boxes", "pieces", "dropped"),
    [
        ([BOX] * 10, _frames(range(1, 11)), 0),
        ([BOX] * 3 + [TALL] * 2 + [BOX] * 2, [[1, 2, 3, 6, 7]], 2),  # a moment: dropped
        ([BOX] * 5 + [TALL] * 6, _frames(range(1, 6), range(6, 12)), 0),  # for good: split
        ([BOX] * 5 + [WIDE] * 6, _frames(range(1, 6), range(6, 12)), 0),  # two side by side
        ([BOX] * 5 + [TALL] * 3, _frames(range(1, 6)), 3),  # in doubt at the end: dropped
        ([BOX] * 5 + [(20.0, 60.0, 25.0)] * 5, _frames(range(1, 11)), 0),  # places are the tracker's business
        ([(100.0, 30 * 1.05**i, 12 * 1.05**i) for i in range(40)], _frames(range(1, 41)), 0),  # comes nearer
        ([BOX] * 5 + [(100.0, 35.0, 25.0)] * 9 + [BOX] * 5, _frames(range(1, 20)), 0),  # feet behind a bench
        ([BOX] * 5 + [(130.0, 30.0, 25.0)] * 9 + [BOX] * 5, _frames(range(1, 20)), 0),  # head behind a branch
        ([BOX] * 5 + [LOWER] * 6, _frames(range(1, 6), range(6, 12)), 0),  # somebody else
        (  # two people meet and part again
            [BOX] * 5 + [TALL] * 6 + [BOX] * 6,
            _frames(range(1, 6), range(6, 12), range(12, 18)),
            0,
        ),
    ],
)
def test_the_gate(boxes: list[tuple[float, float, float]], pieces: list[list[int]], dropped: int) -> None:
    got, count = _run(boxes)
    assert [[crop.frame for crop in piece] for piece in got.values()] == pieces
    assert count == dropped


def test_strides_do_not_split() -> None:
    """Somebody walks sideways: the width swings between 0.3 and 0.6 of the height, twice a second."""
    boxes = [(100.0, 80.0, 80 * (0.45 + 0.15 * np.cos(2 * np.pi * i / 5))) for i in range(100)]
    got, count = _run(boxes, fps=10)
    assert [len(piece) for piece in got.values()] == [100]
    assert count == 0


def test_what_is_behind_a_bench_is_marked_as_hidden() -> None:
    got, _ = _run([BOX] * 5 + [(100.0, 30.0, 25.0)] * 3 + [BOX])
    assert [crop.hidden for crop in got[0]] == [0] * 5 + [0.5] * 3 + [0]


def test_patience_is_a_time() -> None:
    got, count = _run([BOX] * 30 + [TALL] * 8 + [BOX] * 30, fps=25)  # a third of a second
    assert [len(piece) for piece in got.values()] == [60]
    assert count == 8
