"""Embeddings as points of a plane: PCA, then t-SNE; and what of the full space the plane cannot show.

t-SNE: van der Maaten and Hinton, JMLR 9, 2008. Trustworthiness: Venna and Kaski, 2001. Both scikit-learn's.

Shapes: N points, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xreid.core.embeddings import EmbeddingSet
from xreid.core.errors import ConfigError, DataError
from xreid.core.seeding import numpy_generator
from xreid.core.tracklets import Tracklet

MOST_POINTS = 1500
FEWEST_POINTS = 6
PERPLEXITY = 30
_PCA_WIDTH = 50
_TRUST_NEIGHBOURS = 10


@dataclass(frozen=True, kw_only=True)
class EmbeddingMap:
    """Where tracklets lie.

    Attributes:
        rows: int64 [N], rows of the embedding set, in rising order.
        points: float64 [N, 2] in [0, 1]; turned so that the larger extent is horizontal, and fills it. Axes
            and distances between groups have no meaning.
        perplexity: Of the t-SNE.
        trustworthiness: In [0, 1]; 1: nobody's ten neighbours in the plane are strangers in the full space.
        left_out: Tracklets that are not drawn, to keep the map readable.
    """

    rows: npt.NDArray[np.int64]
    points: npt.NDArray[np.float64]
    perplexity: float
    trustworthiness: float
    left_out: int


@dataclass(frozen=True, kw_only=True)
class NeighbourShare:
    """How often a tracklet's nearest other one, in the full space, agrees with it in something.

    Attributes:
        name: "person", "camera" or "modality".
        share: Fraction of the tracklets.
        chance: The same, were the nearest one drawn at random.
        num_tracklets: Tracklets of which it is known.
    """

    name: str
    share: float
    chance: float
    num_tracklets: int


def embedding_map(embeddings: EmbeddingSet, *, most: int = MOST_POINTS, seed: int = 0) -> EmbeddingMap:
    """Lay tracklets out in a plane; nothing but the choice of people is drawn at random.

    Args:
        embeddings: What to draw.
        most: Most points; of more tracklets, whole people are drawn at random.
        seed: Of that choice.

    Raises:
        DataError: There are too few tracklets for a map.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE, trustworthiness
    from threadpoolctl import threadpool_limits  # comes with scikit-learn

    if most < FEWEST_POINTS:
        raise ConfigError("too few points for a map", expected=f"{FEWEST_POINTS} or more", got=str(most))
    rows = _readable(embeddings, most=most, seed=seed)
    count = len(rows)
    if count < FEWEST_POINTS:
        raise DataError(
            "too few tracklets for a map", expected=f"{FEWEST_POINTS} or more", got=f"{count} tracklets"
        )
    vectors = embeddings.vectors[rows].astype(np.float64)
    width = min(_PCA_WIDTH, vectors.shape[1], count)
    perplexity = min(float(PERPLEXITY), (count - 1) / 3)
    neighbours = min(_TRUST_NEIGHBOURS, (count - 1) // 2)
    # one thread: the same map on every machine's number of cores, and no spinning where they are busy
    with threadpool_limits(limits=1):
        reduced = PCA(n_components=width, svd_solver="full").fit_transform(vectors)
        layout = TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(reduced)
        trust = float(trustworthiness(vectors, layout, n_neighbors=neighbours))
    return EmbeddingMap(
        rows=rows,
        points=_laid_flat(np.asarray(layout, dtype=np.float64)),
        perplexity=perplexity,
        trustworthiness=trust,
        left_out=len(embeddings) - count,
    )


def neighbour_shares(embeddings: EmbeddingSet, *, block: int = 1024) -> tuple[NeighbourShare, ...]:
    """What each tracklet's nearest other one shares with it: person, camera, modality."""
    nearest = _nearest(embeddings.vectors, block=block)
    found = []
    for name, values in _columns(embeddings).items():
        codes = np.unique(values, return_inverse=True)[1]
        known = np.array([value != "" for value in values])
        asked = known & known[nearest]
        if not asked.any():
            continue
        sizes = np.bincount(codes[known])
        others = max(int(known.sum()) - 1, 1)
        found.append(
            NeighbourShare(
                name=name,
                share=float((codes == codes[nearest])[asked].mean()),
                chance=float(((sizes[codes[asked]] - 1) / others).mean()),
                num_tracklets=int(asked.sum()),
            )
        )
    return tuple(found)


def _columns(embeddings: EmbeddingSet) -> dict[str, list[str]]:
    def column(value_of: str) -> list[str]:
        return [str(getattr(row, value_of) or "") for row in embeddings.table]

    return {"person": column("identity"), "camera": column("camera"), "modality": column("modality")}


def _nearest(vectors: npt.NDArray[np.float32], *, block: int) -> npt.NDArray[np.int64]:
    """int64 [N]: the other row of the highest inner product, the first of equals."""
    nearest = np.empty(len(vectors), dtype=np.int64)
    for start in range(0, len(vectors), block):
        scores = vectors[start : start + block] @ vectors.T
        rows = np.arange(len(scores))
        scores[rows, start + rows] = -np.inf
        nearest[start : start + block] = scores.argmax(axis=1)
    return nearest


def _readable(embeddings: EmbeddingSet, *, most: int, seed: int) -> npt.NDArray[np.int64]:
    """All rows; of too many, those of people drawn at random until the next would be too many."""
    if len(embeddings) <= most:
        return np.arange(len(embeddings))
    groups: dict[str, list[int]] = {}
    for i, row in enumerate(embeddings.table):
        groups.setdefault(_person(row, i), []).append(i)
    names = sorted(groups)
    rows: list[int] = []
    for position in numpy_generator(seed, "map people").permutation(len(names)):
        if len(rows) + len(groups[names[position]]) <= most:
            rows += groups[names[position]]
    return np.array(sorted(rows), dtype=np.int64)


def _person(row: Tracklet, number: int) -> str:
    return f"known {row.identity}" if row.identity is not None else f"unknown {number}"


def _laid_flat(layout: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    centred = layout - layout.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2]
    axes *= np.where(axes[:, np.abs(axes).argmax(axis=1)].diagonal() < 0, -1, 1)[:, None]  # one of two signs
    turned = centred @ axes.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    extent = float((high - low).max()) or 1.0
    points: npt.NDArray[np.float64] = (turned - low) / extent
    return points
