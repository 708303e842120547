"""From the tracks of a recording to tracklets of one person and one modality each: cut, joined, crops moved.

What was decided is kept beside the stretches, so that a kill changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from xreid.core.files import read_json, write_json
from xreid.retrieval.crops import Crop
from xreid.retrieval.fragments import Scores, first_of
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
        cosines: Of these: frame in which a later track begins -> its cosine with the one before.
    """

    crops: dict[str, list[Crop]]
    counts: dict[str, int]
    since: dict[str, float]
    cosines: dict[str, dict[int, float]]


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
        if not self._joined.is_file():  # else they lie there, and others' in the places that they left
            move_crops(self.out, pieces)
        scores = self._joins(pieces, changes, begun)
        joins = {after: before for before, after in scores}
        move_together(self.out, pieces.crops, joins)
        counts = {"switches": len(changes), "person_switches": persons, "person_joins": len(joins)}
        since, cosines = dict[str, float](), defaultdict[str, dict[int, float]](dict)
        for (_, name), cosine in scores.items():
            first, begins = first_of(name, joins), pieces.crops[name][0]
            since[first] = max(since.get(first, 0.0), begins.time_s)
            cosines[first][begins.frame] = cosine
        return Sorted(crops=put_together(pieces.crops, joins), counts=counts, since=since, cosines=cosines)

    @property
    def _joined(self) -> Path:
        return self.work / "joined.json"

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

    def _joins(self, pieces: Pieces, changes: Sequence[int], begun: Collection[str]) -> Scores:
        """Which tracklets go on from which, and how alike they are; given tracks are taken at their word."""
        config, file = self.config, self._joined
        if config.checkpoint is None or not config.join or config.stills or config.tracks is not None:
            return {}
        if not file.is_file():
            from xreid.retrieval.person_joins import person_joins

            found = person_joins(pieces, self.out, config=config, changes=changes, begun=begun)
            write_json(file, [[*pair, cosine] for pair, cosine in found.items()])
        return {(before, after): cosine for before, after, cosine in read_json(file, what="joins")}
