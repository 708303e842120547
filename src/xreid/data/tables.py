"""Own data as a table: CSV or Parquet with one row per frame, or the Parquet that `xreid ingest` writes.

Columns of a per-frame table (any order; others are ignored):
    tracklet   name, required
    frame      image path, relative to the table's folder or absolute, required
    modality   vis, rgb, ir, thermal, ...; required
    identity, camera, subset   may be missing or empty
    time       seconds, or ISO 8601 (taken as UTC where it names no zone); orders the frames where given
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from xreid.core.embeddings import read_table
from xreid.core.errors import DataError
from xreid.core.tracklets import Modality, Tracklet, TrackletTable
from xreid.data.names import SUBSETS, licence_of, modality_of, modality_words

TABLE_NAMES = ("tracklets.parquet", "tracklets.csv", "frames.parquet", "frames.csv")
REQUIRED = ("tracklet", "frame", "modality")
OPTIONAL = ("identity", "camera", "time", "subset")


@dataclass(frozen=True, kw_only=True)
class FrameRow:
    """One row of a per-frame table.

    Attributes:
        place: File and line, for messages.
        tracklet: Name of its tracklet.
        frame: Image path.
        modality: Visible or infrared.
        identity: The person, or None.
        camera: The camera, or None.
        subset: One of train, auxiliary, query, gallery, or "".
        time: Seconds, or None.
    """

    place: str
    tracklet: str
    frame: str
    modality: Modality
    identity: str | None
    camera: str | None
    subset: str
    time: float | None

    @property
    def owner(self) -> tuple[str | None, str | None, Modality, str]:
        """What all frames of a tracklet must share."""
        return self.identity, self.camera, self.modality, self.subset


def find_table(root: Path) -> Path | None:
    """The table file meant by `root`: the file itself, or the one of a known name inside the folder."""
    if root.is_file():
        return root if root.suffix.lower() in (".csv", ".parquet") else None
    return next((root / name for name in TABLE_NAMES if (root / name).is_file()), None)


def read_own_table(root: Path, *, min_frames: int = 1, strict: bool = False) -> TrackletTable:
    """The tracklet table of own data.

    Args:
        root: A CSV or Parquet file, or the folder that holds one (tracklets.* or frames.*).
        min_frames: Shorter tracklets are left out.
        strict: Where frames of a tracklet name different people, cameras or modalities, keep those that agree
            with its first frame instead of refusing.

    Raises:
        DataError: The file is missing or malformed (the message names the line).
    """
    path = find_table(root)
    if path is None:
        raise DataError(
            f"{root} holds no tracklet table",
            expected=f"a CSV or Parquet file, or one of {', '.join(TABLE_NAMES)}",
        )
    if is_tracklet_parquet(path):
        table = read_table(path, root=path.parent, source="table")
        rows: Iterable[Tracklet] = table.rows
    else:
        rows = group_frames(read_frame_rows(path), strict=strict)
    kept = tuple(row for row in rows if len(row.frames) >= max(min_frames, 1))
    if not kept:
        raise DataError(
            f"{path} has no tracklet of {max(min_frames, 1)} frames or more", todo="Check the table."
        )
    return TrackletTable(
        root=path.parent, rows=kept, source="table", licence=licence_of(path.parent, terms="own data")
    )


def is_tracklet_parquet(path: Path) -> bool:
    """Whether a table has one row per tracklet (written by xreid) instead of one per frame."""
    return path.suffix.lower() == ".parquet" and "frames" in _parquet_columns(path)


def mixed_tracklets(path: Path) -> list[str]:
    """The rows of a per-frame table that disagree with the first frame of their tracklet."""
    first: dict[str, FrameRow] = {}
    mixed = []
    for row in read_frame_rows(path):
        owner = first.setdefault(row.tracklet, row)
        if row.owner != owner.owner:
            mixed.append(f"{row.place}: tracklet {row.tracklet} is of {_show(owner)}, not {_show(row)}")
    return mixed


def read_frame_rows(path: Path) -> Iterator[FrameRow]:
    """The rows of a per-frame table, checked one by one.

    Raises:
        DataError: A column is missing or a value is wrong.
    """
    for number, record in _records(path):
        yield _frame_row(f"{path}, line {number}", record)


def group_frames(rows: Iterable[FrameRow], *, strict: bool = False) -> list[Tracklet]:
    """Tracklets in order of their first frame; frames by time where all have one, else in file order.

    Raises:
        DataError: Frames of one tracklet disagree about person, camera, modality or subset (unless strict),
            or only some have a time.
    """
    groups: dict[str, list[FrameRow]] = {}
    for row in rows:
        groups.setdefault(row.tracklet, []).append(row)
    return [_tracklet(name, group, strict=strict) for name, group in groups.items()]


def _tracklet(name: str, rows: list[FrameRow], *, strict: bool) -> Tracklet:
    first = rows[0]
    other = next((row for row in rows if row.owner != first.owner), None)
    if other is not None and not strict:
        raise DataError(
            f"{other.place}: tracklet {name} mixes people, cameras, modalities or subsets",
            expected=_show(first),
            got=_show(other),
            todo="Mend the row, or read with strict to drop such frames.",
        )
    rows = [row for row in rows if row.owner == first.owner]
    timed = [row for row in rows if row.time is not None]
    if timed and len(timed) < len(rows):
        untimed = next(row for row in rows if row.time is None)
        raise DataError(f"{untimed.place}: no time, but other frames of tracklet {name} have one")
    rows = sorted(rows, key=lambda row: row.time or 0.0)
    return Tracklet(
        name=name,
        frames=tuple(row.frame for row in rows),
        modality=first.modality,
        identity=first.identity,
        camera=first.camera,
        subset=first.subset,
        start_s=rows[0].time,
        end_s=rows[-1].time,
    )


def _show(row: FrameRow) -> str:
    identity, camera, modality, subset = row.owner
    return f"identity {identity}, camera {camera}, {modality.value}" + (f", {subset}" if subset else "")


def _frame_row(place: str, record: dict[str, Any]) -> FrameRow:
    text = {name: _text(record.get(name)) for name in (*REQUIRED, "identity", "camera", "subset")}
    for name in REQUIRED:
        if text[name] is None:
            raise DataError(f"{place}: {name} is empty", todo="Fill it in.")
    modality = modality_of(text["modality"] or "")
    if modality is None:
        raise DataError(f"{place}: unknown modality", expected=modality_words(), got=repr(text["modality"]))
    subset = text["subset"] or ""
    if subset and subset not in SUBSETS:
        raise DataError(f"{place}: unknown subset", expected=", ".join(SUBSETS), got=repr(subset))
    return FrameRow(
        place=place,
        tracklet=text["tracklet"] or "",
        frame=_path(place, text["frame"] or ""),
        modality=modality,
        identity=text["identity"],
        camera=text["camera"],
        subset=subset,
        time=_seconds(place, record.get("time")),
    )


def _path(place: str, text: str) -> str:
    if "\0" in text:
        raise DataError(
            f"{place}: the frame's path holds a zero byte", got=repr(text), todo="Mend that line."
        )
    return text.replace("\\", "/")


def _text(value: Any) -> str | None:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer():  # a column of numbers with gaps, as pandas writes it
        return str(int(value))
    return str(value).strip() or None


def _seconds(place: str, value: Any) -> float | None:
    if isinstance(value, datetime):
        return _unix(value)
    text = _text(value)
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            return _unix(datetime.fromisoformat(text))
        except ValueError:
            _bad_time(place, text)
    return seconds if math.isfinite(seconds) else _bad_time(place, text)


def _unix(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _bad_time(place: str, text: str) -> NoReturn:
    raise DataError(f"{place}: time is wrong", expected="seconds or ISO 8601", got=repr(text))


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    if path.suffix.lower() == ".parquet":
        yield from enumerate(_parquet_records(path), 1)
        return
    try:
        with open(path, encoding="utf-8-sig", newline="") as handle:
            reader = csv.DictReader(handle, strict=True)
            _require_columns(path, list(reader.fieldnames or ()))
            for record in reader:
                if None in record or None in record.values():
                    raise DataError(
                        f"{path}, line {reader.line_num} is malformed",
                        expected=f"{len(reader.fieldnames or ())} fields",
                        todo="Mend that line.",
                    )
                yield reader.line_num, record
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot read table {path}", expected="CSV in UTF-8", got=str(error)) from error


def _parquet_records(path: Path) -> list[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = _parquet_columns(path)
    _require_columns(path, columns)
    wanted = [name for name in (*REQUIRED, *OPTIONAL) if name in columns]
    try:
        table = pq.read_table(path, columns=wanted)
        for i, field in enumerate(table.schema):
            if pa.types.is_timestamp(field.type):  # Python knows no nanoseconds
                micro = table.column(i).cast(pa.timestamp("us", tz=field.type.tz), safe=False)
                table = table.set_column(i, field.name, micro)
        records: list[dict[str, Any]] = table.to_pylist()
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataError(f"cannot read table {path}", expected="Parquet", got=str(error)) from error
    return records


def _parquet_columns(path: Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return list(pq.read_schema(path).names)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"cannot read table {path}", expected="Parquet", got=str(error)) from error


def _require_columns(path: Path, columns: list[str]) -> None:
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        raise DataError(
            f"table {path} lacks the column {' and '.join(missing)}",
            expected=f"{', '.join(REQUIRED)} and perhaps {', '.join(OPTIONAL)}",
            got=", ".join(columns) or "no header",
        )
