"""Searching; every search stands in the audit log before its answer leaves."""

from __future__ import annotations

import time
from collections.abc import Sequence

from fastapi import APIRouter

from xreid.retrieval.camera_graph import Transition
from xreid.retrieval.feedback import Feedback
from xreid.retrieval.persons import Person
from xreid.retrieval.queries import Query
from xreid.retrieval.search import SCORE_NOTE, Hit, SearchResult
from xreid.serving.auth import Here, Operator
from xreid.serving.problems import Refusal
from xreid.serving.schemas import (
    Answer,
    HitView,
    NewSearch,
    PersonView,
    SightingView,
    TrackletView,
    TransitionView,
)
from xreid.serving.site import Site
from xreid.serving.tokens import Principal

router = APIRouter(prefix="/api/v1", tags=["search"])


@router.post("/search")
def search(asked: NewSearch, who: Operator, site: Here) -> Answer:
    """Find a person: by tracklets of the gallery, by queries made of uploads, or by both together.

    With a case, what was confirmed in it becomes part of the query and stands first; what was rejected does
    not come back, and the search turns away from it.
    """
    examples, result = _searched(asked, who, site, what="search")
    note, meaning = SCORE_NOTE, site.backend.meaning()
    feedback = result.feedback
    return Answer(
        hits=[_hit(hit) for hit in result.hits],
        searched=result.searched,
        best=result.best,
        prior=result.prior,
        unknown=result.unknown,
        note=note if meaning is None else meaning.note(),
        rejected=len(feedback.rejected),
        examples=len(examples) + len(feedback.confirmed),
    )


@router.post("/persons")
def persons(asked: NewSearch, who: Operator, site: Here) -> list[PersonView]:
    """Search, and group what was found into probable persons with their ways over the cameras."""
    examples, result = _searched(asked, who, site, what="persons")
    groups = site.backend.persons(examples, result)
    known = {hit.entry.id: TrackletView.of(hit.entry) for hit in result.hits}
    known |= {entry.id: TrackletView.of(entry) for entry in site.backend.entries(asked.tracklets)}
    return [_person(person, known, examples) for person in groups]


def _searched(asked: NewSearch, who: Principal, site: Site, *, what: str) -> tuple[list[Query], SearchResult]:
    """Search, and write it down."""
    begun = time.perf_counter()
    examples = examples_of(site, asked.tracklets, asked.queries)
    if not examples:
        raise Refusal(422, "nobody is searched for", expected="one tracklet or one query, or more")
    result = site.backend.search(
        examples,
        rules=asked.filters.rules(),
        top=asked.top,
        min_score=asked.min_score,
        feedback=_feedback(site, asked),
    )
    site.metrics.searches.inc()
    site.metrics.search_seconds.observe(time.perf_counter() - begun)
    site.audit.write(who.name, what, _audited(site, asked, result))
    return examples, result


def examples_of(site: Site, tracklets: Sequence[str], queries: Sequence[str]) -> list[Query]:
    """Tracklets of the gallery and uploaded queries, as the search takes them."""
    found = site.backend.queries_of(list(dict.fromkeys(tracklets)))
    for stored in map(site.queries.get, dict.fromkeys(queries)):
        root, vector = site.queries.root(stored), site.queries.vector(stored)
        found.append(Query(tracklet=stored.tracklet, root=root, vector=vector, id=None))
    return found


def _feedback(site: Site, asked: NewSearch) -> Feedback:
    """What was said in the case, of tracklets that are still there and are not the query."""
    if asked.case is None:
        return Feedback()
    case = site.cases.get(asked.case)
    known = {entry.id for entry in site.backend.known([one.tracklet for one in case.judgements])}
    known -= set(asked.tracklets)
    return Feedback(
        confirmed=tuple(one for one in case.judged("confirmed") if one in known),
        rejected=tuple(one for one in case.judged("rejected") if one in known),
    )


def _audited(site: Site, asked: NewSearch, result: SearchResult) -> dict[str, object]:
    """What the log keeps of a search: whom, with which filters, and how many were found."""
    uploads = [sha for query in asked.queries for sha in site.queries.get(query).uploads]
    return {
        "tracklets": list(asked.tracklets),
        "uploads": uploads,
        "case": asked.case,
        "filters": asked.filters.set_ones(),
        "top": asked.top,
        "min_score": asked.min_score,
        "searched": result.searched,
        "found": len(result.hits),
    }


def _hit(hit: Hit) -> HitView:
    verdict = hit.verdict
    return HitView(
        rank=hit.rank,
        score=hit.score,
        probability=None if verdict is None else verdict.probability,
        combined=None if verdict is None else verdict.combined,
        transition=_transition(hit.transition),
        accepted=None if verdict is None else verdict.accepted,
        verdict="confirmed" if hit.confirmed else None,
        tracklet=TrackletView.of(hit.entry),
    )


def _transition(found: Transition | None) -> TransitionView | None:
    if found is None:
        return None
    return TransitionView(judgement=found.judgement, factor=found.factor, why=found.why)


def _person(person: Person, known: dict[str, TrackletView], examples: Sequence[Query]) -> PersonView:
    sightings = [
        SightingView(
            tracklet=None if one.query.id is None else known[one.query.id],
            transition=_transition(one.transition),
        )
        for one in person.sightings
    ]
    asked = any(one.query is example for one in person.sightings for example in examples)
    return PersonView(
        sightings=sightings, probability=person.probability, weakest=person.weakest, asked=asked
    )
