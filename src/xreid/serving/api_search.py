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
from xreid.serving import searching
from xreid.serving.auth import Here, Operator
from xreid.serving.problems import Refusal
from xreid.serving.schemas import TrackletView
from xreid.serving.schemas_search import (
    Answer,
    HitView,
    Judged,
    NewPersons,
    NewSearch,
    PersonView,
    SightingView,
    TransitionView,
)
from xreid.serving.searching import Wanted
from xreid.serving.site import Site
from xreid.serving.tokens import Principal

router = APIRouter(prefix="/api/v1", tags=["search"])


@router.post("/search")
def search(asked: NewSearch, who: Operator, site: Here) -> Answer:
    """Find a person: by tracklets of the gallery, by queries made of uploads, or by both together.

    With a case, what was confirmed in it becomes part of the query and stands first; what was rejected does
    not come back, and the search turns away from it.
    """
    wanted, result = _searched(asked, who, site, what="search")
    note, meaning = SCORE_NOTE, site.backend.meaning()
    feedback = result.feedback
    return Answer(
        hits=[_hit(hit) for hit in result.hits],
        searched=result.searched,
        best=result.best,
        prior=result.prior,
        order=result.order,
        order_note=result.order_note or None,
        unknown=result.unknown,
        note=note if meaning is None else meaning.note(),
        measured=None if meaning is None else searching.measured(meaning),
        holds=None if meaning is None else meaning.holds(),
        judged=Judged(confirmed=list(feedback.confirmed), rejected=list(feedback.rejected)),
        rejected=len(feedback.rejected),
        examples=len(wanted.examples) + len(feedback.confirmed),
    )


@router.post("/persons")
def persons(asked: NewPersons, who: Operator, site: Here) -> list[PersonView]:
    """Search, and group what was found into probable persons with their ways over the cameras."""
    wanted, result = _searched(asked, who, site, what="persons")
    groups = searching.persons(site.backend, result)
    known = {hit.entry.id: TrackletView.of(hit.entry) for hit in result.hits}
    known |= {entry.id: TrackletView.of(entry) for entry in site.backend.entries(asked.tracklets)}
    return [_person(person, known, wanted.examples) for person in groups]


def wanted_of(site: Site, asked: NewSearch, judged: Judged | None = None) -> Wanted:
    """A search as it was asked for; `judged` stands in for what its case says now.

    Raises:
        Refusal: 404: a tracklet, query or case is not there; 422: nobody is searched for.
    """
    examples = examples_of(site, asked.tracklets, asked.queries)
    if not examples:
        raise Refusal(422, "nobody is searched for", expected="one tracklet or one query, or more")
    return Wanted(
        examples=tuple(examples),
        rules=asked.filters.rules(),
        top=asked.top,
        min_score=asked.min_score,
        feedback=_feedback(site, asked, judged),
        rerank=asked.rerank,
        fusion=asked.fusion,
        order=asked.order,
    )


def audited(site: Site, asked: NewSearch, *, searched: int, found: int) -> dict[str, object]:
    """What the log keeps of a search: whom, with which filters, and how many were found."""
    uploads = [sha for query in asked.queries for sha in site.queries.get(query).uploads]
    return {
        "tracklets": list(asked.tracklets),
        "uploads": uploads,
        "case": asked.case,
        "filters": asked.filters.set_ones(),
        "top": asked.top,
        "min_score": asked.min_score,
        "searched": searched,
        "found": found,
    }


def examples_of(site: Site, tracklets: Sequence[str], queries: Sequence[str]) -> list[Query]:
    """Tracklets of the gallery and uploaded queries, as the search takes them."""
    found = site.backend.queries_of(list(dict.fromkeys(tracklets)))
    return [*found, *map(site.queries.query, dict.fromkeys(queries))]


def transition_view(found: Transition | None) -> TransitionView | None:
    """As the API shows it."""
    if found is None:
        return None
    return TransitionView(judgement=found.judgement, factor=found.factor, why=found.why)


def _searched(asked: NewSearch, who: Principal, site: Site, *, what: str) -> tuple[Wanted, SearchResult]:
    """Search, and write it down."""
    begun = time.perf_counter()
    wanted = wanted_of(site, asked)
    result = searching.find(site.backend, wanted)
    site.metrics.searches.inc()
    site.metrics.search_seconds.observe(time.perf_counter() - begun)
    entry = audited(site, asked, searched=result.searched, found=len(result.hits))
    site.audit.write(who.name, what, entry)
    return wanted, result


def _feedback(site: Site, asked: NewSearch, judged: Judged | None) -> Feedback:
    """What was said in the case, of tracklets that are still there and are not the query."""
    if judged is None and asked.case is None:
        return Feedback()
    if judged is None:
        case = site.cases.get(asked.case or "")
        judged = Judged(confirmed=list(case.judged("confirmed")), rejected=list(case.judged("rejected")))
    said = Feedback(confirmed=tuple(judged.confirmed), rejected=tuple(judged.rejected))
    every = (*said.confirmed, *said.rejected)
    known = {entry.id for entry in site.backend.known(every)} - set(asked.tracklets)
    return said.withdraw(*(one for one in every if one not in known))


def _hit(hit: Hit) -> HitView:
    verdict = hit.verdict
    return HitView(
        rank=hit.rank,
        score=hit.score,
        probability=None if verdict is None else verdict.probability,
        combined=None if verdict is None else verdict.combined,
        strangers=None if verdict is None else verdict.strangers,
        transition=transition_view(hit.transition),
        accepted=None if verdict is None else verdict.accepted,
        reranked=hit.reranked,
        verdict="confirmed" if hit.confirmed else None,
        tracklet=TrackletView.of(hit.entry),
    )


def _person(person: Person, known: dict[str, TrackletView], examples: Sequence[Query]) -> PersonView:
    sightings = [
        SightingView(
            tracklet=None if one.query.id is None else known[one.query.id],
            transition=transition_view(one.transition),
        )
        for one in person.sightings
    ]
    asked = any(one.query is example for one in person.sightings for example in examples)
    return PersonView(
        sightings=sightings, probability=person.probability, weakest=person.weakest, asked=asked
    )
