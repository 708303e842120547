"""Bootstrap intervals over identities.

Tracklets of one person rise and fall together, so resampling single queries would give intervals that are
too narrow. Here whole identities are drawn with replacement (a cluster bootstrap); a metric of a draw is the
mean over the queries of the drawn identities. What varies between draws is WHO is searched for; the gallery,
the cameras and the trained weights stay, so the interval says nothing about another training seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xreid.core.errors import ConfigError
from xreid.core.seeding import numpy_generator
from xreid.evaluation.metrics import METRICS, Floats

_MOST_RESAMPLES = 100_000  # all draws are held at once: 0.9 GB with the 1,076 people of BUPTCampus


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean with a percentile interval, as fractions (0.5 is 50%).

    Attributes:
        value: The mean over the valid queries.
        low: Lower end, or None where there is only one identity.
        high: Upper end, or None where there is only one identity.
    """

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class Bootstrap:
    """How intervals are drawn.

    Attributes:
        resamples: Draws; 0 gives no intervals.
        confidence: Coverage of the interval, between 0 and 1.
        seed: Seed of the draws; the same seed gives the same interval.
    """

    resamples: int = 2000
    confidence: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.resamples <= _MOST_RESAMPLES or not 0 < self.confidence < 1:
            raise ConfigError(
                "bootstrap cannot be drawn",
                expected=f"resamples 0 to {_MOST_RESAMPLES:,} and 0 < confidence < 1",
                got=f"resamples {self.resamples}, confidence {self.confidence}",
            )


def estimate(values: Floats, identities: Sequence[str], *, bootstrap: Bootstrap) -> dict[str, Estimate]:
    """Mean and interval of each metric.

    Args:
        values: float64 [V, len(METRICS)], one row per valid query.
        identities: The V queries' identities.
        bootstrap: How intervals are drawn.
    """
    means = values.mean(axis=0)
    draws = resampled_means(values, identities, bootstrap=bootstrap)
    if draws is None:
        return {
            name: Estimate(value=float(m), low=None, high=None)
            for name, m in zip(METRICS, means, strict=True)
        }
    tail = (1 - bootstrap.confidence) / 2
    low, high = np.quantile(draws, [tail, 1 - tail], axis=0)
    return {
        name: Estimate(value=float(means[i]), low=float(low[i]), high=float(high[i]))
        for i, name in enumerate(METRICS)
    }


def resampled_means(values: Floats, identities: Sequence[str], *, bootstrap: Bootstrap) -> Floats | None:
    """float64 [resamples, M]: the means over each draw of identities; None with fewer than two identities."""
    _, codes = np.unique(np.asarray(identities), return_inverse=True)
    clusters = int(codes.max()) + 1
    if clusters < 2 or not bootstrap.resamples:
        return None
    sums = np.zeros((clusters, values.shape[1]))
    np.add.at(sums, codes, values)
    sizes = np.bincount(codes, minlength=clusters)
    generator = numpy_generator(bootstrap.seed, "bootstrap")
    weights = generator.multinomial(clusters, np.full(clusters, 1 / clusters), size=bootstrap.resamples)
    return (weights @ sums) / (weights @ sizes)[:, None]
