"""One gallery with both modalities: does a query prefer its own, and does the calibration mend it?

Cosines within a modality are higher than across, also between two people, so an infrared query puts infrared
strangers before visible tracklets of its own person. Two orders take the kind of pair into account:

calibrated  by log-likelihood ratio: a score counts for what it says about the person. The best order as far
            as the calibration is right. It need not give both modalities an equal share among strangers:
            where scores within a modality tell more, its strangers are told apart better and fall back.
equalised   by cosine, shifted and stretched for the kind of pair so that as many strangers exceed it as
            exceed it in the other kind (exactly at false-accept rates of 10% and 1%): strangers of both
            modalities rank alike, whatever the scores say about the person.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from xreid.core.embeddings import EmbeddingSet
from xreid.core.tracklets import Modality
from xreid.evaluation.calibration import Calibration
from xreid.evaluation.comparison import Comparison, compare
from xreid.evaluation.directions import Direction
from xreid.evaluation.evaluator import evaluate, sides
from xreid.evaluation.intervals import Bootstrap, estimate
from xreid.evaluation.metrics import Floats, Vectors, rank_positives
from xreid.evaluation.pairs import Mask, PairScores, Reals, kind_of, pair_scores
from xreid.evaluation.protocols import Protocol
from xreid.evaluation.results import EvaluationResult

DEPTHS = (1, 5, 10, 20)


@dataclass(frozen=True, kw_only=True)
class OwnShare:
    """How many of the first k tracklets are of the query's own modality; means over the queries.

    Attributes:
        k: How many are looked at.
        found: Share of the own modality among the first k.
        prior: Its share among all that count for the query.
        wrong_found: Share among the first k tracklets of OTHER people: there is no person to be found, so
            what differs from `wrong_prior` is preference for a modality and nothing else.
        wrong_prior: Its share among all tracklets of other people.
    """

    k: int
    found: float
    prior: float
    wrong_found: float
    wrong_prior: float


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """One order of the mixed gallery.

    Attributes:
        result: Its scores.
        shares: The own modality's share at each depth.
    """

    result: EvaluationResult
    shares: tuple[OwnShare, ...]


@dataclass(frozen=True, kw_only=True)
class MixedGallery:
    """Queries of one modality against a gallery of both.

    Attributes:
        query: Modality of the queries.
        cosine: Ranked by cosine.
        corrected: Other orders by name: "calibrated", "equalised"; empty without a calibration.
        gains: Each of them minus `cosine`, paired by query.
    """

    query: Modality
    cosine: Ranking
    corrected: Mapping[str, Ranking]
    gains: Mapping[str, Comparison]

    @property
    def orders(self) -> dict[str, Ranking]:
        """All orders by name, the cosine first."""
        return {"cosine": self.cosine, **self.corrected}

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        plain: dict[str, Any] = {"direction": self.cosine.result.direction.name, "orders": {}}
        for name, order in self.orders.items():
            gain = self.gains.get(name)
            plain["orders"][name] = {
                "metrics": {key: vars(e) for key, e in order.result.metrics.items()},
                "minus_cosine": None if gain is None else {k: vars(e) for k, e in gain.differences.items()},
                "own_modality": [vars(share) for share in order.shares],
            }
        return plain


def mixed_gallery(
    embeddings: EmbeddingSet,
    protocol: Protocol,
    *,
    query: Modality,
    calibration: Calibration | None,
    bootstrap: Bootstrap,
) -> MixedGallery:
    """Rank a gallery of both modalities by cosine and, with a calibration, by what corrects the bias.

    The order by log-likelihood ratio is always that of the logistic fit: the isotonic one is constant beyond
    its ends, which would leave the best matches without an order.

    Raises:
        ProtocolError: The embeddings cannot answer, or the calibration lacks a kind of pairs.
    """
    direction = Direction(query, None)
    pairs = pair_scores(embeddings, protocol, direction=direction)
    before = evaluate(embeddings, protocol, direction=direction, bootstrap=bootstrap)
    cosine = Ranking(result=before, shares=own_shares(pairs, pairs.scores, query=query))
    corrected = {}
    lines = {} if calibration is None else _lines(calibration, query=query)
    for name, lines_of_modality in lines.items():
        line = lines_of_modality[pairs.gallery_infrared.astype(np.int64)]
        scores = (line[:, 0] * pairs.scores + line[:, 1]).astype(np.float32)
        corrected[name] = Ranking(
            result=_ranked_along(line.astype(np.float32), before, embeddings),
            shares=own_shares(pairs, scores, query=query),
        )
    gains = {name: compare(order.result, before, bootstrap=bootstrap) for name, order in corrected.items()}
    return MixedGallery(query=query, cosine=cosine, corrected=corrected, gains=gains)


def own_shares(pairs: PairScores, scores: Reals, *, query: Modality) -> tuple[OwnShare, ...]:
    """Shares of the queries' own modality in the first k, by these scores.

    Args:
        pairs: Who stands where.
        scores: float [Q, G], NaN where a pair does not count.
        query: Modality of all queries.
    """
    own = pairs.gallery_infrared == (query is Modality.INFRARED)
    counted = ~np.isnan(scores)
    order = np.argsort(-np.where(counted, scores, -np.inf), axis=1, kind="stable")
    wrong = pairs.negative
    everything = [_first(order, counted, own, k=k) for k in DEPTHS]
    strangers = [_first(order, wrong, own, k=k) for k in DEPTHS]
    prior, wrong_prior = (float(((m & own).sum(axis=1) / m.sum(axis=1)).mean()) for m in (counted, wrong))
    return tuple(
        OwnShare(k=k, found=f, prior=prior, wrong_found=w, wrong_prior=wrong_prior)
        for k, f, w in zip(DEPTHS, everything, strangers, strict=True)
    )


def _first(order: np.ndarray, may: Mask, own: Mask, *, k: int) -> float:
    """Mean share of `own` among the first k in order that `may` be looked at."""
    allowed = np.take_along_axis(may, order, axis=1)
    taken = allowed & (np.cumsum(allowed, axis=1) <= k)
    return float(((taken & own[order]).sum(axis=1) / taken.sum(axis=1)).mean())


def _lines(calibration: Calibration, *, query: Modality) -> dict[str, Floats]:
    """Slope and offset of each order, float64 [2, 2]: for visible and for infrared gallery tracklets."""
    kinds = [calibration.kind(kind_of(query, m)) for m in (Modality.VISIBLE, Modality.INFRARED)]
    cuts = [k.stranger_cuts for k in kinds]
    return {
        "calibrated": np.array([[k.slope, k.offset] for k in kinds]),
        "equalised": np.array([[1 / (high - low), -low / (high - low)] for low, high in cuts]),
    }


def _ranked_along(line: Vectors, result: EvaluationResult, embeddings: EmbeddingSet) -> EvaluationResult:
    """The same queries and gallery, ranked by slope * cosine + offset; `line` is float32 [G, 2].

    That is an inner product too, of [q, 1] with [slope * g, offset], so the same code ranks it.
    """
    asking, answering = sides(embeddings, result.selection, protocol=result.protocol)
    ones = np.ones((len(asking), 1), dtype=np.float32)
    ranks = rank_positives(
        replace(asking, vectors=np.concatenate([asking.vectors, ones], axis=1)),
        replace(answering, vectors=np.concatenate([answering.vectors * line[:, :1], line[:, 1:]], axis=1)),
    )
    per_query, valid = ranks.per_query(), result.valid_rows()
    people = [result.query_identities[i] for i in valid]
    return replace(
        result,
        ranks=ranks,
        per_query=per_query,
        cmc=ranks.cmc(len(result.cmc)),
        metrics=estimate(per_query[valid], people, bootstrap=result.bootstrap),
    )
