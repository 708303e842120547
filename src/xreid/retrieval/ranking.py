"""The nearest tracklets of a query: of one example or several, with feedback, by cosine or calibrated.

M examples (of the query, confirmed, rejected), each with a weight w; for a tracklet x the ranking value is
    cosine order:      sum of w_i cos(e_i, x)
    calibrated order:  sum of w_i (slope_i cos(e_i, x) + offset_i), by the kinds of the pairs
or, for `fusion` "max", the greatest instead of the sum. Both are linear in x within a modality, so that the
gallery's own exact search finds them: with the sum as one vector, with the greatest once per example.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from xreid.core.tracklets import Modality
from xreid.evaluation.metrics import Side
from xreid.evaluation.reranking import KReciprocal
from xreid.retrieval.columns import Filter
from xreid.retrieval.engine import Vectors
from xreid.retrieval.feedback import Feedback, Weights, example_weights
from xreid.retrieval.gallery import Gallery
from xreid.retrieval.gallery_rows import Entry
from xreid.retrieval.meaning import Meaning
from xreid.retrieval.queries import AnyQuery, Query, queries_of, unit

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A tracklet that may become a hit.

    Attributes:
        entry: The tracklet.
        score: Cosine with the query as a whole.
        value: What ranks it.
        cosines: float64 [M], with each example of the ask.
        reranked: Its score after re-ranking, or None.
        place: Its place by value, from 1; 0 for a confirmed one, which has none.
    """

    entry: Entry
    score: float
    value: float
    cosines: Floats
    reranked: float | None = None
    place: int = 0


@dataclass(frozen=True, kw_only=True)
class Ask:
    """A query as it is put to the gallery.

    Attributes:
        query: The query.
        positives: Its examples and the confirmed tracklets.
        negatives: The rejected tracklets.
        weights: float64 [M], of the positives, then of the negatives.
        rules: Which tracklets may be found.
        exclude: Ids that must not be found.
        confirmed: The confirmed tracklets, in order of confirmation.
    """

    query: AnyQuery
    positives: tuple[Query, ...]
    negatives: tuple[Query, ...]
    weights: Weights
    rules: Filter
    exclude: frozenset[str]
    confirmed: tuple[Candidate, ...] = ()

    @property
    def modalities(self) -> list[Modality]:
        """Of the M examples."""
        return [example.tracklet.modality for example in (*self.positives, *self.negatives)]

    @property
    def vectors(self) -> Vectors:
        """float32 [M, D], of the M examples."""
        rows = [example.vector for example in (*self.positives, *self.negatives)]
        return np.stack(rows).astype(np.float32)

    def ordered(self, meaning: Meaning | None) -> Meaning | None:
        """What orders its answers: as was asked for, or by cosine where that does not hold here."""
        found = tuple(Modality) if self.rules.modality is None else (self.rules.modality,)
        return None if meaning is None else meaning.ordered(self.modalities, found)

    @property
    def by_greatest(self) -> bool:
        """Whether the greatest cosine ranks; feedback makes a sum of it."""
        return self.query.fusion == "max" and len(self.weights) == len(self.query.examples)

    def scores(self, cosines: Floats) -> Floats:
        """float64 [N], from cosines float64 [M, N]: with the query as a whole."""
        if self.by_greatest:
            return np.asarray(cosines.max(axis=0))
        length = float(np.linalg.norm(self.weights @ self.vectors))
        return np.asarray(self.weights @ cosines / max(length, 1e-12))

    def values(self, cosines: Floats, answering: Modality, meaning: Meaning | None) -> Floats:
        """float64 [N], from cosines float64 [M, N] with tracklets of one modality: what ranks them."""
        if meaning is None or meaning.order == "cosine":
            return self.scores(cosines)
        slopes, offsets = meaning.lines(self.modalities, answering)
        ratios = slopes[:, None] * cosines + offsets[:, None]
        if self.by_greatest:
            return np.asarray(ratios.max(axis=0))
        return np.asarray(self.weights @ ratios / self.weights.sum())

    def probes(self, meaning: Meaning | None) -> list[tuple[Vectors, Filter]]:
        """Unit vectors float32 [D] with filters, whose nearest hold the best by `values`."""
        if meaning is None or meaning.order == "cosine":
            lines = self.vectors if self.by_greatest else unit(_float(self.weights @ self.vectors))[None]
            return [(line, self.rules) for line in lines]
        found: list[tuple[Vectors, Filter]] = []
        for answering in Modality:
            if self.rules.modality not in (None, answering):
                continue
            only = replace(self.rules, modality=answering)
            if self.by_greatest:
                found += [(line, only) for line in self.vectors]
                continue
            slopes, _ = meaning.lines(self.modalities, answering)
            found.append((unit(_float((self.weights * slopes) @ self.vectors)), only))
        return found


