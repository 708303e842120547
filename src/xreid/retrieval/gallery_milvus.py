"""A gallery on a Milvus server or cluster: NAME_documents says what there is, NAME_rows_N holds the rows.

A set becomes visible when its document says "ready", which is written after its rows; until then every answer
leaves its rows out. Ids follow from content, so that writing a set again after a crash completes it.

Milvus has no locks: appending is safe from several processes, all other changes come from one at a time.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from xreid.core.embeddings import EmbeddingSet
from xreid.core.errors import XReidError
from xreid.retrieval.columns import Labels
from xreid.retrieval.gallery_documents import STRONG, told
from xreid.retrieval.gallery_expression import token
from xreid.retrieval.gallery_milvus_answers import MilvusAnswers
from xreid.retrieval.gallery_milvus_rows import make_rows, packed, row_of, unpacked
from xreid.retrieval.gallery_milvus_view import FORMAT_VERSION, Overview
from xreid.retrieval.gallery_receipts import Receipt, UnfinishedError, now
from xreid.retrieval.gallery_rows import StoredSet
from xreid.retrieval.gallery_seen import Seen, plain_seen, seen_by

if TYPE_CHECKING:
    from pymilvus import MilvusClient

_INSERT = 500  # rows of a request: 4 MB of 2,048 values


class MilvusStore(MilvusAnswers):
    """The rows of a gallery on a server (see `gallery_store.Store`): answers, and changes.

    Args:
        client: Of the server.
        address: Where that is, for messages.
        name: Of the gallery; its collections begin with it.
        make: Whether it may be made.

    Raises:
        DataError: The server has no such gallery, or one of a newer format.
    """

    def __init__(self, client: MilvusClient, *, address: str, name: str, make: bool) -> None:
        super().__init__(client, address=address, name=name, make=make)
        self._writing = threading.RLock()
        self.on_finished: Callable[[Receipt], None] = lambda receipt: None
        if make and self._documents.get("gallery", "head") is None:
            self._head(rows=None)
        self._require_format()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """The gallery for one thread of this process alone."""
        with self._writing:
            self._look(STRONG)
            for plain in self._documents.all("pending").values():  # of erasures that were killed
                receipt = Receipt.of(plain["receipt"], what="an erasure")
                self._complete(receipt, plain["ids"], tell=self.on_finished)
            yield

    def add(self, stored: StoredSet, embeddings: EmbeddingSet, *, labels: Mapping[str, Labels]) -> None:
        """Append a set, and labels of rows that have their own."""
        longest = max(range(len(embeddings)), key=lambda i: len(embeddings.table[i].frames))
        row_of(stored, embeddings, longest, labels)  # refused before anything is written
        view = self._look()
        rows = view.rows or make_rows(self._client, f"{self._name}_rows_1", embeddings.vectors.shape[1])
        order = len(view.sets) + len(view.hidden)
        self._put_set(rows, stored, embeddings, state="writing", order=order)
        self._head(rows=rows, lasting=False)
        self._insert(rows, stored, embeddings, labels)
        self._put_set(rows, stored, embeddings, state="ready", order=order)
        self._head(rows=rows)

    def drop(self, stored: StoredSet) -> None:
        """Remove a set."""
        view = self._look()
        assert view.rows is not None
        place = f"{view.rows}/{stored.key}"
        self._documents.put("set", place, {**self._documents.get("set", place), "state": "removing"})
        self._head(rows=view.rows, lasting=False)
        with told():
            self._client.delete(view.rows, filter=f'set_key == "{stored.key}"')
        for kind in ("set", "calibration"):
            self._documents.drop(kind, place)
        self._head(rows=view.rows)
        self._settle(view.rows)

    def keep(self, receipt: Receipt) -> None:
        """Keep a receipt that another gallery gave."""
        self._documents.put("receipt", receipt.id, asdict(receipt))
        self._documents.flush()

    def share(self, pieces: Mapping[str, Sequence[str]]) -> None:
        """Remember pieces that several sets hold together, but of sets that are gone."""
        there = {stored.key for stored in self._look().sets}
        gone = {key for key, sets in self.shared().items() if not there.issuperset(sets)} if pieces else set()
        for key in gone - set(pieces):
            self._documents.drop("piece", key)
        for key, sets in pieces.items():
            self._documents.put("piece", key, list(sets))
        if pieces:
            self._documents.flush()

    def exchange(self, sets: Sequence[tuple[StoredSet, Path]]) -> None:
        """Put these sets, which lie in folders, in the place of all that are there: all at once."""
        view = self._look()
        own = {stored.key: self.content(stored)[1] for stored in view.sets}
        rows = ""
        for order, (stored, folder) in enumerate(sets):
            embeddings = EmbeddingSet.load(folder)
            number = int((view.rows or "_0").rpartition("_")[2]) + 1
            rows = rows or make_rows(self._client, f"{self._name}_rows_{number}", embeddings.vectors.shape[1])
            self._insert(rows, stored, embeddings, own.get(stored.key, {}))
            self._put_set(rows, stored, embeddings, state="ready", order=order)
        self._head(rows=rows)
        for name in self._documents.names("set") + self._documents.names("calibration"):
            if not name.startswith(f"{rows}/"):
                self._documents.drop("set", name)
                self._documents.drop("calibration", name)
        if view.rows is not None:
            with told():
                self._client.drop_collection(view.rows)

    def set_labels(self, labels: Mapping[str, Labels]) -> None:
        """Give rows these labels instead of those they have."""
        view = self._look()
        for row in self._by_ids(view, list(labels), ["*"]):
            document = unpacked(row["document"])
            document["labels"] = list(labels[row["id"]])
            changed = {**row, "document": packed(document, row["id"])}
            changed["labels"] = [token(label) for label in labels[row["id"]]]
            with told():
                self._client.upsert(view.rows or "", [changed])
        self._flush(view.rows)

    def erase(self, ids: Collection[str], receipt: Receipt) -> Receipt:
        """Erase rows; the server drops the files they were in when its own retention is over.

        Raises:
            UnfinishedError: The server failed on the way; the next change goes on.
        """
        self._documents.put("pending", receipt.id, {"receipt": asdict(receipt), "ids": list(ids)})
        try:
            self._documents.flush()
            return self._complete(receipt, list(ids))
        except XReidError as error:
            raise UnfinishedError(receipt, [str(error)]) from error

    def partly(self) -> None:
        """A server answers of all sets, or not at all."""
        return None  # noqa: RET501 (the protocol gives a store)

    def finish(self, number: str) -> Receipt:
        """A receipt, which is written when nothing is left."""
        return next(receipt for receipt in self.receipts({}) if receipt.id == number)

    def _complete(
        self, receipt: Receipt, ids: list[str], *, tell: Callable[[Receipt], None] = lambda receipt: None
    ) -> Receipt:
        """Erase; done again after a kill, it goes on; `tell` is called before the receipt says so."""
        view = self._look()
        assert view.rows is not None
        with told():
            for start in range(0, len(ids), _INSERT):
                self._client.delete(view.rows, ids=ids[start : start + _INSERT])
        for stored in view.sets:
            if stored.key in receipt.sets:
                self._recount(view, stored)
        self._head(rows=view.rows)
        self._settle(view.rows)
        if self._by_ids(self._look(), ids, ["set_key"]):
            raise XReidError("erased rows are still on the server", todo="Erase again.")
        note = (
            "Milvus deletes the files they were in when dataCoord.gc.dropTolerance has passed. Watch lists, "
            "alerts and judgements lie in folders elsewhere and forget at their next check."
        )
        finished = replace(receipt, finished=now(), note=note)
        tell(finished)
        self._documents.put("receipt", receipt.id, asdict(finished))
        self._documents.drop("pending", receipt.id)
        self._documents.flush()
        return finished

    def _recount(self, view: Overview, stored: StoredSet) -> None:
        """Write down how many rows of a set are left."""
        left = self._count(view, f'set_key == "{stored.key}"', STRONG)
        place = f"{view.rows}/{stored.key}"
        if not left:
            self._documents.drop("set", place)
        elif left != stored.rows:
            erased, revision = stored.erased + stored.rows - left, stored.revision + 1
            revised = replace(stored, rows=left, erased=erased, revision=revision)
            seen = self._count_seen(view, revised)
            changed = {"stored": asdict(revised), "seen": plain_seen(seen), "values": _values(seen)}
            self._documents.put("set", place, {**self._documents.get("set", place), **changed})

    def _head(self, *, rows: str | None, lasting: bool = True) -> None:
        """Replace the head, so that everybody looks again; `lasting` has all documents written to disk."""
        head = {"format": FORMAT_VERSION, "version": secrets.token_hex(8), "rows": rows}
        self._documents.put("gallery", "head", head)
        if lasting:
            self._documents.flush()

    def _put_set(
        self, rows: str, stored: StoredSet, embeddings: EmbeddingSet, *, state: str, order: int
    ) -> None:
        seen, place = seen_by(embeddings.table), f"{rows}/{stored.key}"
        plain = {
            "state": state,
            "order": order,
            "stored": asdict(stored),
            "origin": asdict(embeddings.origin),
            "root": str(embeddings.table.root),
            "values": _values(seen),
            "seen": plain_seen(seen),
        }
        if embeddings.calibration is not None:
            self._documents.put("calibration", place, embeddings.calibration)
        self._documents.put("set", place, plain)

    def _insert(
        self, rows: str, stored: StoredSet, embeddings: EmbeddingSet, labels: Mapping[str, Labels]
    ) -> None:
        for start in range(0, len(embeddings), _INSERT):
            block = [
                row_of(stored, embeddings, i, labels)
                for i in range(start, min(start + _INSERT, len(embeddings)))
            ]
            with told():
                self._client.upsert(rows, block)
        self._flush(rows)

    def _flush(self, rows: str | None) -> None:
        with told():
            self._client.flush(rows or "")

    def _settle(self, rows: str) -> None:
        """Write deletions to disk, and have the server rewrite the files they are in."""
        self._flush(rows)
        with told():
            self._client.compact(rows)


def _values(seen: Collection[Seen]) -> dict[str, list[str]]:
    """What occurs in the columns camera and place."""
    return {
        "camera": sorted(one.camera for one in seen if one.camera is not None),
        "place": sorted({place for one in seen for place in one.places}),
    }
