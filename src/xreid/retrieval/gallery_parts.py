"""The folders of a gallery's sets, opened: one set each, or a pack of many small ones (see `gallery_packs`).

Vectors are memory-mapped; columns lie in memory; the lists of frames are read when first asked for.
"""

from __future__ import annotations

import resource
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from xreid.core.embeddings import NUMBERS, EmbeddingOrigin
from xreid.core.errors import DataError
from xreid.core.tracklets import Modality, Tracklet
from xreid.retrieval.engine import Vectors
from xreid.retrieval.gallery_rows import ID_DIGITS, StoredSet, row_id
from xreid.retrieval.gallery_said import Said, StaleError, is_pack, repair, said_in

_SHOWN = [name for name in Tracklet.__dataclass_fields__ if name != "frames"]
SCHEMA = pa.schema([(name, pa.float64() if name in NUMBERS else pa.string()) for name in _SHOWN])
FRAMES = pa.field("frames", pa.list_(pa.string()))
_MODALITIES = pa.array([modality.value for modality in Modality])

Ids = npt.NDArray[np.bytes_]


@dataclass(frozen=True, kw_only=True)
class Member:
    """A set in a folder.

    Attributes:
        stored: What the manifest says of it.
        start: Its first row in the folder.
        said: What embedding.json says of it.
        digest: SHA-256 of its vectors, as it was when they were written (of vectors.npy, where the folder is
            its own; of its rows' bytes in a pack).
    """

    stored: StoredSet
    start: int
    said: Said
    digest: str

    @property
    def stop(self) -> int:
        """The row after its last."""
        return self.start + self.stored.rows

    @property
    def root(self) -> Path:
        """Folder that its frames are relative to."""
        return Path(self.said.root)


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
            DataError: They cannot be read.
            StaleError: The table has gone, because the set was rewritten or removed.
        """
        return _frames(self.folder / "tracklets.parquet")

    def told(self, sets: Sequence[StoredSet]) -> Part:
        """The same, of what a newer manifest says of its sets."""
        if all(member.stored == stored for member, stored in zip(self.members, sets, strict=True)):
            return self
        pairs = zip(self.members, sets, strict=True)
        return replace(self, members=tuple(replace(member, stored=stored) for member, stored in pairs))


def first_origin(folder: Path) -> EmbeddingOrigin:
    """What made the vectors of a folder of sets, of the first of them, without opening it.

    Raises:
        DataError: It is damaged.
        StaleError: It is not there.
    """
    return said_in(folder)[0][0].origin


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
            todo=repair(folder),
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
    return _columns(path).append_column(FRAMES, _frames(path))


def names_in(folder: Path) -> list[str]:
    """The names of the tracklets of a folder of sets; none where its table cannot be read."""
    try:
        names: list[str] = _columns(folder / "tracklets.parquet")["name"].to_pylist()
    except (DataError, StaleError):
        return []
    return names


def _members(folder: Path, sets: Sequence[StoredSet]) -> tuple[Member, ...]:
    said = said_in(folder, sets)
    starts = accumulate((stored.rows for stored in sets), initial=0)
    return tuple(
        Member(stored=stored, start=start, said=about, digest=digest)
        for stored, start, (about, digest) in zip(sets, starts, said, strict=False)  # `starts` has the end
    )


def _frames(path: Path) -> pa.ChunkedArray:
    """Lists of text [n], none of them missing."""
    try:
        frames = pq.read_table(path, columns=["frames"])["frames"].cast(FRAMES.type)
        if frames.null_count or pc.any(pc.is_null(pc.list_flatten(frames))).as_py():
            raise ValueError("a tracklet without frames")
    except FileNotFoundError as error:
        raise StaleError from error
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error
    return frames


def _columns(path: Path) -> pa.Table:
    """All columns but the frames; those that an older version did not write are empty."""
    try:
        file = pq.ParquetFile(path)
        known = [name for name in _SHOWN if name in file.schema_arrow.names]
        table = file.read(columns=known)
        missing = [name for name in _SHOWN if name not in known]
        for name in missing:
            table = table.append_column(name, pa.nulls(len(table), SCHEMA.field(name).type))
        table = table.select(_SHOWN).cast(SCHEMA)
        if table["name"].null_count or not pc.all(pc.is_in(table["modality"], _MODALITIES)).as_py():
            raise ValueError("a tracklet without a name, or neither visible nor infrared")
        return table
    except FileNotFoundError as error:
        raise StaleError from error
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(f"cannot read tracklet table {path}", got=str(error), todo=repair(path.parent))


def _mapped(path: Path, rows: int) -> Vectors:
    todo = repair(path.parent)
    try:
        array = read_array(path)
    except FileNotFoundError as error:
        raise StaleError from error
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}", got=str(error)[:200], todo=todo) from error
    if array.ndim != 2 or len(array) != rows or array.dtype != np.float32:
        raise DataError(
            f"{path} does not fit the gallery",
            expected=f"float32 [{rows}, D]",
            got=f"{array.dtype} {list(array.shape)}",
            todo=todo,
        )
    return array


def read_array(path: Path) -> npt.NDArray[Any]:
    """An .npy file, memory-mapped; OSError or ValueError where it is none, whatever numpy makes of it."""
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except (EOFError, SyntaxError, TypeError, OverflowError, tokenize.TokenError) as error:
        raise ValueError(f"it is no array: {error}") from error
