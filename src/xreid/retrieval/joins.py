"""Tracklets over the cuts between files of a camera: which belong together, which are not to be shown yet.

Each file's ingest says who goes on from the file before and who may go on in the next (`bridge.Open`). A
tracklet that may still go on is withheld until the next file is ingested: what the tables once hold does not
change any more, so that what was embedded of it stays right. That costs one file's time, for those few who
are in the picture at a cut.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from xreid.retrieval.bridge import Open, open_from
from xreid.retrieval.crops import Crop
from xreid.retrieval.moments import MOMENTS
from xreid.retrieval.quality import Quality, quality_of
from xreid.retrieval.records import QUALITY, TRACKLETS

_LONGEST_S = 300.0  # somebody who stays longer is cut all the same: a tracklet must come to an end
NAMES = {MOMENTS: "tracklet", QUALITY: "tracklet", TRACKLETS: "name"}  # the column of each table

Tables = Mapping[str, pa.Table]
"""File name of a table -> its rows."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One file's piece of a tracklet over several.

    Attributes:
        recording: Name of the file's recording.
        tables: Its rows, with paths below the folder of all recordings.
        row: Its row of tracklets.parquet as plain values.
    """

    recording: str
    tables: Tables
    row: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The tracklet's name there."""
        return str(self.row["name"])


Chain = Sequence[Part]


class Chains:
    """The tracklets at the cuts of recordings, which are added one by one, those of a camera in order."""

    def __init__(self) -> None:
        self._chains: dict[str, list[Part]] = {}  # not told yet, by the name of the last part
        self._open: dict[str, set[str]] = {}  # by recording
        self._least: dict[str, int] = {}

    def add(self, recording: str, record: Mapping[str, Any], tables: Tables) -> Tables:
        """Take up a recording that shows somebody.

        Args:
            recording: Its name.
            record: Its ingest.json.
            tables: Its rows.

        Returns:
            The rows of the tracklets that touch neither end of it.
        """
        edge = open_from(record)
        self._open[recording], self._least[recording] = set(edge.open), record["options"]["min_frames"]
        at_edge = pa.array(sorted({*edge.continues, *edge.open, *edge.short}), pa.string())
        if not len(at_edge):
            return tables
        for name in _chosen(tables[TRACKLETS], TRACKLETS, at_edge)["name"].to_pylist():
            self._take(_part(recording, name, tables), edge)
        return {name: _chosen(table, name, at_edge, out=True) for name, table in tables.items()}

    def _take(self, part: Part, edge: Open) -> None:
        before = self._chains.get(edge.continues.get(part.name, ""))
        if before is None or not _fit(before, part):
            self._chains[part.name] = [part]
        else:
            del self._chains[before[-1].name]
            self._chains[part.name] = [*before, part]

    def settled(self, waiting: Collection[str]) -> list[Chain]:
        """The tracklets that are whole now; told once. Those too short to stand alone are dropped.

        Args:
            waiting: Recordings whose next one is recorded, or being recorded, and not added yet.
        """
        whole = [chain for chain in self._chains.values() if not self._may_go_on(chain, waiting)]
        for chain in whole:
            del self._chains[chain[-1].name]
        found: list[Chain] = [
            c for c in whole if sum(len(p.row["frames"]) for p in c) >= self._least[c[-1].recording]
        ]
        needed = {chain[-1].recording for chain in self._chains.values()}
        for rows in (self._open, self._least):
            for name in rows.keys() - needed - set(waiting):
                del rows[name]
        return found

    def _may_go_on(self, chain: Chain, waiting: Collection[str]) -> bool:
        last = chain[-1]
        return last.recording in waiting and last.name in self._open[last.recording] and not _full(chain)


def rows_of(chain: Chain) -> Tables:
    """The rows of a whole tracklet."""
    if len(chain) == 1:
        return chain[0].tables
    return {TRACKLETS: _tracklet(chain), MOMENTS: _moments(chain), QUALITY: _qualities(chain)}


def _part(recording: str, name: str, tables: Tables) -> Part:
    own = {table: _chosen(rows, table, pa.array([name], pa.string())) for table, rows in tables.items()}
    return Part(recording=recording, tables=own, row=own[TRACKLETS].to_pylist()[0])


def _chosen(rows: pa.Table, table: str, names: pa.Array, *, out: bool = False) -> pa.Table:
    """The rows of some tracklets; with `out` those of all others."""
    inside = pc.is_in(rows[NAMES[table]].cast(pa.string()), value_set=names)
    return rows.filter(pc.invert(inside) if out else inside)


def _fit(chain: Chain, part: Part) -> bool:
    return not _full(chain) and chain[-1].row["modality"] == part.row["modality"]


def _full(chain: Chain) -> bool:
    start, end = chain[0].row["start_s"], chain[-1].row["end_s"]
    return bool(end - start >= _LONGEST_S)


def _tracklet(chain: Chain) -> pa.Table:
    sure = [part.row["modality_confidence"] for part in chain]
    row = {
        **chain[0].row,
        "frames": [frame for part in chain for frame in part.row["frames"]],
        "end_s": max(part.row["end_s"] for part in chain),
        "quality": _quality(chain).value,
        "modality_confidence": None if None in sure else min(sure),
    }
    return pa.Table.from_pylist([row], schema=chain[0].tables[TRACKLETS].schema)


def _moments(chain: Chain) -> pa.Table:
    whole = pa.concat_tables(
        part.tables[MOMENTS].cast(chain[0].tables[MOMENTS].schema) for part in chain
    ).unify_dictionaries()
    place, field = whole.column_names.index("tracklet"), whole.schema.field("tracklet")
    names = pa.array([chain[0].name] * len(whole), pa.string()).cast(field.type)
    return whole.set_column(place, field, names)


def _qualities(chain: Chain) -> pa.Table:
    quality = _quality(chain)
    row = {"tracklet": chain[0].name, **asdict(quality), "quality": quality.value}
    return pa.Table.from_pylist([row], schema=chain[0].tables[QUALITY].schema)


def _quality(chain: Chain) -> Quality:
    crops = [
        Crop(
            frame=row["frame"],
            x=row["x"],
            y=row["y"],
            width=row["width"],
            height=row["height"],
            score=row["score"],
            time_s=0.0,
            chroma=0.0,
            sharpness=row["sharpness"],
            hidden=row["hidden"],
        )
        for part in chain
        for row in part.tables[MOMENTS].to_pylist()
    ]
    # One crop says nothing of whether it moves.
    told = [part.row["quality"] == 0 for part in chain if len(part.row["frames"]) > 1]
    return replace(quality_of(crops), moves=0.0 if told and all(told) else 1.0)
