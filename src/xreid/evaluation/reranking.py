"""k-reciprocal re-ranking: scores from the neighbourhoods of query and gallery, sparse and in blocks.

Source: Zhong et al., "Re-ranking Person Re-identification with k-reciprocal Encoding", CVPR 2017 (arXiv
1701.08398), equations 2 to 12. Where paper and published code differ, as the code, which scores come from:
distances are divided by each row's largest, weights by their sum, a neighbour needs MORE than two thirds in
eq. 4, and neighbours are looked for among queries AND gallery.

Shapes: Q queries, G gallery tracklets, N different tracklets of both. Only some rows of N x N are ever held,
and the encodings (V of eq. 7) as sparse matrices.

**The neighbourhood is joint.** Queries and gallery are of two modalities, and a tracklet's nearest are
mostly of its own. With the gallery alone as neighbourhood an infrared query would have no infrared neighbour
to share with a visible tracklet. Jointly, two neighbourhoods meet wherever any pair in them is reciprocal
across the modalities; where none is, the Jaccard distance is 1 for all, and only the original distance
(lambda > 0) orders them. A tracklet on both sides (as in all->all) counts once.

**It is transductive**: a query's scores depend on the other queries; a search with one query has none.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal, Protocol

import numpy as np

from xreid.core.errors import ConfigError
from xreid.core.files import sha256_of_value
from xreid.evaluation.encodings import joint, k_reciprocal_encodings
from xreid.evaluation.metrics import ScoreSource, Side, Vectors
from xreid.evaluation.neighbours import Tell, quiet, squared_distances, squared_norms


class Reranking(Protocol):
    """A way to score that replaces the plain inner products, as a value that is printed with every score."""

    @property
    def label(self) -> str:
        """Name, version, settings and hash."""

    def summary(self) -> dict[str, Any]:
        """The same, JSON-serialisable."""

    def scores(self, query: Side, gallery: Side, *, block_mib: int = 32, tell: Tell = quiet) -> ScoreSource:
        """The source of scores for these two sides."""


@dataclass(frozen=True, kw_only=True)
class KReciprocal:
    """k-reciprocal re-ranking and its settings; the defaults are the paper's.

    Attributes:
        k1: Neighbours that can be reciprocal, beside the tracklet itself; half of them (rounded, halves to
            even) for the expansion of eq. 4.
        k2: Neighbours, the tracklet itself included, whose encodings are averaged (local query expansion,
            eq. 11); 1 for none.
        lambda_: Weight of the original distance beside the Jaccard distance (eq. 12), 0 to 1.
        distance: Original distance: "squared" Euclidean, or "euclidean".
    """

    k1: int = 20
    k2: int = 6
    lambda_: float = 0.3
    distance: Literal["squared", "euclidean"] = "squared"
    name: ClassVar[str] = "k-reciprocal"
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.k1 < 1 or self.k2 < 1 or not 0 <= self.lambda_ <= 1:
            raise ConfigError(
                "re-ranking is set wrongly",
                expected="k1 and k2 of 1 or more, lambda from 0 to 1",
                got=f"k1 {self.k1}, k2 {self.k2}, lambda {self.lambda_}",
            )

    @property
    def settings(self) -> dict[str, Any]:
        """The numbers that a score depends on."""
        values = asdict(self) | {"lambda_": float(self.lambda_)}  # 0 and 0.0 are one setting with one hash
        return {name.rstrip("_"): value for name, value in values.items()}

    @property
    def label(self) -> str:
        """E.g. "k-reciprocal v1 (k1 20, k2 6, lambda 0.3, distance squared) [1a2b3c4d]"."""
        return label(self.name, self.version, self.settings)

    def summary(self) -> dict[str, Any]:
        """Name, version, settings and hash, JSON-serialisable."""
        return summary(self.name, self.version, self.settings)

    def scores(self, query: Side, gallery: Side, *, block_mib: int = 32, tell: Tell = quiet) -> JaccardScores:
        """Encode both sides; costs N x N distances and a few sparse products."""
        both = joint(query, gallery)
        codes = k_reciprocal_encodings(
            both.vectors, k1=self.k1, k2=self.k2, distance=self.distance, block_mib=block_mib, tell=tell
        )
        return JaccardScores(
            query_codes=codes.rows[both.query],
            gallery_codes=codes.rows[both.gallery].tocsc(),
            farthest=codes.farthest[both.query],
            norms=(squared_norms(query.vectors), squared_norms(gallery.vectors)),
            settings=self,
        )


@dataclass(frozen=True, kw_only=True)
class JaccardScores:
    """Scores of eq. 12: minus (1 - lambda) Jaccard distance, minus lambda x the original distance.

    The original distance is divided by the largest of its query's row, so all scores lie in [-1, 0].

    Attributes:
        query_codes: Sparse float32 [Q, N], rows.
        gallery_codes: Sparse float32 [G, N], columns.
        farthest: float32 [Q], each query's largest original distance.
        norms: float32 [Q] and [G], squared lengths of the vectors.
        settings: What they were made with.
    """

    query_codes: Any = field(repr=False)
    gallery_codes: Any = field(repr=False)
    farthest: Vectors = field(repr=False)
    norms: tuple[Vectors, Vectors] = field(repr=False)
    settings: KReciprocal

    def __call__(self, query: Side, gallery: Side, *, block: slice, out: Vectors) -> None:
        """Fill `out`, float32 [queries in the block, G]."""
        weight = self.settings.lambda_
        if weight == 0:
            out[:] = 0
        else:
            norms = self.norms[0][block], self.norms[1]
            squared_distances(query.vectors[block], gallery.vectors, norms=norms, out=out)
            if self.settings.distance == "euclidean":
                np.sqrt(out, out=out)
            out *= (-weight / self.farthest[block])[:, None]
        if weight < 1:
            for row, position in enumerate(range(*block.indices(len(query)))):
                out[row] -= (1 - weight) * self._jaccard(position)

    def _jaccard(self, position: int) -> Vectors:
        """float32 [G]: 1 - sum of minima / sum of maxima; both encodings sum to 1 (eq. 10)."""
        row, columns = self.query_codes, self.gallery_codes
        entries = slice(row.indptr[position], row.indptr[position + 1])
        starts = columns.indptr[row.indices[entries]].astype(np.int64)
        counts = columns.indptr[row.indices[entries] + 1] - starts
        places = np.arange(counts.sum()) + np.repeat(starts - np.cumsum(counts) + counts, counts)
        smaller = np.minimum(np.repeat(row.data[entries], counts), columns.data[places])
        shared = np.bincount(columns.indices[places], weights=smaller, minlength=columns.shape[0])
        jaccard: Vectors = (1 - shared / (2 - shared)).astype(np.float32)
        return jaccard


def summary(name: str, version: int, settings: dict[str, Any]) -> dict[str, Any]:
    """What is stored with every re-ranked score; the hash is of everything else in it."""
    rule = {"name": name, "version": version, "settings": settings}
    return rule | {"hash": sha256_of_value(rule)[:8]}


def label(name: str, version: int, settings: dict[str, Any]) -> str:
    """What is printed with every re-ranked score."""
    numbers = ", ".join(f"{key} {value}" for key, value in settings.items())
    return f"{name} v{version} ({numbers}) [{summary(name, version, settings)['hash']}]"
