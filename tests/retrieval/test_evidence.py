"""Log-likelihood ratios of pairs, and the numbers of the persons that are made of them, by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.retrieval.test_meaning import CALIBRATION
from xreid.core.errors import ConfigError
from xreid.core.tracklets import Modality, Tracklet
from xreid.retrieval.evidence import margins_of, ratios_of
from xreid.retrieval.persons import probable_persons
from xreid.retrieval.queries import Query

BOTH = (Modality.VISIBLE, Modality.INFRARED)
COSINES = np.array([[0.2, 0.4], [0.6, 0.8]])
NAN = math.nan


def _only(*kinds: str, cut: float | None = 0.1) -> object:
    threshold = replace(CALIBRATION.kinds["vis-ir"].threshold, score=cut)
    found = {name: replace(CALIBRATION.kinds[name], threshold=threshold) for name in kinds}
    return replace(CALIBRATION, kinds=found)


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (("vis-vis", "vis-ir", "ir-ir"), [[10 * 0.2 - 4, 14 * 0.4 - 1], [14 * 0.6 - 1, 9 * 0.8 - 5]]),
        (("vis-ir",), [[NAN, 14 * 0.4 - 1], [14 * 0.6 - 1, NAN]]),
        (("ir-ir",), [[NAN, NAN], [NAN, 9 * 0.8 - 5]]),
        (("vis-vis",), [[10 * 0.2 - 4, NAN], [NAN, NAN]]),
    ],
)
def test_each_kind_of_pair_has_its_own_fit_or_none(kinds: tuple[str, ...], expected: object) -> None:
    found = ratios_of(_only(*kinds), COSINES, BOTH, BOTH)  # type: ignore[arg-type]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_margins_are_above_the_threshold_of_the_kind() -> None:
    found = margins_of(CALIBRATION, COSINES, BOTH, BOTH)
    expected = [[10 * (0.2 - 0.2), 14 * (0.4 - 0.1)], [14 * (0.6 - 0.1), NAN]]  # ir-ir has no threshold
    np.testing.assert_allclose(found, expected, atol=1e-12)
    few = margins_of(_only("vis-ir"), COSINES, BOTH, BOTH)  # type: ignore[arg-type]
    np.testing.assert_allclose(few, [[NAN, 14 * 0.3], [14 * 0.5, NAN]], atol=1e-12)


def _at(*cosines: float) -> list[Query]:
    """Visible tracklets without a time: the first, and others at these cosines to it, in one plane."""
    angles = [0.0, *(math.acos(cosine) for cosine in cosines)]
    return [
        Query(
            tracklet=Tracklet(name=f"t{n}", frames=("1.jpg",), modality=Modality.VISIBLE, camera="1"),
            root=Path("/nowhere"),
            vector=np.array([math.cos(angle), math.sin(angle)], dtype=np.float32),
            id=f"id{n}",
        )
        for n, angle in enumerate(angles)
    ]


@pytest.mark.parametrize(
    ("cosine", "prior", "least", "joined"),
    [
        # the ratio is 10 cosine - 4; log-odds of the prior 0.1 are -2.2, of 0.9 +2.2
        (0.5, 0.1, 0.5, False),
        (0.65, 0.1, 0.5, True),
        (0.25, 0.9, 0.5, True),
        (0.15, 0.9, 0.5, False),
        (0.65, 0.1, 0.9, False),
        (0.25, 0.9, 0.1, True),
        (0.05, 0.9, 0.1, True),
        (-0.1, 0.9, 0.1, False),
    ],
)
def test_two_are_one_person_where_the_odds_say_so(
    cosine: float, prior: float, least: float, joined: bool
) -> None:
    people = probable_persons(_at(cosine), CALIBRATION, prior=prior, least=least)
    assert len(people) == (1 if joined else 2)
    if joined:
        chance = 1 / (1 + math.exp(4 - 10 * cosine - math.log(prior / (1 - prior))))
        assert people[0].probability == pytest.approx(chance, abs=1e-3)
        assert people[0].weakest == pytest.approx(chance, abs=1e-3)


def test_the_weakest_and_the_mean_of_all_pairs() -> None:
    (person,) = probable_persons(_at(0.9, 0.6), CALIBRATION, prior=0.5)
    cosines = (0.9, 0.6, math.cos(math.acos(0.6) - math.acos(0.9)))
    chances = [1 / (1 + math.exp(4 - 10 * cosine)) for cosine in cosines]
    assert person.weakest == pytest.approx(min(chances), abs=1e-3)
    assert person.probability == pytest.approx(sum(chances) / 3, abs=1e-3)


@pytest.mark.parametrize("wrong", [{"prior": 0.0}, {"prior": 1.0}, {"least": 0.0}, {"least": 1.0}])
def test_probabilities_that_are_none(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="a probability is out of range"):
        probable_persons(_at(0.9), CALIBRATION, **wrong)
