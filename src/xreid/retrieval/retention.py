"""Keeping pictures for so long and no longer: what is older goes from a folder of tracklets, for good.

Rows of the tables, crops, tracklets that are too short, boxes and recorded video. A tracklet goes when its
end is older, with all its pieces in several files; without a date its age counts from its ingest.

    OUT/forgetting.json     what is going: written first, removed when it is gone; the next writer goes on
    OUT/forgotten.csv       a line for each time that something went

Rows go before their crops, so that no row ever shows a crop that is gone.
"""

from __future__ import annotations

import csv
import shutil
import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from xreid.core.errors import DataError, XReidError
from xreid.core.files import atomic_file, read_json, write_json
from xreid.core.grown import GrownTable, read_grown, words_of
from xreid.retrieval.crops import SHORT
from xreid.retrieval.folder_lock import sole_writer
from xreid.retrieval.joins import NAMES
from xreid.retrieval.merge import HELD, ORDER, RECORDINGS, digest_of, finished
from xreid.retrieval.recorder import GAPS, Gap, GapLog, camera_of, length_s, start_of
from xreid.retrieval.records import TRACKLETS, TRACKS
from xreid.retrieval.retention_plan import VIDEO, Going, Pieces, plan
from xreid.retrieval.video_share import UNREADABLE

JOURNAL = "forgetting.json"
FORGOTTEN = "forgotten.csv"
LIST = "recordings.json"
_DAY_S = 86_400.0

Note = Callable[[str], None]


def limit_s(keep_days: float) -> float:
    """Unix time before which a tracklet's end is too old now."""
    return time.time() - keep_days * _DAY_S


def is_ingest(folder: Path) -> bool:
    """Whether a finished ingest, or some of them, lie in a folder."""
    return (folder / RECORDINGS).is_dir() or (folder / "ingest.json").is_file()


def forget_older(out: Path, *, before_s: float, note: Note = lambda text: None) -> Going:
    """Remove what is older from a folder of tracklets that nobody writes.

    Args:
        out: The folder.
        before_s: What ended before goes, Unix seconds (see `limit_s`).
        note: Called with remarks.

    Returns:
        What went.

    Raises:
        ConfigError: Another process writes it.
        DataError: It is damaged.
        XReidError: It cannot be written; the same call goes on where it was.
    """
    with writing(out):
        return forget(out, before_s=before_s, note=note)


def writing(out: Path) -> AbstractContextManager[object]:
    """Be the one process that writes a folder of tracklets.

    Raises:
        ConfigError: Another process writes it.
    """
    return sole_writer(out / RECORDINGS) if (out / RECORDINGS).is_dir() else nullcontext()


def forget(
    out: Path, *, before_s: float, spare: Collection[str] = (), note: Note = lambda text: None
) -> Going:
    """The same, by the process that writes the folder.

    Args:
        out: The folder.
        before_s: What ended before goes, Unix seconds (see `limit_s`).
        spare: Recordings that are being worked on.
        note: Called with remarks.
    """
    go_on(out)
    going = plan(out, before_s=before_s, spare=spare, note=note)
    remove(out, going)
    return going


def remove(out: Path, going: Going) -> None:
    """Remove what was planned; killed, the next writer of the folder goes on."""
    if going:
        write_json(out / JOURNAL, asdict(going))
        go_on(out)


def go_on(out: Path) -> None:
    """Remove what was going when a process was killed.

    Raises:
        DataError: What says so is damaged.
        XReidError: It cannot be written.
    """
    journal = out / JOURNAL
    if not journal.is_file():
        return
    try:
        going = Going.from_json(read_json(journal, what="list of what is going"))
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{journal} is damaged", got=str(error), todo="Remove it.") from error
    try:
        _remove(out, going)
        for folder in (out, *(out / place for place in going.pieces)):
            _remove_strays(folder)
        _write_down(out / FORGOTTEN, going)
        journal.unlink()
    except OSError as error:
        raise XReidError(
            f"cannot remove all that was to go from {out}: {error.strerror or error}",
            todo="Mend that; the same command then goes on where it was.",
        ) from error


def _remove(out: Path, going: Going) -> None:
    if (out / RECORDINGS).is_dir():
        _from_tables(out, going)
        _from_list(out / LIST, going)
    for place, pieces in going.pieces.items():
        _from_ingest(out / place, pieces)
    for name in going.recordings:
        _remove_folder(out / RECORDINGS / name)
    for name in going.video:
        _remove_video(out, name, was_ingested=Path(name).stem in going.recordings)


