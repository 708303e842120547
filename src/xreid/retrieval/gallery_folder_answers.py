"""What a gallery's folder answers; how it is changed is in `gallery_folder`."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa

from xreid.core.embeddings import EmbeddingOrigin, EmbeddingSet
from xreid.core.errors import DataError
from xreid.core.files import read_json
from xreid.evaluation.calibration import Calibration, calibration_from_json
from xreid.retrieval.columns import Filter, Labels
from xreid.retrieval.engine import Vectors
from xreid.retrieval.gallery_manifest import Manifest
from xreid.retrieval.gallery_packs import content_of, embedding_set
from xreid.retrieval.gallery_parts import Part, allow_open_files, first_origin, open_part, whole_table
from xreid.retrieval.gallery_receipts import Receipt
from xreid.retrieval.gallery_rows import Entry, Found, StoredSet, row_id
from xreid.retrieval.gallery_said import StaleError
from xreid.retrieval.gallery_seen import Seen, seen_in
from xreid.retrieval.gallery_snapshot import Snapshot
from xreid.retrieval.typed import record

_TRIES = 20
T = TypeVar("T")


class FolderAnswers:
    """Answers of a gallery's folder, each of one moment; many threads may ask.

    Args:
        folder: Its folder.
        partly: Leave sets out that cannot be read (`unread`), instead of refusing all answers.

    Raises:
        DataError: It is no gallery, or damaged.
    """

    def __init__(self, folder: Path, *, partly: bool = False) -> None:
        self.folder, self._partly = folder, partly
        self.on_finished: Callable[[Receipt], None] = lambda receipt: None
        self._unread: dict[str, str] = {}
        self._seen: tuple[int, ...] = ()
        self._manifest, self._made_of = Manifest.read(folder), Manifest()
        self._snapshot = Snapshot((), {})
        self._origins: dict[str, EmbeddingOrigin] = {}
        self._tables: dict[Path, pa.Table] = {}
        self._looking = threading.RLock()

    @property
    def address(self) -> str:
        """Where it is."""
        return str(self.folder)

    def sets(self) -> tuple[StoredSet, ...]:
        """The sets in order of appending."""
        return self._look().sets

    def origin(self) -> EmbeddingOrigin | None:
        """What made the vectors, None while the gallery is empty."""
        folder = next(iter(self._look().folders), None)
        if folder is None:
            return None
        if folder not in self._origins:  # without opening all sets: appending asks for it
            try:
                self._origins = {folder: first_origin(self.folder / folder)}
            except (DataError, StaleError):  # rewritten in this moment, or damaged
                members = self.snapshot().members
                return members[0].said.origin if members else None
        return self._origins[folder]

    def calibration(self) -> Calibration | None:
        """What the scores mean, from the last appended set that says so."""
        now = self.snapshot()
        about = {member.stored.key: member.said.calibration for member in now.members}
        for stored in reversed(self._made_of.sets):
            plain = about.get(stored.key)
            if plain is not None:
                return calibration_from_json(plain, what=f"the calibration of set {stored.key}")
        return None

    def known(self, column: str) -> tuple[str, ...]:
        """What occurs in the column camera, place, identity or source, sorted."""
        values: tuple[str, ...] = getattr(self.snapshot().columns, column).values
        return values

    def count(self, rules: Filter, exclude: Collection[str]) -> int:
        """Rows that pass, but those excluded."""
        return int(self._read(lambda now: now.allowed([rules], [exclude]).sum()))

    def entries(self, ids: Sequence[str]) -> list[Entry]:
        """The rows of these ids."""
        return self._read(lambda now: now.entries(now.rows(ids)))

    def present(self, ids: Collection[str]) -> set[str]:
        """Those of these ids that are there."""
        now = self.snapshot()
        return {found.decode() for found in now.ids[now.rows(ids, missing=True)].tolist()}

    def vectors(self, ids: Sequence[str]) -> Vectors:
        """Their vectors, float32 [n, D]."""
        return self._read(lambda now: now.vectors(now.rows(ids)))

    def nearest(
        self, vectors: Vectors, *, k: int, rules: Sequence[Filter], exclude: Sequence[Collection[str]]
    ) -> list[list[Found]]:
        """The k best rows for each query."""

        def search(now: Snapshot) -> list[list[Found]]:
            allowed = now.allowed(rules, exclude)
            best = now.engine.top(vectors, k=k, allowed=lambda start, stop: allowed[:, start:stop])
            return [
                [
                    Found(entry=entry, score=float(score))
                    for entry, score in zip(now.entries(b.rows), b.scores, strict=True)
                ]
                for b in best
            ]

        return self._read(search)

    def page(self, rules: Filter, *, after: str | None, limit: int, skip: int = 0) -> list[Entry]:
        """The next rows in order of time."""

        def listed(now: Snapshot) -> list[Entry]:
            order = now.by_time
            start = 0
            if after is not None:
                start = int(np.flatnonzero(order == now.rows([after])[0])[0]) + 1
            rest = order[start:]
            return now.entries(rest[now.mask(rules)[rest]][skip : skip + limit])

        return self._read(listed)

    def seen(self) -> list[Seen]:
        """What each camera has seen."""
        return seen_in(self.snapshot().columns)

    def labels(self) -> Counter[str]:
        """How many rows carry each label."""
        return self.snapshot().label_counts

    def infrared(self) -> dict[str, int]:
        """How many tracklets of each set are infrared, by its key."""
        now = self.snapshot()
        counts = np.bincount(now.set_of, weights=now.columns.infrared, minlength=len(now.members))
        return {member.stored.key: int(n) for member, n in zip(now.members, counts, strict=True)}

    def labels_fault(self) -> DataError | None:
        """Why labels cannot be read."""
        return self.snapshot().labels_fault

    def content(self, stored: StoredSet, *, labels: bool = True) -> tuple[EmbeddingSet, dict[str, Labels]]:
        """A whole set, and the labels of its rows that have their own."""
        manifest = self._look()
        folder, sets = manifest.home_of(stored)
        embeddings = self._embedding_set(self.folder / folder, sets, stored)
        own = self._labels(manifest) if labels else {}
        ids = (row_id(stored.key, row.name) for row in embeddings.table) if own else ()
        return embeddings, {i: own[i] for i in ids if i in own}

    def receipts(self, damaged: dict[str, str] | None = None) -> list[Receipt]:
        """What was erased, in order."""
        found = []
        for number in self._look().receipts:
            try:
                found.append(Receipt.load(self._receipt(number)))
            except DataError as error:
                if damaged is None:
                    raise
                damaged[number] = str(error)
        return found

    def shared(self) -> dict[str, tuple[str, ...]]:
        """Content keys of pieces whose rows several sets hold together, and the keys of these."""
        return dict(self._look().shared)

    def unread(self) -> dict[str, str]:
        """Sets that are left out of all answers, and why, by key."""
        self.snapshot()
        return dict(self._unread)

    def snapshot(self) -> Snapshot:
        """The gallery as it is now."""
        for _ in range(_TRIES):
            try:
                return self._load()
            except StaleError:
                continue
        raise DataError(
            f"{self.folder} lacks sets that its gallery.json names",
            todo="Restore them from a backup, or remove the sets.",
        )

    # Reading

    def _read(self, answer: Callable[[Snapshot], T]) -> T:
        for _ in range(_TRIES):
            try:
                return answer(self.snapshot())
            except StaleError:
                continue
        raise DataError(f"{self.folder} lacks files that its gallery.json names", todo="Restore a backup.")

    def _look(self) -> Manifest:
        """The manifest, read again where it has been replaced."""
        with self._looking:
            try:
                stat = (self.folder / "gallery.json").stat()
            except OSError as error:
                raise DataError(f"{self.folder} is no gallery any more: {error.strerror}") from error
            seen = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
            if seen != self._seen:
                self._manifest = Manifest.read(self.folder)
                self._seen = seen
            return self._manifest

    def _load(self) -> Snapshot:
        with self._looking:
            manifest = self._look()
            if manifest != self._made_of:
                folders = manifest.folders
                allow_open_files(len(folders))
                known, unread = {part.folder: part for part in self._snapshot.parts}, dict[str, str]()
                parts = []
                for name, sets in folders.items():
                    try:
                        parts.append(self._part(known.get(self.folder / name), name, sets))
                    except (DataError, StaleError) as error:
                        if not self._partly:
                            raise
                        why = str(error) or f"{self.folder / name} is missing"
                        unread |= dict.fromkeys((stored.key for stored in sets), why)
                self._unread = unread
                self._snapshot, self._made_of = Snapshot(parts, self._labels_or_fault(manifest)), manifest
            elif self._snapshot.labels_fault and not isinstance(
                labels := self._labels_or_fault(manifest), DataError
            ):
                self._snapshot = Snapshot(self._snapshot.parts, labels)  # mended meanwhile
            return self._snapshot

    def _part(self, known: Part | None, name: str, sets: Sequence[StoredSet]) -> Part:
        same = known is not None and [m.stored.key for m in known.members] == [s.key for s in sets]
        part = known.told(sets) if known is not None and same else open_part(self.folder / name, sets)
        if self._partly:
            _ = part.frames  # read only when asked for, otherwise
        return part

    def _embedding_set(self, folder: Path, sets: Sequence[StoredSet], stored: StoredSet) -> EmbeddingSet:
        try:
            part = open_part(folder, sets)
            table = self._tables.get(folder)
            if table is None:
                table = whole_table(folder)
                self._tables = {folder: table}  # of the last one only: sets are read in order
        except StaleError as error:
            raise DataError(f"{folder} has gone", todo="Try again: the gallery has changed.") from error
        member = next(member for member in part.members if member.stored == stored)
        what = f"set {stored.key} in {folder}"
        return embedding_set(content_of(part, member, table), what=what)

    def _labels_or_fault(self, manifest: Manifest) -> dict[str, Labels] | DataError:
        try:
            return self._labels(manifest)
        except DataError as error:
            if self._look() != manifest:  # the file has gone because the gallery was changed
                raise StaleError from error
            return error

    def _labels(self, manifest: Manifest) -> dict[str, Labels]:
        if not manifest.labels:
            return {}
        path = self.folder / manifest.labels_file
        try:
            return record(dict[str, Labels], read_json(path, what="labels"))
        except (DataError, ValueError) as error:
            raise DataError(
                f"labels {path} are damaged",
                got=str(error)[:200],
                todo="Restore them from a backup, or write {} into that file: tracklets then have the labels "
                "of their sets, and lose their own.",
            ) from error

    def _receipt(self, number: str) -> Path:
        return self.folder / "receipts" / f"{number}.json"
