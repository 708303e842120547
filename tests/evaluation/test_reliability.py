"""ECE, log loss and Brier against scikit-learn and loops; thresholds carried to other data."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from tests.evaluation.problems import people
from xreid.core.errors import ProtocolError
from xreid.core.seeding import numpy_generator
from xreid.evaluation.calibration import Calibration, probability
from xreid.evaluation.calibration_fit import fit_calibration
from xreid.evaluation.carry import carried
from xreid.evaluation.directions import ALL, I2V, V2I, V2V
from xreid.evaluation.intervals import Bootstrap
from xreid.evaluation.open_set import open_set_report
from xreid.evaluation.open_set_text import format_open_set
from xreid.evaluation.pair_means import pair_means
from xreid.evaluation.pairs import PairScores, identity_weights, pair_scores
from xreid.evaluation.protocols import HITSZ_VCM
from xreid.evaluation.reliability import BINS, log_ratios, naive_probability, reliability

NONE = Bootstrap(resamples=0)


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return fit_calibration(people(30, cameras=3, noise=1.5, seed=9), HITSZ_VCM, far=0.01)[0]


@pytest.fixture(scope="module")
def pairs() -> PairScores:
    return pair_scores(people(12, cameras=2, noise=1.5, seed=1), HITSZ_VCM, direction=ALL)


def naive_ece(p: np.ndarray, same: np.ndarray, weights: np.ndarray) -> float:
    total = 0.0
    for b in range(BINS):
        inside = [i for i in range(len(p)) if b <= p[i] * BINS < b + 1 or (b == BINS - 1 and p[i] == 1)]
        mass = sum(weights[i] for i in inside)
        if mass:
            confidence = sum(weights[i] * p[i] for i in inside) / mass
            accuracy = sum(weights[i] * same[i] for i in inside) / mass
            total += mass / weights.sum() * abs(confidence - accuracy)
    return total


@pytest.mark.parametrize("prior", [0.5, 0.03])
def test_every_figure_equals_the_loop_and_scikit_learn(
    pairs: PairScores, calibration: Calibration, prior: float
) -> None:
    counted = pairs.positive | pairs.negative
    same = pairs.positive[counted]
    weights = np.where(same, prior / same.sum(), (1 - prior) / (~same).sum())
    ratios = log_ratios(pairs, calibration)[counted]
    ways = {
        "naive": naive_probability(pairs.scores[counted]),
        "calibrated": probability(ratios, prior=prior),
        "constant": np.full(len(same), prior),
    }
    found = {row.name: row for row in reliability(pairs, calibration, prior=prior, bootstrap=NONE)}
    assert list(found) == list(ways)
    for name, p in ways.items():
        row = found[name]
        assert row.ece.value == pytest.approx(naive_ece(p, same, weights), abs=1e-9)
        assert row.log_loss.value == pytest.approx(log_loss(same, p, sample_weight=weights), rel=1e-6)
        assert row.brier.value == pytest.approx(brier_score_loss(same, p, sample_weight=weights), rel=1e-9)
        assert sum(b.weight for b in row.bins) == pytest.approx(1)
        assert sum(b.weight * b.observed for b in row.bins) == pytest.approx(prior)
    assert found["calibrated"].log_loss.value < found["naive"].log_loss.value
    assert found["calibrated"].log_loss.value < found["constant"].log_loss.value


def test_ratios_are_those_of_each_pairs_kind(pairs: PairScores, calibration: Calibration) -> None:
    ratios = log_ratios(pairs, calibration)
    for q, g in np.ndindex(*pairs.scores.shape):
        number = int(pairs.query_infrared[q]) + int(pairs.gallery_infrared[g])
        kind = calibration.kinds[("vis-vis", "vis-ir", "ir-ir")[number]]
        expected = kind.slope * float(pairs.scores[q, g]) + kind.offset
        assert ratios[q, g] == pytest.approx(expected, nan_ok=True)


def test_draws_of_pair_means_equal_people_repeated_by_hand(pairs: PairScores) -> None:
    """Pairs of one person count w_i times, of two people w_i * w_j times."""
    bootstrap = Bootstrap(resamples=3, seed=4)
    drawn = identity_weights(12, resamples=3, generator=numpy_generator(4, "bootstrap"))

    def measure(scores: np.ndarray, same: bool) -> tuple[np.ndarray, np.ndarray]:
        return (scores > 0.2).astype(np.int64), np.stack([scores, scores**2])

    means = pair_means(pairs, lambda block: block.scores, measure, bootstrap=bootstrap, bins=2)
    for number, w in enumerate(drawn, start=1):
        for mask, found in ((pairs.positive, means.positive), (pairs.negative, means.negative)):
            sums, total = np.zeros((2, 2)), 0.0
            for q, g in zip(*np.nonzero(mask), strict=True):
                i, j, s = pairs.query[q], pairs.gallery[g], float(pairs.scores[q, g])
                weight = w[i] if i == j else w[i] * w[j]
                sums[:, int(s > 0.2)] += weight * np.array([s, s * s])
                total += weight
            np.testing.assert_allclose(found[number], sums / total, rtol=1e-6)


def test_a_threshold_on_other_data(calibration: Calibration) -> None:
    harder = pair_scores(people(15, cameras=3, noise=2.5, seed=2), HITSZ_VCM, direction=ALL)
    rows = {row.kind: row for row in carried(harder, calibration, bootstrap=Bootstrap(resamples=100))}
    assert list(rows) == ["vis-vis", "vis-ir", "ir-ir"]
    for kind, row in rows.items():
        stored = calibration.kinds[kind].threshold
        here = harder.of_kind(kind)
        above = harder.scores > stored.score
        assert row.far.value == pytest.approx(above[here & harder.negative].mean())
        assert row.tar.value == pytest.approx(above[here & harder.positive].mean())
        assert (row.positives, row.negatives) == (
            (here & harder.positive).sum(),
            (here & harder.negative).sum(),
        )
        assert row.tar.low is not None
        assert row.tar.high is not None
        assert row.tar.low <= row.tar.value <= row.tar.high
        assert row.tar.value < row.tar_there == stored.tar
    cross = pair_scores(people(15, noise=2.5, seed=2), HITSZ_VCM, direction=I2V)
    assert [row.kind for row in carried(cross, calibration, bootstrap=NONE)] == ["vis-ir"]
    unset = replace(
        calibration.kinds["vis-ir"], threshold=replace(calibration.kinds["vis-ir"].threshold, score=None)
    )
    assert not carried(cross, replace(calibration, kinds={"vis-ir": unset}), bootstrap=NONE)


def test_the_report_says_everything_and_what_is_missing(calibration: Calibration) -> None:
    embeddings = people(12, cameras=2, noise=1.5, seed=1)
    cross_only = replace(calibration, kinds={"vis-ir": calibration.kinds["vis-ir"]})
    report = open_set_report(
        embeddings,
        HITSZ_VCM,
        directions=(I2V, V2I, V2V),
        calibration=cross_only,
        other_people=True,
        bootstrap=Bootstrap(resamples=50),
    )
    assert report.notes == ("vis->vis: the calibration does not cover vis-vis pairs",)
    assert [len(entry.reliability) for entry in report.directions] == [6, 6, 0]
    assert report.directions[0].reliability[3].prior == pytest.approx(1 / 23)
    json.dumps(report.to_json(), allow_nan=False)
    text = format_open_set(report)
    for needed in ("TAR at FAR 0.1%", "FNIR at FPIR 10%", "ECE", "vis-ir threshold", "! vis->vis", "few"):
        assert needed in text
    assert max(map(len, text.splitlines())) <= 130
    with pytest.raises(ProtocolError, match="--other_people"):
        open_set_report(embeddings, HITSZ_VCM, directions=(I2V,), calibration=calibration)


def test_a_mixed_gallery_that_the_calibration_lacks_is_ranked_by_cosine(calibration: Calibration) -> None:
    without_visible = {k: v for k, v in calibration.kinds.items() if k != "vis-vis"}
    report = open_set_report(
        people(12, cameras=2, noise=1.5, seed=1),
        HITSZ_VCM,
        directions=(I2V,),
        calibration=replace(calibration, kinds=without_visible),
        any_to_any=True,
        other_people=True,
        bootstrap=NONE,
    )
    infrared, visible = report.mixed
    assert list(infrared.orders) == ["cosine", "calibrated", "equalised"]
    assert list(visible.orders) == ["cosine"]
    lacking = "Mixed gallery, vis queries: by cosine only, the calibration does not cover vis-vis pairs"
    assert report.notes == (lacking,)
    assert lacking in format_open_set(report).replace("\n  ", " ")


def test_without_a_calibration_there_are_rates_only() -> None:
    report = open_set_report(people(6), HITSZ_VCM, directions=(I2V,), bootstrap=NONE)
    text = format_open_set(report)
    assert "TAR at FAR" in text
    assert "ECE" not in text
    assert report.directions[0].verification.points[0].accepted.low is None
    assert math.isclose(report.directions[0].verification.curve[-1, 0], 1)
