"""What an evaluation found, with everything needed to judge it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from xreid.core.embeddings import EmbeddingOrigin
from xreid.evaluation.directions import Direction
from xreid.evaluation.intervals import Bootstrap, Estimate
from xreid.evaluation.metrics import METRICS, Floats, PositiveRanks, ScoreSource, inner_products
from xreid.evaluation.protocols import Protocol
from xreid.evaluation.reranking import Reranking
from xreid.evaluation.selection import Selection

CMC_LENGTH = 50


@dataclass(frozen=True, kw_only=True)
class EvaluationResult:
    """Scores of one protocol and direction; scores are fractions.

    Attributes:
        protocol: The rule.
        direction: Who asked whom.
        metrics: Estimate by name: Rank-1, Rank-5, Rank-10, Rank-20, mAP, mINP.
        cmc: float64 [CMC_LENGTH or G], cumulative match characteristic.
        selection: The rows that took part, and how many did not.
        ranks: Ranks of all positives.
        per_query: float64 [Q, len(METRICS)], NaN for queries without a positive.
        query_names: Q tracklet names.
        query_identities: Q identities.
        bootstrap: How the intervals were drawn.
        origin: What made the vectors.
        reranking: What replaced the plain scores; None for inner products.
        scores: Where the ranks' scores came from.
    """

    protocol: Protocol
    direction: Direction
    metrics: Mapping[str, Estimate]
    cmc: Floats
    selection: Selection
    ranks: PositiveRanks
    per_query: Floats
    query_names: tuple[str, ...]
    query_identities: tuple[str, ...]
    bootstrap: Bootstrap
    origin: EmbeddingOrigin
    reranking: Reranking | None = None
    scores: ScoreSource = field(default=inner_products, repr=False)

    @property
    def label(self) -> str:
        """What is printed with every score: the protocol and, where there is one, the re-ranking."""
        after = f" RE-RANKED {self.reranking.label}" if self.reranking else ""
        return f"{self.protocol.label}{after}"

    @property
    def num_queries(self) -> int:
        """Queries of known identity."""
        return len(self.query_names)

    @property
    def num_valid(self) -> int:
        """Queries that keep a positive: the denominator of every score."""
        return int((self.ranks.counts > 0).sum())

    @property
    def num_dropped(self) -> int:
        """Queries without a positive left, which no score counts."""
        return self.num_queries - self.num_valid

    @property
    def num_gallery(self) -> int:
        """Gallery tracklets of known identity."""
        return len(self.selection.gallery)

    @property
    def num_identities(self) -> int:
        """Different persons among the valid queries."""
        return len({p for p, n in zip(self.query_identities, self.ranks.counts, strict=True) if n})

    @property
    def rank1(self) -> float:
        """Rank-1 as a fraction."""
        return self.metrics["Rank-1"].value

    @property
    def mean_average_precision(self) -> float:
        """mAP as a fraction."""
        return self.metrics["mAP"].value

    @property
    def published_sizes(self) -> bool | None:
        """Whether the lists are as long as on the real archive; None where nothing is published."""
        return self.protocol.has_published_sizes(
            self.direction, valid_queries=self.num_valid, gallery=self.num_gallery
        )

    def summary(self) -> dict[str, Any]:
        """JSON-serialisable: protocol, scores, counts, origin; without the single queries."""
        return {
            "protocol": {
                "name": self.protocol.name,
                "version": self.protocol.version,
                "hash": self.protocol.hash,
                "rule": self.protocol.summary,
            },
            "reranking": self.reranking.summary() if self.reranking else None,
            "label": self.label,
            "direction": self.direction.name,
            "metrics": {name: asdict(self.metrics[name]) for name in METRICS},
            "interval": {**asdict(self.bootstrap), "over": "query identities"},
            "counts": self.counts(),
            "chance_rank1": self.ranks.chance,
            "published_list_sizes": self.published_sizes,
            "ties": "equal scores keep gallery order (stable sort)",
            "cmc": [round(float(v), 6) for v in self.cmc],
            "origin": asdict(self.origin),
        }

    def counts(self) -> dict[str, int]:
        """Everything that took part or did not, by name."""
        return {
            "queries": self.num_queries,
            "valid queries": self.num_valid,
            "dropped queries (no positive left)": self.num_dropped,
            "query identities": self.num_identities,
            "gallery tracklets": self.num_gallery,
            "queries of unknown identity, left out": self.selection.unknown_queries,
            "gallery tracklets of unknown identity, left out": self.selection.unknown_gallery,
            "visible rows dropped by the batch rule": self.selection.batch_dropped,
            "training rows left out": self.selection.training_rows,
            "positives tied with another score": self.ranks.tied,
        }

    def details(self) -> dict[str, list[Any]]:
        """JSON-serialisable columns, one entry per query; None where a query has no positive left."""
        counts, starts = self.ranks.counts, self.ranks.offsets[:-1]
        first = [int(self.ranks.ranks[s]) if n else None for s, n in zip(starts, counts, strict=True)]
        precision = [
            None if math.isnan(v) else round(float(v), 6) for v in self.per_query[:, METRICS.index("mAP")]
        ]
        return {
            "name": list(self.query_names),
            "identity": list(self.query_identities),
            "positives": [int(n) for n in counts],
            "first_rank": first,
            "average_precision": precision,
        }

    def valid_rows(self) -> np.ndarray:
        """int64: positions of the queries that keep a positive."""
        return np.flatnonzero(self.ranks.counts > 0)
