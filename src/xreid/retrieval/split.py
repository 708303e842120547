"""Tracklets cut where they change their modality or their person, or put together; the crops move along."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from xreid.retrieval.crops import FRAMES, Crop, frame_file
from xreid.retrieval.fragments import Joins, first_of

Cuts = dict[str, list[int]]  # tracklet -> numbers of the first frames of its later pieces, rising


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """Tracklets after the cuts.

    Attributes:
        crops: By name, in order of frames; the first piece keeps the tracklet's name.
        origin: Name of a later piece -> name of the tracklet it was cut from.
    """

    crops: dict[str, list[Crop]]
    origin: dict[str, str]


def cuts_at(crops: Mapping[str, Sequence[Crop]], frames: Sequence[int]) -> Cuts:
    """The cuts that keep every tracklet on one side of each of the given frames."""
    found: Cuts = {}
    for name, rows in crops.items():
        inside = [frame for frame in frames if rows[0].frame < frame <= rows[-1].frame]
        if inside:
            found[name] = sorted(inside)
    return found


def merged(*several: Cuts) -> Cuts:
    """All cuts of all of them."""
    names = sorted({name for cuts in several for name in cuts})
    return {name: sorted({frame for cuts in several for frame in cuts.get(name, [])}) for name in names}


def cut_up(crops: Mapping[str, Sequence[Crop]], cuts: Cuts, *, new_name: Callable[[], str]) -> Pieces:
    """Apply cuts; new names are asked for in the order of names and frames."""
    pieces: dict[str, list[Crop]] = {}
    origin: dict[str, str] = {}
    for name in sorted(crops):
        parts = parts_of(crops[name], cuts.get(name, []))
        pieces[name] = parts[0]
        for part in parts[1:]:
            fresh = new_name()
            pieces[fresh], origin[fresh] = part, name
    return Pieces(crops=pieces, origin=origin)


def parts_of(crops: Sequence[Crop], cuts: Iterable[int]) -> list[list[Crop]]:
    """The crops between the cuts; none is empty."""
    at = sorted(cuts)
    parts: list[list[Crop]] = [[] for _ in range(len(at) + 1)]
    for crop in crops:
        parts[bisect_right(at, crop.frame)].append(crop)
    return [part for part in parts if part]


def move_crops(out: Path, pieces: Pieces) -> None:
    """Put the crops of later pieces into folders of their own; those already there stay."""
    for name, old in pieces.origin.items():
        _move(out, pieces.crops[name], old, name)


def put_together(crops: Mapping[str, Sequence[Crop]], joins: Joins) -> dict[str, list[Crop]]:
    """Tracklets that go on from others become one with them, under the first one's name.

    Args:
        crops: The tracklets; what goes on begins after the other's end.
        joins: Tracklet -> the one that it goes on from.
    """
    whole = {name: list(rows) for name, rows in crops.items() if name not in joins}
    for name in sorted(joins, key=lambda name: crops[name][0].frame):
        whole[first_of(name, joins)] += crops[name]
    return whole


def move_together(out: Path, crops: Mapping[str, Sequence[Crop]], joins: Joins) -> None:
    """Put the crops of tracklets that go on from others into the first one's folder; those there stay."""
    for name in sorted(joins):
        _move(out, crops[name], name, first_of(name, joins))
        with suppress(OSError):
            (out / FRAMES / name).rmdir()


def _move(out: Path, crops: Sequence[Crop], old: str, name: str) -> None:
    for crop in crops:
        before = out / frame_file(old, crop.frame)
        if before.exists():  # else it was moved, and perhaps put apart, before a kill
            (out / FRAMES / name).mkdir(parents=True, exist_ok=True)
            before.rename(out / frame_file(name, crop.frame))
