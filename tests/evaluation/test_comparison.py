from dataclasses import replace

import numpy as np
import pytest

from tests.evaluation.problems import people
from xreid.core.embeddings import EmbeddingSet
from xreid.core.errors import ProtocolError
from xreid.evaluation.comparison import compare
from xreid.evaluation.directions import I2V, V2I
from xreid.evaluation.evaluator import evaluate
from xreid.evaluation.metrics import METRICS
from xreid.evaluation.protocols import GENERIC, HITSZ_VCM
from xreid.evaluation.results import EvaluationResult


def result(noise: float, *, seed: int = 0) -> EvaluationResult:
    return evaluate(people(25, noise=noise, seed=seed), HITSZ_VCM, direction=I2V)


def test_a_better_model_is_found_better() -> None:
    better, worse = result(0.8), result(2.0)
    found = compare(better, worse)
    for name in METRICS:
        expected = better.metrics[name].value - worse.metrics[name].value
        assert found.differences[name].value == pytest.approx(expected)
    assert found.excludes_zero("mAP")
    assert found.share_above_zero is not None
    assert found.share_above_zero["mAP"] == 1
    assert found.num_queries == 75
    swapped = compare(worse, better)
    assert swapped.differences["mAP"].value == pytest.approx(-found.differences["mAP"].value)
    assert swapped.differences["mAP"].low == pytest.approx(-found.differences["mAP"].high)


def test_a_model_equals_itself() -> None:
    found = compare(result(1.0), result(1.0))
    assert found.differences["mAP"].value == 0
    assert not found.excludes_zero("mAP")
    assert found.share_above_zero is not None
    assert found.share_above_zero["mAP"] == 0.5


def test_pairing_narrows_the_interval() -> None:
    """The difference of two similar models is known better than either score."""
    base = people(25, noise=1.6)
    shift = np.random.default_rng(1).standard_normal(base.vectors.shape).astype(np.float32) * 0.03
    vectors = base.vectors + shift
    close = EmbeddingSet(
        vectors=vectors / np.linalg.norm(vectors, axis=1, keepdims=True), table=base.table, origin=base.origin
    )
    a, b = (evaluate(e, HITSZ_VCM, direction=I2V) for e in (base, close))
    difference, single = compare(a, b).differences["mAP"], a.metrics["mAP"]
    assert difference.high - difference.low < (single.high - single.low) / 2  # type: ignore[operator]


def test_training_seeds_are_averaged() -> None:
    """Two runs of one model: different vectors, the same tracklets."""
    runs = [result(1.0, seed=s) for s in (0, 1)]
    found = compare(runs, [result(2.0)])
    mean = np.mean([r.mean_average_precision for r in runs])
    assert found.num_runs == (2, 1)
    assert found.differences["mAP"].value == pytest.approx(mean - result(2.0).mean_average_precision)


def test_unlike_results_are_refused() -> None:
    base = people(5)
    a = evaluate(base, HITSZ_VCM, direction=I2V)
    for other, what in (
        (evaluate(base, GENERIC, direction=I2V), "protocol"),
        (evaluate(base, HITSZ_VCM, direction=V2I), "direction"),
        (evaluate(people(6), HITSZ_VCM, direction=I2V), "number of queries"),
        (replace(a, query_names=tuple(reversed(a.query_names))), "queries differ"),
    ):
        with pytest.raises(ProtocolError, match=what):
            compare(a, other)
    with pytest.raises(ProtocolError, match="nothing to compare"):
        compare([], a)
