"""Tracks in the MOT Challenge's text format: frame,id,x,y,w,h,conf,...; frames, ids and pixels count from 1.

Format: https://motchallenge.net/instructions/. Ground-truth files have nine columns (flag, class and
visibility at the end): there, rows that are not to be counted or no pedestrians are left out.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from xreid.core.errors import DataError
from xreid.core.files import atomic_file

COLUMNS = "frame,id,x,y,width,height[,confidence,...] with numbers from 1"
_GROUND_TRUTH_COLUMNS = 9
_PEDESTRIAN = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackedBox:
    """One box of one track.

    Attributes:
        frame: Frame number from 1.
        track: Track number; negative where the tracker had not confirmed it.
        x: Left edge in pixels from 0.
        y: Top edge in pixels from 0.
        width: Pixels.
        height: Pixels.
        score: The detector's confidence, 1 where the file states none.
    """

    frame: int
    track: int
    x: float
    y: float
    width: float
    height: float
    score: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Tracks:
    """The usable rows of a MOT file.

    Attributes:
        by_frame: Boxes of each frame that has some.
        unconfirmed: Rows left out because their id is negative.
        ignored: Ground-truth rows left out: flagged, or of another class.
    """

    by_frame: dict[int, list[TrackedBox]]
    unconfirmed: int = 0
    ignored: int = 0

    @property
    def last_frame(self) -> int:
        """The highest frame number."""
        return max(self.by_frame)

    def lengths(self, *, every: int = 1) -> dict[int, int]:
        """Boxes of each track on frames 1, 1 + every, ..."""
        counts: dict[int, int] = defaultdict(int)
        for frame, boxes in self.by_frame.items():
            if (frame - 1) % every == 0:
                for box in boxes:
                    counts[box.track] += 1
        return counts


def read_tracks(path: Path) -> Tracks:
    """Read a MOT file.

    Raises:
        DataError: The file is missing, a line is malformed (named by number), or no track is in it.
    """
    by_frame: dict[int, list[TrackedBox]] = defaultdict(list)
    seen: dict[tuple[int, int], int] = {}
    unconfirmed = ignored = 0
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        box, counts = parse_line(line, place=f"{path}, line {number}")
        if not counts:
            ignored += 1
            continue
        if box.track < 0:
            unconfirmed += 1
            continue
        first = seen.setdefault((box.frame, box.track), number)
        if first != number:
            raise DataError(
                f"{path}, line {number}: track {box.track} has a second box in frame {box.frame}",
                expected="one box per track and frame",
                got=f"the first in line {first}",
            )
        by_frame[box.frame].append(box)
    if not by_frame:
        left_out = f"{unconfirmed} rows without a track id, {ignored} ignored rows"
        raise DataError(f"{path} has no tracks", expected=COLUMNS, got=left_out)
    return Tracks(by_frame=dict(by_frame), unconfirmed=unconfirmed, ignored=ignored)


def parse_line(line: str, *, place: str) -> tuple[TrackedBox, bool]:
    """One row, and whether it counts (ground truth has rows that do not).

    Raises:
        DataError: The row is malformed; the message starts with `place`.
    """
    fields = line.replace(",", " ").split()
    try:
        values = [float(text) for text in fields]
        if len(values) < 6 or not all(map(math.isfinite, values[:7])):
            raise ValueError
        frame, track = _whole(values[0]), _whole(values[1])
        if frame < 1 or min(values[4:6]) <= 0:
            raise ValueError
    except ValueError:
        raise DataError(f"{place} is malformed", expected=COLUMNS, got=repr(line.strip()[:80])) from None
    truth = len(values) == _GROUND_TRUTH_COLUMNS
    counts = not truth or (values[6] != 0 and values[7] == _PEDESTRIAN)
    score = values[6] if len(values) > 6 and 0 < values[6] <= 1 else 1.0
    x, y, width, height = values[2:6]
    box = TrackedBox(frame=frame, track=track, x=x - 1, y=y - 1, width=width, height=height, score=score)
    return box, counts


def write_tracks(path: Path, boxes: Iterable[TrackedBox]) -> None:
    """Write rows in order of frame and track, ten columns, atomically."""
    rows = sorted(boxes, key=lambda box: (box.frame, box.track))
    with atomic_file(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        for b in rows:
            corner = f"{b.x + 1:.2f},{b.y + 1:.2f},{b.width:.2f},{b.height:.2f}"
            file.write(f"{b.frame},{b.track},{corner},{b.score:.4f},-1,-1,-1\n")


def _whole(value: float) -> int:
    if value != int(value):
        raise ValueError
    return int(value)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise DataError(f"cannot read tracks {path}: {error.strerror}", todo="Check the path.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"tracks {path} are not text", expected=COLUMNS) from error
