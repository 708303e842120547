"""moments.parquet: for every crop the recording, frame, time and box it was cut from.

With it an answer can show the moment in the video. Rows are grouped by tracklet, in order of time. Where a
tracklet was joined of several tracks, the first row of each later one says how alike they were (`tracks_of`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from xreid.core.errors import DataError
from xreid.core.files import atomic_file
from xreid.core.grown import read_grown
from xreid.retrieval.crops import XYWH

MOMENTS = "moments.parquet"
_ROWS_PER_GROUP = 20_000  # a look-up reads the groups that may hold its tracklet
_TEXT = pa.dictionary(pa.int32(), pa.string())
_SCHEMA = pa.schema(
    [
        ("tracklet", _TEXT),
        ("file", pa.string()),
        ("frame", pa.int32()),
        ("time_s", pa.float64()),
        ("offset_s", pa.float64()),
        *((name, pa.float32()) for name in ("x", "y", "width", "height", "score", "sharpness", "hidden")),
        ("source", _TEXT),
        ("joined", pa.float32()),
    ]
)
_LATER = ("joined",)  # columns that older folders do not have


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """Where one crop comes from.

    Attributes:
        tracklet: Name of the tracklet.
        file: The crop, relative to the table's root.
        frame: Number of the frame in the recording, from 1.
        time_s: When, on the clock of the tracklet's start_s and end_s; None for stills.
        offset_s: Seconds from the recording's first frame; None for stills.
        box: left, top, width, height in pixels of the frame, without margin.
        score: The detector's confidence.
        sharpness: 0 to 1 (see `quality`).
        hidden: Share of the person that is hidden, 0 to 1 (see `quality`).
        source: The recording: the path of the file or folder, or a stream's address without its password.
        joined: Where another track begins here, its cosine with the one before it; else None.
    """

    tracklet: str
    file: str
    frame: int
    time_s: float | None
    offset_s: float | None
    box: XYWH
    score: float
    sharpness: float
    hidden: float
    source: str
    joined: float | None = None


@dataclass(frozen=True, kw_only=True)
class Track:
    """One of the tracks that a tracklet was joined of (see `fragments`), or all of it.

    Attributes:
        first: Where it begins.
        last: Where it ends.
        joined: Its cosine with the track before it; None of the first.
    """

    first: Moment
    last: Moment
    joined: float | None = None


def write_moments(path: Path, moments: Iterable[Moment]) -> None:
    """Write rows, which must be grouped by tracklet, atomically."""
    columns: dict[str, list[Any]] = {name: [] for name in _SCHEMA.names}
    for moment in moments:
        for name, value in zip(("x", "y", "width", "height"), moment.box, strict=True):
            columns[name].append(value)
        for name in _SCHEMA.names:
            if name not in ("x", "y", "width", "height"):
                columns[name].append(getattr(moment, name))
    table = pa.table({n: pa.array(v, _SCHEMA.field(n).type) for n, v in columns.items()}, schema=_SCHEMA)
    with atomic_file(path) as temporary:
        pq.write_table(table, temporary, row_group_size=_ROWS_PER_GROUP)


def moments(root: Path, tracklet: str | None = None) -> list[Moment]:
    """The moments of a tracklet in order of time, or of all; none where nobody wrote them down.

    Args:
        root: The tracklets' folder.
        tracklet: Name of the tracklet.

    Raises:
        DataError: The file is damaged.
    """
    path = root / MOMENTS
    if not path.is_file():
        return []
    try:
        found = read_grown(path, filters=None if tracklet is None else [("tracklet", "=", tracklet)])
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path} is damaged", got=str(error)[:200], todo="Ingest again.") from error
    return list(_rows(found, path))


def moment(root: Path, tracklet: str, *, file: str | None = None) -> Moment | None:
    """One moment of a tracklet: that of a crop, or the one that shows the person best.

    Args:
        root: The tracklets' folder.
        tracklet: Name of the tracklet.
        file: One of the tracklet's frames.

    Returns:
        None where nobody wrote it down.
    """
    return best_moment(moments(root, tracklet), file=file)


def tracks_of(found: Sequence[Moment]) -> list[Track]:
    """The tracks that a tracklet was joined of; one where nothing was joined, or nobody wrote it down.

    Args:
        found: All its moments, in order of time.
    """
    starts = [i for i, row in enumerate(found) if i == 0 or row.joined is not None]
    ends = [i - 1 for i in starts[1:]] + [len(found) - 1]
    return (
        [
            Track(first=found[start], last=found[end], joined=found[start].joined if start else None)
            for start, end in zip(starts, ends, strict=True)
        ]
        if found
        else []
    )


def with_all_columns(table: pa.Table) -> pa.Table:
    """Rows that were written before a column was there, with it; nothing is known in it."""
    for name in _LATER:
        if name not in table.column_names:
            table = table.append_column(_SCHEMA.field(name), pa.nulls(len(table), _SCHEMA.field(name).type))
    return table


def lacks_columns(path: Path) -> bool:
    """Whether a table is there that was written before a column was, or is damaged."""
    try:
        return path.is_file() and not set(_LATER) <= set(pq.read_schema(path).names)
    except (OSError, pa.ArrowException) as error:
        if getattr(error, "errno", None) is not None:
            raise
        return True  # damaged: to be made anew, too


def best_moment(found: Iterable[Moment], *, file: str | None = None) -> Moment | None:
    """That of a crop, or the one that shows the person best; None where there is none."""
    return max((row for row in found if file in (None, row.file)), key=_showing, default=None)


def _showing(row: Moment) -> float:
    return (1 - row.hidden) * row.sharpness * row.box[3]


def _rows(table: pa.Table, path: Path) -> Iterator[Moment]:
    if missing := set(_SCHEMA.names) - set(_LATER) - set(table.column_names):
        raise DataError(f"{path} lacks columns", got=", ".join(sorted(missing)), todo="Ingest again.")
    for row in table.to_pylist():
        box = tuple(row.pop(name) for name in ("x", "y", "width", "height"))
        yield Moment(**{name: row[name] for name in _SCHEMA.names if name in row}, box=box)
