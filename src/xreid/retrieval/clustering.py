"""Average-linkage clustering that keeps some pairs apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def cluster(
    affinity: Floats, apart: Mask, *, together: Sequence[Sequence[int]] = (), least: float = 0.0
) -> list[list[int]]:
    """Join the two clusters of greatest mean affinity, again and again, while that is above `least`.

    Two clusters are never joined where any pair across them must stay apart. Equal affinities are joined in
    order of rows. N steps of N x N: a second for 1,000 rows, minutes for 10,000.

    Args:
        affinity: float64 [N, N], symmetric, finite; the diagonal is not read.
        apart: bool [N, N], symmetric: pairs that must not share a cluster.
        together: Groups of rows to start from, also where they must stay apart; no row twice.
        least: Clusters whose mean affinity is not above it stay as they are.

    Returns:
        The clusters, each of rising rows, in order of their first rows.
    """
    clusters = _start(len(affinity), together)
    sums = _between(affinity.astype(np.float64), clusters)
    sizes = np.array([len(rows) for rows in clusters], dtype=np.float64)
    barred = _between(apart.astype(np.float64), clusters) > 0
    np.fill_diagonal(barred, True)
    means = np.where(barred, -np.inf, sums / np.outer(sizes, sizes))
    while len(clusters) > 1:
        a, b = sorted(int(i) for i in np.unravel_index(np.argmax(means), means.shape))
        if not means[a, b] > least:
            break
        clusters[a] += clusters[b]
        clusters[b] = []
        sums[a] += sums[b]
        sums[:, a] = sums[a]
        sizes[a] += sizes[b]
        barred[a] |= barred[b]
        barred[:, a] = barred[a]
        barred[b], barred[:, b] = True, True
        means[b], means[:, b] = -np.inf, -np.inf
        means[a] = np.where(barred[a], -np.inf, sums[a] / (sizes[a] * np.maximum(sizes, 1)))
        means[:, a] = means[a]
    return sorted(sorted(rows) for rows in clusters if rows)


def _start(count: int, together: Sequence[Sequence[int]]) -> list[list[int]]:
    placed = {row for group in together for row in group}
    groups = [sorted(group) for group in together if group]
    return sorted([*groups, *([row] for row in range(count) if row not in placed)])


def _between(values: Floats, clusters: Sequence[Sequence[int]]) -> Floats:
    """float64 [C, C]: the sums of `values` between each two clusters."""
    member = np.zeros((len(clusters), len(values)))
    for number, rows in enumerate(clusters):
        member[number, list(rows)] = 1
    return np.asarray(member @ values @ member.T)
