"""Following a box from frame to frame by what moves in it: Lucas-Kanade flow of corners, and their median.

Forward and back again, as in Median Flow (Kalal et al., ICPR 2010); corners that do not come back to where
they started are dropped. Of the rest, those that move count where a third does, since a box around a person
holds background that stands still.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from xreid.retrieval.crops import XYWH
from xreid.retrieval.frames import Image

Points = npt.NDArray[np.float32]

_CORNERS = 80
_FEWEST = 6
_MOVES = 0.6  # pixels
_MOVING_SHARE = 1 / 3
_RETURN = 1.5  # pixels between a corner and where it comes back to
_SPREAD = 0.12  # of the box's height: corners that disagree by more have lost the person
_INSIDE = 0.6  # least share of the box inside the frame


def follow_box(greys: Sequence[Image], box: XYWH) -> list[XYWH | None]:
    """Where the box of the first frame is in each of the frames; None from where it is lost on.

    Args:
        greys: uint8 [H, W] each, frames in order (or in reverse).
        box: left, top, width, height in pixels, in the first of them.
    """
    found: list[XYWH | None] = [box]
    for before, after in pairwise(greys):
        last = found[-1]
        found.append(None if last is None else _step(before, after, last))
    return found[: len(greys)]


def _step(before: Image, after: Image, box: XYWH) -> XYWH | None:
    starts = _corners(before, box)
    if len(starts) < _FEWEST:
        return None
    ends, seen, _ = cv2.calcOpticalFlowPyrLK(before, after, starts, None)  # type: ignore[call-overload]
    back, seen_back, _ = cv2.calcOpticalFlowPyrLK(after, before, ends, None)  # type: ignore[call-overload]
    error = np.linalg.norm(starts - back, axis=-1).ravel()
    kept = (seen.ravel() == 1) & (seen_back.ravel() == 1) & (error < _RETURN)
    moves = (ends - starts).reshape(-1, 2)[kept]
    if len(moves) < _FEWEST:
        return None
    moving = np.linalg.norm(moves, axis=1) > _MOVES
    if moving.mean() >= _MOVING_SHARE and moving.sum() >= _FEWEST:
        moves = moves[moving]
    step = np.median(moves, axis=0)
    x, y, width, height = box
    if np.median(np.linalg.norm(moves - step, axis=1)) > _SPREAD * height:
        return None
    moved = (x + float(step[0]), y + float(step[1]), width, height)
    return moved if _share_inside(moved, after) >= _INSIDE else None


def _corners(grey: Image, box: XYWH) -> Points:
    """float32 [n, 1, 2]: corners inside the box, away from its border."""
    x, y, width, height = box
    mask = np.zeros(grey.shape, dtype=np.uint8)
    left, right = round(x + 0.1 * width), round(x + 0.9 * width)
    top, bottom = round(y + 0.05 * height), round(y + 0.95 * height)
    mask[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = 255
    found = cv2.goodFeaturesToTrack(grey, _CORNERS, qualityLevel=0.01, minDistance=3, mask=mask)
    return np.empty((0, 1, 2), dtype=np.float32) if found is None else np.asarray(found, dtype=np.float32)


def _share_inside(box: XYWH, grey: Image) -> float:
    x, y, width, height = box
    across = min(x + width, grey.shape[1]) - max(x, 0)
    down = min(y + height, grey.shape[0]) - max(y, 0)
    return max(0.0, across) * max(0.0, down) / (width * height)
