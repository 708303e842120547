"""Means over all pairs, of one person and of two, with people drawn anew on both sides of a pair.

Shapes: C quantities, B bins, I identities, R draws. Sums are kept per pair of people, so that a draw costs
I * I and not the number of pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from xreid.core.seeding import numpy_generator
from xreid.evaluation.intervals import Bootstrap, Estimate
from xreid.evaluation.metrics import Floats, Ints
from xreid.evaluation.pairs import Mask, PairScores, Reals, identity_weights
from xreid.evaluation.rates import draws_of

Predict = Callable[[PairScores], Reals]  # a block of pairs -> a number for each, float [q, G]
Measure = Callable[[Reals, bool], tuple[Ints, Floats]]  # numbers [M], whether of one person -> bins, [C, M]

_BLOCK = 1 << 20  # pairs at a time


@dataclass(frozen=True, kw_only=True)
class PairMeans:
    """Means of C quantities in B bins; a bin's are shares of the whole, and add up to the mean of all.

    Attributes:
        positive: float64 [1 + R, C, B], over the pairs of one person; row 0 is the data, the rest draws.
        negative: float64 [1 + R, C, B], over the pairs of two people.
    """

    positive: Floats
    negative: Floats


def pair_means(
    pairs: PairScores,
    predict: Predict,
    measure: Measure,
    *,
    bootstrap: Bootstrap,
    bins: int = 1,
    chosen: str = "",
) -> PairMeans:
    """Means of what `measure` gives for what `predict` gives.

    Args:
        pairs: The pairs.
        predict: A number for each pair of a block.
        measure: Bin (0 .. bins - 1) and C quantities of each number; told whether of one person.
        bootstrap: How people are drawn.
        bins: Number of bins.
        chosen: Only pairs of this kind; "" for all.
    """
    people = len(pairs.identities)
    positive, negative = _sums(pairs, predict, measure, bins=bins, chosen=chosen)
    generator = numpy_generator(bootstrap.seed, "bootstrap")
    drawn = identity_weights(people, resamples=draws_of(bootstrap), generator=generator)
    weights = np.concatenate([np.ones((1, people)), drawn])
    ones = np.einsum("cbi,ri->rcb", positive, weights)
    twos = np.empty_like(ones)
    for c, b in np.ndindex(*negative.shape[:2]):
        twos[:, c, b] = np.einsum("ri,ri->r", weights @ negative[c, b], weights)
    return PairMeans(positive=_shares(ones), negative=_shares(twos))


def estimate_of(values: Floats, bootstrap: Bootstrap) -> Estimate:
    """Value and interval from float64 [1 + R]: the data, then the draws."""
    drawn = values[1:][~np.isnan(values[1:])]
    if len(drawn) < 2:
        return Estimate(value=float(values[0]), low=None, high=None)
    side = (1 - bootstrap.confidence) / 2
    low, high = np.quantile(drawn, [side, 1 - side])
    return Estimate(value=float(values[0]), low=float(low), high=float(high))


def _shares(sums: Floats) -> Floats:
    """Without quantity 0, which counts the pairs, and divided by their number."""
    with np.errstate(invalid="ignore", divide="ignore"):  # a draw without such a pair is NaN
        return np.asarray(sums[:, 1:] / sums[:, :1].sum(axis=2, keepdims=True))


def _sums(
    pairs: PairScores, predict: Predict, measure: Measure, *, bins: int, chosen: str
) -> tuple[Floats, Floats]:
    """float64 [1 + C, B, I] over pairs of one person, [1 + C, B, I, I] over pairs of two."""
    people = len(pairs.identities)
    totals: dict[bool, list[Floats]] = {True: [], False: []}
    for block in pairs.blocks(rows=max(1, _BLOCK // max(1, len(pairs.gallery)))):
        numbers = predict(block)
        may = block.of_kind(chosen) if chosen else np.ones(block.scores.shape, dtype=bool)
        for same, mask in ((True, block.positive & may), (False, block.negative & may)):
            place, size = _places(block, mask, same=same, people=people)
            where, values = measure(numbers[mask], same)
            codes = where * size + place
            found = [np.bincount(codes, minlength=bins * size)]
            found += [np.bincount(codes, weights=line, minlength=bins * size) for line in values]
            if not totals[same]:
                totals[same] = [np.zeros(bins * size) for _ in found]
            for total, part in zip(totals[same], found, strict=True):
                total += part
    positive = np.stack(totals[True]).reshape(-1, bins, people)
    return positive, np.stack(totals[False]).reshape(-1, bins, people, people)


def _places(block: PairScores, mask: Mask, *, same: bool, people: int) -> tuple[Ints, int]:
    """The person, or the pair of people, behind each chosen pair, as one code; and how many there are."""
    asking, answering = np.nonzero(mask)
    if same:
        return block.query[asking], people
    return block.query[asking] * people + block.gallery[answering], people * people
