"""Why a hit is a hit: what each part of the score contributed, and which frames match best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from xreid.core.errors import DataError
from xreid.core.tracklets import Modality
from xreid.retrieval.camera_graph import log_factor
from xreid.retrieval.columns import Filter
from xreid.retrieval.engine import Vectors
from xreid.retrieval.gallery import Gallery
from xreid.retrieval.matching_frames import Embed, FramePair, matching_frames
from xreid.retrieval.moments import moments, tracks_of
from xreid.retrieval.queries import Query
from xreid.retrieval.ranking import Ask, ask_of
from xreid.retrieval.search import Hit, SearchResult
from xreid.retrieval.words import name_of, show_tracks

NO_CALIBRATION = "parts of the probability need a calibration (`xreid calibrate`)"
NO_PROBABILITY = (
    "parts of the probability: the calibration does not cover this kind of pair, or does not hold here"
)
NO_CHECKPOINT = "best matching frames need the checkpoint that embedded the gallery (--checkpoint RUN)"
NO_FRAMES = "best matching frames: the frames of one side are not there any more"
Role = Literal["asked", "confirmed", "rejected"]


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of a probability.

    Attributes:
        name: "prior", "looks", "modality" or "space and time".
        log_odds: What it adds to the log-odds (natural logarithm).
        text: The same in words.
    """

    name: str
    log_odds: float
    text: str


@dataclass(frozen=True, kw_only=True)
class CosinePart:
    """One part of a score.

    Attributes:
        name: "appearance" (of what was asked with) or "feedback".
        adds: What it adds to the cosine.
        text: The same in words.
    """

    name: str
    adds: float
    text: str


@dataclass(frozen=True, kw_only=True)
class ExampleMatch:
    """One example that was searched with, beside the hit.

    Attributes:
        role: Whether it was asked with, or confirmed or rejected.
        query: The example.
        cosine: With the hit.
        weight: In the ranking; see `feedback.example_weights`.
    """

    role: Role
    query: Query
    cosine: float
    weight: float


@dataclass(frozen=True, kw_only=True)
class Why:
    """Why a hit is a hit.

    Attributes:
        parts: Their log-odds add up to those of the combined probability; empty without a calibration, and
            for a confirmed hit.
        cosine: They add up to the score.
        examples: What it was compared with: the query's examples first, in their order.
        frames: The pairs of frames that match best, best first.
        missing: What could not be said, and what is needed for it.
        joined: Of which tracks `xreid ingest` put the hit together, and how alike these were; "" of one.
    """

    parts: tuple[Part, ...]
    cosine: tuple[CosinePart, ...]
    examples: tuple[ExampleMatch, ...]
    frames: tuple[FramePair, ...]
    missing: tuple[str, ...]
    joined: str = ""

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "parts": [vars(part) for part in self.parts],
            "cosine": [vars(part) for part in self.cosine],
            "examples": [
                {"role": e.role, "tracklet": e.query.name, "cosine": e.cosine, "weight": e.weight}
                for e in self.examples
            ],
            "frames": [
                {"asking": str(f.asking), "answering": str(f.answering), "score": f.score}
                for f in self.frames
            ],
            "missing": list(self.missing),
            "joined": self.joined,
        }


def parts_of(hit: Hit, *, prior: float | None) -> tuple[Part, ...]:
    """What each part of a hit's combined probability contributed; empty without a calibration."""
    verdict = hit.verdict
    if prior is None or verdict is None or verdict.ratio is None:
        return ()
    across = verdict.across or 0.0
    looks = verdict.ratio - across
    parts = [
        Part(
            name="prior",
            log_odds=math.log(prior / (1 - prior)),
            text=f"1 of {1 / prior:,.0f} tracklets is expected to show this person",
        ),
        Part(name="looks", log_odds=looks, text=_times(looks)),
    ]
    if across:
        parts.append(Part(name="modality", log_odds=across, text=_across(across, hit)))
    if hit.transition is not None:
        told = hit.transition
        text = f"{told.judgement}: {told.why}"
        parts.append(Part(name="space and time", log_odds=log_factor(told), text=text))
    return tuple(parts)


