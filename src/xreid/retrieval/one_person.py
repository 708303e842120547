"""From the tracks of a recording to tracklets of one person and one modality each: cut, joined, crops moved.

What was decided is kept beside the stretches, so that a kill changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from xreid.core.files import read_json, write_json
from xreid.retrieval.crops import Crop
from xreid.retrieval.fragments import Joins, first_of
from xreid.retrieval.ingest_config import IngestConfig
from xreid.retrieval.split import (
    Cuts,
    Pieces,
    cut_up,
    cuts_at,
    merged,
    move_crops,
    move_together,
    put_together,
)

Tracks = Mapping[str, Sequence[Crop]]


@dataclass(frozen=True, kw_only=True)
class Sorted:
    """What came of the tracks.

    Attributes:
        crops: Of each tracklet, in order of frames.
        counts: Fields of IngestReport.
        since: Of tracklets that were put together: seconds at which their last track begins.
    """

    crops: dict[str, list[Crop]]
    counts: dict[str, int]
    since: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class OnePerson:
    """Makes the tracklets of one recording.

    Attributes:
        out: Folder of the ingest; crops lie there.
        work: Folder of what was decided.
        config: Options.
        prefix: Start of the tracklets' names.
    """

    out: Path
    work: Path
    config: IngestConfig
    prefix: str

    def tracklets(
        self, tracks: Tracks, *, changes: Sequence[int], begun: Collection[str], next_id: int
    ) -> Sorted:
        """Cut and join.

        Args:
            tracks: Their crops, in order of frames.
            changes: Numbers of the first frames of another modality.
            begun: Tracks that go on from the file before.
            next_id: First free number.
        """
        cuts, persons = self._cuts(tracks, changes)
        numbers = count(next_id)
        pieces = cut_up(tracks, cuts, new_name=lambda: f"{self.prefix}-{next(numbers):04d}")
        move_crops(self.out, pieces)
        joins = self._joins(pieces, changes, begun)
        move_together(self.out, pieces.crops, joins)
        counts = {"switches": len(changes), "person_switches": persons, "person_joins": len(joins)}
        since = dict[str, float]()
        for name in joins:
            first = first_of(name, joins)
            since[first] = max(since.get(first, 0.0), pieces.crops[name][0].time_s)
        return Sorted(crops=put_together(pieces.crops, joins), counts=counts, since=since)

    def _cuts(self, tracks: Tracks, changes: Sequence[int]) -> tuple[Cuts, int]:
        """Where tracks are cut, and how often for another person."""
        file = self.work / "cuts.json"
        if not file.is_file():
            cuts, persons = cuts_at(tracks, changes), Cuts()
            if self.config.checkpoint is not None and not self.config.stills:
                from xreid.retrieval.person_switches import person_cuts

                persons = person_cuts(tracks, self.out, config=self.config, before=cuts)
            count_of_persons = sum(map(len, persons.values()))
            write_json(file, {"cuts": merged(cuts, persons), "persons": count_of_persons})
        decided = read_json(file, what="cuts")
        return decided["cuts"], decided["persons"]

    def _joins(self, pieces: Pieces, changes: Sequence[int], begun: Collection[str]) -> Joins:
        """Which tracklets go on from which; given tracks are taken at their word."""
        config, file = self.config, self.work / "joins.json"
        if config.checkpoint is None or not config.join or config.stills or config.tracks is not None:
            return {}
        if not file.is_file():
            from xreid.retrieval.person_joins import person_joins

            write_json(file, person_joins(pieces, self.out, config=config, changes=changes, begun=begun))
        joins: Joins = read_json(file, what="joins")
        return joins
