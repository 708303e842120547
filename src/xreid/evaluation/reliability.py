"""Does a probability of p come true in a share p of the pairs? Reliability, ECE, log loss and Brier score.

All are stated for a prior: pairs of one person are weighed to be that share of all pairs, and probabilities
are computed for it. At the low priors of a gallery nearly every probability is near 0 and so is the ECE of
the constant guess "the prior"; log loss and Brier against that guess show whether the score tells anything.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from xreid.evaluation.calibration import Calibration, probability
from xreid.evaluation.intervals import Bootstrap, Estimate
from xreid.evaluation.metrics import Floats, Ints
from xreid.evaluation.pair_means import PairMeans, Predict, estimate_of, pair_means
from xreid.evaluation.pairs import PairScores, Reals

BINS = 15  # of equal width
_LEAST = 1e-9  # probabilities are kept this far from 0 and 1 for the logarithm


@dataclass(frozen=True, kw_only=True)
class Bin:
    """Pairs whose probability lies in one bin.

    Attributes:
        predicted: Their mean probability.
        observed: Share of them that show one person.
        weight: Share of all pairs that lies in the bin.
    """

    predicted: float
    observed: float
    weight: float


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """How far one way to get probabilities can be trusted, at one prior.

    Attributes:
        name: "naive", "calibrated" or "constant".
        prior: Share of the pairs that shows one person, after weighing.
        ece: Expected calibration error: mean over the pairs of |predicted - observed| of their bin.
        log_loss: Mean of -log(probability of what is true), in nats.
        brier: Mean squared difference of probability and truth.
        bins: For the diagram; without empty ones.
    """

    name: str
    prior: float
    ece: Estimate
    log_loss: Estimate
    brier: Estimate
    bins: tuple[Bin, ...]

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def naive_probability(scores: npt.ArrayLike) -> Floats:
    """(cosine + 1) / 2: what a cosine is often read as; it knows of no prior."""
    return np.clip((np.asarray(scores, dtype=np.float64) + 1) / 2, 0.0, 1.0)


def reliability(
    pairs: PairScores, calibration: Calibration, *, prior: float, bootstrap: Bootstrap
) -> tuple[Reliability, ...]:
    """Naive, calibrated and constant probabilities of the same pairs at one prior.

    Each pair is calibrated by its own kind. Intervals draw people anew on both sides of a pair.
    """

    ways: dict[str, Predict] = {
        "naive": lambda block: naive_probability(block.scores),
        "calibrated": lambda block: probability(log_ratios(block, calibration), prior=prior),
    }
    found = []
    for name, way in ways.items():
        means = pair_means(pairs, way, _measure, bootstrap=bootstrap, bins=BINS)
        found.append(_summary(name, means, prior=prior, bootstrap=bootstrap))
    return (*found, _constant(prior))


def log_ratios(pairs: PairScores, calibration: Calibration) -> Floats:
    """float64 [Q, G]: the log-likelihood ratio of every pair, by its kind; NaN where it does not count."""
    llr = np.full(pairs.scores.shape, np.nan)
    for kind in pairs.kinds:
        chosen = pairs.of_kind(kind)
        llr[chosen] = calibration.llr(pairs.scores[chosen], kind)
    return llr


def _measure(p: Reals, same: bool) -> tuple[Ints, Floats]:
    """Bin of each probability; one, the probability, log loss, squared difference from the truth."""
    where = np.minimum((p * BINS).astype(np.int64), BINS - 1)
    told = np.clip(p if same else 1 - p, _LEAST, 1.0)
    return where, np.stack([np.ones_like(p), p, -np.log(told), (1 - told) ** 2])


def _summary(name: str, means: PairMeans, *, prior: float, bootstrap: Bootstrap) -> Reliability:
    one, two = prior * means.positive, (1 - prior) * means.negative  # [1 + R, 4, BINS]
    observed, mass, predicted = one[:, 0], one[:, 0] + two[:, 0], one[:, 1] + two[:, 1]
    ece = np.abs(observed - predicted).sum(axis=1)
    losses = (one + two).sum(axis=2)
    bins = [
        Bin(predicted=float(predicted[0, b] / w), observed=float(observed[0, b] / w), weight=float(w))
        for b, w in enumerate(mass[0])
        if w > 0
    ]
    return Reliability(
        name=name,
        prior=prior,
        ece=estimate_of(ece, bootstrap),
        log_loss=estimate_of(losses[:, 2], bootstrap),
        brier=estimate_of(losses[:, 3], bootstrap),
        bins=tuple(bins),
    )


def _constant(prior: float) -> Reliability:
    """What the prior alone would say of every pair."""
    entropy = -prior * np.log(prior) - (1 - prior) * np.log1p(-prior)
    exact = [Estimate(value=float(v), low=None, high=None) for v in (0.0, entropy, prior * (1 - prior))]
    return Reliability(
        name="constant",
        prior=prior,
        ece=exact[0],
        log_loss=exact[1],
        brier=exact[2],
        bins=(Bin(predicted=prior, observed=prior, weight=1.0),),
    )
