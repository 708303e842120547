"""A gallery's folder as it is at one moment: immutable, so that threads search it while others append.

Vectors are memory-mapped; columns lie in memory; the lists of frames are read from a set's table when one of
its tracklets is first shown. What has not changed is taken over from the snapshot before.
"""

from __future__ import annotations

import resource
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from xreid.core.embeddings import NUMBERS, EmbeddingOrigin
from xreid.core.errors import DataError, ProtocolError
from xreid.core.files import read_json
from xreid.core.tracklets import Modality, Tracklet
from xreid.retrieval.columns import Columns, Filter, Labels, Mask
from xreid.retrieval.engine import ExactEngine, Rows, Vectors
from xreid.retrieval.gallery_rows import ID_DIGITS, Entry, StoredSet, row_id

_MASKS = 32  # remembered filters
_SHOWN = [name for name in Tracklet.__dataclass_fields__ if name != "frames"]
_SCHEMA = pa.schema([(name, pa.float64() if name in NUMBERS else pa.string()) for name in _SHOWN])

Ids = npt.NDArray[np.bytes_]


class StaleError(Exception):
    """A file of the snapshot is gone: the gallery has changed since."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One set of the folder, opened.

    Attributes:
        stored: What the manifest says of it.
        folder: Where it lies.
        meta: Its embedding.json.
        table: Its tracklets without their frames, Arrow [n].
        ids: bytes [n], the ids of its rows.
        vectors: float32 [n, D], memory-mapped.
    """

    stored: StoredSet
    folder: Path
    meta: dict[str, Any]
    table: pa.Table
    ids: Ids
    vectors: Vectors

    @property
    def root(self) -> Path:
        """Folder that its frames are relative to."""
        return Path(self.meta["root"])

    @property
    def origin(self) -> EmbeddingOrigin:
        """What made its vectors."""
        return origin_of(self.meta)

    @cached_property
    def frames(self) -> pa.ChunkedArray:
        """The frames of its tracklets, lists of text [n].

        Raises:
            StaleError: The table has gone, because the set was rewritten or removed.
        """
        try:
            return pq.read_table(self.folder / "tracklets.parquet", columns=["frames"])["frames"]
        except FileNotFoundError as error:
            raise StaleError from error


def origin_of(meta: dict[str, Any]) -> EmbeddingOrigin:
    """What made the vectors of a set, from its embedding.json."""
    origin = meta["origin"]
    layout = tuple((name, int(width)) for name, width in origin["layout"])
    return EmbeddingOrigin(**{**origin, "layout": layout})


def open_part(folder: Path, stored: StoredSet) -> Part:
    """Open one set.

    Raises:
        DataError: It is damaged, or does not fit the manifest.
        StaleError: It is not there.
    """
    table = _columns(folder / "tracklets.parquet")
    if len(table) != stored.rows:
        raise DataError(
            f"{folder / 'tracklets.parquet'} does not fit the gallery",
            expected=f"{stored.rows} rows",
            got=str(len(table)),
            todo="Remove that set and append it again.",
        )
    ids = [row_id(stored.key, name) for name in table["name"].to_pylist()]
    return Part(
        stored=stored,
        folder=folder,
        meta=read_json(folder / "embedding.json", what="embedding set"),
        table=table,
        ids=np.array(ids, dtype=f"S{ID_DIGITS}"),
        vectors=_mapped(folder / "vectors.npy", stored),
    )


