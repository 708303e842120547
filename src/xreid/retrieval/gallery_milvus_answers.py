"""What a gallery on a Milvus server answers; how it is changed is in `gallery_milvus`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from xreid.core.embeddings import EmbeddingOrigin, EmbeddingSet
from xreid.core.errors import ConfigError, DataError
from xreid.core.tracklets import TrackletTable
from xreid.evaluation.calibration import Calibration, calibration_from_json
from xreid.retrieval.columns import Filter, Labels
from xreid.retrieval.engine import Vectors
from xreid.retrieval.gallery_documents import SESSION, told
from xreid.retrieval.gallery_expression import both, expression, ids_not_in
from xreid.retrieval.gallery_listing import MOST, Key, first_rows, skipped
from xreid.retrieval.gallery_milvus_view import MOST_ROWS, MilvusView, Overview
from xreid.retrieval.gallery_receipts import Receipt
from xreid.retrieval.gallery_rows import Entry, Found, StoredSet
from xreid.retrieval.gallery_seen import Seen, added, seen_by

_QUERIES = 64  # searches of a request
_TIES = 8  # more neighbours than asked for, so that equal scores at the end are seen


class MilvusAnswers(MilvusView):
    """Answers of a gallery on a server (see `gallery_store.Store`)."""

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
        if k + _TIES > MOST_ROWS:
            raise ConfigError("a server does not find so many at once", expected=f"up to {MOST_ROWS - _TIES}")
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

    def page(self, rules: Filter, *, after: str | None, limit: int, skip: int = 0) -> list[Entry]:
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
        elif skip:
            last, skip = skipped(lambda text: self._count(view, text), condition, skip)
        keys: list[Key] = []
        while len(keys) < skip + limit:
            wanted = min(skip + limit - len(keys), MOST)
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
        return self.entries([entry_id for _, entry_id in keys[skip:]]) if keys[skip:] else []

    def present(self, ids: Collection[str]) -> set[str]:
        """Those of these ids that are there."""
        return {row["id"] for row in self._by_ids(self._look(), sorted(ids), ["set_key"])}

    def seen(self) -> list[Seen]:
        """What each camera has seen."""
        return added(one for seen in self._seen_by_set().values() for one in seen)

    def labels(self) -> Counter[str]:
        """How many rows carry each label; the server knows only tokens of them, so all rows are read."""
        view = self._look()
        return Counter(
            label
            for stored in view.sets
            for row in self._rows_of(view, stored, ["document"])
            for label in self._entry(view, row).labels
        )

    def infrared(self) -> dict[str, int]:
        """How many tracklets of each set are infrared, by its key."""
        return {key: sum(one.infrared for one in seen) for key, seen in self._seen_by_set().items()}

    def _seen_by_set(self) -> dict[str, tuple[Seen, ...]]:
        """As the documents say; the rows are read of sets that an older version wrote."""
        view = self._look()
        for stored in view.sets:
            known = (stored.key, stored.revision)
            if stored.key not in view.seen and known not in self._counted:
                self._counted[known] = self._count_seen(view, stored)
        return {s.key: view.seen.get(s.key) or self._counted[s.key, s.revision] for s in view.sets}

    def _count_seen(self, view: Overview, stored: StoredSet) -> tuple[Seen, ...]:
        rows = self._rows_of(view, stored, ["document"])
        return tuple(seen_by(self._entry(view, row).tracklet for row in rows))

    def receipts(self, damaged: dict[str, str] | None = None) -> list[Receipt]:
        """What was erased, in order."""
        found = []
        begun = {name: plain["receipt"] for name, plain in self._documents.all("pending").items()}
        for name, plain in {**begun, **self._documents.all("receipt")}.items():
            try:
                found.append(Receipt.of(plain, what=f"document {name} of {self._address}"))
            except DataError as error:
                if damaged is None:
                    raise
                damaged[name] = str(error)
        return sorted(found, key=lambda receipt: (receipt.requested, receipt.id))

    def shared(self) -> dict[str, tuple[str, ...]]:
        """Content keys of pieces whose rows several sets hold together, and the keys of these."""
        return {key: tuple(sets) for key, sets in self._documents.all("piece").items()}

    def unread(self) -> dict[str, str]:
        """None: a server answers of all sets, or not at all."""
        return {}

    def labels_fault(self) -> DataError | None:
        """None: they are part of the rows."""
        return None

    def content(self, stored: StoredSet, *, labels: bool = True) -> tuple[EmbeddingSet, dict[str, Labels]]:
        """A whole set in order of ids, and the labels of its rows that have their own."""
        view = self._look()
        rows = list(self._rows_of(view, stored, ["document", "vector"]))
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

    def _search(self, view: Overview, vectors: Vectors, condition: str, k: int) -> list[list[Found]]:
        """With enough neighbours that no row which ties with the last is left out by chance."""
        assert view.rows is not None
        limit = min(k + _TIES, MOST_ROWS)
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
            if not cut or limit == MOST_ROWS:
                break
            limit = min(4 * limit, MOST_ROWS)
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
