"""A gallery on a Milvus server or cluster: NAME_documents says what there is, NAME_rows_N holds the rows.

A set becomes visible when its document says "ready", which is written after its rows; until then every answer
leaves its rows out. Ids follow from content, so that writing a set again after a crash completes it.

Milvus has no locks: appending is safe from several processes, all other changes come from one at a time.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xreid.core.embeddings import EmbeddingOrigin, EmbeddingSet
from xreid.core.errors import ConfigError, DataError, ProtocolError, XReidError
from xreid.core.tracklets import Modality, Tracklet, TrackletTable
from xreid.evaluation.calibration import Calibration, calibration_from_json
from xreid.retrieval.columns import Filter, Labels, require_known
from xreid.retrieval.engine import Vectors
from xreid.retrieval.gallery_documents import SESSION, STRONG, Documents, Level, told
from xreid.retrieval.gallery_expression import (
    both,
    expression,
    ids_in,
    ids_not_in,
    token,
)
from xreid.retrieval.gallery_listing import MOST, Key, first_rows
from xreid.retrieval.gallery_milvus_rows import make_rows, origin_from, packed, row_of, unpacked
from xreid.retrieval.gallery_receipts import Receipt, now
from xreid.retrieval.gallery_rows import Entry, Found, StoredSet, stored_from
from xreid.retrieval.gallery_snapshot import require_sets

if TYPE_CHECKING:
    from pymilvus import MilvusClient

FORMAT_VERSION = 1
_INSERT = 500  # rows of a request: 4 MB of 2,048 values
_ASK = 200  # rows read with their vectors in a request
_MOST = 16_384  # most rows of an answer
_QUERIES = 64  # searches of a request
_TIES = 8  # more neighbours than asked for, so that equal scores at the end are seen


@dataclass(frozen=True, kw_only=True)
class Overview:
    """What the documents say, at one version.

    Attributes:
        version: Changes with every change.
        rows: Name of the collection of rows; None before the first set.
        sets: Sets that are there, in order of appending.
        hidden: Keys of sets that are being written or removed.
        origin: What made the vectors.
        roots: Folder of the frames, by key.
        values: What occurs in the columns camera and place, by column.
    """

    version: str
    rows: str | None
    sets: tuple[StoredSet, ...]
    hidden: tuple[str, ...]
    origin: EmbeddingOrigin | None
    roots: Mapping[str, Path]
    values: Mapping[str, tuple[str, ...]]


class MilvusStore:
    """The rows of a gallery on a server (see `gallery_store.Store`).

    Args:
        client: Of the server.
        address: Where that is, for messages.
        name: Of the gallery; its collections begin with it.
        make: Whether it may be made.

    Raises:
        DataError: The server has no such gallery, or one of a newer format.
    """

    def __init__(self, client: MilvusClient, *, address: str, name: str, make: bool) -> None:
        self._client, self._address, self._name = client, address, name
        self._documents = Documents(client, f"{name}_documents", make=make)
        self._overview: Overview | None = None
        self._writing = threading.RLock()
        if make and self._documents.get("gallery", "head") is None:
            self._head(rows=None)
        self._require_format()

    @property
    def address(self) -> str:
        """Where it is."""
        return self._address

    # What is there.

    def sets(self) -> tuple[StoredSet, ...]:
        """The sets in order of appending."""
        return self._look().sets

    def origin(self) -> EmbeddingOrigin | None:
        """What made the vectors, None while the gallery is empty."""
        return self._look().origin

    def calibration(self) -> Calibration | None:
        """What the scores mean, from the last appended set that says so."""
        view = self._look()
        for stored in reversed(view.sets):
            plain = self._documents.get("calibration", f"{view.rows}/{stored.key}")
            if plain is not None:
                return calibration_from_json(plain, what=f"the calibration of set {stored.key}")
        return None

    def known(self, column: str) -> tuple[str, ...]:
        """What occurs in the column camera or place, sorted."""
        return self._look().values.get(column, ())

    def count(self, rules: Filter, exclude: Collection[str]) -> int:
        """Rows that pass, but those excluded."""
        view = self._look()
        return self._count(view, both(self._passing(view, rules), ids_not_in(exclude)))

    def entries(self, ids: Sequence[str]) -> list[Entry]:
        """The rows of these ids."""
        view = self._look()
        rows = {row["id"]: row for row in self._by_ids(view, ids, ["set_key", "document"])}
        self._require(ids, rows)
        return [self._entry(view, rows[i]) for i in ids]

    def vectors(self, ids: Sequence[str]) -> Vectors:
        """Their vectors, float32 [n, D]."""
        rows = {row["id"]: row for row in self._by_ids(self._look(), ids, ["vector"])}
        self._require(ids, rows)
        return np.stack([np.asarray(rows[i]["vector"], dtype=np.float32) for i in ids])

    def nearest(
        self, vectors: Vectors, *, k: int, rules: Sequence[Filter], exclude: Sequence[Collection[str]]
    ) -> list[list[Found]]:
        """The k best rows for each query."""
        if k + _TIES > _MOST:
            raise ConfigError("a server does not find so many at once", expected=f"up to {_MOST - _TIES}")
        view = self._look()
        conditions = [
            both(self._passing(view, rule), ids_not_in(ids)) for rule, ids in zip(rules, exclude, strict=True)
        ]
        found: list[list[Found]] = [[] for _ in conditions]
        for condition in dict.fromkeys(conditions):
            asking = [i for i, text in enumerate(conditions) if text == condition]
            for start in range(0, len(asking), _QUERIES):
                some = asking[start : start + _QUERIES]
                for i, hits in zip(some, self._search(view, vectors[some], condition, k), strict=True):
                    found[i] = hits
        return found

    def page(self, rules: Filter, *, after: str | None, limit: int) -> list[Entry]:
        """The next rows in order of time."""
        view = self._look()
        if view.rows is None:
            return []
        condition = self._passing(view, rules)
        last: Key | None = None
        if after is not None:
            rows = self._by_ids(view, [after], ["start_s"])
            self._require([after], {row["id"]: row for row in rows})
            last = (float(rows[0]["start_s"]), after)
        keys: list[Key] = []
        while len(keys) < limit:
            wanted = min(limit - len(keys), MOST)
            found = first_rows(
                lambda text: self._count(view, text),
                lambda text: [(float(r["start_s"]), r["id"]) for r in self._query(view, text, ["start_s"])],
                condition,
                after=last,
                limit=wanted,
            )
            keys += found
            if len(found) < wanted:
                break
            last = found[-1]
        return self.entries([entry_id for _, entry_id in keys]) if keys else []

    def receipts(self) -> list[Receipt]:
        """What was erased, in order."""
        found = [Receipt.of(plain, what=name) for name, plain in self._documents.all("receipt").items()]
        return sorted(found, key=lambda receipt: (receipt.requested, receipt.id))

    # Changes.

    @contextmanager
    def changing(self) -> Iterator[None]:
        """The gallery for one thread of this process alone."""
        with self._writing:
            self._look(STRONG)
            for plain in self._documents.all("pending").values():  # of erasures that were killed
                self._complete(Receipt.of(plain["receipt"], what="an erasure"), plain["ids"])
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

    def content(self, stored: StoredSet) -> tuple[EmbeddingSet, dict[str, Labels]]:
        """A whole set in order of ids, and the labels of its rows that have their own."""
        view, keys = self._look(), f'set_key == "{stored.key}"'
        buckets = max(1, stored.rows // _ASK)
        edges = [f"{(number << 80) // buckets:020x}" for number in range(buckets)]
        rows: list[dict[str, Any]] = []
        for low, high in zip(edges, [*edges[1:], "g"], strict=True):
            span = both(keys, f'id >= "{low}"', f'id < "{high}"')
            rows += sorted(
                self._query(view, span, ["set_key", "document", "vector"]), key=lambda row: row["id"]
            )
        entries = [self._entry(view, row) for row in rows]
        if view.origin is None or len(entries) != stored.rows:
            raise DataError(
                f"set {stored.key} of {self._address} is not whole",
                expected=f"{stored.rows} rows",
                got=str(len(entries)),
            )
        table = TrackletTable(
            root=view.roots[stored.key],
            rows=tuple(entry.tracklet for entry in entries),
            source=view.origin.source,
            licence=view.origin.licence,
        )
        vectors = np.stack([np.asarray(row["vector"], dtype=np.float32) for row in rows])
        calibration = self._documents.get("calibration", f"{view.rows}/{stored.key}")
        own = {entry.id: entry.labels for entry in entries if entry.labels != stored.labels}
        return EmbeddingSet(vectors=vectors, table=table, origin=view.origin, calibration=calibration), own

    def keep(self, receipt: Receipt) -> None:
        """Keep a receipt that another gallery gave."""
        self._documents.put("receipt", receipt.id, asdict(receipt))
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
        """Erase rows; the server drops the files they were in when its own retention is over."""
        self._documents.put("pending", receipt.id, {"receipt": asdict(receipt), "ids": list(ids)})
        self._documents.flush()
        return self._complete(receipt, list(ids))

    def _complete(self, receipt: Receipt, ids: list[str]) -> Receipt:
        """Erase; done again after a kill, it goes on."""
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
        note = "Milvus deletes the files they were in when dataCoord.gc.dropTolerance has passed."
        finished = replace(receipt, finished=now(), note=note)
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
            self._documents.put(
                "set", place, {**self._documents.get("set", place), "stored": asdict(revised)}
            )

    # Reading

    def _look(self, level: Level = SESSION) -> Overview:
        """What there is; what others change is seen within moments, or at once if `level` is Strong."""
        head = self._documents.get("gallery", "head", level=level)
        head = head or self._documents.get("gallery", "head")
        if head is None:
            raise DataError(f"{self._address} holds no gallery {self._name!r} any more")
        if self._overview is None or self._overview.version != head["version"]:
            overview = self._read(head)
            self._count(overview, "", STRONG)  # from now on the rows are as new as the documents
            self._overview = overview
        return self._overview

    def _read(self, head: dict[str, Any]) -> Overview:
        prefix = f"{head['rows']}/"
        plain = {
            name.removeprefix(prefix): value
            for name, value in self._documents.all("set").items()
            if name.startswith(prefix)
        }
        ready = {key: value for key, value in plain.items() if value["state"] == "ready"}
        ordered = sorted(ready.values(), key=lambda value: (value["order"], value["stored"]["appended"]))
        values = {
            column: tuple(sorted({text for value in ordered for text in value["values"][column]}))
            for column in ("camera", "place")
        }
        return Overview(
            version=head["version"],
            rows=head["rows"],
            sets=tuple(stored_from(value["stored"]) for value in ordered),
            hidden=tuple(sorted(set(plain) - set(ready))),
            origin=origin_from(ordered[0]["origin"]) if ordered else None,
            roots={key: Path(value["root"]) for key, value in ready.items()},
            values=values,
        )

    def _passing(self, view: Overview, rules: Filter) -> str:
        rules.require_resolved()
        require_known("camera", rules.cameras, view.values.get("camera", ()))
        require_known("place", rules.places, view.values.get("place", ()))
        require_sets(rules.sets, view.sets)
        return expression(rules, sets=view.sets, hidden=view.hidden)

    def _search(self, view: Overview, vectors: Vectors, condition: str, k: int) -> list[list[Found]]:
        """With enough neighbours that no row which ties with the last is left out by chance."""
        assert view.rows is not None
        limit = min(k + _TIES, _MOST)
        while True:
            with told():
                answers = self._client.search(
                    view.rows,
                    data=[vector.tolist() for vector in vectors],
                    filter=condition,
                    limit=limit,
                    output_fields=["set_key", "document"],
                    search_params={"metric_type": "IP"},
                    consistency_level=SESSION,
                )
            cut = any(
                len(hits) == limit and hits[k - 1]["distance"] <= hits[-1]["distance"] for hits in answers
            )
            if not cut or limit == _MOST:
                break
            limit = min(4 * limit, _MOST)
        unseen = {hit["entity"]["set_key"] for hits in answers for hit in hits} - set(view.roots)
        if unseen:  # of sets whose writing began after this overview was read
            fresh = self._look()
            hidden = expression(Filter(), sets=(), hidden=sorted(unseen - set(fresh.roots)))
            return self._search(fresh, vectors, both(condition, hidden), k)
        return [self._ranked(view, hits, k) for hits in answers]

    def _ranked(self, view: Overview, hits: Sequence[Any], k: int) -> list[Found]:
        ordered = sorted(hits, key=lambda hit: (-hit["distance"], hit["id"]))[:k]
        return [
            Found(
                entry=self._entry(view, {"id": hit["id"], **hit["entity"]}),
                score=float(np.clip(hit["distance"], -1, 1)),
            )
            for hit in ordered
        ]

    def _entry(self, view: Overview, row: Mapping[str, Any]) -> Entry:
        document, key = unpacked(row["document"]), row["set_key"]
        stored = next(s for s in view.sets if s.key == key)
        values = {**document["tracklet"], "frames": tuple(document["tracklet"]["frames"])}
        return Entry(
            id=row["id"],
            stored=stored,
            tracklet=Tracklet(**{**values, "modality": Modality(values["modality"])}),
            root=view.roots[key],
            labels=tuple(document["labels"]),
        )

    def _count(self, view: Overview, condition: str, level: Level = SESSION) -> int:
        if view.rows is None:
            return 0
        with told():
            rows = self._client.query(
                view.rows, filter=condition, output_fields=["count(*)"], consistency_level=level
            )
        return int(rows[0]["count(*)"])

    def _query(self, view: Overview, condition: str, fields: list[str]) -> list[dict[str, Any]]:
        with told():
            rows: list[dict[str, Any]] = self._client.query(
                view.rows or "",
                filter=condition,
                output_fields=["id", *fields],
                limit=_MOST,
                consistency_level=SESSION,
            )
        return rows

    def _by_ids(self, view: Overview, ids: Sequence[str], fields: list[str]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for start in range(0, len(ids) if view.rows else 0, _ASK):
            hidden = expression(Filter(), sets=(), hidden=view.hidden)
            rows += self._query(view, both(ids_in(ids[start : start + _ASK]), hidden), fields)
        return rows

    def _require(self, ids: Sequence[str], found: Mapping[str, Any]) -> None:
        missing = [i for i in ids if i not in found]
        if missing:
            raise ProtocolError(
                f"the gallery has no tracklet with the id {missing[0]!r}",
                todo="It may have been erased: list the gallery again.",
            )

    def _require_format(self) -> None:
        head = self._documents.get("gallery", "head")
        found = head.get("format") if isinstance(head, dict) else None
        if found != FORMAT_VERSION:
            raise DataError(
                f"{self._address} has another format",
                expected=f"server gallery format {FORMAT_VERSION}",
                got=str(found),
                todo="Use the xreid version that wrote it.",
            )

    # Writing

    def _head(self, *, rows: str | None, lasting: bool = True) -> None:
        """Replace the head, so that everybody looks again; `lasting` has all documents written to disk."""
        head = {"format": FORMAT_VERSION, "version": secrets.token_hex(8), "rows": rows}
        self._documents.put("gallery", "head", head)
        if lasting:
            self._documents.flush()

    def _put_set(
        self, rows: str, stored: StoredSet, embeddings: EmbeddingSet, *, state: str, order: int
    ) -> None:
        table, place = embeddings.table, f"{rows}/{stored.key}"
        plain = {
            "state": state,
            "order": order,
            "stored": asdict(stored),
            "origin": asdict(embeddings.origin),
            "root": str(table.root),
            "values": {
                "camera": table.cameras(),
                "place": sorted({row.place for row in table if row.place is not None}),
            },
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
