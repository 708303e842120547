"""What of a folder of tracklets is older than an age: found out before anything is touched."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from xreid.core.errors import DataError
from xreid.core.grown import read_grown
from xreid.retrieval.columns import UNIX_FROM_S
from xreid.retrieval.crops import FRAMES, SHORT
from xreid.retrieval.ingest_identity import WORK
from xreid.retrieval.merge import RECORDINGS, finished, record_of
from xreid.retrieval.recorder import SUFFIX, camera_of, length_s, start_of
from xreid.retrieval.records import TRACKLETS
from xreid.retrieval.video_share import UNREADABLE

VIDEO = "video"
_LONGEST_S = 3_660.0  # of a live camera's file
_COLUMNS = ("name", "start_s", "end_s", "frames")


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """Tracklets of one ingest that go.

    Attributes:
        names: Of the tracklets.
        folders: Of their crops, relative to the ingest's folder.
    """

    names: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Going:
    """All that goes.

    Attributes:
        before_s: What ended before it goes, Unix seconds; None where tracklets go by name.
        rows: Names in the tables of all recordings.
        pieces: By the folder of an ingest, or of its short tracklets, relative to OUT ("." is OUT).
        recordings: Names of those of which nothing is left.
        video: Names of files of recorded video.
        tracklets: How many tracklets these are.
        short: How many of those that are too short.
    """

    before_s: float | None
    rows: tuple[str, ...] = ()
    pieces: Mapping[str, Pieces] = field(default_factory=dict)
    recordings: tuple[str, ...] = ()
    video: tuple[str, ...] = ()
    tracklets: int = 0
    short: int = 0

    def __bool__(self) -> bool:
        return bool(self.rows or self.pieces or self.recordings or self.video)

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Going:
        """From plain values."""
        pieces = {
            folder: Pieces(names=tuple(one["names"]), folders=tuple(one["folders"]))
            for folder, one in plain["pieces"].items()
        }
        texts = {name: tuple(plain[name]) for name in ("rows", "recordings", "video")}
        return cls(**{**plain, **texts, "pieces": pieces})


class _Rows(NamedTuple):
    """Of one table, what goes, and how many rows stay."""

    pieces: Pieces
    stay: int


def plan(
    out: Path,
    *,
    before_s: float,
    spare: Collection[str] = (),
    note: Callable[[str], None] = lambda text: None,
) -> Going:
    """What of a folder of tracklets ended before a moment.

    Args:
        out: The folder.
        before_s: Unix seconds.
        spare: Recordings that are being worked on.
        note: Called with what cannot be read.

    Raises:
        DataError: Its table is damaged.
    """
    if not (out / RECORDINGS).is_dir():
        return _of_single(out, before_s)
    spare = {*spare, *_links(out / RECORDINGS, note)}
    rows, staying = _rows(out, before_s, spare)
    pieces, whole, short, undated = dict[str, Pieces](), list[str](), 0, list[str]()
    for folder in finished(out):
        if folder.name in spare:
            continue
        try:
            start = _start(folder)
            if start is not None and start >= before_s:
                continue
            own, too_short = (
                _old(folder, before_s, below=out, but=staying),
                _old(folder / SHORT, before_s, below=out),
            )
        except DataError as error:
            note(f"cannot look for what is too old: {error}")
            continue
        short += len(too_short.pieces.names)
        if start is None:
            undated += own.pieces.names
        ended = start < before_s - _LONGEST_S if start is not None else _ingested(folder) < before_s
        if ended and not own.stay + too_short.stay:
            whole.append(folder.name)
            continue
        place = f"{RECORDINGS}/{folder.name}"
        pieces |= {place: own.pieces, f"{place}/{SHORT}": too_short.pieces}
    whole += _abandoned(out / RECORDINGS, before_s, spare)
    gone = tuple(dict.fromkeys([*rows, *undated]))
    return Going(
        before_s=before_s,
        rows=gone,
        pieces={place: one for place, one in pieces.items() if one.names},
        recordings=tuple(whole),
        video=tuple(_video(out / VIDEO, before_s, spare)),
        tracklets=len(gone),
        short=short,
    )


def _of_single(out: Path, before_s: float) -> Going:
    own, short = _old(out, before_s, below=out), _old(out / SHORT, before_s, below=out)
    pieces = {".": own.pieces, SHORT: short.pieces}
    return Going(
        before_s=before_s,
        pieces={place: one for place, one in pieces.items() if one.names},
        tracklets=len(own.pieces.names),
        short=len(short.pieces.names),
    )


def _rows(out: Path, before_s: float, spare: Collection[str]) -> tuple[list[str], set[str]]:
    """Names of the dated rows that go, and the folders of crops of those that stay, below OUT."""
    gone, staying = list[str](), set[str]()
    if not (out / TRACKLETS).is_file():
        return gone, staying
    began = pc.field("start_s") < before_s
    for row in rows_of(out / TRACKLETS, read_grown, columns=list(_COLUMNS), filters=began):
        folders = folders_of(row)
        busy = any(Path(folder).parts[1] in spare for folder in folders)
        if row["start_s"] < UNIX_FROM_S:
            continue  # as old as its ingest
        if row["end_s"] < before_s and not busy:
            gone.append(row["name"])
        else:
            staying |= folders
    return gone, staying


def _old(folder: Path, before_s: float, *, below: Path, but: Collection[str] = ()) -> _Rows:
    """What goes of one ingest's own table.

    Args:
        folder: Of the table.
        before_s: Unix seconds.
        below: The folder that `but` is relative to.
        but: Folders of crops that stay, because their tracklets go on elsewhere.
    """
    path, names, folders, stay = folder / TRACKLETS, list[str](), set[str](), 0
    if not path.is_file():
        return _Rows(Pieces(), 0)
    rows = rows_of(path, pq.read_table, columns=list(_COLUMNS))
    place = folder.relative_to(below)
    ingested = _ingested(folder.parent if folder.name == SHORT else folder)
    for row in rows:
        dated = row["end_s"] is not None and row["end_s"] >= UNIX_FROM_S
        crops = own_folders(row, path)
        if (row["end_s"] if dated else ingested) < before_s and not {str(place / one) for one in crops} & set(
            but
        ):
            names.append(row["name"])
            folders |= crops
        else:
            stay += 1
    return _Rows(Pieces(names=tuple(names), folders=tuple(sorted(folders))), stay)


def rows_of(path: Path, read: Callable[..., pa.Table], **options: Any) -> list[dict[str, Any]]:
    """The rows of a table of tracklets.

    Args:
        path: The table.
        read: What reads it: `pyarrow.parquet.read_table` or `read_grown`.
        options: For that.

    Raises:
        DataError: It is damaged.
    """
    try:
        return list(read(path, **options).to_pylist())
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path} is damaged", got=str(error)[:200], todo="Ingest again.") from error


def folders_of(row: Mapping[str, Any]) -> set[str]:
    """The folders of a tracklet's crops, as its table names them."""
    return {frame.rpartition("/")[0] for frame in row["frames"]}


