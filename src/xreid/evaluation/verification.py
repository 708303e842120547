"""Same person or not? TAR at FAR over all pairs that the protocol counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from xreid.core.seeding import numpy_generator
from xreid.evaluation.intervals import Bootstrap
from xreid.evaluation.metrics import Floats
from xreid.evaluation.pairs import Mask, PairScores, Reals, identity_weights
from xreid.evaluation.rates import RatePoint, Trials, draws_of, falling, rate_points, tail_length

FALSE_ACCEPT_RATES = (1e-2, 1e-3, 1e-4)


@dataclass(frozen=True, kw_only=True)
class Verification:
    """True-accept rate (TAR) at false-accept rates (FAR).

    Attributes:
        positives: Pairs of one person.
        negatives: Pairs of two people.
        identities: People on either side.
        points: TAR at each FAR; intervals draw people anew on both sides of a pair, and each draw finds its
            own threshold.
        curve: float64 [K, 2], FAR and 1 - TAR, for a DET curve.
    """

    positives: int
    negatives: int
    identities: int
    points: tuple[RatePoint, ...]
    curve: Floats

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "positive_pairs": self.positives,
            "negative_pairs": self.negatives,
            "identities": self.identities,
            "TAR_at_FAR": [point.to_json() for point in self.points],
            "det": {"FAR": _rounded(self.curve[:, 0]), "FRR": _rounded(self.curve[:, 1])},
        }


def verification(pairs: PairScores, *, bootstrap: Bootstrap) -> Verification:
    """TAR at FAR 1e-2, 1e-3 and 1e-4 over all pairs."""
    positive = _trials(pairs, pairs.positive, one_person=True)
    negative = pairs.scores[pairs.negative]
    kept = tail_length(FALSE_ACCEPT_RATES, len(negative))
    lowest = np.partition(negative, len(negative) - kept)[len(negative) - kept]
    tail = _trials(pairs, pairs.negative & (pairs.scores >= lowest), one_person=False)
    generator = numpy_generator(bootstrap.seed, "bootstrap")
    drawn = identity_weights(len(pairs.identities), resamples=draws_of(bootstrap), generator=generator)
    return Verification(
        positives=len(positive.scores),
        negatives=len(negative),
        identities=len(pairs.identities),
        points=rate_points(
            positive,
            tail,
            rates=FALSE_ACCEPT_RATES,
            negatives=len(negative),
            drawn=drawn,
            totals=negatives_in_draws(pairs, drawn),
            bootstrap=bootstrap,
        ),
        curve=det_curve(positive.scores, np.sort(negative)[::-1]),
    )


def negatives_in_draws(pairs: PairScores, drawn: Floats) -> Floats:
    """float64 [R]: pairs of two people in each draw of people, float64 [R, I]."""
    asked, answered = pairs.counts()
    return np.asarray((drawn @ asked) * (drawn @ answered) - drawn**2 @ (asked * answered))


def det_curve(positive: Reals, negative: Reals, *, points: int = 80, first: int = 1) -> Floats:
    """float64 [K, 2]: rate of false alarms, share of the positives that is missed.

    Args:
        positive: Scores of the positives.
        negative: Scores of the negatives, falling.
        points: At most this many, evenly spaced on a logarithmic axis.
        first: False alarms at its beginning; it ends with all.
    """
    alarms = np.unique(np.geomspace(first, len(negative), points).astype(np.int64))
    thresholds = np.append(negative, -np.inf)[alarms]
    missed = np.searchsorted(np.sort(positive), thresholds, side="right") / len(positive)
    return np.column_stack([alarms / len(negative), missed])


def _trials(pairs: PairScores, chosen: Mask, *, one_person: bool) -> Trials:
    asking, answering = np.nonzero(chosen)
    scores = pairs.scores[asking, answering].astype(np.float64)
    return falling(scores, pairs.query[asking], None if one_person else pairs.gallery[answering])


def _rounded(values: Floats) -> list[float]:
    return [float(f"{v:.6g}") for v in values]
