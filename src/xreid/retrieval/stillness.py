"""Things that a detector by motion takes for people: they never move.

A suitcase that was put down differs from the background for a while. So does a post before which somebody
stood when the video began, since the background was learnt without it. Their box stays where it is, and so
does every pixel in it; people sway, even where they stand. On a simulated site such boxes changed in at most
9% of their pixels and people in 40% or more; on the real footage that was at hand people in 27% or more.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from xreid.core.errors import DataError
from xreid.retrieval.crops import Crop, frame_file

_WANDERS = 0.15  # of its height: how far a box may lie from its usual place
_CHANGED = 0.12  # share of the pixels
_LEVELS = 12  # grey levels that make a pixel another one
_LOOKS = 9
_LEAST_S = 1.0
_SIZE = (32, 64)  # width, height that pictures are compared at


def never_moves(name: str, crops: Sequence[Crop], out: Path) -> bool:
    """Whether box and picture of a tracklet stay as they are from its first to its last frame.

    Args:
        name: Of the tracklet.
        crops: Its crops in order of time, one or more; less than a second of them says nothing.
        out: Folder of the ingest, where their pictures lie.

    Raises:
        DataError: A picture is damaged.
    """
    if crops[-1].time_s - crops[0].time_s < _LEAST_S:
        return False
    places = np.array([(crop.x + crop.width / 2, crop.y) for crop in crops])
    height = float(np.median([crop.height for crop in crops]))
    if np.abs(places - np.median(places, axis=0)).max() > _WANDERS * height:
        return False
    chosen = np.unique(np.linspace(0, len(crops) - 1, _LOOKS).round().astype(int))
    pictures = [_picture(out / frame_file(name, crops[i].frame)) for i in chosen]
    middle = pictures[len(pictures) // 2]
    differs = np.stack([np.abs(picture - middle).max(axis=2) > _LEVELS for picture in pictures])
    return float(differs.mean()) < _CHANGED


def _picture(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise DataError(f"{path} is damaged", todo="Remove the ingest's folder and start again.")
    return cv2.resize(image, _SIZE, interpolation=cv2.INTER_AREA).astype(np.int16)
