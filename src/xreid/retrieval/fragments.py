"""Tracks that break off and go on: which pieces of one camera's tracks may be one walk past it.

A tracker loses somebody behind a bench, or where the box changes its size, and finds him again under another
number. Two pieces of one modality may be one person's where the second begins soon after the first has ended,
and where that was heading. What looks say of them is decided in `person_joins`; who is at once in a picture,
and so two people, says how alike strangers are here.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from xreid.retrieval.crops import Crop

_LONGEST_S = 2.0  # without a box, between the two
_REACH = 0.5  # of the height: how far from where it was expected a piece may begin
_TAIL_S = 1.0  # whose boxes say where somebody is heading
_FEWEST = 4  # boxes in it, or he is taken to stand
_AT_ONCE = 5  # frames that two people share, so that neither is a box that jumped

Pieces = Mapping[str, Sequence[Crop]]
Pair = tuple[str, str]
Joins = dict[str, str]  # piece -> the piece that it goes on from
Scores = Mapping[Pair, float]  # how alike the pieces of each pair are


def fitting(
    pieces: Pieces,
    *,
    kinds: Mapping[str, str],
    changes: Sequence[int] = (),
    origin: Mapping[str, str] | None = None,
    begun: Collection[str] = (),
) -> list[Pair]:
    """Pairs of pieces of which the second may go on where the first breaks off; sorted.

    Args:
        pieces: Their crops, in order of frames.
        kinds: The modality of each.
        changes: Numbers of the first frames of another modality; no pair lies across one.
        origin: Piece -> the track it was cut from for another person; no two of one track are a pair.
        begun: Pieces that go on from the file before, so from no piece of this one.
    """
    origin = origin or {}
    starts = sorted((rows[0].frame, name) for name, rows in pieces.items() if name not in begun)
    found = []
    for name, rows in pieces.items():
        for _, other in starts[bisect_right(starts, (rows[-1].frame, "\uffff")) :]:
            first = pieces[other][0]
            if first.time_s - rows[-1].time_s > _LONGEST_S:
                break
            crosses = any(rows[-1].frame < change <= first.frame for change in changes)
            cut = origin.get(name, name) == origin.get(other, other)
            if not crosses and not cut and kinds[name] == kinds[other] and fits(rows, pieces[other]):
                found.append((name, other))
    return sorted(found)


def fits(before: Sequence[Crop], after: Sequence[Crop]) -> bool:
    """Whether a piece begins where another was heading, or came from where that ended, or did not move.

    Half a height away at most: the middle, and the top or the bottom edge, since a bench hides the other.
    """
    gap = after[0].time_s - before[-1].time_s
    last, first = _place(before[-1]), _place(after[0])
    end = before[-1].time_s - _TAIL_S
    onward = gap * _speed([crop for crop in before if crop.time_s >= end])
    back = gap * _speed([crop for crop in after if crop.time_s <= after[0].time_s + _TAIL_S])
    reach = _REACH * max(before[-1].height, after[0].height)
    misses = (abs(first - last - moved) for moved in (np.zeros(3), onward, back))
    return any(middle <= reach and min(top, bottom) <= reach for middle, top, bottom in misses)


def _place(crop: Crop) -> npt.NDArray[np.float64]:
    """float64 [3]: the middle, the top and the bottom edge; pixels."""
    return np.array([crop.x + crop.width / 2, crop.y, crop.y + crop.height])


def _speed(crops: Sequence[Crop]) -> npt.NDArray[np.float64]:
    """float64 [3]: how fast the place moves, pixels a second; 0 of too few boxes."""
    times = np.array([crop.time_s for crop in crops])
    if len(crops) < _FEWEST or np.ptp(times) <= 0:
        return np.zeros(3)
    centred = times - times.mean()
    places = np.array([_place(crop) for crop in crops])
    return np.asarray(centred @ (places - places.mean(axis=0)) / (centred @ centred))


def at_once(pieces: Pieces, *, kinds: Mapping[str, str]) -> Iterator[Pair]:
    """Pairs of pieces of one modality that share some frames, so are two people; in order of time."""
    order = sorted(pieces, key=lambda name: (pieces[name][0].frame, name))
    starts = [pieces[name][0].frame for name in order]
    for place, name in enumerate(order):
        frames = {crop.frame for crop in pieces[name]}
        for other in order[place + 1 : bisect_right(starts, max(frames))]:
            if kinds[name] == kinds[other]:
                shared = sum(crop.frame in frames for crop in pieces[other])
                if shared >= _AT_ONCE:
                    yield name, other


def best(scores: Scores) -> Joins:
    """One to one, the most alike first; of equal ones the first by name.

    Args:
        scores: How alike the pieces of each pair are; only pairs that may be joined.
    """
    found: Joins = {}
    followed = set[str]()
    for (before, after), _ in sorted(scores.items(), key=lambda entry: (-entry[1], entry[0])):
        if after not in found and before not in followed:
            found[after] = before
            followed.add(before)
    return found


def first_of(name: str, joins: Mapping[str, str]) -> str:
    """The piece that a walk begins with."""
    while name in joins:
        name = joins[name]
    return name
