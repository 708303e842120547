"""Who is it, if anybody we know? FPIR and FNIR with people left out of the gallery.

Half of the people are enrolled: their gallery tracklets are the gallery. Queries of the others should find
nobody: the share that finds somebody above the threshold is the false-positive identification rate (FPIR).
Queries of enrolled people should find them: the share that does not is the false-negative identification
rate (FNIR). Terms: ISO/IEC 19795-1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from xreid.core.errors import ConfigError
from xreid.core.seeding import numpy_generator
from xreid.evaluation.intervals import Bootstrap, Estimate
from xreid.evaluation.metrics import Floats, Ints, Vectors
from xreid.evaluation.pairs import Mask, PairScores, identity_weights
from xreid.evaluation.rates import RatePoint, Trials, draws_of, falling, rate_points
from xreid.evaluation.verification import det_curve

FALSE_POSITIVE_RATES = (0.01, 0.1)


@dataclass(frozen=True, kw_only=True)
class Splits:
    """How people are left out of the gallery.

    Attributes:
        enrolled: Share of the people whose tracklets are in the gallery.
        count: Repetitions, with other people each time.
        seed: Seed of the choice.
    """

    enrolled: float = 0.5
    count: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.enrolled < 1 or self.count < 1:
            raise ConfigError(
                "people cannot be left out of the gallery",
                expected="0 < enrolled < 1, one split or more",
                got=f"enrolled {self.enrolled}, {self.count} splits",
            )


@dataclass(frozen=True, kw_only=True)
class Identification:
    """FNIR at FPIR over all splits, with one threshold for all of them.

    Attributes:
        splits: How people were left out.
        queries: Different queries; most of them ask in every split, enrolled in some and not in others.
        identities: People among queries and gallery.
        first: FNIR where only the first answer counts: a miss unless it is right and above the threshold.
        any: FNIR where any right tracklet above the threshold counts.
        curve: float64 [K, 2], FPIR and FNIR of the first answer, for a DET curve.
    """

    splits: Splits
    queries: int
    identities: int
    first: tuple[RatePoint, ...]
    any: tuple[RatePoint, ...]
    curve: Floats

    def to_json(self) -> dict[str, Any]:
        """As plain values; `accepted` of the points is 1 - FNIR and given as FNIR here."""
        return {
            "enrolled_share": self.splits.enrolled,
            "splits": self.splits.count,
            "seed": self.splits.seed,
            "queries": self.queries,
            "identities": self.identities,
            "FNIR_at_FPIR_first_answer": [_missed(point) for point in self.first],
            "FNIR_at_FPIR_any_answer": [_missed(point) for point in self.any],
            "det": {
                "FPIR": [float(f"{v:.6g}") for v in self.curve[:, 0]],
                "FNIR": [float(f"{v:.6g}") for v in self.curve[:, 1]],
            },
        }


def missed(point: RatePoint) -> Estimate | None:
    """FNIR, where the point holds the accepted share."""
    e = point.accepted
    if e is None:
        return None
    return Estimate(
        value=1 - e.value,
        low=None if e.high is None else 1 - e.high,
        high=None if e.low is None else 1 - e.low,
    )


def identification(
    pairs: PairScores, *, bootstrap: Bootstrap, splits: Splits | None = None
) -> Identification | None:
    """FNIR at FPIR 1% and 10%; None where no split leaves both kinds of queries.

    Intervals draw the searched people anew; the gallery and the splits stay.
    """
    splits = splits or Splits()
    best = best_of_each(pairs)
    strangers, mated = _ask(best, pairs.query, splits)
    if not len(strangers[0]) or not len(mated[0]):
        return None
    negative = falling(strangers[0], strangers[1])
    first = falling(np.where(mated[0] > mated[2], mated[0], -np.inf), mated[1])
    anywhere = falling(mated[0], mated[1])
    generator = numpy_generator(bootstrap.seed, "bootstrap")
    drawn = identity_weights(len(pairs.identities), resamples=draws_of(bootstrap), generator=generator)
    totals = np.array([negative.weights(weights).sum() for weights in drawn])

    def points(positive: Trials) -> tuple[RatePoint, ...]:
        return rate_points(
            positive,
            negative,
            rates=FALSE_POSITIVE_RATES,
            negatives=len(negative.scores),
            drawn=drawn,
            totals=totals,
            bootstrap=bootstrap,
            independent=len(pairs.query),
        )

    return Identification(
        splits=splits,
        queries=len(pairs.query),
        identities=len(pairs.identities),
        first=points(first),
        any=points(anywhere),
        # the same queries ask in many splits: a rate below one of them cannot be shown
        curve=det_curve(first.scores, negative.scores, first=-(-len(negative.scores) // len(pairs.query))),
    )


def best_of_each(pairs: PairScores) -> Vectors:
    """float32 [Q, I]: each query's best score with a tracklet of each person that counts, -inf without."""
    best = np.full((len(pairs.query), len(pairs.identities)), -np.inf, dtype=np.float32)
    order = np.argsort(pairs.gallery, kind="stable")
    people, starts = np.unique(pairs.gallery[order], return_index=True)
    for start in range(0, len(pairs.query), 512):
        block = pairs.scores[start : start + 512, order]
        np.nan_to_num(block, copy=False, nan=-np.inf, posinf=None, neginf=None)
        best[start : start + 512, people] = np.maximum.reduceat(block, starts, axis=1)
    return best


def enrolled_people(identities: int, splits: Splits, *, number: int) -> Mask:
    """bool [I]: who is in the gallery in split `number`."""
    order = numpy_generator(splits.seed, "enrolled", number).permutation(identities)
    chosen = np.zeros(identities, dtype=bool)
    chosen[order[: max(1, round(splits.enrolled * identities))]] = True
    return chosen


def _ask(
    best: Vectors, people: Ints, splits: Splits
) -> tuple[tuple[Floats, Ints], tuple[Floats, Ints, Floats]]:
    """Over all splits: strangers' best scores and who they are; the enrolled queries' best right score, who
    they are, and their best wrong score. An enrolled query without a tracklet that counts does not ask."""
    strangers, names, right, owners, wrong = [], [], [], [], []
    rows = np.arange(len(people))
    own = best[rows, people]
    others = best.copy()
    others[rows, people] = -np.inf
    for number in range(splits.count):
        enrolled = enrolled_people(best.shape[1], splits, number=number)
        top = others[:, enrolled].max(axis=1, initial=-np.inf)
        known, asks = enrolled[people], own > -np.inf
        strangers.append(top[~known])
        names.append(people[~known])
        right.append(own[known & asks])
        wrong.append(top[known & asks])
        owners.append(people[known & asks])
    joined = [np.concatenate(parts) for parts in (strangers, names, right, owners, wrong)]
    return (joined[0], joined[1]), (joined[2], joined[3], joined[4])


def _missed(point: RatePoint) -> dict[str, Any]:
    plain = point.to_json()
    plain.pop("accepted")
    found = missed(point)
    return {**plain, "FNIR": None if found is None else vars(found)}
