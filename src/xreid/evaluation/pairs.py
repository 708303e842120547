"""The scores of all pairs of tracklets that a protocol counts.

Shapes: Q queries, G gallery tracklets, I identities.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from xreid.core.embeddings import EmbeddingSet
from xreid.core.errors import ProtocolError
from xreid.core.tracklets import Modality
from xreid.evaluation.directions import Direction
from xreid.evaluation.evaluator import sides
from xreid.evaluation.metrics import Floats, Ints, Side, Vectors
from xreid.evaluation.protocols import Protocol
from xreid.evaluation.selection import select

Mask = npt.NDArray[np.bool_]
Reals = npt.NDArray[np.floating[Any]]

KINDS = ("vis-vis", "vis-ir", "ir-ir")  # by the number of infrared tracklets in the pair: 0, 1, 2


def kind_of(first: Modality, second: Modality) -> str:
    """The kind of a pair of modalities; a cosine does not depend on which of the two asks."""
    return KINDS[(first is Modality.INFRARED) + (second is Modality.INFRARED)]


@dataclass(frozen=True, kw_only=True)
class PairScores:
    """All pairs of one protocol and direction; 4 bytes a pair.

    Attributes:
        scores: float32 [Q, G], cosines; NaN where the protocol does not count the pair.
        query: int64 [Q], code of each query's person, 0 .. I - 1.
        gallery: int64 [G], the same for the gallery.
        query_infrared: bool [Q].
        gallery_infrared: bool [G].
        identities: The I names.
    """

    scores: Vectors
    query: Ints
    gallery: Ints
    query_infrared: Mask
    gallery_infrared: Mask
    identities: tuple[str, ...]

    def blocks(self, *, rows: int = 512) -> Iterator[PairScores]:
        """The same pairs, some queries at a time."""
        for start in range(0, len(self.query), rows):
            part = slice(start, start + rows)
            yield PairScores(
                scores=self.scores[part],
                query=self.query[part],
                gallery=self.gallery,
                query_infrared=self.query_infrared[part],
                gallery_infrared=self.gallery_infrared,
                identities=self.identities,
            )

    @property
    def positive(self) -> Mask:
        """bool [Q, G]: two tracklets of one person, in a pair that counts."""
        return (self.query[:, None] == self.gallery) & ~np.isnan(self.scores)

    @property
    def negative(self) -> Mask:
        """bool [Q, G]: tracklets of two people; all of them count."""
        return self.query[:, None] != self.gallery

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of pairs that occur, in the order of KINDS."""
        present = {int(q) + int(g) for q in set(self.query_infrared) for g in set(self.gallery_infrared)}
        return tuple(name for number, name in enumerate(KINDS) if number in present)

    def of_kind(self, kind: str) -> Mask:
        """bool [Q, G]: pairs of this kind."""
        number = self.query_infrared[:, None].astype(np.int8) + self.gallery_infrared
        found: Mask = number == KINDS.index(kind)
        return found

    def counts(self) -> tuple[Ints, Ints]:
        """Tracklets of each person among queries and gallery, int64 [I] each."""
        size = len(self.identities)
        return np.bincount(self.query, minlength=size), np.bincount(self.gallery, minlength=size)


def pair_scores(embeddings: EmbeddingSet, protocol: Protocol, *, direction: Direction) -> PairScores:
    """Cosines of all pairs of a direction, without those that the protocol does not count.

    Raises:
        ProtocolError: The embeddings cannot answer, or there are no two people or no two tracklets of one.
    """
    selection = select(embeddings.table, protocol, direction=direction)
    query, gallery = sides(embeddings, selection, protocol=protocol)
    codes, names = _codes(embeddings, query, gallery)
    scores = query.vectors @ gallery.vectors.T
    scores[_not_counted(query, gallery)] = np.nan
    infrared = np.array([row.modality is Modality.INFRARED for row in embeddings.table])
    pairs = PairScores(
        scores=scores,
        query=codes[query.identities],
        gallery=codes[gallery.identities],
        query_infrared=infrared[selection.query],
        gallery_infrared=infrared[selection.gallery],
        identities=names,
    )
    for what, mask in (("two tracklets of one person", pairs.positive), ("two people", pairs.negative)):
        if not mask.any():
            raise ProtocolError(
                f"{direction} under {protocol.name}: no pair of {what} counts",
                expected="two identities or more, each seen by two cameras",
            )
    return pairs


def _codes(embeddings: EmbeddingSet, query: Side, gallery: Side) -> tuple[Ints, tuple[str, ...]]:
    """New codes 0 .. I - 1 of the people who take part, and their names."""
    names = embeddings.table.identities()
    present = np.unique(np.concatenate([query.identities, gallery.identities]))
    codes = np.full(len(names), -1, dtype=np.int64)
    codes[present] = np.arange(len(present))
    return codes, tuple(names[int(i)] for i in present)


def _not_counted(query: Side, gallery: Side) -> Mask:
    """bool [Q, G]: the rule of `metrics.rank_positives`, for all pairs at once."""
    same: Mask = query.identities[:, None] == gallery.identities
    gone = np.zeros_like(same)
    if query.cameras is not None and gallery.cameras is not None:
        gone |= same & (query.cameras[:, None] == gallery.cameras) & (query.cameras[:, None] >= 0)
    if query.rows is not None and gallery.rows is not None:
        gone |= query.rows[:, None] == gallery.rows
    return gone


def identity_weights(count: int, *, resamples: int, generator: np.random.Generator) -> Floats:
    """float64 [resamples, count]: how often each of `count` identities is drawn, with replacement."""
    return generator.multinomial(count, np.full(count, 1 / count), size=resamples).astype(np.float64)
