"""Which frames of a query and of a hit match best: every frame embedded by itself, all pairs compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from xreid.core.tracklets import Tracklet
from xreid.retrieval.engine import Vectors
from xreid.retrieval.queries import Query

Embed = Callable[[Sequence[Tracklet]], Vectors]
"""Vectors float32 [N, D] of unit length of tracklets whose frames are absolute paths."""

_MOST_OF_ONE, _MOST_ASKING = 8, 24  # frames of a tracklet, and of all examples together


@dataclass(frozen=True, kw_only=True)
class FramePair:
    """A frame of the query beside one of the hit.

    Attributes:
        asking: File of the query's frame.
        answering: File of the hit's frame.
        score: Cosine of the two, each embedded by itself.
        example: Which example of the query the frame is of.
        asking_frame: Which frame of that example.
        answering_frame: Which frame of the hit.
    """

    asking: Path
    answering: Path
    score: float
    example: int
    asking_frame: int
    answering_frame: int


@dataclass(frozen=True, kw_only=True)
class _Single:
    """One frame of a tracklet."""

    row: Tracklet
    of: int
    frame: int

    @property
    def path(self) -> Path:
        return Path(self.row.frames[0])


def matching_frames(
    examples: Sequence[Query],
    hits: Sequence[tuple[Tracklet, Path]],
    embed: Embed,
    *,
    pairs: int,
    frames_root: Path | None = None,
) -> list[tuple[FramePair, ...]]:
    """The best pairs of frames of each hit, best first; none where no frame of a side is there any more.

    At most eight frames of a tracklet are looked at, evenly spread, and 24 of all examples together.

    Args:
        examples: Of the query.
        hits: Tracklets with the folder that their frames are relative to.
        embed: Makes the vectors.
        pairs: Most pairs of a hit.
        frames_root: Where the gallery's frames are, if they have moved.

    Raises:
        DataError: A frame that is there cannot be read.
    """
    each = max(1, min(_MOST_OF_ONE, _MOST_ASKING // len(examples)))
    asking = [
        single
        for i, one in enumerate(examples)
        for single in _singles(one.tracklet, _root(one, frames_root), of=i, most=each)
    ]
    groups = [
        _singles(row, frames_root or root, of=i, most=_MOST_OF_ONE) for i, (row, root) in enumerate(hits)
    ]
    answering = [single for group in groups for single in group]
    if not asking or not answering:
        return [()] * len(hits)
    named = [replace(one.row, name=str(number)) for number, one in enumerate([*asking, *answering])]
    vectors = embed(named)
    scores, place, found = vectors[: len(asking)] @ vectors[len(asking) :].T, 0, []
    for group in groups:
        found.append(_best(asking, group, scores[:, place : place + len(group)], pairs=pairs))
        place += len(group)
    return found


def _root(example: Query, frames_root: Path | None) -> Path:
    """Only the gallery's own frames move with it."""
    return (frames_root or example.root) if example.id else example.root


def _singles(row: Tracklet, root: Path, *, of: int, most: int) -> list[_Single]:
    count = min(len(row.frames), most)
    places = [(2 * i + 1) * len(row.frames) // (2 * count) for i in range(count)]
    found = []
    for place in places:
        path = (root / row.frames[place]).absolute()
        if path.is_file():
            found.append(_Single(row=replace(row, frames=(str(path),)), of=of, frame=place))
    return found


def _best(
    asking: Sequence[_Single], group: Sequence[_Single], scores: Vectors, *, pairs: int
) -> tuple[FramePair, ...]:
    if not group:
        return ()
    order = np.argsort(-scores, axis=None, kind="stable")[:pairs]
    chosen = [(asking[i // len(group)], group[i % len(group)], float(scores.flat[i])) for i in order.tolist()]
    return tuple(
        FramePair(
            asking=one.path,
            answering=other.path,
            score=score,
            example=one.of,
            asking_frame=one.frame,
            answering_frame=other.frame,
        )
        for one, other, score in chosen
    )
