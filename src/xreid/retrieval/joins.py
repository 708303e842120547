"""Tracklets over the cuts of a live camera's files: which belong together, and which are not to be shown yet.

Each file's ingest says who goes on from the file before and who may go on in the next (`bridge.Open`). A
tracklet that may still go on is withheld until the next file is ingested: what the tables once hold does not
change any more, so that what was embedded of it stays right. That costs one file's time, for those few who
are in the picture at a cut.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from xreid.core.files import read_json
from xreid.retrieval.bridge import Open, open_from
from xreid.retrieval.crops import Crop
from xreid.retrieval.ingest_config import IngestReport
from xreid.retrieval.moments import MOMENTS, moments
from xreid.retrieval.quality import LOW, Quality, quality_of
from xreid.retrieval.records import QUALITY, TRACKLETS

_LONGEST_S = 300.0  # somebody who stays longer is cut all the same: a tracklet must come to an end


@dataclass(frozen=True, kw_only=True)
class Part:
    """One file's piece of a tracklet over several.

    Attributes:
        recording: Folder of the file's ingest.
        row: Its row in the table there.
    """

    recording: Path
    row: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The tracklet's name there."""
        return str(self.row["name"])

    def path(self, frame: str, *, out: Path) -> str:
        """Where one of its crops lies, relative to the folder of all recordings."""
        return f"{self.recording.relative_to(out).as_posix()}/{frame}"


@dataclass(frozen=True, kw_only=True)
class Joins:
    """What becomes of the tracklets at the cuts.

    Attributes:
        chains: Tracklets of two parts or more, in order of time.
        hidden: Tracklets that are withheld, or too short to stand alone.
    """

    chains: Sequence[Sequence[Part]] = ()
    hidden: Sequence[Part] = ()

    @property
    def names(self) -> list[str]:
        """The tracklets whose own rows are not to be shown."""
        return [part.name for part in (*self.hidden, *(part for chain in self.chains for part in chain))]

    def rows(self, table: str, recording: Path, *, out: Path) -> list[dict[str, Any]]:
        """The rows of a table for the joined tracklets that begin in a recording."""
        begun = [chain for chain in self.chains if chain[0].recording == recording]
        return [row for chain in begun for row in _ROWS[table](chain, out)]

    def corrected(self, report: IngestReport) -> IngestReport:
        """The sums of all recordings' reports, made right for what is joined and hidden."""
        rows = [(part.row, -1) for part in self.hidden]
        for chain in self.chains:
            rows += [(part.row, -1) for part in chain]
            rows.append((_whole(chain), 1))
        return replace(
            report,
            tracklets=report.tracklets + sum(sign for _, sign in rows),
            crops=report.crops + sum(sign * len(row["frames"]) for row, sign in rows),
            visible=report.visible + sum(sign for row, sign in rows if row["modality"] == "vis"),
            low_quality=report.low_quality + sum(sign for row, sign in rows if row["quality"] < LOW),
            unmoved=report.unmoved + sum(sign for row, sign in rows if _unmoved(row)),
        )


def find_joins(recordings: Sequence[Path], *, waiting: Collection[str]) -> Joins:
    """The tracklets over the cuts between recordings.

    Args:
        recordings: Folders of finished ingests, those of a camera in order of time.
        waiting: Names of those whose next file is recorded, or being recorded, and not ingested.
    """
    chains: dict[str, list[Part]] = {}  # by the name of the last part
    opened: dict[str, Open] = {}
    least: dict[str, int] = {}
    for folder in recordings:
        record = read_json(folder / "ingest.json", what="ingest")
        edge = open_from(record)
        opened[folder.name], least[folder.name] = edge, record["options"]["min_frames"]
        rows = _rows(folder, {*edge.continues, *edge.open, *edge.short})
        for name, row in rows.items():
            before = chains.get(edge.continues.get(name, ""))
            part = Part(recording=folder, row=row)
            if before is None or not _fit(before, part):
                chains[name] = [part]
            else:
                chains[name] = [*before, part]
                del chains[before[-1].name]
    hidden, shown = list[Part](), list[list[Part]]()
    for chain in chains.values():
        last = chain[-1]
        folder_name = last.recording.name
        may_go_on = folder_name in waiting and last.name in opened[folder_name].open and not _full(chain)
        frames = sum(len(part.row["frames"]) for part in chain)
        if may_go_on or frames < least[folder_name]:
            hidden += chain
        elif len(chain) > 1:
            shown.append(chain)
    return Joins(chains=shown, hidden=hidden)


def _rows(folder: Path, names: Collection[str]) -> dict[str, dict[str, Any]]:
    """The rows of some tracklets of a recording, in the table's order."""
    if not names:
        return {}
    rows = pq.read_table(folder / TRACKLETS, filters=[("name", "in", list(names))]).to_pylist()
    return {row["name"]: row for row in rows}


def _fit(chain: Sequence[Part], part: Part) -> bool:
    return not _full(chain) and chain[-1].row["modality"] == part.row["modality"]


def _full(chain: Sequence[Part]) -> bool:
    return bool(chain[-1].row["end_s"] - chain[0].row["start_s"] >= _LONGEST_S)


def _whole(chain: Sequence[Part]) -> dict[str, Any]:
    """The row of a joined tracklet, its frames relative to the parts' own folders."""
    sure = [part.row["modality_confidence"] for part in chain]
    return {
        **chain[0].row,
        "frames": [frame for part in chain for frame in part.row["frames"]],
        "end_s": chain[-1].row["end_s"],
        "quality": _quality(chain).value,
        "modality_confidence": None if None in sure else min(sure),
    }


def _tracklet(chain: Sequence[Part], out: Path) -> list[dict[str, Any]]:
    frames = [part.path(frame, out=out) for part in chain for frame in part.row["frames"]]
    return [{**_whole(chain), "frames": frames}]


def _moments(chain: Sequence[Part], out: Path) -> list[dict[str, Any]]:
    return [
        {**row, "tracklet": chain[0].name, "file": part.path(row["file"], out=out)}
        for part in chain
        for row in pq.read_table(part.recording / MOMENTS, filters=[("tracklet", "=", part.name)]).to_pylist()
    ]


def _qualities(chain: Sequence[Part], out: Path) -> list[dict[str, Any]]:
    quality = _quality(chain)
    return [{"tracklet": chain[0].name, **asdict(quality), "quality": quality.value}]


def _quality(chain: Sequence[Part]) -> Quality:
    crops = [
        Crop(
            frame=row.frame,
            x=row.box[0],
            y=row.box[1],
            width=row.box[2],
            height=row.box[3],
            score=row.score,
            time_s=0.0,
            chroma=0.0,
            sharpness=row.sharpness,
            hidden=row.hidden,
        )
        for part in chain
        for row in moments(part.recording, part.name)
    ]
    # One crop says nothing of whether it moves.
    told = [_unmoved(part.row) for part in chain if len(part.row["frames"]) > 1]
    return replace(quality_of(crops), moves=0.0 if told and all(told) else 1.0)


def _unmoved(row: Mapping[str, Any]) -> bool:
    return bool(row["quality"] == 0)  # as of nothing else, see `quality.Quality.value`


_ROWS = {TRACKLETS: _tracklet, MOMENTS: _moments, QUALITY: _qualities}
