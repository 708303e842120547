"""People who are followed over a cut: where a stretch of a recording, or a live camera's file, ends.

The next one follows the last ten seconds before the cut once more, as warm-up, with the background as it was
at the cut. Whoever's boxes are there those of a known tracklet goes on as that one. So nothing but what lies
on disk is needed, and a kill in between changes nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from xreid.core.errors import DataError
from xreid.core.files import atomic_file
from xreid.evaluation.tracking import overlap
from xreid.retrieval.crops import XYWH, Crop
from xreid.retrieval.detections import State
from xreid.retrieval.moments import moments

STATE = "background.npz"
_SAME = 0.5  # least overlap of two boxes of one person in one frame
_DECIMALS = 3  # of seconds, as moments are written

Known = Mapping[float, Mapping[str, XYWH]]
"""Seconds on the clock of the warm-up -> boxes of the tracklets that are open at the cut."""


@dataclass(frozen=True, kw_only=True)
class Open:
    """What an ingest leaves for the next file of its camera.

    Attributes:
        continues: Tracklets that go on from the file before: name -> name there.
        open: Tracklets that may go on in the next file.
        short: Those of them too short to stand alone.
        since: Where an open one was put together of tracks: seconds at which the last of them begins. Only
            that one goes on; in the warm-up the others end once more, and must not be taken for it.
    """

    continues: Mapping[str, str] = field(default_factory=dict)
    open: Sequence[str] = ()
    short: Sequence[str] = ()
    since: Mapping[str, float] = field(default_factory=dict)


class Bridge:
    """Finds, during the warm-up, which pieces of tracks go on as known tracklets.

    Args:
        known: Boxes of the tracklets that are open at the cut.
    """

    def __init__(self, known: Known) -> None:
        self.known = known
        self._votes: dict[int, Counter[str]] = defaultdict(Counter)

    def see(self, piece: int, crop: Crop) -> None:
        """A piece was there in a frame of the warm-up."""
        box = (crop.x, crop.y, crop.width, crop.height)
        for name, other in self.known.get(round(crop.time_s, _DECIMALS), {}).items():
            self._votes[piece][name] += overlap(box, other) >= _SAME

    def names(self) -> dict[int, str]:
        """The tracklet of each piece that goes on; each at most once, the most boxes in common first."""
        rows = sorted(
            (-count, piece, name)
            for piece, votes in self._votes.items()
            for name, count in votes.items()
            if count
        )
        found: dict[int, str] = {}
        for _, piece, name in rows:
            if piece not in found and name not in found.values():
                found[piece] = name
        return found


def open_at(crops: Mapping[str, Sequence[Crop]], *, end_s: float, gap_s: float) -> list[str]:
    """Tracklets that were seen at the end, or less than `gap_s` before it; sorted."""
    return sorted(name for name, rows in crops.items() if rows and rows[-1].time_s >= end_s - gap_s)


def known_of(crops: Mapping[str, Sequence[Crop]], names: Iterable[str], *, from_s: float) -> Known:
    """The boxes of some tracklets from a time on."""
    known: dict[float, dict[str, XYWH]] = defaultdict(dict)
    for name in names:
        for crop in crops[name]:
            if crop.time_s >= from_s:
                known[round(crop.time_s, _DECIMALS)][name] = (crop.x, crop.y, crop.width, crop.height)
    return known


def known_from(folder: Path, last: Open) -> Known:
    """The boxes of the open tracklets of a finished ingest, on the clock of its recording."""
    wanted = set(last.open)
    known: dict[float, dict[str, XYWH]] = defaultdict(dict)
    for row in moments(folder) if wanted else ():
        if row.tracklet not in wanted or row.offset_s is None:
            continue
        if row.offset_s >= round(last.since.get(row.tracklet, 0.0), _DECIMALS):
            known[row.offset_s][row.tracklet] = row.box
    return known


def write_state(path: Path, state: State) -> None:
    """Keep what a detector has learnt, atomically."""
    with atomic_file(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **state)  # type: ignore[arg-type]


def read_state(path: Path) -> State | None:
    """What a detector had learnt; None where nothing was kept.

    Raises:
        DataError: The file is damaged.
    """
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as kept:
            return {name: kept[name] for name in kept.files}
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise DataError(f"{path} is damaged", got=str(error)[:200], todo="Remove it.") from error


def open_from(record: Mapping[str, Any]) -> Open:
    """What ingest.json says of it."""
    return Open(**record.get("bridge", {}))
