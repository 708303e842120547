"""A gallery: tracklets of one model with their columns, searched exactly, changed while it is searched.

    gallery = Gallery.open("gallery")                        # a folder
    gallery = Gallery.open("http://127.0.0.1:19530/site")    # a Milvus server or cluster

One object may be used by many threads, and sees what other threads and processes have changed at its next
call. Rows are known by their id, which stays the same for as long as the tracklet is in the gallery.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np

from xreid.core.embeddings import EmbeddingSet, content_key, require_same_origin
from xreid.core.errors import ConfigError, DataError, ProtocolError
from xreid.retrieval.columns import Filter, Labels
from xreid.retrieval.gallery_address import open_store
from xreid.retrieval.gallery_answers import GalleryAnswers
from xreid.retrieval.gallery_lacking import erased_from, in_already, lacking, not_held
from xreid.retrieval.gallery_receipts import Receipt, Request, now, receipt_of
from xreid.retrieval.gallery_rows import Entry, Found, StoredSet, last_seen_s, valid_labels

__all__ = ["Entry", "Filter", "Found", "Gallery", "Receipt", "StoredSet", "content_key"]


class Gallery(GalleryAnswers):
    """A gallery, wherever its rows are kept: what it answers, and how it is changed.

    `open` and `create` choose by the address what keeps the rows.
    """

    @classmethod
    def open(cls, address: str | Path) -> Gallery:
        """Open a gallery: a folder, or the address of a Milvus server.

        Raises:
            DataError: There is none, it is damaged or of a newer format, or the server does not answer.
        """
        return cls(open_store(address, make=False))

    @classmethod
    def create(cls, address: str | Path) -> Gallery:
        """Open a gallery, or make an empty one.

        Raises:
            DataError: The folder holds something else, or the server does not answer.
        """
        return cls(open_store(address, make=True))

    def append(
        self,
        embeddings: EmbeddingSet,
        *,
        name: str,
        labels: Collection[str] = (),
        others_than: Collection[str] = (),
        tell: Callable[[StoredSet], None] = lambda stored: None,
        note: Callable[[str], None] = lambda text: None,
    ) -> StoredSet | None:
        """Append an embedding set; of one that has grown since, what is new.

        Whoever was erased, or was too old, does not come back, whatever model has embedded him: rows whose
        vector or footage a receipt names stay out (`Receipt.is_of_footage`). What is in already under another
        key, because its folder was embedded anew, stays as it is.

        Args:
            embeddings: The set.
            name: What to call it.
            labels: Labels of all its tracklets.
            others_than: Ids of receipts that are of others than these tracklets, on the caller's word.
            tell: Called with what is about to be appended; where it raises, nothing is.
            note: Called with remarks on what is left out.

        Returns:
            The stored set, of what is new; None where all was in already, or was and is erased.

        Raises:
            ProtocolError: Another model or preprocessing made it.
            DataError: A receipt cannot be read, so that nobody knows whether these were erased.
            XReidError: The gallery cannot be written.
        """
        marks = valid_labels(labels)
        with self._store.changing():
            fresh = not_held(embeddings, known=self.sets, shared=self._store.shared())
            if not fresh and not others_than:
                return None
            if self.origin is not None:
                require_same_origin(self.origin, embeddings.origin)
            erased = erased_from(self, others_than=others_than)
            new = lacking(embeddings, fresh=fresh, erased=erased, find=self._in_already)
            if new.there:
                note(f"{new.there} of {name} left out: in already, from the same footage")
            if new.embeddings is None:
                if new.erased:
                    note(f"{new.erased} of {name} left out: erased here before")
                self._store.share(new.shared)
                return None
            stored = StoredSet(
                key=new.key,
                name=name,
                revision=0,
                rows=len(new.embeddings),
                erased=new.erased,
                appended=now(),
                labels=marks,
                contents=tuple(key for key in new.keys if key != new.key),
                others_than=tuple(sorted(set(others_than))),
            )
            tell(stored)
            appended = self._adopt(stored, new.embeddings, labels={})
            self._store.share(new.shared)
            return appended

    def label(
        self, ids: Collection[str], *, add: Collection[str] = (), remove: Collection[str] = ()
    ) -> list[Entry]:
        """Give tracklets labels and take labels from them; returns the tracklets with the new ones.

        Raises:
            ProtocolError: An id is not in the gallery; nothing is changed.
            ConfigError: A label is empty or too long.
        """
        more, less = set(valid_labels(add)), set(remove)
        with self._store.changing():
            before = self.entries(list(ids))
            changed = {e.id: tuple(sorted((set(e.labels) - less) | more)) for e in before}
            if any(changed[e.id] != e.labels for e in before):
                self._store.set_labels(changed)
        return self.entries(list(ids))

    def remove(self, which: str) -> StoredSet:
        """Remove a set, by key (or its beginning) or by name; returns it.

        Raises:
            ProtocolError: No set, or several, are meant.
        """
        with self._store.changing():
            sets = self.sets
            meant = [stored for stored in sets if stored.is_called(which)]
            if len(meant) != 1:
                raise ProtocolError(
                    f"{'several sets are' if meant else 'no set is'} called {which!r}",
                    expected="the key or the name of one set",
                    got=", ".join(f"{s.key} ({s.name})" for s in meant or sets) or "an empty gallery",
                )
            self._store.drop(meant[0])
            return meant[0]

    def erase(
        self,
        *,
        names: Collection[str] = (),
        identities: Collection[str] = (),
        asked_by: str = "",
        reason: str = "",
        dry_run: bool = False,
    ) -> Receipt:
        """Erase all tracklets of those names, and of those people, from every set and from the disk.

        Args:
            names: Names of tracklets; each is erased from every set that has it.
            identities: People.
            asked_by: On whose word; stands in the receipt.
            reason: Why; stands in the receipt.
            dry_run: Only say what would be erased.

        Returns:
            The receipt; the gallery keeps a copy (`receipts`).

        Raises:
            ProtocolError: A name or a person is not in the gallery, or none was named; nothing is erased.
            UnfinishedError: They were erased wherever it could be read, and something could not.
        """
        texts = {"names": sorted(set(names)), "identities": sorted(set(identities))}
        if not names and not identities:
            raise ProtocolError("nobody to erase was named", expected="names of tracklets, or identities")
        request = Request(
            kind="erase", asked_by=asked_by, reason=reason, texts=texts, criteria={}, dry_run=dry_run
        )
        return self._where_readable(lambda gallery: gallery._erase_asked(request))

    def expire(
        self,
        *,
        older_than_s: float,
        at_s: float | None = None,
        asked_by: str = "",
        reason: str = "",
        dry_run: bool = False,
    ) -> Receipt:
        """Erase all tracklets that ended longer ago; those without a date count from when they came.

        Args:
            older_than_s: Seconds.
            at_s: What the age is counted to, Unix seconds; default now.
            asked_by: On whose word; stands in the receipt.
            reason: Why; stands in the receipt.
            dry_run: Only say what would be erased.

        Returns:
            The receipt; the gallery keeps a copy (`receipts`), unless nothing was old enough.

        Raises:
            ConfigError: The age is no number above 0.
            UnfinishedError: What is that old was erased wherever it could be read, and something could not.
            DataError: Nothing that can be read is that old, and something cannot be read.
        """
        if not 0 < older_than_s < 1e10:
            raise ConfigError("that is no age", expected="seconds, above 0", got=str(older_than_s))
        before_s = (time.time() if at_s is None else at_s) - older_than_s
        criteria = {"older_than_s": older_than_s, "ended_before_s": before_s}
        request = Request(
            kind="expire", asked_by=asked_by, reason=reason, texts={}, criteria=criteria, dry_run=dry_run
        )
        receipt = self._where_readable(lambda gallery: gallery._expire_asked(request, before_s))
        if receipt.unread and not receipt.tracklets and not dry_run:
            raise DataError(
                "nothing that can be read is that old, and not everything can be read",
                got="; ".join(f"set {key}: {why}" for key, why in receipt.unread.items())[:1000],
                todo="Mend that, and expire again.",
            )
        return receipt

    def on_finished(self, tell: Callable[[Receipt], None]) -> None:
        """Have `tell` called with the receipt of an older, unfinished erasure that a change has finished."""
        self._store.on_finished = tell

    def keep(self, receipt: Receipt) -> None:
        """Keep a receipt that another gallery gave; one that is here already stays, if it can be read."""
        with self._store.changing():
            if all(known.id != receipt.id for known in self.receipts({})):
                self._store.keep(receipt)

    def changing(self) -> AbstractContextManager[None]:
        """Nobody else changes the gallery within."""
        return self._store.changing()

    def exchange(self, sets: Sequence[tuple[StoredSet, Path]]) -> None:
        """Put sets of another model in the place of all that are there, at once. Within `changing`.

        Args:
            sets: Each set's next revision, and the folder of the embedding set.
        """
        self._store.exchange(sets)

    def adopt(
        self, stored: StoredSet, embeddings: EmbeddingSet, *, labels: dict[str, Labels]
    ) -> StoredSet | None:
        """Append a set of another gallery as it is there, so that its rows keep their ids and labels.

        Args:
            stored: What the other gallery says of it.
            embeddings: The set.
            labels: Labels of rows that have their own, by id.

        Returns:
            The stored set; None where it was in already.

        Raises:
            ProtocolError: Another model or preprocessing made it.
        """
        with self._store.changing():
            return self._adopt(stored, embeddings, labels=labels)

    def _adopt(
        self, stored: StoredSet, embeddings: EmbeddingSet, *, labels: dict[str, Labels]
    ) -> StoredSet | None:
        if any(known.holds(stored.key) for known in self.sets):
            return None
        if self.origin is not None:
            require_same_origin(self.origin, embeddings.origin)
        self._store.add(stored, embeddings, labels=labels)
        return stored

    def _in_already(self, embeddings: EmbeddingSet, rows: Sequence[int]) -> dict[int, Entry]:
        """What of a set is there; of sets that cannot be read nobody knows."""
        try:
            return in_already(embeddings, rows, gallery=self)
        except DataError:
            readable = self._store.partly()
            if readable is None:
                raise
            return in_already(embeddings, rows, gallery=Gallery(readable))

    def _where_readable(self, change: Callable[[Gallery], Receipt]) -> Receipt:
        """Whoever can be erased is, though a set cannot be read."""
        try:
            return change(self)
        except DataError:
            readable = self._store.partly()
            if readable is None:
                raise
            return change(Gallery(readable))

    def _expire_asked(self, request: Request, before_s: float) -> Receipt:
        with self._store.changing():
            return self._erase(request, [entry for entry in self.walk() if last_seen_s(entry) < before_s])

    def _erase_asked(self, request: Request) -> Receipt:
        before = [receipt for receipt in self._store.receipts({}) if receipt.finished is None]
        with self._store.changing():
            gone: dict[str, Entry] = {}
            missing: list[str] = []
            for column, texts in request.texts.items():
                for text in texts:
                    named = column == "names"
                    found = list(self.walk(Filter(names=(text,)) if named else Filter(identities=(text,))))
                    missing += [] if found else [text]
                    gone.update({entry.id: entry for entry in found})
            for receipt in before if not gone and not request.dry_run else ():
                if all(
                    receipt.asked_for(column, t) for column, texts in request.texts.items() for t in texts
                ):
                    return self._store.finish(receipt.id)  # the same, asked for again
            if missing:
                unread = [f"set {key}: {why}" for key, why in self._store.unread().items()]
                raise ProtocolError(
                    f"not in {self.address}: {', '.join(missing[:5])}",
                    expected="names of tracklets, or identities, that the gallery holds",
                    got="sets that cannot be read: " + "; ".join(unread)[:1000] if unread else "",
                    todo="Nothing was erased.",
                )
            return self._erase(request, list(gone.values()))

    def _erase(self, request: Request, gone: list[Entry]) -> Receipt:
        ids = [entry.id for entry in gone]
        vectors = self.vectors(ids) if ids else np.empty((0, 0), dtype=np.float32)
        receipt = receipt_of(request, gone, vectors, gallery=self.address)
        receipt = replace(receipt, unread=self._store.unread())
        return self._store.erase(ids, receipt) if ids and not request.dry_run else receipt
