"""Recorded files of one camera that follow each other: a person over the cut stays one tracklet.

A recorder's rolled files are joined where their times say that one begins where the other ends. Each is then
ingested after the one before it, as a live camera's files are (`bridge`, `joins`), whatever the number of
processes; files that do not follow each other are ingested side by side.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import av

from xreid.core.errors import DataError
from xreid.core.files import read_json
from xreid.data.names import natural_key
from xreid.retrieval.columns import UNIX_FROM_S
from xreid.retrieval.ingest_identity import WORK
from xreid.retrieval.recorder import length_s
from xreid.retrieval.sources import Recording
from xreid.retrieval.video import open_container
from xreid.retrieval.workers import Outcome, Task

JOIN_S = 2.0  # most seconds between two files that follow each other, either way: names tell whole seconds


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """What lies around a recording.

    Attributes:
        before: The recording of the camera that ends where this one begins.
        goes_on: One begins where this one ends, or may yet come: it is the camera's last.
    """

    before: Recording | None = None
    goes_on: bool = False


class Followed:
    """The order of all recordings; lengths of files are read when they are asked for.

    Args:
        recordings: All of them.
    """

    def __init__(self, recordings: Iterable[Recording]) -> None:
        cameras: dict[str, list[Recording]] = defaultdict(list)
        for one in recordings:
            if one.camera is not None and one.start_s is not None and not one.path.is_dir():
                cameras[one.camera].append(one)
        self._around: dict[str, tuple[Recording | None, Recording | None]] = {}
        for rows in cameras.values():
            rows.sort(key=lambda one: (one.start_s, natural_key(one.name)))
            for before, one, after in zip([None, *rows], rows, [*rows[1:], None], strict=False):
                self._around[one.name] = before, after
        self._ends: dict[str, float | None] = {}

    def around(self, one: Recording) -> Neighbours:
        """What lies around a recording; nothing where it has no date or is a folder of images."""
        if one.name not in self._around:
            return Neighbours()
        before, after = self._around[one.name]
        return Neighbours(
            before=before if before is not None and self._follow(before, one) else None,
            goes_on=after is None or self._follow(one, after),
        )

    def ended(self, one: Recording, before_s: float) -> bool:
        """Whether a recording ended before a moment, Unix seconds; without a date nobody knows."""
        if one.start_s is None or one.path.is_dir() or not UNIX_FROM_S <= one.start_s < before_s:
            return False
        end = self._end(one)
        return end is not None and end < before_s

    def _end(self, one: Recording) -> float | None:
        if one.name not in self._ends:
            self._ends[one.name] = _end_of(one)
        return self._ends[one.name]

    def _follow(self, one: Recording, other: Recording) -> bool:
        end = self._end(one)
        return end is not None and other.start_s is not None and abs(other.start_s - end) <= JOIN_S


def as_begun(folder: Path, before: Recording | None) -> Recording | None:
    """The recording before that an ingest began with: what is done stays; what is not begins anew.

    A recording's neighbour may come, or go, between two runs.

    Args:
        folder: Of the ingest.
        before: The recording before it now.

    Raises:
        DataError: Its record is damaged.
    """
    for record, done in ((folder / "ingest.json", True), (folder / WORK / "job.json", False)):
        if not record.is_file():
            continue
        name = read_json(record, what="ingest").get("before")
        if name == (before.path.name if before else None):
            return before
        if done:
            return None
        shutil.rmtree(folder)
    return before


def in_chains(tasks: Sequence[Task]) -> list[list[Task]]:
    """Tasks in lists: of each, one goes on where the other ends; lists do not depend on each other."""
    following = {task.bridge: task for task in tasks if task.bridge is not None}
    places = {task.out for task in tasks}
    chains = []
    for task in tasks:
        if task.bridge not in places:
            chain = [task]
            while (later := following.get(chain[-1].out)) is not None:
                chain.append(later)
            chains.append(chain)
    return chains


def after(outcome: Outcome | None, task: Task) -> Task:
    """The next task of a chain: where the one before it failed, people do not go on from there."""
    failed = outcome is not None and outcome.report is None
    return replace(task, before=None, bridge=None) if failed else task


def _end_of(one: Recording) -> float | None:
    """Unix time at which a recording ends; None where it cannot be read."""
    assert one.start_s is not None
    try:
        with open_container(one.path) as container:
            stream = container.streams.video[0]
            if stream.duration and stream.time_base:
                return one.start_s + float(stream.duration * stream.time_base)
            if container.duration:
                return one.start_s + float(container.duration / av.time_base)
    except DataError:  # told when it is ingested
        return None
    return one.start_s + length_s(one.path)
