"""What a search takes and gives."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from xreid.serving.schemas import EntryId, Filters, Model, StoredId, TrackletView, Word


class Judged(Model):
    """What a case had said when a search used it."""

    confirmed: list[EntryId] = Field(default=[], max_length=10_000)
    rejected: list[EntryId] = Field(default=[], max_length=10_000)


class NewSearch(Model):
    """Whom to search for, and where."""

    tracklets: list[EntryId] = Field(default=[], max_length=20, description="Ids of tracklets of one person")
    queries: list[StoredId] = Field(default=[], max_length=20, description="Ids of queries made of uploads")
    case: StoredId | None = Field(
        default=None, description="Use what was confirmed and rejected in this case"
    )
    filters: Filters = Filters()
    top: Annotated[int, Field(ge=1, le=2000)] = 30
    min_score: Annotated[float, Field(ge=-1, le=1)] | None = None
    rerank: Annotated[int, Field(ge=0, le=500)] = Field(
        default=0, description="Re-rank that many nearest by their neighbourhoods (k-reciprocal); 0 for none"
    )
    fusion: Literal["mean", "max"] = Field(
        default="mean", description="Several examples: by the mean of their vectors, or the greatest score"
    )
    order: Literal["cosine", "calibrated"] = Field(
        default="cosine",
        description="calibrated: by log-odds; needs a calibrated model. Where it is known not to hold for "
        "these pairs here, cosine ranks all the same, and `order_note` says so",
    )


class NewPersons(NewSearch):
    """A search whose hits are to be grouped."""

    top: Annotated[int, Field(ge=1, le=200)] = 30


class TransitionView(Model):
    """Whether the person can have been there then, by the camera graph."""

    judgement: Literal["possible", "fast", "impossible", "not judged"]
    factor: float = Field(description="What the odds are multiplied by")
    why: str


class HitView(Model):
    """A tracklet found."""

    rank: int
    score: float = Field(description="Cosine, -1 to 1; no probability")
    probability: float | None = Field(
        description="That it is the same person, at the prior; null: not calibrated, or not for this place"
    )
    combined: float | None = Field(
        description="The probability with space and time taken in; null: not calibrated"
    )
    strangers: float | None = Field(
        description="Share of pairs of strangers here that are at least as alike; null: not checked "
        "(`xreid gallery strangers`)"
    )
    transition: TransitionView | None = Field(description="Null without a camera graph")
    accepted: bool | None = Field(
        description="Whether it is above the threshold; false: unknown; null: no threshold"
    )
    reranked: float | None = Field(description="What re-ranking makes of the score, -1 to 0; null without")
    verdict: Word | None = Field(description="What was said of it in the case")
    tracklet: TrackletView


class Answer(Model):
    """The answer to a search."""

    hits: list[HitView]
    searched: int = Field(description="Tracklets that the filters let through")
    best: float | None = Field(description="The best score, also where min_score kept it out")
    prior: float | None
    order: Literal["cosine", "calibrated"] = Field(description="What ranks the hits")
    order_note: str | None = Field(
        description="Why they are in another order than was asked for; null where they are not"
    )
    unknown: bool = Field(description="Whether no hit reaches its threshold")
    note: str
    measured: str | None = Field(
        description="On whom the probabilities were measured, and whether that was checked here, in a line; "
        "null: not calibrated"
    )
    holds: bool | None = Field(description="Whether they hold here, as in the gallery's facts")
    judged: Judged = Field(description="What of the case was used; `POST /why` takes it")
    examples: int = Field(
        description="Tracklets that were searched with, those confirmed in the case included"
    )
    rejected: int = Field(description="Tracklets that the case keeps out")


class SightingView(Model):
    """A tracklet of a probable person."""

    tracklet: TrackletView | None = Field(description="Null for a picture that was uploaded")
    transition: TransitionView | None = Field(description="From the sighting before")


class PersonView(Model):
    """Tracklets that probably show one person, in order of time."""

    sightings: list[SightingView]
    probability: float = Field(description="Mean over the pairs; 1 for a single tracklet")
    weakest: float = Field(description="The least of a pair")
    asked: bool = Field(description="Whether it is the person searched for")


class NewWhy(NewSearch):
    """A search, and the tracklet whose place in it is to be explained."""

    hit: EntryId = Field(description="Id of the tracklet")
    judged: Judged | None = Field(
        default=None,
        description="What the case had said by the search (`judged` of its answer); null: what it says now",
    )
    pairs: Annotated[int, Field(ge=0, le=10)] = Field(
        default=3, description="Best matching pairs of frames; 0 for none, which needs no model"
    )


class CosinePartView(Model):
    """A part of a score."""

    name: Literal["appearance", "feedback"]
    adds: float
    text: str


class OddsPartView(Model):
    """A part of a probability."""

    name: Literal["prior", "looks", "modality", "space and time"]
    log_odds: float = Field(description="What it adds, natural logarithm")
    text: str


class ExampleView(Model):
    """What a hit was compared with."""

    role: Literal["asked", "confirmed", "rejected"]
    tracklet: str | None = Field(description="Id; null for a query made of uploads")
    query: str | None = Field(description="Id of the query made of uploads; null for a tracklet")
    name: str
    modality: Literal["vis", "ir"]
    cosine: float = Field(description="With the hit")
    weight: float = Field(description="In the ranking; negative for what was rejected")


class RerankedView(Model):
    """What re-ranking did."""

    score: float
    from_rank: int = Field(description="By score, among those that were not confirmed")
    to_rank: int
    text: str


class FramePairView(Model):
    """A frame of an example beside one of the hit."""

    example: int = Field(description="Place in `examples`")
    asking: int = Field(description="Number of the example's frame, from 0")
    answering: int = Field(description="Number of the hit's frame, from 0")
    score: float = Field(description="Cosine of the two, each embedded by itself")


class WhyView(Model):
    """Why a tracklet is a hit."""

    tracklet: TrackletView
    rank: int | None = Field(description="Among the hits of the search; null: not among its top")
    searched: int
    score: float = Field(description="The cosine_parts add up to it")
    cosine_parts: list[CosinePartView]
    examples: list[ExampleView]
    odds_parts: list[OddsPartView] = Field(
        description="They add up to the log-odds of `combined`; empty without a calibration"
    )
    probability: float | None
    combined: float | None
    accepted: bool | None
    transition: TransitionView | None
    reranked: RerankedView | None
    frames: list[FramePairView] = Field(description="Best first")
    missing: list[str] = Field(description="What could not be said, and what is needed for it")
