"""Searching a gallery with tracklets of either modality.

An answer is made in steps: the nearest of the gallery (`ranking`), re-ranked where asked for, what the
calibration says of each, what space and time say of each, and the order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from xreid.core.errors import ConfigError, ProtocolError
from xreid.core.tracklets import Tracklet
from xreid.evaluation.calibration import require_fits
from xreid.retrieval.camera_graph import CameraGraph, Transition, log_factor
from xreid.retrieval.columns import Filter
from xreid.retrieval.feedback import Feedback
from xreid.retrieval.gallery import Gallery
from xreid.retrieval.gallery_rows import Entry
from xreid.retrieval.meaning import Meaning, Order, Verdict
from xreid.retrieval.queries import AnyQuery, Query, queries_from_gallery, queries_from_set
from xreid.retrieval.ranking import Ask, Candidate, ask_of, nearest_of, rerank
from xreid.retrieval.too_narrow import too_narrow

__all__ = [
    "ORDER_NOTE",
    "SCORE_NOTE",
    "Hit",
    "Query",
    "SearchResult",
    "queries_from_gallery",
    "queries_from_set",
    "search",
]

SCORE_NOTE = (
    "The score is the cosine between two embeddings. It is not calibrated: it is no probability, and a high "
    "one is no proof that two tracklets show the same person. Whoever is not in the gallery still gets a "
    "best match."
)

ORDER_NOTE = (
    "Ranked by cosine, not by the calibration as was asked: it does not hold here for all of these pairs."
)


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A tracklet found.

    Attributes:
        rank: From 1.
        score: Cosine with the query, -1 to 1, not calibrated; see `Query.fusion` for several examples.
        entry: The tracklet and its set.
        verdict: What the score means; None without a calibration, and where somebody has confirmed it.
        transition: Whether the person can have been there then; None without a camera graph.
        reranked: What re-ranking makes of the score, -1 to 0; None without.
        confirmed: Whether the feedback says that it is the query's person.
        place: Its place before re-ranking and before space and time, from 1; 0 for a confirmed one.
    """

    rank: int
    score: float
    entry: Entry
    verdict: Verdict | None = None
    transition: Transition | None = None
    reranked: float | None = None
    confirmed: bool = False
    place: int = 0

    @property
    def impossible(self) -> bool:
        """Whether the camera graph says that it cannot be the same person."""
        return self.transition is not None and self.transition.impossible

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        row = {"rank": self.rank, "score": self.score, "id": self.entry.id, "set": self.entry.stored.key}
        row |= {} if self.verdict is None else vars(self.verdict)
        row |= {} if self.transition is None else {"transition": _plain_transition(self.transition)}
        row |= {} if self.reranked is None else {"reranked": self.reranked}
        return {**row, "confirmed": self.confirmed, **plain_tracklet(self.entry.tracklet)}


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """The answer to one query.

    Attributes:
        query: What was asked.
        hits: Best first; confirmed ones before all others.
        searched: Tracklets that the filters let through.
        best: The best score among them, also where min_score kept it out; None where none was searched.
        prior: What the probabilities of the hits take for granted; None without a calibration.
        feedback: What it was asked with.
        order: What orders the hits.
        asked_order: What was to order them; "calibrated" gives way to "cosine" where strangers of the place
            show that the calibration does not hold for these pairs.
    """

    query: AnyQuery
    hits: tuple[Hit, ...]
    searched: int
    best: float | None
    prior: float | None = None
    feedback: Feedback = field(default_factory=Feedback)
    order: Order = "cosine"
    asked_order: Order = "cosine"

    @property
    def order_note(self) -> str:
        """Why the hits are in another order than was asked for; empty where they are not."""
        return "" if self.order == self.asked_order else ORDER_NOTE

    @property
    def unknown(self) -> bool:
        """Whether there are hits, and none of those that are possible is above its threshold."""
        judged = [hit for hit in self.hits if hit.verdict is not None]
        return bool(judged) and not any(hit.confirmed or _may_be(hit) for hit in self.hits)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        several = [plain_tracklet(example.tracklet) for example in self.query.examples]
        return {
            "query": several[0] | ({"examples": several} if len(several) > 1 else {}),
            "searched": self.searched,
            "best_score": self.best,
            **({} if self.prior is None else {"prior": self.prior, "unknown": self.unknown}),
            **({} if self.asked_order == "cosine" else {"order": self.order, "order_note": self.order_note}),
            "hits": [hit.to_json() for hit in self.hits],
        }


