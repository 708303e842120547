"""How good tracks are: the scores of the library `trackers`, and whose track each one is.

HOTA (Luiten et al., IJCV 2021), IDF1 (Ristani et al., ECCVW 2016) and CLEAR (Bernardin and Stiefelhagen,
2008) as https://github.com/roboflow/trackers computes them, which is held to TrackEval. Files are MOT text:
frame, id, left, top, width, height, confidence or flag, ...; everything counted from 1.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xreid.core.errors import DataError

#: Rows that the evaluator leaves out: an ignored true row, an unconfirmed found one.
_NOBODY_TRUE, _NOBODY_FOUND = "1,1,1,1,1,1,0,1,0\n", "1,-1,1,1,1,1,1,-1,-1,-1\n"


@dataclass(frozen=True, kw_only=True)
class TrackScores:
    """Scores over all videos together; fractions.

    Attributes:
        hota: Geometric mean of detection and association accuracy over overlaps 0.05 to 0.95.
        detection: Its detection part (DetA).
        association: Its association part (AssA).
        idf1: Share of boxes under the right identity, with one found track for each true one.
        recall: Share of true boxes found, at an overlap of one half.
        precision: Share of found boxes that are true ones.
        switches: How often a true track goes on under another number.
        videos: How many videos.
    """

    hota: float
    detection: float
    association: float
    idf1: float
    recall: float
    precision: float
    switches: int
    videos: int


def track_scores(truth: Mapping[str, Path], found: Mapping[str, Path]) -> TrackScores:
    """Score found tracks against true ones.

    Args:
        truth: MOT ground-truth file of each video; rows of flag 0 do not count. It may be empty.
        found: MOT file of each video in which something was found.

    Raises:
        DataError: A file is missing or malformed, or a video was never filmed.
    """
    from trackers.eval import evaluate_mot_sequences

    if strangers := sorted(found.keys() - truth.keys()):
        raise DataError("tracks of videos without truth", got=", ".join(strangers[:5]))
    with tempfile.TemporaryDirectory() as folder:
        for side, files, nobody in (("true", truth, _NOBODY_TRUE), ("found", found, _NOBODY_FOUND)):
            (Path(folder) / side).mkdir()
            for name in truth:
                _copy(files.get(name), Path(folder) / side / f"{name}.txt", nobody)
        try:
            result: Any = evaluate_mot_sequences(
                Path(folder) / "true", Path(folder) / "found", metrics=["CLEAR", "HOTA", "Identity"]
            ).aggregate
        except ValueError as error:
            raise DataError("tracks cannot be scored", got=str(error)) from error
    return TrackScores(
        hota=float(result.HOTA.HOTA),
        detection=float(result.HOTA.DetA),
        association=float(result.HOTA.AssA),
        idf1=float(result.Identity.IDF1),
        recall=float(result.CLEAR.CLR_Re),
        precision=float(result.CLEAR.CLR_Pr),
        switches=int(result.CLEAR.IDSW),
        videos=len(truth),
    )


def _copy(source: Path | None, target: Path, nobody: str) -> None:
    """A copy, or one row that counts for nothing where nobody is in it: the evaluator wants a row."""
    if source is None or (source.is_file() and not source.stat().st_size):
        target.write_text(nobody, encoding="utf-8")
        return
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise DataError(f"cannot read tracks {source}: {error.strerror}") from error


Boxes = Mapping[int, Mapping[int, tuple[float, float, float, float]]]
"""For each frame, left, top, width and height of each track."""


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Whose a found track is.

    Attributes:
        track: The true track that most of its boxes overlap.
        share: Share of its boxes that do.
    """

    track: int
    share: float


def owners(truth: Boxes, found: Boxes, *, least_overlap: float = 0.5) -> dict[int, Owner]:
    """The owner of each found track; tracks that overlap nobody have none.

    In each frame a found box votes for the true one that it overlaps most (intersection over union), if that
    is at least `least_overlap`. Two found tracks may have one owner: a true track in pieces.
    """
    votes: dict[int, Counter[int]] = defaultdict(Counter)
    lengths: Counter[int] = Counter()
    for frame, boxes in found.items():
        true = truth.get(frame, {})
        numbers = list(true)
        for track, box in boxes.items():
            lengths[track] += 1
            if not numbers:
                continue
            overlaps = [overlap(box, true[number]) for number in numbers]
            best = int(np.argmax(overlaps))
            if overlaps[best] >= least_overlap:
                votes[track][numbers[best]] += 1
    chosen = {track: min(own.items(), key=lambda pair: (-pair[1], pair[0])) for track, own in votes.items()}
    return {track: Owner(track=who, share=count / lengths[track]) for track, (who, count) in chosen.items()}


def overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    """Intersection over union of two boxes (left, top, width, height)."""
    wide = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    high = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if wide <= 0 or high <= 0:
        return 0.0
    both = wide * high
    return both / (a[2] * a[3] + b[2] * b[3] - both)
