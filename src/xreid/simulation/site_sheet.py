"""A contact sheet of a site: a busy moment of each camera in each session, with the true boxes."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from xreid.simulation.arrays import Bytes
from xreid.simulation.site_config import SiteConfig
from xreid.simulation.site_film import FilmedFrame, film
from xreid.simulation.site_map import site_cameras
from xreid.simulation.site_plan import Recording, plan_passages, recordings
from xreid.simulation.site_truth import counts

_CELL = (320, 180)  # width, height
_GAP, _HEAD = 6, 26
_INK, _BOX, _PAPER = (40, 40, 40), (80, 230, 80), 255


def site_sheet(config: SiteConfig) -> Bytes:
    """Draw a row for each session and a column for each camera: uint8 [H, W, 3], blue, green, red."""
    names, sessions = [camera.name for camera in site_cameras(config)], list(config.sessions())
    people = {passage.number: passage.person for passage in plan_passages(config)}
    height = _HEAD + len(sessions) * (_CELL[1] + _HEAD)
    sheet = np.full((height, len(names) * (_CELL[0] + _GAP) + _GAP, 3), _PAPER, np.uint8)
    for column, camera in enumerate(names):
        for row, session in enumerate(sessions):
            own = [r for r in recordings(config) if (r.camera, r.session) == (camera, session)]
            moment = _busy_moment(config, own)
            left, top = _GAP + column * (_CELL[0] + _GAP), _HEAD + row * (_CELL[1] + _HEAD)
            sheet[top : top + _CELL[1], left : left + _CELL[0]] = _cell(moment, people)
            text = f"{camera}, {session}: {'infrared' if moment.image.ndim == 2 else 'visible'}"
            cv2.putText(sheet, text, (left, top - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.5, _INK, 1, cv2.LINE_AA)
    return sheet


def _busy_moment(config: SiteConfig, own: Sequence[Recording]) -> FilmedFrame:
    """The frame with most people well in view, of those in which most are on their way."""
    best: tuple[float, FilmedFrame] | None = None
    for recording in own:
        times = recording.start_s + np.arange(recording.frames) / config.fps
        crowd = np.zeros(recording.frames)
        for passage in plan_passages(config):
            if passage.camera == recording.camera:
                margin = 0.3 * (passage.end_s - passage.start_s)
                crowd += (times > passage.start_s + margin) & (times < passage.end_s - margin)
        frame = int(crowd.argmax())
        (filmed,) = film(config, recording, frames=[frame])
        shown = sum(box.visibility for box in filmed.boxes if box.whole)
        if best is None or shown > best[0]:
            best = shown, filmed
    assert best is not None  # each session has a recording
    return best[1]


def _cell(moment: FilmedFrame, people: dict[int, str]) -> Bytes:
    image = moment.image if moment.image.ndim == 3 else cv2.cvtColor(moment.image, cv2.COLOR_GRAY2BGR)
    scale = _CELL[0] / image.shape[1]
    small = cv2.resize(image, _CELL, interpolation=cv2.INTER_AREA)
    for box in moment.boxes:
        if counts(box):
            left, top, right, bottom = (round(scale * side) for side in box.box)
            cv2.rectangle(small, (left, top), (right, bottom), _BOX, 1)
            place = (left, max(9, top - 2))
            cv2.putText(small, people[box.track], place, cv2.FONT_HERSHEY_SIMPLEX, 0.35, _BOX, 1, cv2.LINE_AA)
    return np.asarray(small)
