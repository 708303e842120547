"""A gallery's folder as it is at one moment: immutable, so that threads search it while others append.

What has not changed is taken over from the snapshot before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from xreid.core.errors import DataError, ProtocolError
from xreid.core.tracklets import Modality, Tracklet
from xreid.retrieval.columns import Columns, Filter, Labels, Mask
from xreid.retrieval.engine import ExactEngine, Rows, Vectors
from xreid.retrieval.gallery_parts import SCHEMA, Ids, Member, Part
from xreid.retrieval.gallery_rows import ID_DIGITS, Entry, StoredSet, require_sets

_MASKS = 32  # remembered filters


class Snapshot:
    """All sets of a gallery's folder at one moment.

    Args:
        parts: The folders of its sets, in any order; that of the rows follows them.
        labels: Labels of the rows that have their own, by id; what is wrong where they cannot be read. Then
            whatever needs them says so, and rows are shown with the labels of their sets.
    """

    def __init__(self, parts: Sequence[Part], labels: Mapping[str, Labels] | DataError) -> None:
        self.parts, self._labels = tuple(parts), labels
        self._masks: dict[Filter, Mask] = {}

    @property
    def labels_fault(self) -> DataError | None:
        """Why the labels that rows have of their own cannot be read; None where they can."""
        return self._labels if isinstance(self._labels, DataError) else None

    @property
    def own_labels(self) -> Mapping[str, Labels]:
        """Labels of the rows that have their own, by id.

        Raises:
            DataError: They cannot be read.
        """
        if isinstance(self._labels, DataError):
            raise self._labels.with_traceback(None)  # raised more than once
        return self._labels

    @cached_property
    def members(self) -> tuple[Member, ...]:
        """The sets in order of rows."""
        return tuple(member for part in self.parts for member in part.members)

    @cached_property
    def table(self) -> pa.Table:
        """All tracklets without their frames, Arrow [N]."""
        return pa.concat_tables([SCHEMA.empty_table(), *(part.table for part in self.parts)])

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
        """int64 [parts + 1]: the first row of each part, and N."""
        return np.cumsum([0, *(len(part.ids) for part in self.parts)])

    @cached_property
    def set_of(self) -> Rows:
        """int64 [N]: which of `members` each row is in."""
        return np.repeat(np.arange(len(self.members)), [member.stored.rows for member in self.members])

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
            DataError: It asks for labels, which cannot be read.
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
            member = self.members[self.set_of[row]]
            entries.append(self._entry(member, values, frames, self.ids[row].decode()))
        return entries

    def vectors(self, rows: Rows) -> Vectors:
        """The vectors of these rows, float32 [n, D]."""
        which = np.searchsorted(self.starts, rows, side="right") - 1
        picked = [
            self.parts[number].vectors[row - self.starts[number]]
            for row, number in zip(rows, which, strict=True)
        ]
        return np.stack(picked).astype(np.float32)

    @cached_property
    def label_counts(self) -> Counter[str]:
        """How many rows carry each label; counted by sets, and by rows that have labels of their own."""
        counts = Counter[str]()
        for member in self.members:
            counts.update(dict.fromkeys(member.stored.labels, member.stored.rows))
        for row, own in zip(self.rows(self.own_labels, missing=True), self._present_labels(), strict=True):
            counts.subtract(self.members[self.set_of[row]].stored.labels)
            counts.update(own)
        return +counts

    def labels_of(self, entry_id: str, stored: StoredSet) -> Labels:
        """The labels of a row; those of its set where its own cannot be read."""
        if isinstance(self._labels, DataError):
            return stored.labels
        return self._labels.get(entry_id, stored.labels)

    def _entry(self, member: Member, values: dict[str, Any], frames: list[str], entry_id: str) -> Entry:
        values = {**values, "modality": Modality(values["modality"]), "frames": tuple(frames)}
        return Entry(
            id=entry_id,
            stored=member.stored,
            tracklet=Tracklet(**values),
            root=member.root,
            labels=self.labels_of(entry_id, member.stored),
        )

    def _set_mask(self, wanted: Sequence[str]) -> Mask:
        if not wanted:
            return np.ones(len(self.ids), dtype=bool)
        sets = [member.stored for member in self.members]
        require_sets(wanted, sets)
        return np.array([any(s.is_called(text) for text in wanted) for s in sets], dtype=bool)[self.set_of]

    def _label_mask(self, label: str) -> Mask:
        of_set = np.array([label in member.stored.labels for member in self.members], dtype=bool)
        mask = of_set[self.set_of]
        for row, own in zip(self.rows(self.own_labels, missing=True), self._present_labels(), strict=True):
            mask[row] = label in own
        return mask

    def _present_labels(self) -> list[Labels]:
        present = set(self.ids.tolist())
        return [own for entry_id, own in self.own_labels.items() if entry_id.encode() in present]
