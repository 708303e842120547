"""TAR at FAR and FNIR at FPIR against naive loops over thresholds, splits and drawn people."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.problems import people
from xreid.core.errors import ConfigError
from xreid.evaluation.directions import ALL, I2V
from xreid.evaluation.identification import (
    Splits,
    _ask,
    best_of_each,
    enrolled_people,
    identification,
    missed,
)
from xreid.evaluation.intervals import Bootstrap
from xreid.evaluation.pairs import PairScores, pair_scores
from xreid.evaluation.protocols import HITSZ_VCM
from xreid.evaluation.rates import (
    RatePoint,
    falling,
    rate_points,
    resolution,
    tail_length,
    threshold_at,
)
from xreid.evaluation.verification import det_curve, negatives_in_draws, verification

NONE = Bootstrap(resamples=0)


def naive_threshold(negative: list[float], rate: float) -> float | None:
    """Smallest score such that a share of at most `rate` of the negatives lies strictly above it."""
    if rate * len(negative) < 1 - 1e-9:
        return None
    values = np.array(negative)
    for candidate in sorted([-np.inf, *negative]):
        if (values > candidate).sum() <= rate * len(negative) + 1e-9:
            return float(candidate)
    raise AssertionError


def points_of(positive: list[float], negative: list[float], rate: float) -> RatePoint:
    p, n = np.array(positive, float), np.array(negative, float)
    return rate_points(
        falling(p, np.zeros(len(p), int)),
        falling(n, np.zeros(len(n), int)),
        rates=(rate,),
        negatives=len(n),
        drawn=np.zeros((0, 1)),
        totals=np.zeros(0),
        bootstrap=NONE,
    )[0]


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 8).map(float), min_size=1, max_size=20),
    st.lists(st.integers(0, 8).map(float), min_size=1, max_size=40),
    st.sampled_from([0.01, 0.05, 0.1, 0.25, 0.5, 0.999]),
)
def test_a_rate_point_equals_the_search_over_thresholds(
    positive: list[float], negative: list[float], rate: float
) -> None:
    point = points_of(positive, negative, rate)
    cut = naive_threshold(negative, rate)
    if cut is None:
        assert (point.threshold, point.accepted, point.resolution) == (None, None, "too few")
        return
    assert point.threshold == cut
    assert point.accepted is not None
    assert point.accepted.value == pytest.approx(sum(v > cut for v in positive) / len(positive))


def test_a_case_worked_by_hand() -> None:
    """100 strangers 0.00, 0.01 .. 0.99; at 5% the five highest pass: cut at 0.94."""
    strangers = [i / 100 for i in range(100)]
    point = points_of([0.94, 0.941, 0.2, 0.99], strangers, 0.05)
    assert point.threshold == 0.94
    assert point.accepted is not None
    assert point.accepted.value == 0.5
    assert point.resolution == "few"
    assert resolution(0.01, 2999) == "few"
    assert resolution(0.01, 3000) == "enough"
    assert resolution(0.01, 99) == "too few"
    assert threshold_at(np.array([0.9, 0.5]), 0.6, negatives=2) == 0.5


def test_draws_equal_people_repeated_by_hand() -> None:
    """A draw in which a person counts twice is the data with that person's trials twice (pairs: w_i w_j)."""
    generator = np.random.default_rng(0)
    embeddings = people(6, cameras=2, noise=1.5, seed=3)
    pairs = pair_scores(embeddings, HITSZ_VCM, direction=I2V)
    weights = generator.integers(0, 4, size=6).astype(float)
    rounded = np.round(pairs.scores.astype(float), 1)  # many positives tie with the threshold
    asking = np.nonzero(pairs.positive)[0]
    positive = falling(rounded[pairs.positive], pairs.query[asking])
    a, b = np.nonzero(pairs.negative)
    negative = falling(rounded[pairs.negative], pairs.query[a], pairs.gallery[b])
    total = negatives_in_draws(pairs, weights[None])[0]
    repeated = [
        s
        for s, i, j in zip(negative.scores, negative.first, negative.second, strict=True)
        for _ in range(int(weights[i] * weights[j]))
    ]
    assert total == len(repeated)
    cut = naive_threshold(repeated, 0.1)
    found = [s for s, i in zip(positive.scores, positive.first, strict=True) for _ in range(int(weights[i]))]
    expected = sum(v > cut for v in found) / len(found)
    (point,) = rate_points(
        positive,
        negative,
        rates=(0.1,),
        negatives=len(negative.scores),
        drawn=np.stack([weights, weights]),
        totals=np.array([total, total]),
        bootstrap=Bootstrap(resamples=2),
    )
    assert point.accepted is not None
    assert (point.accepted.low, point.accepted.high) == pytest.approx((expected, expected))