class Snapshot:
    """All sets of a gallery's folder at one moment.

    Args:
        parts: The sets in order of appending.
        labels: Labels of the rows that have their own, by id.
    """

    def __init__(self, parts: Sequence[Part], labels: Mapping[str, Labels]) -> None:
        self.parts, self.own_labels = tuple(parts), labels
        self._masks: dict[Filter, Mask] = {}

    @cached_property
    def sets(self) -> tuple[StoredSet, ...]:
        """The sets in order of appending."""
        return tuple(part.stored for part in self.parts)

    @cached_property
    def table(self) -> pa.Table:
        """All tracklets without their frames, Arrow [N]."""
        return pa.concat_tables([_SCHEMA.empty_table(), *(part.table for part in self.parts)])

    @cached_property
    def columns(self) -> Columns:
        """What filters look at."""
        return Columns.of(self.table)

    @cached_property
    def ids(self) -> Ids:
        """bytes [N]."""
        return np.concatenate([np.empty(0, dtype=f"S{ID_DIGITS}"), *(part.ids for part in self.parts)])

    @cached_property
    def starts(self) -> Rows:
        """int64 [sets + 1]: the first row of each set, and N."""
        return np.cumsum([0, *(len(part.ids) for part in self.parts)])

    @cached_property
    def by_id(self) -> Rows:
        """int64 [N]: rows in order of their ids."""
        return np.argsort(self.ids, kind="stable")

    @cached_property
    def rank(self) -> Rows:
        """int64 [N]: the place of each row in that order."""
        rank = np.empty(len(self.by_id), dtype=np.int64)
        rank[self.by_id] = np.arange(len(rank))
        return rank

    @cached_property
    def by_time(self) -> Rows:
        """int64 [N]: rows in order of their start, unknown ones last; equal ones in order of ids."""
        return np.lexsort((self.rank, self.columns.start_s))  # NaN sorts last

    @cached_property
    def engine(self) -> ExactEngine:
        """What finds nearest vectors."""
        return ExactEngine([part.vectors for part in self.parts], rank=self.rank)

    def mask(self, rules: Filter) -> Mask:
        """bool [N]: the rows that pass. Not to be written to.

        Raises:
            ProtocolError: A camera, a place or a set is not in the gallery.
        """
        known = self._masks.get(rules)
        if known is not None:
            return known
        keep = self.columns.mask(rules) & self._set_mask(rules.sets)
        for label in rules.labels:
            keep &= self._label_mask(label)
        if not rules.names:  # asked once, unlike what an operator filters by
            if len(self._masks) >= _MASKS:
                self._masks.clear()
            self._masks[rules] = keep
        return keep

    def allowed(self, rules: Sequence[Filter], exclude: Sequence[Collection[str]]) -> Mask:
        """bool [Q, N]: which rows each query may find."""
        allowed = np.stack([self.mask(rule) for rule in rules])
        for line, ids in zip(allowed, exclude, strict=bool(exclude)):
            line[self.rows(ids, missing=True)] = False
        return allowed

    def rows(self, ids: Collection[str], *, missing: bool = False) -> Rows:
        """int64 [n]: the rows of these ids, in their order; `missing` leaves out those that are not there.

        Raises:
            ProtocolError: One is not there.
        """
        wanted = np.array([i.encode()[: ID_DIGITS + 1] for i in ids], dtype=f"S{ID_DIGITS + 1}")
        if not len(self.ids):
            places, fits = np.zeros(len(wanted), dtype=np.int64), np.zeros(len(wanted), dtype=bool)
        else:
            places = np.searchsorted(self.ids, wanted, sorter=self.by_id)
            places = self.by_id[np.minimum(places, len(self.ids) - 1)]
            fits = self.ids[places] == wanted
        if not missing and not fits.all():
            raise ProtocolError(
                f"the gallery has no tracklet with the id {list(ids)[int(np.argmin(fits))]!r}",
                todo="It may have been erased: list the gallery again.",
            )
        return places[fits]

    def entries(self, rows: Sequence[int] | Rows) -> list[Entry]:
        """The tracklets of these rows, in their order."""
        found = self.table.take(pa.array(np.asarray(rows, dtype=np.int64))).to_pylist()
        which = np.searchsorted(self.starts, rows, side="right") - 1
        entries = []
        for values, row, number in zip(found, rows, which, strict=True):
            part = self.parts[number]
            frames = part.frames[int(row - self.starts[number])].as_py()
            entries.append(self._entry(part, values, frames, self.ids[row].decode()))
        return entries

    def vectors(self, rows: Rows) -> Vectors:
        """The vectors of these rows, float32 [n, D]."""
        which = np.searchsorted(self.starts, rows, side="right") - 1
        picked = [
            self.parts[number].vectors[row - self.starts[number]]
            for row, number in zip(rows, which, strict=True)
        ]
        return np.stack(picked).astype(np.float32)

    def labels_of(self, entry_id: str, stored: StoredSet) -> Labels:
        """The labels of a row."""
        return self.own_labels.get(entry_id, stored.labels)

    def _entry(self, part: Part, values: dict[str, Any], frames: list[str], entry_id: str) -> Entry:
        values = {**values, "modality": Modality(values["modality"]), "frames": tuple(frames)}
        return Entry(
            id=entry_id,
            stored=part.stored,
            tracklet=Tracklet(**values),
            root=part.root,
            labels=self.labels_of(entry_id, part.stored),
        )

    def _set_mask(self, wanted: Sequence[str]) -> Mask:
        if not wanted:
            return np.ones(len(self.ids), dtype=bool)
        chosen = [any(stored.is_called(text) for text in wanted) for stored in self.sets]
        require_sets(wanted, self.sets)
        return np.repeat(np.array(chosen, dtype=bool), np.diff(self.starts))

    def _label_mask(self, label: str) -> Mask:
        of_set = np.array([label in stored.labels for stored in self.sets], dtype=bool)
        mask = np.repeat(of_set, np.diff(self.starts))
        for row, own in zip(self.rows(self.own_labels, missing=True), self._present_labels(), strict=True):
            mask[row] = label in own
        return mask

    def _present_labels(self) -> list[Labels]:
        present = set(self.ids.tolist())
        return [own for entry_id, own in self.own_labels.items() if entry_id.encode() in present]


def require_sets(wanted: Sequence[str], sets: Sequence[StoredSet]) -> None:
    """Refuse sets that the gallery does not have.

    Raises:
        ProtocolError: One is not there.
    """
    for text in wanted:
        if not any(stored.is_called(text) for stored in sets):
            raise ProtocolError(
                f"the gallery has no set {text!r}",
                expected=", ".join(f"{s.key[:8]} ({s.name})" for s in sets[:5]) or "no set: it is empty",
            )


def allow_open_files(count: int) -> None:
    """Let this process hold that many files open: each memory-mapped set is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + 512
    if soft < wanted:
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def _columns(path: Path) -> pa.Table:
    """All columns but the frames; those that an older version did not write are empty."""
    try:
        file = pq.ParquetFile(path)
        known = [name for name in _SHOWN if name in file.schema_arrow.names]
        table = file.read(columns=known)
        missing = [name for name in _SHOWN if name not in known]
        for name in missing:
            table = table.append_column(name, pa.nulls(len(table), _SCHEMA.field(name).type))
        return table.select(_SHOWN).cast(_SCHEMA)
    except FileNotFoundError as error:
        raise StaleError from error
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataError(
            f"cannot read tracklet table {path}", got=str(error), todo="Remove that set."
        ) from error


def _mapped(path: Path, stored: StoredSet) -> Vectors:
    try:
        array: Any = np.load(path, mmap_mode="r")
    except FileNotFoundError as error:
        raise StaleError from error
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}", got=str(error), todo="Remove that set.") from error
    if array.ndim != 2 or len(array) != stored.rows or array.dtype != np.float32:
        raise DataError(
            f"{path} does not fit the gallery",
            expected=f"float32 [{stored.rows}, D]",
            got=f"{array.dtype} {list(array.shape)}",
            todo="Remove that set and append it again.",
        )
    return array
