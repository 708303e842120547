"""Why a hit is a hit."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter

from xreid.retrieval.why import ExampleMatch
from xreid.serving import searching
from xreid.serving.api_search import audited, transition_view, wanted_of
from xreid.serving.auth import Here, Operator
from xreid.serving.schemas import TrackletView
from xreid.serving.schemas_search import (
    CosinePartView,
    ExampleView,
    FramePairView,
    NewWhy,
    OddsPartView,
    RerankedView,
    WhyView,
)
from xreid.serving.searching import Explained

router = APIRouter(prefix="/api/v1", tags=["search"])


@router.post("/why")
def why(asked: NewWhy, who: Operator, site: Here) -> WhyView:
    """Why a tracklet is a hit: parts of its score and of its probability, and the frames that match best.

    The body is that of the search which found it, with the tracklet's id; with a case, `judged` of its answer
    too, where more was said in it since. Pairs of frames need the model and some seconds: ask with `pairs` 0
    for all the rest at once.
    """
    wanted = wanted_of(site, asked, asked.judged)
    found = searching.why(site.backend, wanted, asked.hit, pairs=asked.pairs)
    entry = audited(site, asked, searched=found.result.searched, found=len(found.result.hits))
    site.audit.write(who.name, "why", {**entry, "hit": asked.hit})
    return _why(found, list(dict.fromkeys(asked.queries)))


def _why(found: Explained, queries: Sequence[str]) -> WhyView:
    hit, verdict = found.hit, found.hit.verdict
    return WhyView(
        tracklet=TrackletView.of(hit.entry),
        rank=hit.rank or None,
        searched=found.result.searched,
        score=hit.score,
        cosine_parts=[CosinePartView(**vars(part)) for part in found.why.cosine],
        examples=_examples(found.why.examples, queries),
        odds_parts=[OddsPartView(**vars(part)) for part in found.why.parts],
        probability=None if verdict is None else verdict.probability,
        combined=None if verdict is None else verdict.combined,
        accepted=None if verdict is None else verdict.accepted,
        transition=transition_view(hit.transition),
        reranked=_reranked(found),
        frames=[
            FramePairView(
                example=pair.example,
                asking=pair.asking_frame,
                answering=pair.answering_frame,
                score=pair.score,
            )
            for pair in found.why.frames
        ],
        missing=list(found.why.missing),
    )


def _examples(matches: Sequence[ExampleMatch], queries: Sequence[str]) -> list[ExampleView]:
    """The examples; those that are no tracklets are the uploaded queries, in the order of the request."""
    uploaded = iter(queries)
    return [
        ExampleView(
            role=match.role,
            tracklet=match.query.id,
            query=next(uploaded) if match.query.id is None else None,
            name=match.query.name,
            modality=match.query.tracklet.modality.value,
            cosine=match.cosine,
            weight=match.weight,
        )
        for match in matches
    ]


def _reranked(found: Explained) -> RerankedView | None:
    hit = found.hit
    if hit.reranked is None:
        return None
    confirmed = sum(one.confirmed for one in found.result.hits)
    place = hit.rank - confirmed
    text = f"number {hit.place} by score, number {place} after its neighbours had their say"
    if hit.impossible:
        text += ", and behind all that space and time allow"
    return RerankedView(score=hit.reranked, from_rank=hit.place, to_rank=place, text=text)
