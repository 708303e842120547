"""Searches as the API asks for them: find, group into persons, say why."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from xreid.core.errors import ProtocolError
from xreid.retrieval.columns import Filter
from xreid.retrieval.feedback import Feedback
from xreid.retrieval.matching_frames import Embed
from xreid.retrieval.meaning import Meaning, Order
from xreid.retrieval.persons import Person, persons_of
from xreid.retrieval.queries import Fusion, Query, together
from xreid.retrieval.ranking import ask_of
from xreid.retrieval.search import Hit, SearchResult, search
from xreid.retrieval.why import Why, explain
from xreid.serving.backend import Backend
from xreid.serving.problems import Refusal


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A search.

    Attributes:
        examples: Of the person.
        rules: Which tracklets may be found.
        top: Most hits.
        min_score: Hits of a lower score are left out.
        feedback: What was confirmed and rejected.
        rerank: Re-rank that many nearest by their neighbourhoods; 0 for none.
        fusion: How several examples are put together.
        order: Hits by cosine, or by calibrated log-odds.
    """

    examples: tuple[Query, ...]
    rules: Filter
    top: int
    min_score: float | None = None
    feedback: Feedback = field(default_factory=Feedback)
    rerank: int = 0
    fusion: Fusion = "mean"
    order: Order = "cosine"


def find(backend: Backend, wanted: Wanted) -> SearchResult:
    """Search; no hits where the filters let nothing through.

    Raises:
        Refusal: 409: calibrated order was asked for, and nobody has calibrated the model.
    """
    query, meaning = together(wanted.examples, fusion=wanted.fusion), _meaning(backend, wanted)
    ask = ask_of(backend.gallery, query, wanted.rules, wanted.feedback)
    if not wanted.feedback and not backend.gallery.count(ask.rules, exclude=ask.exclude):
        return SearchResult(query=query, hits=(), searched=0, best=None)
    return search(
        backend.gallery,
        [query],
        rules=wanted.rules,
        top=wanted.top,
        min_score=wanted.min_score,
        meaning=meaning,
        graph=backend.graph,
        rerank_depth=wanted.rerank,
        feedback=wanted.feedback,
    )[0]


def persons(backend: Backend, result: SearchResult) -> list[Person]:
    """Examples and hits of a search, as probable persons; what was confirmed is the person asked for.

    Raises:
        Refusal: 409: the model was not calibrated, or its calibration does not hold here.
    """
    meaning = backend.meaning()
    if meaning is None:
        raise Refusal(409, "grouping needs a calibrated model", todo="Calibrate it with `xreid calibrate`.")
    try:
        calibration = meaning.require_groups()
    except ProtocolError as error:
        raise Refusal(409, error.what, todo=error.todo) from error
    return persons_of(backend.gallery, result, calibration, graph=backend.graph)


def measured(meaning: Meaning) -> str:
    """On whom the probabilities were measured, and whether anybody checked that here: one line."""
    made, check = meaning.calibration, meaning.check
    whom = "simulated people" if "simul" in made.source.lower() else f"people of {made.source}"
    if check is None:
        here = "not checked on this site"
    elif check.broken:
        here = f"they do not hold here (checked {check.made[:10]}), so none is shown where they break"
    elif meaning.holds():
        here = f"checked here {check.made[:10]}: their rates hold"
    elif meaning.held:
        here = (
            f"checked here {check.made[:10]}: their rates hold for {' and '.join(meaning.held)} pairs, "
            "of others nobody knows"
        )
    else:
        here = f"checked here {check.made[:10]}: too few pairs to say whether they hold"
    return f"Probabilities measured on {len(made.identities):,} {whom}; {here}."


@dataclass(frozen=True, kw_only=True)
class Explained:
    """A hit with its reasons.

    Attributes:
        hit: The hit; rank 0 where it is not among the hits of the search.
        why: The reasons.
        result: The search.
    """

    hit: Hit
    why: Why
    result: SearchResult


def why(backend: Backend, wanted: Wanted, tracklet: str, *, pairs: int) -> Explained:
    """Why a tracklet is a hit of a search, or how it would stand if it were.

    Args:
        backend: Gallery and model.
        wanted: The search.
        tracklet: Id of the tracklet.
        pairs: Best matching pairs of frames; 0 needs no model.

    Raises:
        Refusal: 404: it is not in the gallery; 422: it is an example itself, or rejected; 409: frames are
            asked for, and the server has no model.
    """
    entry = backend.entry(tracklet)
    if tracklet in {one.id for one in wanted.examples} | set(wanted.feedback.rejected):
        raise Refusal(422, f"{entry.tracklet.name} is searched with, so it is no hit")
    embed = _embed(backend) if pairs else None
    result = find(backend, wanted)
    hit = next((hit for hit in result.hits if hit.entry.id == tracklet), None)
    if hit is None:
        hit = _beside(backend, wanted, tracklet, result)
    (reasons,) = explain(backend.gallery, replace(result, hits=(hit,)), embed=embed, pairs=pairs)
    return Explained(hit=hit, why=reasons, result=result)


def _embed(backend: Backend) -> Embed:
    backend.require_model()  # before anything is searched
    return lambda rows: backend.embed(rows, Path("/"))


def _meaning(backend: Backend, wanted: Wanted) -> Meaning | None:
    meaning = backend.meaning()
    if meaning is None and wanted.order == "calibrated":
        raise Refusal(
            409, "calibrated order needs a calibrated model", todo="Calibrate it with `xreid calibrate`."
        )
    return None if meaning is None else replace(meaning, order=wanted.order)


def _beside(backend: Backend, wanted: Wanted, tracklet: str, result: SearchResult) -> Hit:
    """How a tracklet stands that is not among the hits: the same search, of it alone, at the same prior."""
    entry, meaning = backend.entry(tracklet), _meaning(backend, wanted)
    alone = Filter(names=(entry.tracklet.name,), sets=(entry.stored.key,))
    if meaning is not None:
        meaning = replace(meaning, prior=meaning.prior_of(result.searched))
    (found,) = search(
        backend.gallery,
        [result.query],
        rules=alone,
        top=1,
        meaning=meaning,
        graph=backend.graph,
        feedback=wanted.feedback,
    )
    hit = next((hit for hit in found.hits if hit.entry.id == tracklet), None)
    if hit is None:
        raise ProtocolError(f"{entry.tracklet.name} is not in the gallery any more")
    return replace(hit, rank=0, place=0)
