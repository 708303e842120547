from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.evaluation.problems import IR, VIS, embedding_set, naive_evaluation, people, row
from xreid.core.embeddings import EmbeddingSet
from xreid.core.errors import DataError, ProtocolError
from xreid.evaluation.directions import ALL, I2I, I2V, V2I, V2V
from xreid.evaluation.evaluator import combine, evaluate, evaluate_directions, sides
from xreid.evaluation.metrics import METRICS
from xreid.evaluation.protocols import BUPT_CAMPUS_FULL, GENERIC, HITSZ_VCM, HITSZ_VCM_FRAMES6, PROTOCOLS


@pytest.mark.parametrize("direction", [I2V, V2I, V2V, I2I, ALL])
@pytest.mark.parametrize("name", ["hitsz-vcm", "generic"])
def test_every_direction_equals_the_naive_evaluator(name: str, direction) -> None:  # type: ignore[no-untyped-def]
    embeddings = people(8, per_camera=2, noise=1.5)
    protocol = PROTOCOLS[name]
    result = evaluate(embeddings, protocol, direction=direction)
    naive = naive_evaluation(*sides(embeddings, result.selection, protocol=protocol))
    expected = np.mean([v for v in naive.values if v is not None], axis=0)
    found = [result.metrics[m].value for m in METRICS]
    np.testing.assert_allclose(found, expected, atol=1e-9, rtol=0)


def test_well_separated_people_are_found_and_noise_lowers_the_scores() -> None:
    good, bad = (evaluate(people(20, noise=n), HITSZ_VCM, direction=I2V) for n in (0.1, 3.0))
    assert good.rank1 == good.mean_average_precision == 1
    assert bad.rank1 < 0.7
    assert good.num_queries == good.num_valid == 60
    assert good.num_identities == 20


def test_the_camera_filter_removes_the_query_cameras_own_view() -> None:
    """Identical pictures in both modalities of one camera must not count as success."""
    rows = [
        row("q", "1", "D1", IR, "query"),
        row("same", "1", "D1", VIS, "gallery"),
        row("other", "2", "D2", VIS, "gallery"),
        row("far", "1", "D2", VIS, "gallery"),
    ]
    vectors = np.array([[1, 0], [1, 0], [1, 0.1], [0, 1]], dtype=np.float32)
    filtered = evaluate(embedding_set(rows, vectors), HITSZ_VCM, direction=I2V)
    kept = evaluate(embedding_set(rows, vectors), BUPT_CAMPUS_FULL, direction=I2V)
    assert (filtered.rank1, kept.rank1) == (0, 1)
    assert filtered.ranks.ranks.tolist() == [2]


def test_nobody_finds_himself() -> None:
    rows = [row("a", "1", None, VIS), row("b", "1", None, VIS), row("c", "2", None, VIS)]
    vectors = np.array([[1, 0], [0, 1], [1, 0.01]], dtype=np.float32)
    result = evaluate(embedding_set(rows, vectors), GENERIC, direction=V2V)
    assert result.num_queries == 3
    assert result.num_valid == 2
    assert result.num_dropped == 1
    assert result.rank1 == 0.0
    assert result.details()["first_rank"] == [2, 2, None]


def test_every_count_is_shown() -> None:
    base = people(4)
    stranger = [row("s", None, "D1", IR), row("u", None, "D1", VIS), row("lonely", "77", "D1", IR)]
    both = embedding_set(
        [*base.table.rows, *stranger],
        np.concatenate([base.vectors, np.random.default_rng(1).standard_normal((3, 16))]),
    )
    counts = evaluate(both, GENERIC, direction=I2V).counts()
    assert counts == {
        "queries": 13,
        "valid queries": 12,
        "dropped queries (no positive left)": 1,
        "query identities": 4,
        "gallery tracklets": 12,
        "queries of unknown identity, left out": 1,
        "gallery tracklets of unknown identity, left out": 1,
        "visible rows dropped by the batch rule": 0,
        "training rows left out": 0,
        "positives tied with another score": 0,
    }


def test_no_positive_at_all_is_an_error() -> None:
    rows = [row("a", "1", "D1", IR), row("b", "1", "D1", VIS)]
    with pytest.raises(ProtocolError, match="none of 1 queries has a positive"):
        evaluate(embedding_set(rows), GENERIC, direction=I2V)


def test_directions_come_back_in_order() -> None:
    results = evaluate_directions(people(), HITSZ_VCM, directions=(V2I, I2V))
    assert [r.direction for r in results] == [V2I, I2V]


def made_of(sampling: str, frames: int, *, length: int = 12) -> EmbeddingSet:
    """People whose embeddings say which frames they are made of."""
    found = people(cameras=2)
    origin = replace(found.origin, preprocessing={"sampling": sampling, "frames": frames})
    rows = tuple(replace(row, frames=row.frames * length) for row in found.table)
    return replace(found, origin=origin, table=replace(found.table, rows=rows))


def test_a_protocol_with_frames_refuses_other_frames() -> None:
    fitting = made_of("chunk-first", 6)
    result = evaluate(fitting, HITSZ_VCM_FRAMES6, direction=I2V)
    assert result.metrics == evaluate(fitting, HITSZ_VCM, direction=I2V).metrics
    for embeddings, message in (
        (made_of("dense", 6), "--sampling chunk-first --frames 6, or use --protocol hitsz-vcm"),
        (made_of("chunk-first", 10), "expected sampling chunk-first with 6 .* got chunk-first with 10"),
        (people(), "got embeddings that do not tell"),
        (made_of("chunk-first", 6, length=11), "these have 24; got e.g. .* with 11. .*--min_frames 12"),
    ):
        with pytest.raises(ProtocolError, match=message):
            evaluate(embeddings, HITSZ_VCM_FRAMES6, direction=I2V)


def test_the_summary_names_the_protocol_and_its_hash() -> None:
    summary = evaluate(people(), HITSZ_VCM, direction=I2V).summary()
    assert summary["protocol"]["hash"] == HITSZ_VCM.hash
    assert summary["metrics"]["Rank-1"]["low"] is not None
    assert summary["published_list_sizes"] is False
    assert len(summary["cmc"]) == 18


def test_halves_combined_give_the_whole() -> None:
    whole = people(6, noise=2.0)
    halves = [whole.take(range(18)), whole.take(range(18, 36))]
    joined = combine(halves)
    assert joined.table.root == whole.table.root
    expected = evaluate(whole, HITSZ_VCM, direction=I2V)
    assert evaluate(joined, HITSZ_VCM, direction=I2V).metrics == expected.metrics
    assert combine([whole]) is whole


def test_sets_under_different_roots_keep_their_frames() -> None:
    first, second = people(2, root=Path("/a")), people(2, root=Path("/b"))
    renamed = replace(
        second,
        table=replace(second.table, rows=tuple(replace(r, name=f"x{r.name}") for r in second.table)),
    )
    joined = combine([first, renamed])
    assert joined.table.frame_path(joined.table[0].frames[0]) == Path("/a/0000-ir-D1-0.jpg")
    assert joined.table.frame_path(joined.table[-1].frames[0]) == Path("/b/0001-vis-D3-0.jpg")


def test_sets_of_different_models_are_not_combined() -> None:
    other = replace(people(), origin=replace(people().origin, checkpoint="d" * 64))
    with pytest.raises(ProtocolError, match="differ in their checkpoint"):
        combine([people(), other])


def test_the_same_tracklets_twice_are_not_combined() -> None:
    with pytest.raises(DataError, match="occurs twice"):
        combine([people(), people()])
