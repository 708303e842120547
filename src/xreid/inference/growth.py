"""An embedding set that grows with its tracklets: only what is new is embedded.

What `xreid ingest` writes gains rows while cameras are watched, and loses those that are too old. The set in
the same folder follows: rows that are there keep their vectors, rows that are gone go.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from xreid.core.embeddings import EmbeddingOrigin, EmbeddingSet, Piece, content_key, pieces_of
from xreid.core.errors import ConfigError, DataError
from xreid.core.files import sha256_of_value
from xreid.core.locks import only_process
from xreid.core.tracklets import Tracklet, TrackletTable

_STRAY_S = 3600.0  # what a killed process left half-written is older than that
_INGESTED = ("recordings", "ingest.json", "moments.parquet")  # one of them lies in a folder of `xreid ingest`


@dataclass(frozen=True, kw_only=True)
class Growth:
    """What a folder holds of a table, and what it lacks.

    Attributes:
        known: The rows that are there and in the table; None where there are none.
        todo: Numbers of the table's rows that are not there.
        gone: How many rows are there and not in the table.
    """

    known: EmbeddingSet | None
    todo: tuple[int, ...]
    gone: int = 0

    @property
    def is_done(self) -> bool:
        """Whether the folder holds the table."""
        return not self.todo and not self.gone


def look(out: Path, table: TrackletTable, origin: EmbeddingOrigin) -> Growth:
    """Compare a folder with a table.

    Args:
        out: Of the embedding set; may be missing.
        table: What it is to hold.
        origin: What is to make the vectors.

    Raises:
        ConfigError: It holds something else, or what another model made.
    """
    _restore(out)
    if not out.exists():
        return Growth(known=None, todo=tuple(range(len(table))))
    try:
        found = EmbeddingSet.load(out)
    except DataError as error:
        raise ConfigError(f"{out} exists and is no embedding set", todo="Choose another folder.") from error
    if found.origin.key != origin.key:
        raise ConfigError(
            f"{out} holds embeddings of another model or other options",
            todo="Choose another folder, or remove that one.",
        )
    growth = _compare(found, table)
    if not growth.is_done and not _may_grow(found, growth, table, origin.source):
        raise ConfigError(
            f"{out} holds embeddings of other tracklets", todo="Choose another folder, or remove that one."
        )
    return growth


def grown(known: EmbeddingSet, new: EmbeddingSet) -> EmbeddingSet:
    """A set with further rows after its own."""
    pieces = pieces_of(known)
    return replace(
        known,
        vectors=np.concatenate([known.vectors, new.vectors]),
        table=replace(new.table, rows=known.table.rows + new.table.rows),
        origin=new.origin,
        pieces=(*pieces, Piece(key=content_key(new), rows=len(new))),
    )


def in_order(growth: Growth, table: TrackletTable, begun: Sequence[str]) -> tuple[int, ...]:
    """The rows that are to be done, those of a job that was begun first: its parts are of use.

    Args:
        growth: What is lacking.
        table: The table.
        begun: `row_hash` of the rows of that job, in its order.
    """
    places = {row_hash(table[number]): number for number in growth.todo}
    if not begun or any(one not in places for one in begun):
        return growth.todo
    first = [places[one] for one in begun]
    return (*first, *(number for number in growth.todo if number not in set(first)))


def row_hash(row: Tracklet) -> str:
    """Of what decides a row's vector, and whose it is; not of the frames' bytes."""
    return sha256_of_value(_listed(row))[:24]


def table_hash(table: TrackletTable) -> str:
    """SHA-256 of what a table lists: names, people, cameras, modalities, frames; not of the frames' bytes."""
    return sha256_of_value([_listed(row) for row in table])


def _listed(row: Tracklet) -> list[Any]:
    return [row.name, row.identity, row.camera, row.modality.value, row.subset, row.frames]


def alone_in(folder: Path, out: Path) -> AbstractContextManager[None]:
    """Keep other processes from embedding into `out` as long as the block runs.

    Args:
        folder: Of the parts; it is made.
        out: Of the set.

    Raises:
        ConfigError: Another process does.
    """
    return only_process(folder, doing=f"embedding into {out}", todo="Wait for it, or end it.")


def _compare(found: EmbeddingSet, table: TrackletTable) -> Growth:
    rows = {row_hash(row): number for number, row in enumerate(table)}
    places = [rows.get(row_hash(row)) for row in found.table]
    places = [
        None if number is None or _other_pictures(old, table[number]) else number
        for number, old in zip(places, found.table, strict=True)
    ]
    stay = [place for place, number in enumerate(places) if number is not None]
    here = {number for number in places if number is not None}
    todo = tuple(number for number in range(len(table)) if number not in here)
    if not stay:
        return Growth(known=None, todo=todo, gone=len(found))
    numbers = [number for number in places if number is not None]
    if todo or len(stay) < len(found):  # keys before the rows are told anew: galleries know them
        found = replace(found, pieces=pieces_of(found))
    kept = found if len(stay) == len(found) else _without(found, stay)
    known = replace(kept, table=table.take(numbers))
    return Growth(known=known, todo=todo, gone=len(found) - len(stay))


def _other_pictures(old: Tracklet, new: Tracklet) -> bool:
    """Whether frames of the same names were cut anew, by another ingest into the same folder."""
    told = [
        (getattr(old, name), getattr(new, name))
        for name in ("quality", "modality_confidence", "start_s", "end_s")
    ]
    return any(None not in pair and pair[0] != pair[1] for pair in told)


def _without(found: EmbeddingSet, stay: Sequence[int]) -> EmbeddingSet:
    """Some rows of a set; its pieces keep their keys."""
    pieces, start = list[Piece](), 0
    for piece in found.pieces:
        rows = sum(start <= place < start + piece.rows for place in stay)
        pieces += [replace(piece, rows=rows)] if rows else []
        start += piece.rows
    return replace(found.take(stay), pieces=tuple(pieces))


def _may_grow(found: EmbeddingSet, growth: Growth, table: TrackletTable, source: str) -> bool:
    """Whether it is the same data, some time later, and not other data."""
    if (found.table.root, found.origin.source) != (table.root, source):
        return False
    if not growth.gone:
        return True
    ingested = any((table.root / name).exists() for name in _INGESTED)
    names = {row.name for row in found.table} & {row.name for row in table}
    return ingested and (growth.known is not None or not names)


def _restore(out: Path) -> None:
    """Put back what a process had moved away that was killed before it put the new set there."""
    ours = re.compile(rf"\.{re.escape(out.name)}\.(old\.)?[a-z0-9_]{{8}}")  # as `atomic_folder` names them
    for stray in out.parent.glob(f".{out.name}.*"):
        if not ours.fullmatch(stray.name) or not stray.is_dir() or stray.is_symlink():
            continue
        if stray.name.startswith(f".{out.name}.old.") and (stray / "old").is_dir() and not out.exists():
            (stray / "old").rename(out)
        if stray.lstat().st_mtime < time.time() - _STRAY_S:
            shutil.rmtree(stray, ignore_errors=True)
