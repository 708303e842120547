"""Temporal re-ranking against its formula, and the halves it is given."""

from dataclasses import replace

import numpy as np
import pytest

from tests.evaluation.problems import people
from tests.evaluation.test_reranking import naive_reranking
from xreid.core.embeddings import EmbeddingSet
from xreid.core.errors import ConfigError, ProtocolError
from xreid.evaluation.directions import I2V, V2I
from xreid.evaluation.evaluator import evaluate, sides
from xreid.evaluation.metrics import Side
from xreid.evaluation.protocols import GENERIC
from xreid.evaluation.reranking import KReciprocal
from xreid.evaluation.selection import select
from xreid.evaluation.temporal_reranking import PUBLISHED, TemporalReranking, half_of


def walks(frames: int = 5, *, seed: int = 0) -> EmbeddingSet:
    """Tracklets of several frames."""
    found = people(7, seed=seed, noise=0.8)
    rows = tuple(replace(row, frames=tuple(f"{row.name}/{i}" for i in range(frames))) for row in found.table)
    return replace(found, table=replace(found.table, rows=rows))


def halves(whole: EmbeddingSet) -> tuple[EmbeddingSet, EmbeddingSet]:
    """Other vectors for the two halves, the second in reversed order of rows."""
    first = replace(walks(seed=1), table=half_of(whole.table, "first-half"))
    second = replace(walks(seed=2), table=half_of(whole.table, "second-half"))
    return first, second.take(range(len(second) - 1, -1, -1))


def test_equal_to_its_formula() -> None:
    whole = walks()
    first, second = halves(whole)
    reranking = TemporalReranking.of(whole, first=first, second=second)
    selection = select(whole.table, GENERIC, direction=I2V)
    query, gallery = sides(whole, selection, protocol=GENERIC)
    out = np.empty((len(query), len(gallery)), np.float32)
    reranking.scores(query, gallery)(query, gallery, block=slice(0, len(query)), out=out)
    q, g = selection.query, selection.gallery
    one, two = first.vectors, second.vectors[::-1]
    plain = np.array([[np.linalg.norm(a - b) for b in whole.vectors[g]] for a in whole.vectors[q]])
    published = KReciprocal(k1=5, k2=3, lambda_=0.0, distance="euclidean")
    expected = 0.8 * plain + 0.2 * naive_reranking(whole.vectors[q], whole.vectors[g], published)
    expected += 0.1 * naive_reranking(one[q], two[g], published)
    expected += 0.1 * naive_reranking(two[q], one[g], published)
    np.testing.assert_allclose(-out, expected, atol=1e-5)


def test_evaluated_with_its_label() -> None:
    whole = walks()
    first, second = halves(whole)
    reranking = TemporalReranking.of(whole, first=first, second=second)
    result = evaluate(whole, GENERIC, direction=V2I, reranking=reranking)
    assert result.label.startswith(
        "generic v1 [47a89f90] RE-RANKED temporal v1 (original 0.8, whole 0.2, halves"
    )
    assert result.summary()["reranking"]["settings"]["k1"] == 5


def test_halves_of_tracklets() -> None:
    table = walks(5).table
    assert [f[-1] for f in half_of(table, "first-half")[0].frames] == ["0", "1"]
    assert [f[-1] for f in half_of(table, "second-half")[0].frames] == ["2", "3", "4"]
    single = walks(1).table
    assert half_of(single, "first-half")[0].frames == half_of(single, "second-half")[0].frames
    assert half_of(table, "second-half").source == "own, second half"


def test_other_vectors_than_the_halves_are_refused() -> None:
    whole = walks()
    first, second = halves(whole)
    other_model = replace(first, origin=replace(first.origin, checkpoint="d" * 64))
    for wrong, message in (
        ((second, first), "the first half of 0000-ir-D1-0 is not in the embeddings"),
        ((whole, second), "expected 2 of its 5 frames; got 5 frames"),
        ((first.take(range(3)), second), "got no such tracklet"),
        ((other_model, second), "differ in their checkpoint"),
    ):
        with pytest.raises(ProtocolError, match=message):
            TemporalReranking.of(whole, first=wrong[0], second=wrong[1])
    with pytest.raises(ConfigError, match="set wrongly"):
        TemporalReranking(first=whole.vectors, second=whole.vectors, halves=-1)
    side = Side(vectors=whole.vectors, identities=np.zeros(len(whole), np.int64))
    with pytest.raises(ConfigError, match="which tracklets"):
        TemporalReranking(first=whole.vectors, second=whole.vectors).scores(side, side)


def test_the_published_settings() -> None:
    assert PUBLISHED.settings == {"k1": 5, "k2": 3, "lambda": 0.0, "distance": "euclidean"}
