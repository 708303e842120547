"""What is accepted at a given rate of false alarms, with intervals over identities.

A threshold accepts scores STRICTLY ABOVE it. At a rate f among N negatives, floor(f * N) false alarms are
allowed, so the threshold is the negative that stands next in falling order, and all ties with it fail. (Equal
to the smallest threshold whose share of false alarms is at most f.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from xreid.evaluation.intervals import Bootstrap, Estimate
from xreid.evaluation.metrics import Floats, Ints

Resolution = Literal["enough", "few", "too few"]
ENOUGH_FALSE_ALARMS = (
    30  # Doddington's rule of 30: within 30% of the rate with 90% confidence, if independent
)
_TAIL = 4.0  # false alarms kept for the draws, as a multiple of the highest rate; a draw never needs more
_MOST_DRAWS = 500  # of identities; each walks through the tail


@dataclass(frozen=True, kw_only=True)
class RatePoint:
    """What is accepted at one rate of false alarms.

    Attributes:
        rate: The rate asked for, as a fraction.
        resolution: "enough" false alarms lie above the threshold, "few" (less than 30), or "too few": fewer
            negatives than 1 / rate, so that there is no such threshold.
        threshold: Scores strictly above it are accepted; None where resolution is "too few".
        accepted: Share of the positives that is accepted, with its interval; None likewise.
    """

    rate: float
    resolution: Resolution
    threshold: float | None
    accepted: Estimate | None

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Trials:
    """Scores with the people behind them.

    Attributes:
        scores: float [N], falling.
        first: int64 [N], code of the person who asks.
        second: int64 [N], code of the other person; None where only one is drawn.
    """

    scores: Floats
    first: Ints
    second: Ints | None = None

    def weights(self, drawn: Floats) -> Floats:
        """float64 [N]: how often each trial is in a draw of people, float64 [I]."""
        return drawn[self.first] if self.second is None else drawn[self.first] * drawn[self.second]


def falling(scores: Floats, first: Ints, second: Ints | None = None) -> Trials:
    """Trials sorted by falling score."""
    order = np.argsort(-scores, kind="stable")
    return Trials(scores=scores[order], first=first[order], second=None if second is None else second[order])


def resolution(rate: float, negatives: int) -> Resolution:
    """Whether that many negatives can show a rate of false alarms."""
    alarms = int(rate * negatives + 1e-9)
    if alarms < 1:
        return "too few"
    return "few" if alarms < ENOUGH_FALSE_ALARMS else "enough"


def threshold_at(tail: Floats, rate: float, *, negatives: int) -> float | None:
    """The threshold of a rate; None where there are fewer than 1 / rate negatives.

    Args:
        tail: The highest negative scores, falling; more than rate * negatives of them.
        rate: Share of the negatives that may be accepted.
        negatives: How many there are in all.
    """
    allowed = int(rate * negatives + 1e-9)
    if allowed < 1:
        return None
    return float(tail[allowed]) if allowed < len(tail) else -np.inf


def tail_length(rates: Sequence[float], negatives: int) -> int:
    """How many of the highest negatives are needed, draws included."""
    return min(negatives, max(1000, int(_TAIL * max(rates) * negatives) + 1))


def rate_points(
    positive: Trials,
    tail: Trials,
    *,
    rates: Sequence[float],
    negatives: int,
    drawn: Floats,
    totals: Floats,
    bootstrap: Bootstrap,
    independent: int | None = None,
) -> tuple[RatePoint, ...]:
    """Share of the positives accepted at each rate, with intervals.

    Args:
        positive: All positives.
        tail: The highest negatives, `tail_length` of them or all.
        rates: Rates of false alarms.
        negatives: Number of negatives.
        drawn: float64 [R, I], how often each person is in each draw; R = 0 for no intervals.
        totals: float64 [R], number of negatives in each draw.
        bootstrap: Gives the confidence.
        independent: Negatives that decide the resolution, where those counted repeat each other.
    """
    shares = _resampled(positive, tail, rates=rates, drawn=drawn, totals=totals)
    side = (1 - bootstrap.confidence) / 2
    points = []
    for number, rate in enumerate(rates):
        found = resolution(rate, negatives if independent is None else independent)
        threshold = None if found == "too few" else threshold_at(tail.scores, rate, negatives=negatives)
        accepted = None
        if threshold is not None:
            low, high = _interval(shares[:, number], side)
            accepted = Estimate(value=float((positive.scores > threshold).mean()), low=low, high=high)
        points.append(RatePoint(rate=rate, resolution=found, threshold=threshold, accepted=accepted))
    return tuple(points)


def draws_of(bootstrap: Bootstrap) -> int:
    """Draws for open-set figures: as many as asked for, at most 500."""
    return min(bootstrap.resamples, _MOST_DRAWS)


def _interval(values: Floats, side: float) -> tuple[float | None, float | None]:
    values = values[~np.isnan(values)]
    if len(values) < 2:
        return None, None
    low, high = np.quantile(values, [side, 1 - side])
    return float(low), float(high)


def _resampled(
    positive: Trials, tail: Trials, *, rates: Sequence[float], drawn: Floats, totals: Floats
) -> Floats:
    """float64 [R, len(rates)]: the accepted share in each draw, its threshold found anew each time."""
    shares = np.full((len(drawn), len(rates)), np.nan)
    rising = -positive.scores
    for number, (weights, total) in enumerate(zip(drawn, totals, strict=True)):
        alarms = np.cumsum(tail.weights(weights))
        found = np.concatenate([[0.0], np.cumsum(positive.weights(weights))])
        if found[-1] <= 0 or total <= 0:
            continue  # a draw without a positive or without a negative
        for place, rate in enumerate(rates):
            stop = int(np.searchsorted(alarms, rate * total * (1 + 1e-12), side="right"))
            threshold = tail.scores[min(stop, len(alarms) - 1)]
            shares[number, place] = found[np.searchsorted(rising, -threshold, side="left")] / found[-1]
    return shares
