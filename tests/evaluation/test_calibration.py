"""Fits against distributions whose ratio is known and against scikit-learn; storage; refusals."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from tests.evaluation.problems import people
from xreid.core.embeddings import EmbeddingSet
from xreid.core.errors import ConfigError, DataError, ProtocolError
from xreid.core.files import write_json
from xreid.evaluation.calibration import (
    Calibration,
    calibration_from_json,
    probability,
    read_calibration,
    require_fits,
    require_other_people,
)
from xreid.evaluation.calibration_fit import fit_calibration, fit_isotonic, fit_logistic
from xreid.evaluation.evaluator import combine
from xreid.evaluation.protocols import HITSZ_VCM


def gaussians(positives: int, negatives: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Normal scores of deviation 0.1 around 0.5 and 0.2: llr = 30 * score - 10.5."""
    generator = np.random.default_rng(seed)
    return generator.normal(0.5, 0.1, positives), generator.normal(0.2, 0.1, negatives)


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    found, missing = fit_calibration(people(20, cameras=3, noise=1.5), HITSZ_VCM, far=0.01)
    assert missing == ()
    return found


@pytest.mark.parametrize("prior", [0.5, 0.02])
def test_logistic_finds_the_known_ratio_whatever_the_prior(prior: float) -> None:
    slope, offset = fit_logistic(*gaussians(20_000, 200_000), prior=prior)
    assert slope == pytest.approx(30, rel=0.05)
    assert offset == pytest.approx(-10.5, rel=0.05)


def test_logistic_is_the_weighed_regression_of_scikit_learn() -> None:
    positive, negative = gaussians(3_000, 30_000)
    x = np.concatenate([positive, negative])[:, None]
    y = np.arange(len(x)) < len(positive)
    weights = np.where(y, 0.3 / len(positive), 0.7 / len(negative)) * 1e4
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(x, y, sample_weight=weights)
    slope, offset = fit_logistic(positive, negative, prior=0.3)
    # Platt's smoothed targets keep ours a little flatter
    assert slope == pytest.approx(model.coef_[0, 0], rel=0.02)
    assert offset == pytest.approx(model.intercept_[0] - math.log(0.3 / 0.7), rel=0.02)


def test_separable_scores_keep_a_finite_slope() -> None:
    slope, offset = fit_logistic(np.array([0.8, 0.9, 0.85]), np.linspace(-0.2, 0.3, 50), prior=0.5)
    assert 0 < slope < 100
    assert np.isfinite(offset)


def test_isotonic_is_scikit_learns_up_to_the_prior() -> None:
    positive, negative = gaussians(300, 900)
    knots = np.array(fit_isotonic(positive, negative))
    assert (np.diff(knots[:, 0]) > 0).all()
    assert (np.diff(knots[:, 1]) >= 0).all()
    scores = np.concatenate([positive, negative])
    expected = IsotonicRegression().fit_transform(scores, np.arange(1200) < 300)
    inner = (expected > 0) & (expected < 1)
    ratios = np.log(expected[inner] / (1 - expected[inner])) - math.log(300 / 900)
    known = sorted({round(float(v), 9) for v in ratios})
    assert [round(v, 9) for v in knots[1:-1, 1]] == known
    # beyond the last stranger: what half a stranger would give
    assert knots[-1, 1] == pytest.approx(math.log((positive > negative.max()).sum() / 300 / (0.5 / 900)))


def test_equal_scores_are_one_place() -> None:
    assert fit_isotonic(np.array([0.5, 0.5]), np.array([0.5, 0.1])) == (
        (0.1, pytest.approx(math.log((0.5 / 2) / (1 / 2)))),
        (0.5, pytest.approx(math.log((2 / 2) / (1 / 2)))),
    )


def test_probability_at_a_prior_by_hand(calibration: Calibration) -> None:
    assert probability(math.log(9), prior=0.5) == pytest.approx(0.9)
    assert probability(math.log(9), prior=0.1) == pytest.approx(0.5)
    assert probability([1000.0, -1000.0], prior=0.5).tolist() == [1.0, 0.0]
    kind = calibration.kinds["vis-ir"]
    expected = 1 / (1 + 99 * math.exp(-(kind.slope * 0.4 + kind.offset)))
    assert calibration.probability(0.4, "vis-ir", prior=0.01) == pytest.approx(expected)
    with pytest.raises(ConfigError, match="prior"):
        probability(0.0, prior=1.0)


