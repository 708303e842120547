"""A calibration held against strangers that nobody labelled."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from tests.retrieval.test_meaning import CALIBRATION, kind
from xreid.core.errors import DataError
from xreid.evaluation.calibration import Threshold
from xreid.evaluation.several import known_cuts
from xreid.evaluation.site_check import (
    KindCheck,
    SiteCheck,
    at_site,
    check_kind,
    key_of,
    site_check_from,
)

FAR = 0.001
# Strangers of the calibration: normal with mean 0 and deviation 0.1.
DRAWN = replace(
    kind(10, -4, cut=None),
    stranger_cuts=(0.1 * norm.isf(0.1), 0.1 * norm.isf(0.01)),
    threshold=Threshold(far=FAR, score=0.1 * norm.isf(FAR), tar=0.5, resolution="enough"),
)


def strangers(count: int, *, mean: float = 0.0, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 0.1, size=count)


def apart(count: int) -> np.ndarray:
    """Pairs of tracklets, none of which is in two of them."""
    return np.arange(2 * count).reshape(count, 2)


def checked(scores: np.ndarray, pairs: np.ndarray | None = None) -> KindCheck:
    return check_kind(scores, apart(len(scores)) if pairs is None else pairs, DRAWN, across=True)


def check_of(found: KindCheck) -> SiteCheck:
    return SiteCheck(kinds={"vis-vis": found}, calibration="", tracklets=9, made="")


def test_shares_are_those_of_a_count() -> None:
    scores = strangers(5000)
    found = checked(scores)
    assert [one.far for one in found.passed] == [FAR, 0.01, 0.1]
    for one in found.passed:
        assert one.cosine == known_cuts(DRAWN)[one.far]
        assert one.pairs == sum(score > one.cosine for score in scores)
        assert one.share == pytest.approx(one.pairs / 5000)
        assert one.low <= one.share <= one.high
    assert (found.pairs, found.tracklets, found.across) == (5000, 10000, True)


@pytest.mark.parametrize(
    ("count", "mean", "word"),
    [(20_000, 0.0, "holds"), (20_000, 0.2, "breaks"), (200, 0.2, "breaks"), (40, 0.0, "unclear")],
)
def test_what_is_said_of_it(count: int, mean: float, word: str) -> None:
    assert checked(strangers(count, mean=mean)).word == word


def test_nobody_passing_is_no_proof_with_few_pairs() -> None:
    found = checked(np.full(300, -0.5))
    assert found.passed[0].pairs == 0
    assert found.passed[0].high == pytest.approx(3 / 300)
    assert found.word == "unclear"
    assert checked(np.full(3000, -0.5)).word == "holds"


@pytest.mark.parametrize("place", [0, 1])
def test_pairs_that_share_a_tracklet_are_no_independent_witnesses(place: int) -> None:
    scores = np.concatenate([np.full(30, 0.9), np.full(570, -0.5)])
    one = np.column_stack([np.arange(1, 31), np.arange(1, 31)])
    one[:, place] = 0
    others = 1000 + apart(570)
    crowd = checked(scores, np.concatenate([one, others]).astype(np.int64)).passed[0]
    alone = checked(scores).passed[0]
    assert crowd.share == alone.share
    assert crowd.low == 0.0, "without that one tracklet nobody passes"
    assert alone.low > 0.02
    assert crowd.high > alone.high


@settings(deadline=None, max_examples=40)
@given(st.integers(20, 4000), st.floats(-0.3, 0.5), st.integers(0, 5))
def test_thresholds_of_a_place_rise_and_keep_their_rates(count: int, mean: float, seed: int) -> None:
    scores = strangers(count, mean=mean, seed=seed)
    found = checked(scores)
    rates, cuts = zip(*found.cuts, strict=True)
    assert rates == (FAR, 0.01, 0.1)
    assert cuts[0] > cuts[1] > cuts[2], "the lower the rate, the higher the threshold"
    for rate, cut in found.cuts:
        if rate * count >= 30:
            assert (scores > cut).mean() <= rate
        elif found.word != "breaks" and count < max(300, 1 / rate):
            assert cut == known_cuts(DRAWN)[rate] or cut > dict(found.cuts)[10 * rate]
    moved = at_site(
        CALIBRATION_OF_DRAWN, SiteCheck(kinds={"vis-vis": found}, calibration="", tracklets=9, made="")
    )
    known = known_cuts(moved.kinds["vis-vis"])
    assert known == dict(found.cuts)
    assert moved.kinds["vis-ir"] == CALIBRATION_OF_DRAWN.kinds["vis-ir"]
    assert moved.kinds["vis-vis"].slope == DRAWN.slope


CALIBRATION_OF_DRAWN = replace(CALIBRATION, kinds={**CALIBRATION.kinds, "vis-vis": DRAWN})


def test_few_pairs_of_a_broken_place_are_drawn_out_by_their_tail() -> None:
    """200 strangers with a mean of 0.2: the rate is kept at 0.1%, of which they hold a fifth of a pair."""
    found = checked(strangers(200, mean=0.2))
    cut = dict(found.cuts)[FAR]
    assert norm.sf((cut - 0.2) / 0.1) < 2 * FAR
    assert cut > known_cuts(DRAWN)[FAR]
    assert cut <= 1.0


def test_no_threshold_is_higher_than_a_cosine_can_be() -> None:
    scores = np.random.default_rng(0).uniform(0.5, 1.0, size=60)
    assert max(cut for _, cut in checked(scores).cuts) <= 1.0 + 1e-9


@settings(deadline=None, max_examples=40)
@given(st.integers(20, 3000), st.lists(st.floats(-1, 1), min_size=2, max_size=9))
def test_the_share_of_strangers_that_are_as_alike(count: int, cosines: list[float]) -> None:
    scores = strangers(count)
    shares = checked(scores).share_above(sorted(cosines))
    assert (np.diff(shares) <= 1e-12).all(), "who is more alike has fewer strangers above"
    assert (shares >= 1 / count - 1e-12).all()
    assert (shares <= 0.5).all(), "below the median nothing finer is said"
    for share, place in checked(scores).curve:
        assert (scores >= place).mean() == pytest.approx(share, abs=1.5 / count)


def test_kinds_that_were_not_seen_to_hold_are_doubted_with_the_broken_ones() -> None:
    broken = checked(strangers(2000, mean=0.3))
    sound = checked(strangers(20_000))
    check = SiteCheck(kinds={"vis-vis": broken, "ir-ir": sound}, calibration="", tracklets=9, made="")
    assert check.broken == ("vis-vis",)
    assert check.doubted == {"vis-vis", "vis-ir"}
    unclear = checked(strangers(40))
    assert replace(check, kinds={**check.kinds, "vis-ir": unclear}).doubted == {"vis-vis", "vis-ir"}
    assert replace(check, kinds={"ir-ir": sound, "vis-ir": unclear}).doubted == frozenset()


def test_a_check_is_read_as_it_was_written() -> None:
    kinds = {"vis-vis": checked(strangers(500)), "vis-ir": checked(strangers(900, mean=0.4))}
    check = SiteCheck(
        kinds=kinds, calibration=key_of(CALIBRATION), tracklets=7, made="2026-11-22T05:00:00+00:00"
    )
    assert site_check_from(check.to_json(), what="it") == check
    assert key_of(CALIBRATION) != key_of(CALIBRATION_OF_DRAWN)


@pytest.mark.parametrize("damage", ["format", "kinds", "calibration", "tracklets"])
def test_a_damaged_check(damage: str) -> None:
    plain = SiteCheck(
        kinds={"vis-vis": checked(strangers(50))}, calibration="", tracklets=7, made=""
    ).to_json()
    del plain[damage]
    with pytest.raises(DataError, match="strangers.json is damaged"):
        site_check_from(plain, what="strangers.json")
    with pytest.raises(DataError, match="damaged"):
        site_check_from([], what="strangers.json")


def test_a_damaged_kind_of_a_check() -> None:
    plain = SiteCheck(
        kinds={"vis-vis": checked(strangers(50))}, calibration="", tracklets=7, made=""
    ).to_json()
    for field, value in (("word", "fine"), ("cuts", ()), ("curve", None), ("passed", [{}])):
        with pytest.raises(DataError, match="damaged"):
            site_check_from(
                {**plain, "kinds": {"vis-vis": {**plain["kinds"]["vis-vis"], field: value}}}, what="x"
            )