def test_the_tail_gives_what_all_negatives_give() -> None:
    embeddings = people(40, cameras=3, noise=1.5)
    pairs = pair_scores(embeddings, HITSZ_VCM, direction=I2V)
    found = verification(pairs, bootstrap=Bootstrap(resamples=200))
    negative = sorted(pairs.scores[pairs.negative].astype(float), reverse=True)
    assert tail_length((1e-2,), len(negative)) < len(negative), "the tail is cut here"
    positive = pairs.scores[pairs.positive]
    for point in found.points[:2]:
        cut = naive_threshold(negative, point.rate)
        assert point.threshold == cut
        assert point.accepted is not None
        assert point.accepted.value == pytest.approx(float((positive > cut).mean()))
        assert point.accepted.low is not None
        assert point.accepted.high is not None
        assert point.accepted.low <= point.accepted.value <= point.accepted.high
    assert found.negatives == len(negative) == 120 * 117
    assert found.points[2].resolution == "few"
    for far, frr in found.curve:
        cut = negative[round(far * len(negative))] if far < 1 else -np.inf
        assert frr == pytest.approx(float((positive <= cut).mean()))


def naive_identification(pairs: PairScores, splits: Splits) -> tuple[list[float], list[tuple[float, float]]]:
    """Strangers' best scores; right and wrong best scores of enrolled queries: one query at a time."""
    strangers, mated = [], []
    for number in range(splits.count):
        enrolled = enrolled_people(len(pairs.identities), splits, number=number)
        for q, person in enumerate(pairs.query):
            seen = [
                (float(s), int(g))
                for s, g in zip(pairs.scores[q], pairs.gallery, strict=True)
                if enrolled[g] and not np.isnan(s)
            ]
            wrong = max((s for s, g in seen if g != person), default=-np.inf)
            right = [s for s, g in seen if g == person]
            if not enrolled[person]:
                strangers.append(wrong)
            elif right:
                mated.append((max(right), wrong))
    return strangers, mated


def test_identification_equals_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xreid.evaluation.identification.FALSE_POSITIVE_RATES", (0.01, 0.5))
    embeddings = people(12, cameras=2, noise=1.4, seed=1)
    pairs = pair_scores(embeddings, HITSZ_VCM, direction=ALL)
    splits = Splits(enrolled=0.4, count=3, seed=5)
    strangers, mated = naive_identification(pairs, splits)
    told, known = _ask(best_of_each(pairs), pairs.query, splits)
    assert sorted(told[0].tolist()) == sorted(strangers)
    assert sorted(zip(known[0].tolist(), known[2].tolist(), strict=True)) == sorted(mated)
    found = identification(pairs, bootstrap=NONE, splits=splits)
    assert found is not None
    cut = naive_threshold(strangers, 0.5)
    assert cut is not None
    first, anywhere = missed(found.first[1]), missed(found.any[1])
    assert first is not None
    assert anywhere is not None
    assert first.value == pytest.approx(sum(not (r > w and r > cut) for r, w in mated) / len(mated))
    assert anywhere.value == pytest.approx(sum(r <= cut for r, _ in mated) / len(mated))
    assert first.value > anywhere.value
    assert found.first[0].resolution == "too few", "48 queries cannot show 1%"
    assert found.curve[:, 0].min() >= 1 / 48


def test_splits_are_seeded_and_checked() -> None:
    splits = Splits(enrolled=0.3, count=2, seed=1)
    first = [enrolled_people(20, splits, number=n) for n in (0, 1, 0)]
    assert first[0].sum() == 6
    assert (first[0] == first[2]).all()
    assert (first[0] != first[1]).any()
    with pytest.raises(ConfigError, match="left out"):
        Splits(enrolled=1.0)


def test_good_scores_find_everybody_and_no_stranger() -> None:
    pairs = pair_scores(people(30, noise=0.05), HITSZ_VCM, direction=I2V)
    found = identification(pairs, bootstrap=Bootstrap(resamples=50))
    assert found is not None
    assert missed(found.first[1]) is not None
    assert missed(found.first[1]).value == 0
    assert det_curve(np.array([0.5, 0.9]), np.array([0.6, 0.1])).tolist() == [[0.5, 0.0], [1.0, 0.0]]
