"""Re-ranking against the textbook formula: dense matrices, sets and loops, in float64."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.problems import naive_evaluation, people
from xreid.core.errors import ConfigError
from xreid.evaluation.directions import I2V
from xreid.evaluation.encodings import joint
from xreid.evaluation.evaluator import evaluate
from xreid.evaluation.examples import rank_lists
from xreid.evaluation.metrics import Side, rank_positives, top_matches
from xreid.evaluation.neighbours import neighbours
from xreid.evaluation.protocols import GENERIC
from xreid.evaluation.reranking import KReciprocal


def naive_reranking(query: np.ndarray, gallery: np.ndarray, chosen: KReciprocal) -> np.ndarray:
    """float64 [Q, G], the re-ranked distances of two disjoint sides (Zhong et al. 2017)."""
    vectors = np.concatenate([query, gallery]).astype(np.float64)
    total = len(vectors)
    distance = np.array([[((a - b) ** 2).sum() for b in vectors] for a in vectors])
    order = [sorted(range(total), key=lambda j: (j != i, distance[i, j], j)) for i in range(total)]
    if chosen.distance == "euclidean":
        distance = np.sqrt(distance)
    distance = distance / [[row.max() or 1.0] for row in distance]

    def reciprocal(i: int, k: int) -> set[int]:
        return {j for j in order[i][: k + 1] if i in order[j][: k + 1]}

    code = np.zeros((total, total))
    for i in range(total):
        near = reciprocal(i, chosen.k1)
        expanded = set(near)
        for j in near:
            more = reciprocal(j, round(chosen.k1 / 2))
            if len(more & near) > 2 / 3 * len(more):
                expanded |= more
        for j in expanded:
            code[i, j] = np.exp(-distance[i, j])
        code[i] /= code[i].sum()
    code = np.array([np.mean([code[j] for j in order[i][: chosen.k2]], axis=0) for i in range(total)])
    answer = np.zeros((len(query), len(gallery)))
    for q in range(len(query)):
        for g in range(len(gallery)):
            other = code[len(query) + g]
            jaccard = 1 - np.minimum(code[q], other).sum() / np.maximum(code[q], other).sum()
            original = distance[q, len(query) + g]
            answer[q, g] = (1 - chosen.lambda_) * jaccard + chosen.lambda_ * original
    return answer


def side(vectors: Any, identities: Any = None, **codes: Any) -> Side:
    vectors = np.asarray(vectors, np.float32)
    ids = np.zeros(len(vectors), np.int64) if identities is None else np.asarray(identities)
    return Side(vectors=vectors, identities=ids, **codes)


def scores(query: Side, gallery: Side, chosen: KReciprocal, **blocks: int) -> np.ndarray:
    out = np.empty((len(query), len(gallery)), np.float32)
    chosen.scores(query, gallery, **blocks)(query, gallery, block=slice(0, len(query)), out=out)
    return out


@st.composite
def problems(draw: st.DrawFn) -> tuple[Side, Side, KReciprocal]:
    """Few points on a small grid: distances are exact in float32, tied, and often zero."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    levels, width = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    sizes = draw(st.integers(1, 12)), draw(st.integers(1, 20))
    chosen = KReciprocal(
        k1=draw(st.integers(1, 12)),
        k2=draw(st.integers(1, 8)),
        lambda_=draw(st.sampled_from([0.0, 0.3, 1.0])),
        distance=draw(st.sampled_from(["squared", "euclidean"])),
    )
    sides = [side(generator.integers(-levels, levels + 1, (n, width))) for n in sizes]
    return sides[0], sides[1], chosen


@settings(max_examples=150, deadline=None)
@given(problems())
def test_equal_to_the_textbook_formula(problem: tuple[Side, Side, KReciprocal]) -> None:
    query, gallery, chosen = problem
    expected = naive_reranking(query.vectors, gallery.vectors, chosen)
    np.testing.assert_allclose(-scores(query, gallery, chosen), expected, atol=2e-6)


