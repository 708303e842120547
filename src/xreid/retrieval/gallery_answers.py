"""What a gallery answers; `gallery.Gallery` also changes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

import numpy as np

from xreid.core.embeddings import EmbeddingOrigin, EmbeddingSet
from xreid.core.errors import ConfigError, DataError, ProtocolError
from xreid.evaluation.calibration import Calibration
from xreid.retrieval.columns import Filter, Labels
from xreid.retrieval.engine import Vectors
from xreid.retrieval.gallery_receipts import Receipt
from xreid.retrieval.gallery_rows import Entry, Found, StoredSet
from xreid.retrieval.gallery_seen import Seen
from xreid.retrieval.gallery_store import Store

PAGE = 1000


class GalleryAnswers:
    """A gallery that is looked at.

    Args:
        store: Keeps the rows.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def __len__(self) -> int:
        return sum(stored.rows for stored in self.sets)

    @property
    def address(self) -> str:
        """Where it is."""
        return self._store.address

    @property
    def name(self) -> str:
        """What to call it."""
        return self.address.rstrip("/").rpartition("/")[2]

    @property
    def sets(self) -> tuple[StoredSet, ...]:
        """Its sets in order of appending."""
        return self._store.sets()

    @property
    def origin(self) -> EmbeddingOrigin | None:
        """What made the vectors, None while the gallery is empty."""
        return self._store.origin()

    @property
    def calibration(self) -> Calibration | None:
        """What the scores mean, from the last appended set that says so; None where none does.

        Raises:
            DataError: It is damaged.
        """
        return self._store.calibration()

    @property
    def cameras(self) -> tuple[str, ...]:
        """The cameras that occur, sorted."""
        return self._store.known("camera")

    @property
    def places(self) -> tuple[str, ...]:
        """The places that occur, sorted."""
        return self._store.known("place")

    def count(self, rules: Filter | None = None, *, exclude: Collection[str] = ()) -> int:
        """How many tracklets pass the filter, those of the excluded ids apart.

        Raises:
            ProtocolError: It names a camera, a place or a set that is not in the gallery.
        """
        return self._store.count(rules or Filter(), exclude)

    def entries(self, ids: Sequence[str]) -> list[Entry]:
        """The tracklets of these ids, in their order.

        Raises:
            ProtocolError: One is not in the gallery (any more).
        """
        return self._store.entries(list(ids)) if len(ids) else []

    def present(self, ids: Collection[str]) -> set[str]:
        """Those of these ids that are in the gallery."""
        return self._store.present(ids)

    def vectors(self, ids: Sequence[str]) -> Vectors:
        """Their vectors, float32 [n, D] of unit length.

        Raises:
            ProtocolError: One is not in the gallery (any more), or none was asked for.
        """
        if not len(ids):
            raise ProtocolError("no tracklet was named", expected="one id or more")
        return self._store.vectors(list(ids))

    def find(self, name: str) -> Entry:
        """The tracklet of that name, or id; "SET:NAME" where several sets have it (SET is a key or a name).

        Raises:
            ProtocolError: There is none, or several.
        """
        found = self._named(name)
        if not found and ":" in name:
            prefix, _, rest = name.partition(":")
            found = [entry for entry in self._named(rest) if entry.stored.is_called(prefix)]
        if len(found) == 1:
            return found[0]
        if found:
            sets = ", ".join(f"{entry.stored.name} ({entry.stored.key[:8]})" for entry in found)
            raise ProtocolError(f"{name!r} is in the sets {sets}", todo=f"Say which, as SET:{name}.")
        try:
            return self._store.entries([name])[0]
        except ProtocolError:
            some = ", ".join(entry.tracklet.name for entry in self.page(limit=5))
            raise ProtocolError(
                f"{self.address} has no tracklet {name!r}",
                expected=f"{some}, ..." if some else "a gallery that is not empty",
            ) from None

    def nearest(
        self,
        vectors: Vectors,
        *,
        k: int,
        rules: Filter | Sequence[Filter] | None = None,
        exclude: Sequence[Collection[str]] = (),
    ) -> list[list[Found]]:
        """The k tracklets of greatest cosine for each query, best first, exactly; ties in order of ids.

        Args:
            vectors: float32 [Q, D] of unit length.
            k: Most tracklets of a query.
            rules: Which may be found; one filter for all queries, or one for each.
            exclude: Ids that a query must not find (its own, for one); empty, or one collection for each.

        Raises:
            ProtocolError: The vectors are of another width than the gallery's, or a filter names a camera, a
                place or a set that is not in the gallery.
            ConfigError: k is below 1, or `rules` or `exclude` are not one per query.
        """
        count = len(vectors)
        each = [rules or Filter()] * count if isinstance(rules, Filter | None) else list(rules)
        if k < 1 or len(each) != count or len(exclude) not in (0, count):
            raise ConfigError(
                "that is no search",
                expected=f"k of 1 or more, and a filter and excluded ids for each of {count} queries",
                got=f"k {k}, {len(each)} filters, {len(exclude)} collections of ids",
            )
        for rule in each:
            rule.require_resolved()
        origin = self.origin
        if not count or origin is None:
            return [[] for _ in range(count)]
        width = sum(w for _, w in origin.layout)
        if vectors.ndim != 2 or vectors.shape[1] != width:
            raise ProtocolError(
                "the query's vectors do not fit the gallery", expected=f"[Q, {width}]", got=str(vectors.shape)
            )
        plain = np.ascontiguousarray(vectors, dtype=np.float32)
        return self._store.nearest(plain, k=k, rules=each, exclude=exclude or [()] * count)

    def page(
        self, rules: Filter | None = None, *, after: str | None = None, limit: int = PAGE, skip: int = 0
    ) -> list[Entry]:
        """The next tracklets in order of their start, unknown ones last, ties in order of ids.

        Args:
            rules: Which.
            after: Id of the last one of the page before; None for the first page.
            limit: Most tracklets of the page.
            skip: How many of them to leave out first: a list is entered anywhere.

        Raises:
            ProtocolError: `after` is not in the gallery (any more).
        """
        if limit < 1:
            raise ConfigError("a page must hold something", expected="limit 1 or more", got=str(limit))
        return self._store.page(rules or Filter(), after=after, limit=limit, skip=skip)

    def walk(self, rules: Filter | None = None) -> Iterator[Entry]:
        """All tracklets that pass, in the order of `page`."""
        after: str | None = None
        while page := self.page(rules, after=after, limit=PAGE):
            yield from page
            after = page[-1].id

    def seen(self) -> list[Seen]:
        """What each camera has seen, by name, the unknown one last."""
        return self._store.seen()

    def labels(self) -> Counter[str]:
        """How many tracklets carry each label; on a server all rows are read for that."""
        return Counter(self._store.labels())

    def infrared(self) -> dict[str, int]:
        """How many tracklets of each set are infrared, by its key."""
        return self._store.infrared()

    def receipts(self, damaged: dict[str, str] | None = None) -> list[Receipt]:
        """What was erased, when and on whose word, in order.

        Args:
            damaged: Takes what is wrong with receipts that cannot be read, by id; they are left out.

        Raises:
            DataError: One cannot be read, and no `damaged` was given.
        """
        return self._store.receipts(damaged)

    @property
    def labels_fault(self) -> DataError | None:
        """Why labels cannot be read; None where they can.

        What does not need them is answered all the same, rows with the labels of their sets; filters and
        counts of labels, changes of them and `content` with them raise it.
        """
        return self._store.labels_fault()

    def content(self, stored: StoredSet, *, labels: bool = True) -> tuple[EmbeddingSet, dict[str, Labels]]:
        """A whole set, and the labels of its rows that have their own, by id.

        Args:
            stored: Which.
            labels: Whether labels are asked for; none are given without.

        Raises:
            DataError: It is damaged, or not there any more.
        """
        return self._store.content(stored, labels=labels)

    def _named(self, name: str) -> list[Entry]:
        return self._store.page(Filter(names=(name,)), after=None, limit=PAGE)