def explain(
    gallery: Gallery,
    result: SearchResult,
    *,
    embed: Embed | None = None,
    most: int = 5,
    pairs: int = 3,
    frames_root: Path | None = None,
) -> list[Why]:
    """Why the first hits of an answer are hits.

    Args:
        gallery: What was searched.
        result: The answer.
        embed: Embeds frames as the gallery was; none leaves the frames out.
        most: Hits to explain.
        pairs: Pairs of frames for each; 0 for none.
        frames_root: Where the gallery's frames are, if they have moved.

    Raises:
        DataError: A frame cannot be read.
        ProtocolError: Another model embedded the gallery, or a hit is not in it any more.
    """
    hits = result.hits[:most]
    if not hits:
        return []
    ask = ask_of(gallery, result.query, Filter(), result.feedback)
    vectors = gallery.vectors([hit.entry.id for hit in hits])
    frames: Sequence[tuple[FramePair, ...]] = [()] * len(hits)
    if embed is not None:
        rows = [(hit.entry.tracklet, hit.entry.root) for hit in hits]
        frames = matching_frames(result.query.examples, rows, embed, pairs=pairs, frames_root=frames_root)
    return [
        Why(
            parts=parts_of(hit, prior=result.prior),
            cosine=_cosine_parts(ask, hit, vector),
            examples=_examples(ask, vector),
            frames=some,
            missing=tuple(_missing(result, hit, some, pairs=pairs, looked=embed is not None)),
            joined=_joined(hit, frames_root),
        )
        for hit, vector, some in zip(hits, vectors, frames, strict=True)
    ]


def _joined(hit: Hit, frames_root: Path | None) -> str:
    try:
        return show_tracks(tracks_of(moments(frames_root or hit.entry.root, hit.entry.tracklet.name)))
    except DataError as error:
        return f"nobody can say whether it was joined from several tracks: {error}"


def _missing(
    result: SearchResult, hit: Hit, frames: Sequence[FramePair], *, pairs: int, looked: bool
) -> list[str]:
    missing = [] if result.prior is not None else [NO_CALIBRATION]
    if hit.verdict is not None and hit.verdict.ratio is None:
        missing.append(NO_PROBABILITY)
    if pairs and not frames:
        missing.append(NO_FRAMES if looked else NO_CHECKPOINT)
    return missing


def _examples(ask: Ask, vector: Vectors) -> tuple[ExampleMatch, ...]:
    asked, positive = len(ask.query.examples), len(ask.positives)
    rows = [*ask.positives, *ask.negatives]
    return tuple(
        ExampleMatch(
            role="asked" if i < asked else "confirmed" if i < positive else "rejected",
            query=row,
            cosine=float(row.vector @ vector),
            weight=float(weight),
        )
        for i, (row, weight) in enumerate(zip(rows, ask.weights, strict=True))
    )


def _cosine_parts(ask: Ask, hit: Hit, vector: Vectors) -> tuple[CosinePart, ...]:
    """What was asked with by itself, and what feedback made of it."""
    examples = ask.query.examples
    cosines = np.array([float(one.vector @ vector) for one in examples])
    if ask.query.fusion == "max":
        alone = float(cosines.max())
    else:
        mean = np.mean([one.vector for one in examples], axis=0)
        alone = float(cosines.mean() / max(float(np.linalg.norm(mean)), 1e-12))
    several = f"the {ask.query.fusion} of {len(examples)} examples" if len(examples) > 1 else "the query"
    parts = [CosinePart(name="appearance", adds=alone, text=f"cosine with {several}")]
    if len(ask.weights) > len(examples):
        said = [f"{len(ask.positives) - len(examples)} confirmed", f"{len(ask.negatives)} rejected"]
        text = f"what {' and '.join(said)} tracklets change of it"
        parts.append(CosinePart(name="feedback", adds=hit.score - alone, text=text))
    return tuple(parts)


def _across(gain: float, hit: Hit) -> str:
    """What a pair across visible and infrared makes of the same cosine, in words."""
    within = name_of(hit.entry.tracklet.modality)
    other = name_of(
        Modality.VISIBLE if hit.entry.tracklet.modality is Modality.INFRARED else Modality.INFRARED
    )
    more = "more" if gain >= 0 else "less"
    return f"from {other} to {within} the same cosine says {_factor(gain)} times {more} than within {within}"


def _times(ratio: float) -> str:
    """A log-likelihood ratio in words."""
    more = "same person" if ratio >= 0 else "two people"
    return f"{_factor(ratio)} times as likely of {'the ' if ratio >= 0 else ''}{more}"


def _factor(ratio: float) -> str:
    times = math.exp(min(abs(ratio), 20))
    return f"{times:,.0f}" if times >= 10 else f"{times:.1f}"
