"""Why a hit is a hit: what each part of the score contributed, and which frames match best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xreid.core.tracklets import Tracklet
from xreid.retrieval.camera_graph import log_factor
from xreid.retrieval.footage_queries import embed_like
from xreid.retrieval.gallery import Gallery
from xreid.retrieval.search import Hit, SearchResult

if TYPE_CHECKING:
    from xreid.inference.checkpoint import LoadedModel

NO_CHECKPOINT = "best matching frames need the checkpoint that embedded the gallery (--checkpoint RUN)"
_MOST_FRAMES = 8


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of a score.

    Attributes:
        name: "prior", "looks" or "space and time".
        log_odds: What it adds to the log-odds (natural logarithm).
        text: The same in words.
    """

    name: str
    log_odds: float
    text: str


@dataclass(frozen=True, kw_only=True)
class FramePair:
    """A frame of the query beside one of the hit.

    Attributes:
        asking: File of the query's frame.
        answering: File of the hit's frame.
        score: Cosine of the two, each embedded by itself.
    """

    asking: Path
    answering: Path
    score: float


@dataclass(frozen=True, kw_only=True)
class Why:
    """Why a hit is a hit.

    Attributes:
        parts: Their log-odds add up to those of the combined probability; empty without a calibration.
        frames: The pairs of frames that match best, best first.
        missing: What could not be said, and what is needed for it.
    """

    parts: tuple[Part, ...]
    frames: tuple[FramePair, ...]
    missing: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "parts": [vars(part) for part in self.parts],
            "frames": [
                {"asking": str(f.asking), "answering": str(f.answering), "score": f.score}
                for f in self.frames
            ],
            "missing": list(self.missing),
        }


def parts_of(hit: Hit, *, prior: float | None) -> tuple[Part, ...]:
    """What each part of a hit's combined probability contributed; empty without a calibration."""
    verdict = hit.verdict
    if prior is None or verdict is None or verdict.ratio is None:
        return ()
    parts = [
        Part(
            name="prior",
            log_odds=math.log(prior / (1 - prior)),
            text=f"1 of {1 / prior:,.0f} tracklets is expected to show this person",
        ),
        Part(name="looks", log_odds=verdict.ratio, text=_times(verdict.ratio)),
    ]
    if hit.transition is not None:
        told = hit.transition
        text = f"{told.judgement}: {told.why}"
        parts.append(Part(name="space and time", log_odds=log_factor(told), text=text))
    return tuple(parts)


def explain(
    gallery: Gallery,
    result: SearchResult,
    *,
    model: LoadedModel | None = None,
    most: int = 5,
    pairs: int = 3,
    frames_root: Path | None = None,
) -> list[Why]:
    """Why the first hits of an answer are hits.

    Args:
        gallery: What was searched.
        result: The answer.
        model: The checkpoint that embedded the gallery; none leaves the frames out.
        most: Hits to explain.
        pairs: Pairs of frames for each.
        frames_root: Where the gallery's frames are, if they have moved.

    Raises:
        DataError: A frame cannot be read.
        ProtocolError: Another model embedded the gallery.
    """
    hits = result.hits[:most]
    missing = (
        [] if result.prior is not None else ["parts of the score need a calibration (`xreid calibrate`)"]
    )
    if model is None:
        missing.append(NO_CHECKPOINT)
    matches = [()] * len(hits) if model is None else _frames(gallery, result, hits, model, frames_root, pairs)
    return [
        Why(parts=parts_of(hit, prior=result.prior), frames=tuple(some), missing=tuple(missing))
        for hit, some in zip(hits, matches, strict=True)
    ]


def _frames(
    gallery: Gallery,
    result: SearchResult,
    hits: Sequence[Hit],
    model: LoadedModel,
    frames_root: Path | None,
    pairs: int,
) -> list[tuple[FramePair, ...]]:
    """The best pairs of frames of each hit; every frame is embedded once, as a tracklet of its own."""
    asking = [
        one
        for example in result.query.examples
        for one in _single(example.tracklet, (frames_root or example.root) if example.id else example.root)
    ]
    answering = [_single(hit.entry.tracklet, frames_root or hit.entry.root) for hit in hits]
    rows = [*asking, *(one for group in answering for one in group)]
    named = [replace(row, name=str(number)) for number, row in enumerate(rows)]
    vectors = embed_like(gallery, model, named, Path("/"))
    scores, place, found = vectors[: len(asking)] @ vectors.T, len(asking), []
    for group in answering:
        part = scores[:, place : place + len(group)]
        best = np.argsort(-part, axis=None, kind="stable")[:pairs]
        found.append(
            tuple(
                FramePair(
                    asking=Path(asking[i // len(group)].frames[0]),
                    answering=Path(group[i % len(group)].frames[0]),
                    score=float(part.flat[i]),
                )
                for i in best.tolist()
            )
        )
        place += len(group)
    return found


def _single(row: Tracklet, root: Path) -> list[Tracklet]:
    """At most eight frames of a tracklet, evenly spread, each as a tracklet of its own."""
    count = min(len(row.frames), _MOST_FRAMES)
    chosen = [row.frames[(2 * i + 1) * len(row.frames) // (2 * count)] for i in range(count)]
    return [replace(row, frames=(str((root / frame).absolute()),)) for frame in chosen]


def _times(ratio: float) -> str:
    """A log-likelihood ratio in words."""
    times = math.exp(min(abs(ratio), 20))
    told = f"{times:,.0f}" if times >= 10 else f"{times:.1f}"
    more = "same person" if ratio >= 0 else "two people"
    return f"{told} times as likely of {'the ' if ratio >= 0 else ''}{more}"
