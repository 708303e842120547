"""Searching a gallery with tracklets of either modality."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xreid.core.embeddings import EmbeddingSet, require_same_origin
from xreid.core.errors import ConfigError, ProtocolError
from xreid.core.tracklets import Tracklet
from xreid.evaluation.calibration import require_fits
from xreid.retrieval.columns import Filter
from xreid.retrieval.engine import Vectors
from xreid.retrieval.gallery import Entry, Found, Gallery, content_key
from xreid.retrieval.gallery_rows import row_id
from xreid.retrieval.meaning import Meaning, Verdict, nearest_by_ratio

SCORE_NOTE = (
    "The score is the cosine between two embeddings. It is not calibrated: it is no probability, and a high "
    "one is no proof that two tracklets show the same person. Whoever is not in the gallery still gets a "
    "best match."
)


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
    id: str | None


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A tracklet found.

    Attributes:
        rank: From 1.
        score: Cosine, -1 to 1, not calibrated.
        entry: The tracklet and its set.
        verdict: What the score means; None without a calibration.
    """

    rank: int
    score: float
    entry: Entry
    verdict: Verdict | None = None


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """The answer to one query.

    Attributes:
        query: What was asked.
        hits: Best first.
        searched: Tracklets that the filters let through.
        best: The best score among them, also where min_score kept it out; None where none was searched.
        prior: What the probabilities of the hits take for granted; None without a calibration.
    """

    query: Query
    hits: tuple[Hit, ...]
    searched: int
    best: float | None
    prior: float | None = None

    @property
    def unknown(self) -> bool:
        """Whether there are hits, and none is above its threshold."""
        judged = [hit.verdict.accepted for hit in self.hits if hit.verdict is not None]
        return bool(judged) and not any(accepted or accepted is None for accepted in judged)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        calibrated = {} if self.prior is None else {"prior": self.prior, "unknown": self.unknown}
        return {
            "query": _plain(self.query.tracklet),
            "searched": self.searched,
            "best_score": self.best,
            **calibrated,
            "hits": [
                {
                    "rank": hit.rank,
                    "score": hit.score,
                    **({} if hit.verdict is None else vars(hit.verdict)),
                    "set": hit.entry.stored.key,
                    **_plain(hit.entry.tracklet),
                }
                for hit in self.hits
            ],
        }


def queries_from_gallery(gallery: Gallery, names: Sequence[str]) -> list[Query]:
    """Queries that are tracklets of the gallery itself.

    Raises:
        ProtocolError: One is not in it, or in several sets.
    """
    entries = [gallery.find(name) for name in names]
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
    key = content_key(embeddings)
    own = next((stored.key for stored in gallery.sets if stored.holds(key)), None)
    return [
        Query(
            tracklet=embeddings.table[place[name]],
            root=embeddings.table.root,
            vector=embeddings.vectors[place[name]],
            id=None if own is None else row_id(own, name),
        )
        for name in names
    ]


def search(
    gallery: Gallery,
    queries: Sequence[Query],
    *,
    rules: Filter | None = None,
    top: int = 20,
    min_score: float | None = None,
    meaning: Meaning | None = None,
) -> list[SearchResult]:
    """Search the gallery with each query; a query never finds itself.

    Args:
        gallery: Where.
        queries: What for.
        rules: Which tracklets may be found.
        top: Most hits of a query.
        min_score: Hits of a lower cosine are left out, so that there may be no answer.
        meaning: Gives each hit a probability and a verdict, and may order them.

    Raises:
        ProtocolError: The gallery is empty, the calibration is of another model, or the filters let nothing
            through for any query.
        ConfigError: `top` is below 1, or there is no query.
    """
    rules = rules or Filter()
    if top < 1 or not queries:
        raise ConfigError("nothing to search", expected="one query or more, top 1 or more", got=f"top {top}")
    if not len(gallery):
        raise ProtocolError(
            f"{gallery.address} is empty", todo="Append embeddings with `xreid gallery GALLERY add`."
        )
    if meaning is not None and gallery.origin is not None:
        require_fits(meaning.calibration, gallery.origin)
    each = [rules.of_query(query.tracklet.camera) for query in queries]
    own = [() if query.id is None else (query.id,) for query in queries]
    searched = [gallery.count(rule, exclude=ids) for rule, ids in zip(each, own, strict=True)]
    if not any(searched):
        raise ProtocolError(
            f"the filters let none of the {len(gallery)} tracklets of {gallery.address} through",
            todo="Loosen --modality, --camera, --from, --to, --known or --other-cameras.",
        )
    vectors = np.stack([query.vector for query in queries]).astype(np.float32)
    if meaning is not None and meaning.order == "calibrated":
        asking = [query.tracklet.modality for query in queries]
        nearest = nearest_by_ratio(gallery, meaning, vectors, asking, k=top, rules=each, exclude=own)
    else:
        nearest = gallery.nearest(vectors, k=top, rules=each, exclude=own)
    return [
        _result(query, found, searched=count, min_score=min_score, meaning=meaning)
        for query, found, count in zip(queries, nearest, searched, strict=True)
    ]


def _result(
    query: Query,
    nearest: Sequence[Found],
    *,
    searched: int,
    min_score: float | None,
    meaning: Meaning | None,
) -> SearchResult:
    def verdict(found: Found) -> Verdict | None:
        modalities = query.tracklet.modality, found.entry.tracklet.modality
        return None if meaning is None else meaning.verdict(found.score, modalities, searched=searched)

    kept = [found for found in nearest if min_score is None or found.score >= min_score]
    return SearchResult(
        query=query,
        hits=tuple(
            Hit(rank=rank, score=found.score, entry=found.entry, verdict=verdict(found))
            for rank, found in enumerate(kept, start=1)
        ),
        searched=searched,
        best=max((found.score for found in nearest), default=None),
        prior=None if meaning is None else meaning.prior_of(searched),
    )


def _plain(row: Tracklet) -> dict[str, Any]:
    return {
        "tracklet": row.name,
        "modality": row.modality.value,
        "camera": row.camera,
        "identity": row.identity,
        "start_s": row.start_s,
        "end_s": row.end_s,
        "frames": len(row.frames),
    }
