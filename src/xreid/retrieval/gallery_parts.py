"""The folders of a gallery's sets, opened: one set each, or a pack of many small ones (see `gallery_packs`).

Vectors are memory-mapped; columns lie in memory; the lists of frames are read when first asked for.
"""

from __future__ import annotations

import resource
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from xreid.core.embeddings import NUMBERS, EmbeddingOrigin, origin_from
from xreid.core.errors import DataError
from xreid.core.files import read_json
from xreid.core.tracklets import Tracklet
from xreid.retrieval.engine import Vectors
from xreid.retrieval.gallery_rows import ID_DIGITS, StoredSet, row_id

PACK = "pack.json"
PACK_VERSION = 1
PACK_PREFIX = "pack-"
_SHOWN = [name for name in Tracklet.__dataclass_fields__ if name != "frames"]
SCHEMA = pa.schema([(name, pa.float64() if name in NUMBERS else pa.string()) for name in _SHOWN])
FRAMES = pa.field("frames", pa.list_(pa.string()))

Ids = npt.NDArray[np.bytes_]


class StaleError(Exception):
    """A file of the snapshot is gone: the gallery has changed since."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """A set in a folder.

    Attributes:
        stored: What the manifest says of it.
        start: Its first row in the folder.
        meta: What embedding.json says of it: root of the frames, origin, calibration, SHA-256 of its vectors
            (of vectors.npy, where the folder is its own; of its rows' bytes in a pack).
    """

    stored: StoredSet
    start: int
    meta: dict[str, Any]

    @property
    def stop(self) -> int:
        """The row after its last."""
        return self.start + self.stored.rows

    @property
    def root(self) -> Path:
        """Folder that its frames are relative to."""
        return Path(self.meta["root"])

    @property
    def origin(self) -> EmbeddingOrigin:
        """What made its vectors."""
        return origin_of(self.meta)


@dataclass(frozen=True, kw_only=True)
class Part:
    """A folder of sets, opened.

    Attributes:
        folder: Where it lies.
        members: The sets in it, in order of rows.
        table: Its tracklets without their frames, Arrow [n].
        ids: bytes [n], the ids of its rows.
        vectors: float32 [n, D], memory-mapped.
    """

    folder: Path
    members: tuple[Member, ...]
    table: pa.Table
    ids: Ids
    vectors: Vectors

    @property
    def packed(self) -> bool:
        """Whether it is a pack."""
        return is_pack(self.folder)

    @cached_property
    def frames(self) -> pa.ChunkedArray:
        """The frames of its tracklets, lists of text [n].

        Raises:
            StaleError: The table has gone, because the set was rewritten or removed.
        """
        try:
            table = pq.read_table(self.folder / "tracklets.parquet", columns=["frames"])
        except FileNotFoundError as error:
            raise StaleError from error
        return table["frames"].cast(FRAMES.type)

    def told(self, sets: Sequence[StoredSet]) -> Part:
        """The same, of what a newer manifest says of its sets."""
        if all(member.stored == stored for member, stored in zip(self.members, sets, strict=True)):
            return self
        pairs = zip(self.members, sets, strict=True)
        return replace(self, members=tuple(replace(member, stored=stored) for member, stored in pairs))


def is_pack(folder: Path) -> bool:
    """Whether a folder of sets is a pack, by its name."""
    return folder.name.startswith(PACK_PREFIX)


def origin_of(meta: dict[str, Any]) -> EmbeddingOrigin:
    """What made the vectors of a set, from its embedding.json."""
    return origin_from(meta["origin"])


def first_origin(folder: Path) -> EmbeddingOrigin:
    """What made the vectors of a folder of sets, of the first of them, without opening it.

    Raises:
        DataError: It is damaged.
        StaleError: It is not there.
    """
    if not is_pack(folder):
        return origin_of(_meta(folder / "embedding.json"))
    plain = _meta(folder / PACK)
    return origin_of(plain["about"][plain["sets"][0]["about"]])


def open_part(folder: Path, sets: Sequence[StoredSet]) -> Part:
    """Open a folder of sets.

    Args:
        folder: Its folder.
        sets: What the manifest says is in it, in order.

    Raises:
        DataError: It is damaged, or does not fit the manifest.
        StaleError: It is not there.
    """
    rows = sum(stored.rows for stored in sets)
    table, members = _columns(folder / "tracklets.parquet"), _members(folder, sets)
    if len(table) != rows:
        raise DataError(
            f"{folder / 'tracklets.parquet'} does not fit the gallery",
            expected=f"{rows} rows",
            got=str(len(table)),
            todo=_repair(folder),
        )
    names = table["name"].to_pylist()
    ids = [row_id(m.stored.key, name) for m in members for name in names[m.start : m.stop]]
    return Part(
        folder=folder,
        members=members,
        table=table,
        ids=np.array(ids, dtype=f"S{ID_DIGITS}"),
        vectors=_mapped(folder / "vectors.npy", rows),
    )


def allow_open_files(count: int) -> None:
    """Let this process hold that many files open: each memory-mapped set is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + 512
    if soft < wanted:
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def whole_table(folder: Path) -> pa.Table:
    """All columns, the frames last; Arrow [n].

    Raises:
        DataError: They cannot be read.
        StaleError: They are not there.
    """
    path = folder / "tracklets.parquet"
    try:
        frames = pq.read_table(path, columns=["frames"])["frames"].cast(FRAMES.type)
    except FileNotFoundError as error:
        raise StaleError from error
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error
    return _columns(path).append_column(FRAMES, frames)


def _members(folder: Path, sets: Sequence[StoredSet]) -> tuple[Member, ...]:
    starts = accumulate((stored.rows for stored in sets), initial=0)
    if not is_pack(folder):
        metas = [_meta(folder / "embedding.json")]
    else:
        plain = _meta(folder / PACK)
        try:
            if plain["format"] != PACK_VERSION:
                raise ValueError(f"format {plain['format']}")
            if [(one["key"], one["rows"]) for one in plain["sets"]] != [(s.key, s.rows) for s in sets]:
                raise ValueError("other sets than gallery.json says")
            metas = [{**plain["about"][one["about"]], **one} for one in plain["sets"]]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise DataError(f"{folder / PACK} is damaged", got=str(error), todo=_repair(folder)) from error
    return tuple(
        Member(stored=stored, start=start, meta=meta)
        for stored, start, meta in zip(sets, starts, metas, strict=False)  # `starts` has the end, too
    )


def _meta(path: Path) -> dict[str, Any]:
    if not path.parent.is_dir():
        raise StaleError
    found: dict[str, Any] = read_json(path, what="embedding set")
    return found


def _columns(path: Path) -> pa.Table:
    """All columns but the frames; those that an older version did not write are empty."""
    try:
        file = pq.ParquetFile(path)
        known = [name for name in _SHOWN if name in file.schema_arrow.names]
        table = file.read(columns=known)
        missing = [name for name in _SHOWN if name not in known]
        for name in missing:
            table = table.append_column(name, pa.nulls(len(table), SCHEMA.field(name).type))
        return table.select(_SHOWN).cast(SCHEMA)
    except FileNotFoundError as error:
        raise StaleError from error
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error


def _repair(folder: Path) -> str:
    """What to do about a damaged folder of sets."""
    if not is_pack(folder):
        key = folder.name.rpartition("-")[0]
        return f"Remove that set (`xreid gallery remove GALLERY {key}`) and append it again."
    return (
        f"Restore {folder.name} from a backup, or remove each of its sets (`xreid gallery remove GALLERY"
        " KEY`), whose keys gallery.json names, and append them again."
    )


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(f"cannot read tracklet table {path}", got=str(error), todo=_repair(path.parent))


def _mapped(path: Path, rows: int) -> Vectors:
    todo = _repair(path.parent)
    try:
        array: Any = np.load(path, mmap_mode="r")
    except FileNotFoundError as error:
        raise StaleError from error
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}", got=str(error), todo=todo) from error
    if array.ndim != 2 or len(array) != rows or array.dtype != np.float32:
        raise DataError(
            f"{path} does not fit the gallery",
            expected=f"float32 [{rows}, D]",
            got=f"{array.dtype} {list(array.shape)}",
            todo=todo,
        )
    return array