def search(
    gallery: Gallery,
    queries: Sequence[AnyQuery],
    *,
    rules: Filter | None = None,
    top: int = 20,
    min_score: float | None = None,
    meaning: Meaning | None = None,
    graph: CameraGraph | None = None,
    rerank_depth: int = 0,
    feedback: Feedback | None = None,
) -> list[SearchResult]:
    """Search the gallery with each query; a query never finds its own examples.

    Args:
        gallery: Where.
        queries: What for.
        rules: Which tracklets may be found.
        top: Most hits of a query, those apart that the feedback confirms.
        min_score: Hits of a lower score are left out, so that there may be no answer.
        meaning: Gives each hit a probability and a verdict, and may order them, unless its check says that
            it does not hold for these pairs: then cosine does (`SearchResult.order`).
        graph: Judges whether the person can have been there then. Hits that cannot be stay among the hits,
            after those that can; in calibrated order the combined log-odds decide.
        rerank_depth: Re-rank that many nearest by their neighbourhoods (k-reciprocal); 0 for none.
        feedback: What was confirmed (stands first, and becomes part of the query) and rejected (does not
            come back, and is turned away from).

    Raises:
        ProtocolError: The gallery is empty, the calibration is of another model, or the filters let nothing
            through for any query.
        ConfigError: `top` is below 1, there is no query, or feedback for several queries.
    """
    rules, feedback = rules or Filter(), feedback or Feedback()
    _require(gallery, queries, meaning, top=top, feedback=feedback)
    asks = [ask_of(gallery, query, rules, feedback) for query in queries]
    searched = [gallery.count(ask.rules, exclude=ask.exclude) for ask in asks]
    if not any(searched) and not feedback:
        raise ProtocolError(
            f"the filters let none of the {len(gallery)} tracklets of {gallery.address} through",
            got=too_narrow(gallery, rules),
            todo="Loosen --modality, --camera, --place, --from, --to, --known, --label, --min-quality, --set "
            "or --other-cameras.",
        )
    orders = [ask.ordered(meaning) for ask in asks]
    found = nearest_of(gallery, asks, orders, k=max(top, rerank_depth))
    answers = []
    for ask, pool, count, ordered in zip(asks, found, searched, orders, strict=True):
        best = max((one.score for one in pool), default=None)
        pool = rerank(gallery, ask, pool, depth=rerank_depth) if rerank_depth else pool
        kept = [one for one in pool[:top] if min_score is None or one.score >= min_score]
        hits = _hits([*ask.confirmed, *kept], ask, meaning, graph, searched=count)
        prior = None if meaning is None else meaning.prior_of(count)
        answers.append(
            SearchResult(
                query=ask.query,
                hits=_ordered(hits, kept, ask, calibrated=ordered is not None and ordered.order != "cosine"),
                searched=count,
                best=best,
                prior=prior,
                feedback=feedback,
                order="cosine" if ordered is None else ordered.order,
                asked_order="cosine" if meaning is None else meaning.order,
            )
        )
    return answers


def _require(
    gallery: Gallery, queries: Sequence[AnyQuery], meaning: Meaning | None, *, top: int, feedback: Feedback
) -> None:
    if top < 1 or not queries:
        raise ConfigError("nothing to search", expected="one query or more, top 1 or more", got=f"top {top}")
    if feedback and len(queries) > 1:
        raise ConfigError(
            "feedback belongs to one query",
            got=str(len(queries)),
            todo="Search with one, or put them together.",
        )
    if not len(gallery):
        raise ProtocolError(
            f"{gallery.address} is empty",
            todo="Append embeddings with `xreid gallery add GALLERY EMBEDDINGS`.",
        )
    if meaning is not None and gallery.origin is not None:
        require_fits(meaning.calibration, gallery.origin)


def _hits(
    candidates: Sequence[Candidate],
    ask: Ask,
    meaning: Meaning | None,
    graph: CameraGraph | None,
    *,
    searched: int,
) -> list[Hit]:
    """The candidates with what is said of them, ranks still 0."""
    rows = [example.tracklet for example in ask.positives]
    confirmed = {candidate.entry.id for candidate in ask.confirmed}
    transitions = [None if graph is None else _judged(graph, rows, one.entry) for one in candidates]
    verdicts: Sequence[Verdict | None] = [None] * len(candidates)
    if meaning is not None and candidates:
        cosines = np.stack([one.cosines[: len(rows)] for one in candidates], axis=1)
        verdicts = meaning.verdicts(
            cosines,
            [row.modality for row in rows],
            [one.entry.tracklet.modality for one in candidates],
            searched=searched,
            transitions=transitions,
        )
    return [
        Hit(
            rank=0,
            score=one.score,
            entry=one.entry,
            verdict=None if one.entry.id in confirmed else verdict,  # it would be evidence for itself
            transition=transition,
            reranked=one.reranked,
            confirmed=one.entry.id in confirmed,
            place=one.place,
        )
        for one, verdict, transition in zip(candidates, verdicts, transitions, strict=True)
    ]


def _judged(graph: CameraGraph, rows: Sequence[Tracklet], entry: Entry) -> Transition | None:
    return graph.worst([row for row in rows if row is not entry.tracklet], entry.tracklet)


def _ordered(
    hits: Sequence[Hit], candidates: Sequence[Candidate], ask: Ask, *, calibrated: bool
) -> tuple[Hit, ...]:
    """Confirmed first; then by value and plausibility, in calibrated order as one sum, else one by one."""
    first = [hit for hit in hits if hit.confirmed]
    rest = list(zip((hit for hit in hits if not hit.confirmed), candidates, strict=True))

    def key(pair: tuple[Hit, Candidate]) -> tuple[bool, float, str]:
        hit, candidate = pair
        if calibrated and candidate.reranked is None:
            return False, -(candidate.value + log_factor(hit.transition)), hit.entry.id
        value = candidate.value if candidate.reranked is None else candidate.reranked
        return hit.impossible, -value, hit.entry.id

    ordered = [*first, *(hit for hit, _ in sorted(rest, key=key))]
    return tuple(replace(hit, rank=rank) for rank, hit in enumerate(ordered, start=1))


def _may_be(hit: Hit) -> bool:
    return hit.verdict is not None and hit.verdict.accepted is not False and not hit.impossible


def _plain_transition(transition: Transition) -> dict[str, Any]:
    way = transition.way
    return {
        "judgement": transition.judgement,
        "factor": transition.factor,
        "gap_s": transition.gap_s,
        "least_s": None if way is None else way.least_s,
        "typical_s": None if way is None else way.typical_s,
        "cameras": [] if way is None else list(way.cameras),
        "why": transition.why,
    }


def plain_tracklet(row: Tracklet) -> dict[str, Any]:
    """A tracklet as plain values."""
    return {
        "tracklet": row.name,
        "modality": row.modality.value,
        "camera": row.camera,
        "place": row.place,
        "identity": row.identity,
        "start_s": row.start_s,
        "end_s": row.end_s,
        "quality": row.quality,
        "frames": len(row.frames),
    }