def own_folders(row: Mapping[str, Any], path: Path) -> set[str]:
    """The same of one ingest's own table, which may be removed.

    Raises:
        DataError: They lie elsewhere.
    """
    crops = folders_of(row)
    if any(not one.startswith(f"{FRAMES}/") or ".." in one.split("/") for one in crops):
        raise DataError(f"{path} names pictures that are not its own", got=row["frames"][0])
    return crops


def _links(recordings: Path, note: Callable[[str], None]) -> set[str]:
    """Recordings that lie elsewhere: nothing is removed outside of the folder."""
    found = {path.name for path in recordings.iterdir() if path.is_symlink()}
    for name in sorted(found):
        note(f"cannot remove what is too old: {recordings / name} is a link")
    return found


def _abandoned(recordings: Path, before_s: float, spare: Collection[str]) -> list[str]:
    """Ingests that were begun, never finished, and last touched before: their crops are in no table."""
    found = []
    for folder in sorted(recordings.iterdir()):
        begun = (folder / WORK).is_dir() and not (folder / "ingest.json").is_file()
        if not begun or folder.name in spare:
            continue
        if max(path.lstat().st_mtime for path in (folder, *folder.rglob("*"))) < before_s:
            found.append(folder.name)
    return found


def _start(recording: Path) -> float | None:
    """Unix time at which a recording starts; None where it has no date."""
    try:
        start = float(record_of(recording)["options"]["start"])
    except (TypeError, ValueError):
        return None
    return start if start >= UNIX_FROM_S else None


def _ingested(folder: Path) -> float:
    try:
        return (folder / "ingest.json").stat().st_mtime
    except FileNotFoundError:
        raise DataError(f"{folder} is no ingest", todo="Ingest first.") from None


def _video(folder: Path, before_s: float, spare: Collection[str]) -> list[str]:
    """Closed files of a live camera that ended before."""
    found = []
    for path in sorted(folder.glob("[!.]*")) if folder.is_dir() else []:
        if path.suffix not in (SUFFIX, UNREADABLE) or path.stem in spare or camera_of(path) is None:
            continue
        start = start_of(path)
        if start < before_s - _LONGEST_S or (start < before_s and start + length_s(path) < before_s):
            found.append(path.name)
    return found