def test_every_kind_is_fitted_on_its_own_pairs(calibration: Calibration) -> None:
    assert list(calibration.kinds) == ["vis-vis", "vis-ir", "ir-ir"]
    counts = {name: (k.positives, k.negatives) for name, k in calibration.kinds.items()}
    # 20 people, 3 cameras; a pair of one person needs two cameras
    assert counts == {
        "vis-vis": (20 * 3, 60 * 57 // 2),
        "vis-ir": (20 * 6, 60 * 57),
        "ir-ir": (20 * 3, 60 * 57 // 2),
    }
    for kind in calibration.kinds.values():
        assert kind.threshold.score is not None
        assert -1 < kind.stranger_cuts[0] < kind.stranger_cuts[1] < 1
    isotonic = replace(calibration, method="isotonic")
    places = [0.0, 0.3, 0.6]
    assert isotonic.llr(places, "vis-ir").tolist() != calibration.llr(places, "vis-ir").tolist()


def test_it_is_stored_and_read_unchanged(calibration: Calibration, tmp_path: Path) -> None:
    write_json(tmp_path / "checkpoint" / "calibration.json", calibration.to_json())
    for place in (tmp_path, tmp_path / "checkpoint", tmp_path / "checkpoint" / "calibration.json"):
        assert read_calibration(place) == calibration
    with pytest.raises(DataError, match="no calibration at"):
        read_calibration(tmp_path / "elsewhere")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("kinds", "vis-ir", "slope"), -1.0),
        (("kinds", "vis-ir", "knots"), []),
        (("kinds", "vis-ir", "knots"), [["a", 1]]),
        (("kinds", "vis-ir", "stranger_cuts"), [0.3, 0.3]),
        (("kinds", "vis-ir", "more"), 1),
        (("kinds", "ir-uv"), {}),
        (("kinds",), {}),
        (("method",), "guess"),
        (("origin", "layout"), 3),
        (("identities",), None),
        (("several",), [{"examples": 1, "far": 0.1, "margin": 0.0}]),
        (("several",), [{"examples": 2, "far": 0.1, "margin": 1.0}]),
    ],
)
def test_damage_is_one_message(calibration: Calibration, path: tuple[str, ...], value: Any) -> None:
    plain = json.loads(json.dumps(calibration.to_json()))
    place = plain
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    with pytest.raises(DataError, match=r"it is damaged|it has another format"):
        calibration_from_json(plain, what="it")


def test_another_format_is_refused(calibration: Calibration) -> None:
    for plain in ({**calibration.to_json(), "format": 3}, [], None):
        with pytest.raises(DataError, match="another format"):
            calibration_from_json(plain, what="it")


def test_the_first_format_is_read_and_knows_nothing_of_several_examples(calibration: Calibration) -> None:
    plain = json.loads(json.dumps(calibration.to_json()))
    assert plain.pop("several")
    found = calibration_from_json({**plain, "format": 1}, what="it")
    assert found == replace(calibration, several=())


def test_it_fits_one_model_only(calibration: Calibration) -> None:
    origin = people(2).origin
    require_fits(calibration, replace(origin, source="elsewhere"))
    for other in (replace(origin, checkpoint="d" * 64), replace(origin, preprocessing={"frames": 3})):
        with pytest.raises(ProtocolError, match="calibration and the embeddings differ"):
            require_fits(calibration, other)


def test_it_is_not_judged_by_its_own_people(calibration: Calibration) -> None:
    require_other_people(calibration, ["0020", "0021"])
    with pytest.raises(ProtocolError, match=r"2 of the evaluated identities.*--other_people"):
        require_other_people(calibration, ["0001", "0002", "0099"])


def test_training_people_are_refused() -> None:
    with pytest.raises(ProtocolError, match=r"1 of the people are training.*--held_out"):
        fit_calibration(people(12), HITSZ_VCM, trained_on=("0003", "0500"))


def test_what_cannot_be_fitted_is_said() -> None:
    two_cameras = people(12, cameras=2)
    found, missing = fit_calibration(two_cameras.take([i for i in range(48) if i % 4]), HITSZ_VCM)
    assert list(found.kinds) == ["vis-vis", "vis-ir"]
    assert [m.split(":")[0] for m in missing] == ["no calibration for ir-ir pairs"]
    with pytest.raises(ProtocolError, match="cannot be calibrated"):
        fit_calibration(people(3, cameras=2), HITSZ_VCM)
    backwards = people(12, noise=1.0)
    signs = np.where(np.arange(72)[:, None] % 2, 1, -1).astype(np.float32)  # infrared vectors turned round
    upside = replace(backwards, vectors=backwards.vectors * signs)
    found, missing = fit_calibration(upside.take(range(72)), HITSZ_VCM)
    assert "vis-ir" not in found.kinds
    assert any("do not score higher" in m for m in missing)
    with pytest.raises(ConfigError, match="--far"):
        fit_calibration(two_cameras, HITSZ_VCM, far=0)


def test_embeddings_carry_it_and_old_sets_load(calibration: Calibration, tmp_path: Path) -> None:
    plain = json.loads(json.dumps(calibration.to_json()))
    embeddings = people(4)
    embeddings.save(tmp_path / "old")
    assert "calibration" not in json.loads((tmp_path / "old" / "embedding.json").read_text())
    assert EmbeddingSet.load(tmp_path / "old").calibration is None
    carrying = replace(embeddings, calibration=plain)
    carrying.save(tmp_path / "new")
    found = EmbeddingSet.load(tmp_path / "new")
    assert found.take([0, 1]).calibration == plain
    assert calibration_from_json(found.calibration, what="it") == calibration
    halves = [carrying.take(range(12)), embeddings.take(range(12, 24))]
    assert combine(halves).calibration == plain
    other = replace(halves[1], calibration={**plain, "fit_prior": 0.1})
    with pytest.raises(ProtocolError, match="different calibrations"):
        combine([halves[0], other])
