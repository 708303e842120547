"""The tracklets that `xreid ingest` keeps apart as too short, of all recordings of a folder as one table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

from xreid.core.embeddings import read_table
from xreid.core.errors import DataError
from xreid.core.tracklets import TrackletTable
from xreid.data.names import licence_of, natural_key

_TABLE, _SHORT = "tracklets.parquet", "short"


def read_short(root: Path) -> TrackletTable:
    """The table of `root/short`, or of `root/recordings/*/short` of the finished recordings.

    Args:
        root: A folder written by `xreid ingest`; the frames' paths are relative to it.

    Raises:
        DataError: There is none, or one is damaged.
    """
    recordings = (path.parent for path in (root / "recordings").glob("*/ingest.json"))
    folders = [
        root / _SHORT,
        *(one / _SHORT for one in sorted(recordings, key=lambda p: natural_key(p.name))),
    ]
    rows = []
    for folder in folders:
        if not (folder / _TABLE).is_file():
            continue
        place = PurePosixPath(folder.relative_to(root))
        for row in read_table(folder / _TABLE, root=folder, source="own"):
            rows.append(replace(row, frames=tuple((place / frame).as_posix() for frame in row.frames)))
    if not rows:
        raise DataError(
            f"no tracklet under {root} is kept apart as too short",
            expected="a folder written by `xreid ingest`, with short/ in it or in its recordings",
        )
    licence = licence_of(root, terms="own data")
    return TrackletTable(root=root, rows=tuple(rows), source="table, too short", licence=licence)