@pytest.mark.parametrize("chosen", [KReciprocal(), KReciprocal(k1=5, k2=3, lambda_=0, distance="euclidean")])
def test_equal_to_the_textbook_formula_on_clusters_of_unit_vectors(chosen: KReciprocal) -> None:
    generator = np.random.default_rng(1)
    centres = generator.standard_normal((9, 16))
    vectors = centres[generator.integers(0, 9, 130)] + 0.8 * generator.standard_normal((130, 16))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    found = scores(side(vectors[:40]), side(vectors[40:]), chosen)
    expected = naive_reranking(vectors[:40], vectors[40:], chosen)
    np.testing.assert_allclose(-found, expected, atol=2e-5)
    assert (expected < 0.9).sum() > 100, "the neighbourhoods meet, else nothing is tested"


def test_one_case_worked_by_hand() -> None:
    """On a line: query 0; gallery 1, 5. k1 = 1: 0 and 1 are each other's nearest, 5 is nobody's.

    Rows divided by their farthest: the query's 0, 1/25, 1; gallery 1's 1/16, 0, 1 (squared distances).
    """
    query, gallery = side([[0.0]]), side([[1.0], [5.0]])
    a, b = np.exp(-1 / 25), np.exp(-1 / 16)
    code_query, code_first = np.array([1, a]) / (1 + a), np.array([b, 1]) / (1 + b)
    shared = np.minimum(code_query, code_first).sum()
    expected = [1 - shared / (2 - shared), 1.0]
    found = -scores(query, gallery, KReciprocal(k1=1, k2=1, lambda_=0.0))[0]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    half = -scores(query, gallery, KReciprocal(k1=1, k2=1, lambda_=0.5))[0]
    np.testing.assert_allclose(half, [(expected[0] + 1 / 25) / 2, 1.0], atol=1e-6)


def test_the_block_size_and_the_share_of_queries_asked_do_not_change_the_scores() -> None:
    generator = np.random.default_rng(0)
    query, gallery = side(generator.integers(-3, 4, (90, 5))), side(generator.integers(-3, 4, (900, 5)))
    chosen = KReciprocal(k1=9, k2=4)
    one, many = (scores(query, gallery, chosen, block_mib=mib) for mib in (1, 64))
    np.testing.assert_array_equal(one, many)
    source = chosen.scores(query, gallery)
    part = np.empty((20, len(gallery)), np.float32)
    source(query, gallery, block=slice(30, 50), out=part)
    np.testing.assert_array_equal(part, many[30:50])


def test_a_tracklet_on_both_sides_is_one_neighbour() -> None:
    """all->all on one list: the joint neighbourhood holds each tracklet once."""
    generator = np.random.default_rng(2)
    vectors = generator.standard_normal((30, 6)).astype(np.float32)
    both = side(vectors, rows=np.arange(30) + 100)
    merged = joint(both, both)
    np.testing.assert_array_equal(merged.vectors, vectors)
    assert merged.query.tolist() == merged.gallery.tolist() == list(range(30))
    some, others = side(vectors[:20], rows=np.arange(20)), side(vectors[10:], rows=np.arange(10, 30))
    partly = joint(some, others)
    assert len(partly.vectors) == 30
    np.testing.assert_array_equal(partly.vectors[partly.query], some.vectors)
    np.testing.assert_array_equal(partly.vectors[partly.gallery], others.vectors)
    disjoint = joint(replace(some, rows=None), replace(others, rows=None))
    assert len(disjoint.vectors) == 40


