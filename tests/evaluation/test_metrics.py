import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from tests.evaluation.problems import naive_evaluation
from xreid.core.errors import DataError
from xreid.evaluation.metrics import METRICS, RANKS, PositiveRanks, Side, rank_positives, top_matches


def test_one_case_worked_by_hand() -> None:
    """Gallery by falling score: A(own camera, removed) B A B A; two of A's three tracklets count."""
    gallery = Side(
        vectors=np.array([[5], [4], [3], [2], [1]], np.float32),
        identities=np.array([0, 1, 0, 1, 0]),
        cameras=np.array([7, 7, 8, 7, -1]),
    )
    query = Side(vectors=np.ones((1, 1), np.float32), identities=np.array([0]), cameras=np.array([7]))
    ranks = rank_positives(query, gallery)
    assert ranks.ranks.tolist() == [2, 4]
    assert ranks.candidates.tolist() == [4]
    assert ranks.tied == 0
    expected = [0, 1, 1, 1, (1 / 2 + 2 / 4) / 2, 2 / 4]
    np.testing.assert_allclose(ranks.per_query(), [expected])
    np.testing.assert_allclose(ranks.cmc(5), [0, 1, 1, 1, 1])
    assert ranks.chance == 2 / 4
    naive = naive_evaluation(query, gallery)
    assert naive.values == [expected]


