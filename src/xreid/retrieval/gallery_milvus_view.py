"""A gallery on a Milvus server as its documents say it is, and reading rows of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xreid.core.embeddings import EmbeddingOrigin, origin_from
from xreid.core.errors import DataError, ProtocolError
from xreid.core.tracklets import Modality, Tracklet
from xreid.retrieval.columns import Filter, require_known
from xreid.retrieval.gallery_documents import SESSION, STRONG, Documents, Level, told
from xreid.retrieval.gallery_expression import both, expression, ids_in
from xreid.retrieval.gallery_milvus_rows import unpacked
from xreid.retrieval.gallery_rows import Entry, StoredSet, require_sets, stored_from
from xreid.retrieval.gallery_seen import Seen, seen_from

if TYPE_CHECKING:
    from pymilvus import MilvusClient

FORMAT_VERSION = 1
MOST_ROWS = 16_384  # of an answer
_ASK = 200  # rows read with their vectors in a request


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
        seen: What each camera has seen in a set, by key; not of sets that an older version wrote.
    """

    version: str
    rows: str | None
    sets: tuple[StoredSet, ...]
    hidden: tuple[str, ...]
    origin: EmbeddingOrigin | None
    roots: Mapping[str, Path]
    values: Mapping[str, tuple[str, ...]]
    seen: Mapping[str, tuple[Seen, ...]]


class MilvusView:
    """Documents and rows of a gallery on a server.

    Args:
        client: Of the server.
        address: Where that is, for messages.
        name: Of the gallery; its collections begin with it.
        make: Whether its documents may be made.

    Raises:
        DataError: The server has no such gallery.
    """

    def __init__(self, client: MilvusClient, *, address: str, name: str, make: bool) -> None:
        self._client, self._address, self._name = client, address, name
        self._documents = Documents(client, f"{name}_documents", make=make)
        self._overview: Overview | None = None
        self._counted: dict[tuple[str, int], tuple[Seen, ...]] = {}  # by key and revision

    @property
    def address(self) -> str:
        """Where it is."""
        return self._address

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
            seen={key: tuple(seen_from(value["seen"])) for key, value in ready.items() if "seen" in value},
        )

    def _passing(self, view: Overview, rules: Filter) -> str:
        rules.require_resolved()
        require_known("camera", rules.cameras, view.values.get("camera", ()))
        require_known("place", rules.places, view.values.get("place", ()))
        require_sets(rules.sets, view.sets)
        return expression(rules, sets=view.sets, hidden=view.hidden)

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
                limit=MOST_ROWS,
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

    def _rows_of(self, view: Overview, stored: StoredSet, fields: list[str]) -> Iterator[dict[str, Any]]:
        """All rows of a set in order of ids, some at a time."""
        buckets = max(1, stored.rows // _ASK)
        edges = [f"{(number << 80) // buckets:020x}" for number in range(buckets)]
        for low, high in zip(edges, [*edges[1:], "g"], strict=True):
            span = both(f'set_key == "{stored.key}"', f'id >= "{low}"', f'id < "{high}"')
            yield from sorted(self._query(view, span, ["set_key", *fields]), key=lambda row: row["id"])

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