def _from_tables(out: Path, going: Going) -> None:
    """Take rows out of the tables of all recordings, the tracklets first."""
    here = {folder.name for folder in finished(out)}
    after = digest_of(here - set(going.recordings))
    whole = words_of(out / TRACKLETS).get(HELD) in (digest_of(here), after)
    words = {HELD: after} if whole else {}  # where it is none of these, the next start makes the tables anew
    for name in ORDER:
        gone = pa.array(going.rows, pa.string())
        column = NAMES[name]
        try:
            GrownTable(out / name).drop(
                lambda rows, column=column, gone=gone: pc.is_in(  # type: ignore[misc]
                    rows[column].cast(pa.string()), value_set=gone
                ),
                words,
            )
        except (pa.ArrowException, ValueError, XReidError):
            if not _is_damaged(out / name):
                raise
            GrownTable(out / TRACKLETS).compact()  # they do not say any more that all tables are whole
            (out / name).unlink(missing_ok=True)  # the next start makes it anew of the recordings


def _from_list(path: Path, going: Going) -> None:
    """Say in the list of recordings which are not to be ingested again."""
    if not path.is_file() or not going.recordings:
        return
    listed = read_json(path, what="list of recordings")
    for name in going.recordings:
        if name in listed["recordings"]:
            listed["recordings"][name]["forgotten"] = True
    write_json(path, listed)


def _from_ingest(folder: Path, pieces: Pieces) -> None:
    """Take tracklets out of one ingest: tables, boxes, then crops."""
    gone = pa.array(pieces.names, pa.string())
    for name in ORDER:
        if (folder / name).is_file():
            if _is_damaged(folder / name):
                continue  # whoever reads it says so; the crops go all the same
            table = pq.read_table(folder / name)
            inside = pc.is_in(table[NAMES[name]].cast(pa.string()), value_set=gone)
            with atomic_file(folder / name) as temporary:
                pq.write_table(table.filter(pc.invert(inside)), temporary, row_group_size=20_000)
    if (folder / TRACKS).is_file():
        numbers = {str(int(name.rpartition("-")[2])) for name in pieces.names}
        with atomic_file(folder / TRACKS) as temporary:
            lines = (folder / TRACKS).read_text(encoding="utf-8").splitlines(keepends=True)
            kept = [line for line in lines if line.split(",", 2)[1] not in numbers]
            temporary.write_text("".join(kept), encoding="utf-8")
    for crops in pieces.folders:
        _remove_folder(folder / crops)
    own = folder / TRACKLETS
    if own.is_file() and not _is_damaged(own) and not pq.read_metadata(own).num_rows:
        _emptied(folder)


def _is_damaged(path: Path) -> bool:
    """Whether a table is there and cannot be read, other than for what an operating system says."""
    if not path.is_file():
        return False
    try:
        read_grown(path).validate(full=True)
    except (pa.ArrowException, ValueError, DataError):
        return True
    except OSError as error:
        if error.errno is not None:
            raise
        return True
    return False


def _emptied(folder: Path) -> None:
    """No tracklet is left: an ingest among recordings keeps its empty tables, any other has none."""
    if folder.name == SHORT:
        _remove_folder(folder)
    elif folder.parent.name != RECORDINGS:
        for name in (*ORDER, TRACKS):
            (folder / name).unlink(missing_ok=True)


def _remove_video(out: Path, name: str, *, was_ingested: bool) -> None:
    path = out / VIDEO / name
    ingested = was_ingested or (out / RECORDINGS / path.stem / "ingest.json").is_file()
    if path.is_file() and path.suffix != UNREADABLE and not ingested:
        start = start_of(path)
        reason = "recorded, but removed before it was ingested: older than --keep_days"
        gap = Gap(camera=camera_of(path) or "", from_s=start, to_s=start + length_s(path), reason=reason)
        GapLog(out / GAPS).add(gap)
    path.unlink(missing_ok=True)


def _write_down(path: Path, going: Going) -> None:
    new = not path.is_file()
    with open(path, "a", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        if new:
            lines.writerow(["at", "ended_before", "tracklets", "short", "recordings", "video"])
        times = (
            "" if t is None else datetime.fromtimestamp(t, UTC).isoformat(timespec="seconds")
            for t in (time.time(), going.before_s)
        )
        lines.writerow([*times, going.tracklets, going.short, len(going.recordings), len(going.video)])


def _remove_strays(folder: Path) -> None:
    """What a process left half-written that was killed."""
    for name in (*ORDER, TRACKS, LIST, JOURNAL):
        for stray in folder.glob(f".{name}.*"):
            stray.unlink(missing_ok=True)


def _remove_folder(folder: Path) -> None:
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)