@st.composite
def problems(draw: st.DrawFn) -> tuple[Side, Side]:
    """Few identities and cameras, small integers as entries: ties everywhere, some positives missing."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    identities, levels = draw(st.integers(1, 8)), draw(st.integers(1, 3))
    cameras, disjoint = draw(st.sampled_from([None, 1, 2, 4])), draw(st.booleans())
    pool = draw(st.integers(1, 30))

    def side() -> Side:
        count = draw(st.integers(1, 25))
        return Side(
            vectors=generator.integers(-levels, levels + 1, (count, 3)).astype(np.float32),
            identities=generator.integers(0, identities, count),
            cameras=None if cameras is None else generator.integers(-1, cameras, count),
            rows=None if disjoint else generator.integers(0, pool, count),
        )

    return side(), side()


def consistent(side: Side, identity_of_row: np.ndarray) -> Side:
    """The same side where equal rows are the same tracklet, hence of one identity."""
    if side.rows is None:
        return side
    return Side(
        vectors=side.vectors, identities=identity_of_row[side.rows], cameras=side.cameras, rows=side.rows
    )


@settings(max_examples=300, deadline=None)
@given(problems(), st.integers(0, 2**16))
def test_equal_to_the_naive_evaluator(problem: tuple[Side, Side], seed: int) -> None:
    identity_of_row = np.random.default_rng(seed).integers(0, 5, 30)
    query, gallery = (consistent(side, identity_of_row) for side in problem)
    ranks = rank_positives(query, gallery)
    naive = naive_evaluation(query, gallery)
    expected = [[np.nan] * len(METRICS) if v is None else v for v in naive.values]
    np.testing.assert_allclose(ranks.per_query(), expected, atol=1e-9, rtol=0)
    assert ranks.candidates.tolist() == naive.candidates


@pytest.mark.parametrize("seed", range(5))
def test_equal_to_the_naive_evaluator_on_larger_problems(seed: int) -> None:
    generator = np.random.default_rng(seed)

    def side(count: int) -> Side:
        return Side(
            vectors=generator.integers(-2, 3, (count, 6)).astype(np.float32),
            identities=generator.integers(0, 40, count),
            cameras=generator.integers(-1, 4, count),
        )

    query, gallery = side(120), side(260)
    ranks = rank_positives(query, gallery)
    assert ranks.tied > 100
    naive = naive_evaluation(query, gallery)
    expected = [[np.nan] * len(METRICS) if v is None else v for v in naive.values]
    np.testing.assert_allclose(ranks.per_query(), expected, atol=1e-9, rtol=0)
    for k in (1, 7, 50):
        first = [ranks.ranks[s] for s, n in zip(ranks.offsets, ranks.counts, strict=False) if n]
        assert ranks.cmc(50)[k - 1] == pytest.approx(np.mean(np.array(first) <= k))


def test_average_precision_equals_scikit_learn_without_ties() -> None:
    generator = np.random.default_rng(3)
    query = Side(
        vectors=generator.standard_normal((30, 5)).astype(np.float32),
        identities=generator.integers(0, 6, 30),
    )
    gallery = Side(
        vectors=generator.standard_normal((80, 5)).astype(np.float32),
        identities=generator.integers(0, 6, 80),
    )
    ranks = rank_positives(query, gallery)
    assert ranks.tied == 0
    scores = query.vectors @ gallery.vectors.T
    expected = [
        average_precision_score(gallery.identities == identity, line)
        for identity, line in zip(query.identities, scores, strict=True)
    ]
    np.testing.assert_allclose(ranks.per_query()[:, METRICS.index("mAP")], expected, atol=1e-9)


def test_the_block_size_does_not_change_the_result() -> None:
    generator = np.random.default_rng(0)
    query = Side(
        vectors=generator.integers(-3, 4, (301, 8)).astype(np.float32),
        identities=generator.integers(0, 20, 301),
    )
    gallery = Side(
        vectors=generator.integers(-3, 4, (6000, 8)).astype(np.float32),
        identities=generator.integers(0, 20, 6000),
    )
    one, many = (rank_positives(query, gallery, block_mib=mib) for mib in (1, 64))
    np.testing.assert_array_equal(one.ranks, many.ranks)
    np.testing.assert_array_equal(one.offsets, many.offsets)
    np.testing.assert_array_equal(one.candidates, many.candidates)
    assert one.tied == many.tied > 0


def test_a_model_that_gives_everybody_the_same_vector_follows_gallery_order() -> None:
    gallery = Side(vectors=np.ones((4, 2), np.float32), identities=np.array([1, 0, 0, 1]))
    query = Side(vectors=np.ones((2, 2), np.float32), identities=np.array([0, 1]))
    ranks = rank_positives(query, gallery)
    assert ranks.ranks.tolist() == [2, 3, 1, 4]
    assert ranks.tied == 4


def test_without_any_positive_there_are_no_scores() -> None:
    side = Side(vectors=np.ones((2, 2), np.float32), identities=np.array([0, 1]))
    other = Side(vectors=np.ones((2, 2), np.float32), identities=np.array([2, 3]))
    ranks = rank_positives(side, other)
    assert np.isnan(ranks.per_query()).all()
    assert ranks.chance == 0
    assert ranks.cmc(3).tolist() == [0, 0, 0]


@settings(max_examples=150, deadline=None)
@given(problems())
def test_top_matches_agree_with_the_ranks(problem: tuple[Side, Side]) -> None:
    query, gallery = (Side(vectors=s.vectors, identities=s.identities, cameras=s.cameras) for s in problem)
    ranks: PositiveRanks = rank_positives(query, gallery)
    for position in range(len(query)):
        top = top_matches(query, gallery, position=position, k=10)
        own = ranks.ranks[ranks.offsets[position] : ranks.offsets[position + 1]]
        assert (np.flatnonzero(top.hits) + 1).tolist() == [r for r in own if r <= 10]
        assert len(top.gallery) == min(10, ranks.candidates[position])
        assert (np.diff(top.scores) <= 0).all()


def test_vectors_must_be_finite_and_codes_must_fit() -> None:
    with pytest.raises(DataError, match="finite"):
        Side(vectors=np.array([[np.nan]], np.float32), identities=np.array([0]))
    with pytest.raises(DataError, match="cameras do not fit"):
        Side(vectors=np.ones((2, 1), np.float32), identities=np.array([0, 1]), cameras=np.array([0, 1, 2]))


def test_metric_names_follow_the_ranks() -> None:
    assert (*(f"Rank-{k}" for k in RANKS), "mAP", "mINP") == METRICS