def test_equal_tracklets_keep_gallery_order() -> None:
    """Four equal vectors, k1 = 1: the nearest other is the first other one; the last two have no partner."""
    told = list[tuple[int, int]]()
    found = neighbours(np.ones((4, 2), np.float32), count=2, tell=lambda *place: told.append(place))
    assert told == [(4, 4)]
    assert found.nearest.tolist() == [[0, 1], [1, 0], [2, 0], [3, 0]]
    assert found.farthest.tolist() == [1, 1, 1, 1]
    query, gallery = side(np.ones((1, 2)), [0]), side(np.ones((3, 2)), [1, 1, 0])
    source = KReciprocal(k1=1, k2=1).scores(query, gallery)
    ranks = rank_positives(query, gallery, scores_of=source)
    assert (ranks.ranks.tolist(), ranks.tied) == ([3], 1)


def test_neighbours_in_tiles_equal_a_sort() -> None:
    """500 vectors in tiles of some 170: ties within and across tiles, the last tile short."""
    vectors = np.random.default_rng(3).integers(-2, 3, (500, 3)).astype(np.float32)
    distance = ((vectors[:, None] - vectors[None]) ** 2).sum(axis=2)
    found = neighbours(vectors, count=25, block_mib=1)
    np.testing.assert_array_equal(found.farthest, distance.max(axis=1))
    np.fill_diagonal(distance, -1)
    np.testing.assert_array_equal(found.nearest, np.argsort(distance, axis=1, kind="stable")[:, :25])


@pytest.mark.parametrize("lambda_", [0.0, 0.3])
def test_ranks_and_rank_lists_follow_the_source(lambda_: float) -> None:
    """Camera filter, self matches and ties are the plain evaluator's, on re-ranked scores."""
    generator = np.random.default_rng(4)
    rows = generator.permutation(50)
    ids, cameras = generator.integers(0, 8, 50), generator.integers(-1, 3, 50)
    vectors = generator.integers(-2, 3, (50, 4))
    query, gallery = (
        side(vectors[r], ids[r], cameras=cameras[r], rows=r) for r in (rows[:20], np.sort(rows[10:]))
    )
    source = KReciprocal(k1=6, k2=3, lambda_=lambda_).scores(query, gallery)
    given_scores = np.empty((20, 40), np.float32)
    source(query, gallery, block=slice(0, 20), out=given_scores)
    ranks = rank_positives(query, gallery, scores_of=source)
    # Scores as vectors, so that the naive evaluator's products are these very scores.
    plain = replace(query, vectors=given_scores), replace(gallery, vectors=np.eye(40, dtype=np.float32))
    naive = naive_evaluation(*plain)
    expected = [[np.nan] * 6 if v is None else v for v in naive.values]
    np.testing.assert_allclose(ranks.per_query(), expected, atol=1e-9)
    for position in range(20):
        top = top_matches(query, gallery, position=position, k=5, scores_of=source)
        own = ranks.ranks[ranks.offsets[position] : ranks.offsets[position + 1]]
        assert (np.flatnonzero(top.hits) + 1).tolist() == [r for r in own if r <= 5]


def test_rank_lists_show_the_reranked_order() -> None:
    embeddings = people(12, noise=1.2)
    plain, reranked = (
        evaluate(embeddings, GENERIC, direction=I2V, reranking=way) for way in (None, KReciprocal(k1=5, k2=3))
    )
    assert plain.rank1 != reranked.rank1
    for entry in rank_lists(reranked, embeddings, length=len(embeddings)):
        assert [m.hit for m in entry.matches].index(True) + 1 == entry.first_hit
        assert all(-1 <= m.score <= 0 for m in entry.matches)


def test_settings_are_checked_and_hashed() -> None:
    for wrong in ({"k1": 0}, {"k2": 0}, {"lambda_": 1.5}):
        with pytest.raises(ConfigError, match="set wrongly"):
            KReciprocal(**wrong)
    assert KReciprocal().label == "k-reciprocal v1 (k1 20, k2 6, lambda 0.3, distance squared) [a6ea6bd7]"
    assert KReciprocal().summary()["hash"] != KReciprocal(k1=21).summary()["hash"]
    assert KReciprocal(lambda_=0).label == KReciprocal(lambda_=0.0).label