def ask_of(gallery: Gallery, query: AnyQuery, rules: Filter, feedback: Feedback) -> Ask:
    """A query with its feedback, ready for the gallery."""
    cameras = {example.tracklet.camera for example in query.examples}
    each = [rules.of_query(camera) for camera in cameras]
    barred = tuple(sorted({camera for one in each for camera in one.except_cameras}))
    entries = gallery.entries(feedback.confirmed)
    confirmed = queries_of(gallery, entries)
    rejected = queries_of(gallery, gallery.entries(feedback.rejected))
    own = [example.id for example in query.examples if example.id is not None]
    ask = Ask(
        query=query,
        positives=(*query.examples, *confirmed),
        negatives=tuple(rejected),
        weights=example_weights(len(query.examples), len(confirmed), len(rejected)),
        rules=replace(each[0], except_cameras=barred),
        exclude=frozenset((*own, *feedback.confirmed, *feedback.rejected)),
    )
    if not entries:
        return ask
    cosines = _cosines(ask.vectors, np.stack([example.vector for example in confirmed]))
    return replace(ask, confirmed=tuple(_candidates(ask, entries, cosines, None)))


def nearest_of(
    gallery: Gallery, asks: Sequence[Ask], meanings: Sequence[Meaning | None], *, k: int
) -> list[list[Candidate]]:
    """The k tracklets of greatest value for each query, best first; ties in order of ids.

    Args:
        gallery: Where.
        asks: The queries.
        meanings: What orders the answers of each.
        k: Most of each.

    Raises:
        ProtocolError: In calibrated order, the calibration does not cover a kind of pairs.
    """
    probes = [(n, *probe) for n, ask in enumerate(asks) for probe in ask.probes(meanings[n])]
    found = gallery.nearest(
        np.stack([vector for _, vector, _ in probes]),
        k=k,
        rules=[rules for _, _, rules in probes],
        exclude=[asks[number].exclude for number, _, _ in probes],
    )
    pools: list[dict[str, tuple[Entry, float]]] = [{} for _ in asks]
    for (number, _, _), some in zip(probes, found, strict=True):
        pools[number].update({one.entry.id: (one.entry, one.score) for one in some})
    each = zip(asks, pools, meanings, strict=True)
    return [_best(gallery, ask, pool, meaning, k=k) for ask, pool, meaning in each]


def _best(
    gallery: Gallery, ask: Ask, pool: dict[str, tuple[Entry, float]], meaning: Meaning | None, *, k: int
) -> list[Candidate]:
    if not pool:
        return []
    entries = [entry for entry, _ in pool.values()]
    if len(ask.weights) == 1:  # the gallery has said the cosines already
        cosines = np.array([[score for _, score in pool.values()]])
    else:
        cosines = _cosines(ask.vectors, gallery.vectors(list(pool)))
    found = _candidates(ask, entries, cosines, meaning)
    best = sorted(found, key=lambda one: (-one.value, one.entry.id))[:k]
    return [replace(one, place=place) for place, one in enumerate(best, start=1)]


def _candidates(
    ask: Ask, entries: Sequence[Entry], cosines: Floats, meaning: Meaning | None
) -> list[Candidate]:
    scores, values = ask.scores(cosines), np.zeros(len(entries))
    for answering in Modality:
        which = [i for i, entry in enumerate(entries) if entry.tracklet.modality is answering]
        if which:
            values[which] = ask.values(cosines[:, which], answering, meaning)
    return [
        Candidate(entry=entry, score=float(scores[i]), value=float(values[i]), cosines=cosines[:, i])
        for i, entry in enumerate(entries)
    ]


def rerank(gallery: Gallery, ask: Ask, pool: Sequence[Candidate], *, depth: int) -> list[Candidate]:
    """The first `depth` candidates by k-reciprocal neighbourhoods among themselves, then the others."""
    head, tail = list(pool[:depth]), list(pool[depth:])
    if len(head) < 2:
        return [*head, *tail]
    vectors = gallery.vectors([one.entry.id for one in head])
    if ask.by_greatest:
        query = ask.vectors
    else:
        query = unit(_float(ask.weights @ ask.vectors))[None]
    codes = np.zeros(len(query), dtype=np.int64), np.zeros(len(head), dtype=np.int64)
    sides = (
        Side(vectors=query, identities=codes[0]),
        Side(vectors=vectors, identities=codes[1]),
    )
    scores = np.empty((len(query), len(head)), dtype=np.float32)
    KReciprocal().scores(*sides)(*sides, block=slice(0, len(query)), out=scores)
    moved = [replace(one, reranked=float(score)) for one, score in zip(head, scores.max(axis=0), strict=True)]
    return [*sorted(moved, key=lambda one: (-(one.reranked or 0.0), one.entry.id)), *tail]


def _cosines(examples: Vectors, vectors: Vectors) -> Floats:
    return np.asarray(examples @ vectors.T, dtype=np.float64)


def _float(vector: Floats) -> Vectors:
    return np.asarray(vector, dtype=np.float32)
