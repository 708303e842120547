"""Galleries of both modalities: shares and ranks against loops, and what the corrections do."""

import numpy as np
import pytest

from tests.evaluation.problems import IR, VIS, embedding_set, people, row
from xreid.core.embeddings import EmbeddingSet
from xreid.core.errors import ProtocolError
from xreid.core.tracklets import Modality
from xreid.evaluation.calibration import Calibration
from xreid.evaluation.calibration_fit import fit_calibration
from xreid.evaluation.directions import Direction
from xreid.evaluation.intervals import Bootstrap
from xreid.evaluation.metrics import METRICS
from xreid.evaluation.mixed import MixedGallery, mixed_gallery, own_shares
from xreid.evaluation.pairs import pair_scores
from xreid.evaluation.protocols import HITSZ_VCM

DRAWS = Bootstrap(resamples=100)


def biased(count: int, *, seed: int) -> EmbeddingSet:
    """People as in `people`, with a large common part in each modality: cosines within are higher."""
    generator = np.random.default_rng(seed)
    rows, vectors = [], []
    gap = {VIS: np.eye(16)[0] * 2.5, IR: np.eye(16)[1] * 2.5}
    for person in range(count):
        centre = generator.standard_normal(16)
        for camera in ("D1", "D2", "D3"):
            for modality in (VIS, IR):
                rows.append(row(f"{seed}-{person}-{camera}-{modality}", f"{seed}-{person}", camera, modality))
                vectors.append(centre + gap[modality] + 0.8 * generator.standard_normal(16))
    return embedding_set(rows, np.array(vectors))


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return fit_calibration(biased(40, seed=0), HITSZ_VCM)[0]


@pytest.fixture(scope="module", params=[VIS, IR])
def mixed(request: pytest.FixtureRequest, calibration: Calibration) -> MixedGallery:
    return mixed_gallery(
        biased(30, seed=1), HITSZ_VCM, query=request.param, calibration=calibration, bootstrap=DRAWS
    )


def naive_shares(embeddings: EmbeddingSet, modality: Modality, *, k: int) -> tuple[float, float]:
    """Own modality among the first k that count, and among the first k of other people."""
    pairs = pair_scores(embeddings, HITSZ_VCM, direction=Direction(modality, None))
    everything, strangers = [], []
    for q, person in enumerate(pairs.query):
        counted = [g for g in range(len(pairs.gallery)) if not np.isnan(pairs.scores[q, g])]
        order = sorted(counted, key=lambda g: (-pairs.scores[q, g], g))
        own = [bool(pairs.gallery_infrared[g]) == (modality is IR) for g in order]
        other = [o for o, g in zip(own, order, strict=True) if pairs.gallery[g] != person]
        everything.append(np.mean(own[:k]))
        strangers.append(np.mean(other[:k]))
    return float(np.mean(everything)), float(np.mean(strangers))


@pytest.mark.parametrize("modality", [VIS, IR])
def test_shares_equal_the_loop(modality: Modality) -> None:
    embeddings = biased(6, seed=2)
    pairs = pair_scores(embeddings, HITSZ_VCM, direction=Direction(modality, None))
    for share in own_shares(pairs, pairs.scores, query=modality):
        expected = naive_shares(embeddings, modality, k=share.k)
        assert (share.found, share.wrong_found) == pytest.approx(expected)
        assert share.wrong_prior == 0.5
        # 36 tracklets; of its own person, the query's camera takes its own and one other away
        assert share.prior == pytest.approx(17 / 34)


def test_a_bias_is_seen_and_the_correction_takes_it_away(mixed: MixedGallery) -> None:
    shares = {name: {s.k: s for s in order.shares}[10] for name, order in mixed.orders.items()}
    assert list(shares) == ["cosine", "calibrated", "equalised"]
    assert shares["cosine"].wrong_found > 0.75
    assert shares["equalised"].wrong_found == pytest.approx(0.5, abs=0.15)
    assert shares["calibrated"].wrong_found < 0.7
    for name in ("calibrated", "equalised"):
        gain = mixed.gains[name].differences["mAP"]
        assert gain.low is not None
        assert gain.value > 0.02
        after = mixed.corrected[name].result.mean_average_precision
        assert gain.value == pytest.approx(after - mixed.cosine.result.mean_average_precision)


def test_ranks_by_ratio_equal_the_loop(calibration: Calibration) -> None:
    embeddings = biased(8, seed=3)
    found = mixed_gallery(embeddings, HITSZ_VCM, query=IR, calibration=calibration, bootstrap=DRAWS)
    pairs = pair_scores(embeddings, HITSZ_VCM, direction=Direction(IR, None))
    lines = {True: calibration.kinds["ir-ir"], False: calibration.kinds["vis-ir"]}
    precisions = []
    for q, person in enumerate(pairs.query):
        ratios = []
        for g, score in enumerate(pairs.scores[q]):
            line = lines[bool(pairs.gallery_infrared[g])]
            if not np.isnan(score):
                ratios.append((-(line.slope * float(score) + line.offset), g))
        hits = [pairs.gallery[g] == person for _, g in sorted(ratios)]
        places = [i + 1 for i, hit in enumerate(hits) if hit]
        precisions.append(np.mean([(n + 1) / place for n, place in enumerate(places)]))
    after = found.corrected["calibrated"].result
    np.testing.assert_allclose(after.per_query[:, METRICS.index("mAP")], precisions, atol=1e-6)
    assert after.mean_average_precision == pytest.approx(np.mean(precisions))
    assert after.cmc[0] == after.rank1


def test_without_a_calibration_only_the_bias_is_measured(calibration: Calibration) -> None:
    found = mixed_gallery(people(6), HITSZ_VCM, query=VIS, calibration=None, bootstrap=DRAWS)
    assert list(found.orders) == ["cosine"]
    assert found.to_json()["orders"]["cosine"]["minus_cosine"] is None
    cross_only = Calibration(**{**vars(calibration), "kinds": {"vis-ir": calibration.kinds["vis-ir"]}})
    with pytest.raises(ProtocolError, match="does not cover vis-vis"):
        mixed_gallery(biased(6, seed=1), HITSZ_VCM, query=VIS, calibration=cross_only, bootstrap=DRAWS)
