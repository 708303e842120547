"""What a search asks with: one example of a person, or several as one query."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Literal

import numpy as np

from xreid.core.embeddings import EmbeddingSet, pieces_of, require_same_origin
from xreid.core.errors import ConfigError, ProtocolError
from xreid.core.tracklets import Tracklet
from xreid.retrieval.engine import Vectors
from xreid.retrieval.gallery import Gallery
from xreid.retrieval.gallery_lacking import in_already
from xreid.retrieval.gallery_rows import Entry, row_id

Fusion = Literal["mean", "max"]


@dataclass(frozen=True, kw_only=True)
class Query:
    """A tracklet to search with.

    Attributes:
        tracklet: The tracklet.
        root: Folder that its frames are relative to.
        vector: float32 [D] of unit length.
        id: Its own id in the gallery, which it must not find; None where it is not in it.
    """

    tracklet: Tracklet
    root: Path
    vector: Vectors
    id: str | None = None

    @property
    def examples(self) -> tuple[Query, ...]:
        """Itself, as the only example of a person."""
        return (self,)

    @property
    def fusion(self) -> Fusion:
        """How examples are put together; for one it makes no difference."""
        return "mean"

    @property
    def name(self) -> str:
        """The tracklet's."""
        return self.tracklet.name


@dataclass(frozen=True, kw_only=True)
class Fused:
    """Several tracklets of one person, to search with as one query.

    Attributes:
        examples: The tracklets.
        fusion: How they are put together for the ranking: "mean" takes the cosine with the mean of their
            vectors, "max" the greatest of their cosines.
    """

    examples: tuple[Query, ...]
    fusion: Fusion = "mean"

    def __post_init__(self) -> None:
        if not self.examples:
            raise ConfigError("a query needs an example", expected="one tracklet or more")

    @property
    def tracklet(self) -> Tracklet:
        """The first example's."""
        return self.examples[0].tracklet

    @property
    def root(self) -> Path:
        """The first example's."""
        return self.examples[0].root

    @property
    def name(self) -> str:
        """The names of the examples."""
        return " + ".join(example.name for example in self.examples)


AnyQuery = Query | Fused


def unit(vector: Vectors) -> Vectors:
    """The vector at length 1; a zero vector stays."""
    length = float(np.linalg.norm(vector))
    return np.asarray(vector / length if length > 0 else vector, dtype=np.float32)


def together(queries: Sequence[AnyQuery], *, fusion: Fusion = "mean") -> Fused:
    """Several queries of one person as one; a tracklet of the gallery counts once.

    Raises:
        ConfigError: There is none.
    """
    examples: list[Query] = []
    for example in (example for query in queries for example in query.examples):
        if example.id is None or example.id not in {known.id for known in examples}:
            examples.append(example)
    return Fused(examples=tuple(examples), fusion=fusion)


def queries_from_gallery(gallery: Gallery, names: Sequence[str]) -> list[Query]:
    """Queries that are tracklets of the gallery itself.

    Raises:
        ProtocolError: One is not in it, or in several sets.
    """
    return queries_of(gallery, [gallery.find(name) for name in names])


def queries_of(gallery: Gallery, entries: Sequence[Entry]) -> list[Query]:
    """Tracklets of the gallery with their vectors."""
    vectors = gallery.vectors([entry.id for entry in entries]) if entries else ()
    return [
        Query(tracklet=entry.tracklet, root=entry.root, vector=vector, id=entry.id)
        for entry, vector in zip(entries, vectors, strict=True)
    ]


def queries_from_set(gallery: Gallery, embeddings: EmbeddingSet, names: Sequence[str]) -> list[Query]:
    """Queries that are tracklets of an embedding set, in the gallery or not.

    Raises:
        ProtocolError: One is not in the set, or another model made the set than the gallery's.
    """
    if gallery.origin is not None:
        require_same_origin(gallery.origin, embeddings.origin)
    place = {row.name: i for i, row in enumerate(embeddings.table)}
    missing = [name for name in names if name not in place]
    if missing:
        raise ProtocolError(
            f"the embedding set has no tracklet {missing[0]!r}",
            expected=", ".join(list(place)[:5]) + (", ..." if len(place) > 5 else ""),
        )
    pieces = pieces_of(embeddings)
    sets = gallery.sets
    own = [next((stored.key for stored in sets if stored.holds(piece.key)), None) for piece in pieces]
    ends = list(accumulate(piece.rows for piece in pieces))

    keys = {name: own[bisect_right(ends, place[name])] for name in names}
    unknown = [place[name] for name in names if keys[name] is None]  # embedded anew, perhaps
    there = {row: entry.id for row, entry in in_already(embeddings, unknown, gallery=gallery).items()}

    def one(name: str) -> Query:
        row, key = place[name], keys[name]
        return Query(
            tracklet=embeddings.table[row],
            root=embeddings.table.root,
            vector=embeddings.vectors[row],
            id=there.get(row) if key is None else row_id(key, name),
        )

    return [one(name) for name in names]
