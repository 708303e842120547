"""Searching; every search stands in the audit log before its answer leaves."""

from __future__ import annotations

import time
from collections.abc import Sequence

from fastapi import APIRouter

from xreid.retrieval.search import SCORE_NOTE, Hit, Query, SearchResult
from xreid.serving.auth import Here, Operator
from xreid.serving.cases import Case
from xreid.serving.problems import Refusal
from xreid.serving.schemas import Answer, HitView, NewSearch, TrackletView
from xreid.serving.site import Site

router = APIRouter(prefix="/api/v1", tags=["search"])


@router.post("/search")
def search(asked: NewSearch, who: Operator, site: Here) -> Answer:
    """Find a person: by tracklets of the gallery, by queries made of uploads, or by both together."""
    begun = time.perf_counter()
    case = None if asked.case is None else site.cases.get(asked.case)
    queries = queries_of(site, asked.tracklets, asked.queries)
    if not queries:
        raise Refusal(422, "nobody is searched for", expected="one tracklet or one query, or more")
    results = site.backend.search(
        queries, rules=asked.filters.rules(), top=asked.top, min_score=asked.min_score
    )
    answer = _answer(results, case, asked, note=_note(site))
    site.metrics.searches.inc()
    site.metrics.search_seconds.observe(time.perf_counter() - begun)
    site.audit.write(who.name, "search", audited(site, asked, answer))
    return answer


def queries_of(site: Site, tracklets: Sequence[str], queries: Sequence[str]) -> list[Query]:
    """Tracklets of the gallery and uploaded queries, as the search takes them."""
    found = site.backend.queries_of(list(dict.fromkeys(tracklets)))
    for stored in map(site.queries.get, dict.fromkeys(queries)):
        root, vector = site.queries.root(stored), site.queries.vector(stored)
        found.append(Query(tracklet=stored.tracklet, root=root, vector=vector, id=None))
    return found


def audited(site: Site, asked: NewSearch, answer: Answer) -> dict[str, object]:
    """What the log keeps of a search: whom, with which filters, and how many were found."""
    uploads = [sha for query in asked.queries for sha in site.queries.get(query).uploads]
    return {
        "tracklets": list(asked.tracklets),
        "uploads": uploads,
        "case": asked.case,
        "filters": asked.filters.set_ones(),
        "top": asked.top,
        "min_score": asked.min_score,
        "searched": answer.searched,
        "found": len(answer.hits),
    }


def _answer(results: Sequence[SearchResult], case: Case | None, asked: NewSearch, *, note: str) -> Answer:
    own = set(asked.tracklets)
    said = {} if case is None else {one.tracklet: one.verdict for one in case.judgements}
    hits = [hit for hit in merged(results) if hit.entry.id not in own][: asked.top]
    best = [result.best for result in results if result.best is not None]
    return Answer(
        hits=[
            HitView(
                rank=rank,
                score=hit.score,
                probability=None if hit.verdict is None else hit.verdict.probability,
                accepted=None if hit.verdict is None else hit.verdict.accepted,
                verdict=said.get(hit.entry.id),
                tracklet=TrackletView.of(hit.entry),
            )
            for rank, hit in enumerate(hits, start=1)
        ],
        searched=max((result.searched for result in results), default=0),
        best=max(best, default=None),
        prior=results[0].prior if results else None,
        unknown=bool(results) and all(result.unknown for result in results),
        note=note,
    )


def merged(results: Sequence[SearchResult]) -> list[Hit]:
    """The hits of several queries for one person: each tracklet once, at its best score."""
    best: dict[str, Hit] = {}
    for hit in (hit for result in results for hit in result.hits):
        if hit.entry.id not in best or hit.score > best[hit.entry.id].score:
            best[hit.entry.id] = hit
    return sorted(best.values(), key=lambda hit: (-hit.score, hit.entry.id))


def _note(site: Site) -> str:
    meaning = site.backend.meaning()
    return SCORE_NOTE if meaning is None else meaning.note()
