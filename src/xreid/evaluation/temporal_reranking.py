"""Temporal re-ranking: whole tracklets, and the first half of one against the second half of the other.

Source: Du et al., "Video-based Visible-Infrared Person Re-Identification with Auxiliary Samples"
(BUPTCampus, TIFS 2023), and its published evaluator. With d the Euclidean distance of whole tracklets and
J(a, b) the k-reciprocal distance (k1 5, k2 3, lambda 0) of a's queries against b's gallery,

    0.8 d + 0.2 J(whole, whole) + 0.1 (J(first half, second half) + J(second half, first half)).

Decided here: neighbourhoods are computed in float32 (published: float16) and without the 1e-5 that it adds
under the root; a tracklet of one frame is both of its halves.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import numpy as np

from xreid.core.embeddings import EmbeddingSet, require_same_origin
from xreid.core.errors import ConfigError, ProtocolError
from xreid.core.tracklets import TrackletTable
from xreid.evaluation.metrics import ScoreSource, Side, Vectors
from xreid.evaluation.neighbours import Tell, quiet, squared_distances, squared_norms
from xreid.evaluation.reranking import KReciprocal, label, summary

Half = Literal["first-half", "second-half"]

PUBLISHED = KReciprocal(k1=5, k2=3, lambda_=0.0, distance="euclidean")


def half_of(table: TrackletTable, half: Half) -> TrackletTable:
    """The tracklets with the first n // 2 of their n frames (one at least), or with the others."""
    rows = tuple(replace(row, frames=_half(row.frames, half)) for row in table)
    return replace(table, rows=rows, source=f"{table.source}, {half.replace('-', ' ')}")


def _half(frames: tuple[str, ...], half: Half) -> tuple[str, ...]:
    middle = len(frames) // 2
    return frames[: max(middle, 1)] if half == "first-half" else frames[middle:]


@dataclass(frozen=True, kw_only=True)
class TemporalReranking:
    """Temporal re-ranking of one embedding set, with the embeddings of its tracklets' halves.

    Attributes:
        first: float32 [N, D], the first halves, in the order of the set.
        second: float32 [N, D], the second halves.
        k_reciprocal: Settings of J.
        original: Weight of d.
        whole: Weight of J(whole, whole).
        halves: Weight of each of the other two.
    """

    first: Vectors = field(repr=False)
    second: Vectors = field(repr=False)
    k_reciprocal: KReciprocal = PUBLISHED
    original: float = 0.8
    whole: float = 0.2
    halves: float = 0.1
    name: ClassVar[str] = "temporal"
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        weights = (self.original, self.whole, self.halves)
        if min(weights) < 0 or not any(weights):
            raise ConfigError("temporal re-ranking is set wrongly", expected="weights >= 0", got=str(weights))

    @classmethod
    def of(
        cls, embeddings: EmbeddingSet, *, first: EmbeddingSet, second: EmbeddingSet, **settings: Any
    ) -> TemporalReranking:
        """With halves that were embedded apart, in any order of rows.

        Args:
            embeddings: What is evaluated.
            first: The first halves: `xreid embed --part first-half`.
            second: The second halves: `xreid embed --part second-half`.
            settings: Attributes of the class other than the vectors.

        Raises:
            ProtocolError: The halves are of another model, or not the halves of these tracklets.
        """
        return cls(
            first=_aligned(embeddings, first, half="first-half"),
            second=_aligned(embeddings, second, half="second-half"),
            **settings,
        )

    @property
    def settings(self) -> dict[str, Any]:
        """The numbers that a score depends on."""
        weights = {"original": self.original, "whole": self.whole, "halves": self.halves}
        return weights | self.k_reciprocal.settings

    @property
    def label(self) -> str:
        """Name, version, settings and hash."""
        return label(self.name, self.version, self.settings)

    def summary(self) -> dict[str, Any]:
        """Name, version, settings and hash, JSON-serialisable."""
        return summary(self.name, self.version, self.settings)

    def scores(self, query: Side, gallery: Side, *, block_mib: int = 32, tell: Tell = quiet) -> ScoreSource:
        """Encode both sides three times; the sides' `rows` must be rows of the embedding set.

        Halves of one tracklet are different vectors, so a tracklet on both sides counts twice among them.
        """
        if query.rows is None or gallery.rows is None:
            raise ConfigError("temporal re-ranking needs to know which tracklets its sides are")

        def half(side: Side, vectors: Vectors) -> Side:
            return Side(vectors=vectors[side.rows], identities=side.identities)

        pairs = (
            (self.whole, query, gallery),
            (self.halves, half(query, self.first), half(gallery, self.second)),
            (self.halves, half(query, self.second), half(gallery, self.first)),
        )
        parts = tuple(
            (weight, self.k_reciprocal.scores(left, right, block_mib=block_mib, tell=tell), left, right)
            for weight, left, right in pairs
            if weight
        )
        norms = squared_norms(query.vectors), squared_norms(gallery.vectors)
        return _WeightedScores(original=self.original, parts=parts, norms=norms)


@dataclass(frozen=True, kw_only=True)
class _WeightedScores:
    """Minus the weighted sum of the Euclidean distance and of re-ranked distances.

    Attributes:
        original: Weight of the Euclidean distance.
        parts: Weight, scores, and the sides that they are of.
        norms: float32 [Q] and [G], squared lengths of the vectors.
    """

    original: float
    parts: tuple[tuple[float, ScoreSource, Side, Side], ...] = field(repr=False)
    norms: tuple[Vectors, Vectors] = field(repr=False)

    def __call__(self, query: Side, gallery: Side, *, block: slice, out: Vectors) -> None:
        """Fill `out`, float32 [queries in the block, G]."""
        norms = self.norms[0][block], self.norms[1]
        squared_distances(query.vectors[block], gallery.vectors, norms=norms, out=out)
        np.sqrt(out, out=out)
        out *= -self.original
        part = np.empty_like(out)
        for weight, scores, left, right in self.parts:
            scores(left, right, block=block, out=part)
            part *= weight
            out += part


def _aligned(embeddings: EmbeddingSet, halves: EmbeddingSet, *, half: Half) -> Vectors:
    """float32 [N, D], the halves' vectors in the order of the embeddings."""
    require_same_origin(embeddings.origin, halves.origin)
    places = {row.name: i for i, row in enumerate(halves.table)}
    order = []
    for row in embeddings.table:
        place = places.get(row.name)
        if place is None or halves.table[place].frames != _half(row.frames, half):
            raise ProtocolError(
                f"the {half.replace('-', ' ')} of {row.name} is not in the embeddings given for it",
                expected=f"{len(_half(row.frames, half))} of its {len(row.frames)} frames",
                got="no such tracklet" if place is None else f"{len(halves.table[place].frames)} frames",
                todo=f"Embed the same archive with the same options and --part {half}.",
            )
        order.append(place)
    return halves.vectors[order]
