"""Intervals over seeds and people against naive loops, against `compare`, and by what they should cover."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.evaluation.problems import people as embedded_people
from xreid.core.errors import ProtocolError
from xreid.core.seeding import numpy_generator
from xreid.evaluation.intervals import Bootstrap
from xreid.evaluation.metrics import METRICS
from xreid.evaluation.seeds import SeedScores, draw_means, spread

BOOTSTRAP = Bootstrap(resamples=40, seed=3)
WIDTH = len(METRICS)


def scores(seed: int, *, people: range | list[int], generator: np.random.Generator) -> SeedScores:
    identities = tuple(f"{p:02d}" for p in people for _ in range(1 + p % 3))
    return SeedScores(
        seed=seed,
        queries=tuple(f"{name}-{i}" for i, name in enumerate(identities)),
        identities=identities,
        values=generator.random((len(identities), WIDTH)),
    )


def naive(runs: list[SeedScores], bootstrap: Bootstrap) -> tuple[list[list[float]], list[list[float]]]:
    """Both kinds of draws, person by person, run by run."""
    people = sorted({name for run in runs for name in run.identities})
    generator = numpy_generator(bootstrap.seed, "bootstrap")
    drawn_people = generator.multinomial(len(people), [1 / len(people)] * len(people), bootstrap.resamples)
    drawn_runs = generator.multinomial(len(runs), [1 / len(runs)] * len(runs), bootstrap.resamples)
    both, alone = [], []
    for times_of_person, times_of_run in zip(drawn_people, drawn_runs, strict=True):
        times = dict(zip(people, times_of_person, strict=True))
        means = []
        for run in runs:
            total, count = [0.0] * WIDTH, 0
            for name, values in zip(run.identities, run.values, strict=True):
                count += times[name]
                total = [t + times[name] * v for t, v in zip(total, values, strict=True)]
            means.append([t / count if count else math.nan for t in total])
        if any(math.isnan(m[0]) for m in means):
            continue
        centre = [sum(column) / len(runs) for column in zip(*means, strict=True)]
        picked = [
            sum(n * m for n, m in zip(times_of_run, column, strict=True)) / len(runs)
            for column in zip(*means, strict=True)
        ]
        stretch = math.sqrt(len(runs) / (len(runs) - 1)) if len(runs) > 1 else 1.0
        both.append([c + stretch * (p - c) for c, p in zip(centre, picked, strict=True)])
        alone.append(centre)
    return both, alone


@pytest.mark.parametrize(
    "people",
    [
        [range(7)] * 3,  # the same people for all runs
        [range(6), range(3, 9), range(5, 8)],  # held out by each seed anew
        [[1], [2]],  # some draws leave a run without anybody
        [range(5)],
    ],
    ids=["test", "held-out", "scarce", "one seed"],
)
def test_draws_equal_naive_loops(people: list[range]) -> None:
    generator = np.random.default_rng(0)
    runs = [scores(s, people=p, generator=generator) for s, p in enumerate(people)]
    found = draw_means(runs, bootstrap=BOOTSTRAP)
    assert found is not None
    for fast, slow in zip(found, naive(runs, BOOTSTRAP), strict=True):
        assert 0 < len(fast) <= BOOTSTRAP.resamples
        np.testing.assert_allclose(fast, slow, atol=1e-12)


def test_a_spread_says_what_the_runs_say() -> None:
    generator = np.random.default_rng(1)
    runs = [scores(s, people=range(9), generator=generator) for s in (4, 7, 5)]
    found = spread(runs, bootstrap=BOOTSTRAP)["mAP"]
    column = METRICS.index("mAP")
    means = [run.values[:, column].mean() for run in runs]
    assert found.per_seed == pytest.approx({4: means[0], 7: means[1], 5: means[2]})
    assert found.mean == pytest.approx(sum(means) / 3)
    assert found.seed_sd == pytest.approx(np.std(means, ddof=1))
    both, alone = naive(runs, BOOTSTRAP)
    assert [found.low, found.high] == pytest.approx(np.quantile([d[column] for d in both], [0.025, 0.975]))
    assert [found.people_low, found.people_high] == pytest.approx(
        np.quantile([d[column] for d in alone], [0.025, 0.975])
    )
    one = spread(runs[:1], bootstrap=BOOTSTRAP)["mAP"]
    assert (one.low, one.high, one.seed_sd) == (one.people_low, one.people_high, None)


def test_no_interval_without_people_or_draws() -> None:
    generator = np.random.default_rng(0)
    alone = [scores(0, people=[3], generator=generator)]
    assert spread(alone, bootstrap=BOOTSTRAP)["mAP"].low is None
    many = [scores(0, people=range(5), generator=generator)]
    found = spread(many, bootstrap=Bootstrap(resamples=0))["mAP"]
    assert (found.low, found.above_zero, found.excludes_zero) == (None, None, False)


def test_differences_are_paired_and_their_people_part_is_that_of_compare() -> None:
    from xreid.evaluation.comparison import compare
    from xreid.evaluation.directions import I2V
    from xreid.evaluation.evaluator import evaluate
    from xreid.evaluation.protocols import GENERIC

    sides = []
    for noise in (0.5, 1.2):
        sets = [embedded_people(8, seed=s, noise=noise) for s in range(3)]
        sides.append([evaluate(each, GENERIC, direction=I2V, bootstrap=BOOTSTRAP) for each in sets])
    pairs = [stored(a, s).minus(stored(b, s)) for s, (a, b) in enumerate(zip(*sides, strict=True))]
    ours, theirs = spread(pairs, bootstrap=BOOTSTRAP), compare(*sides, bootstrap=BOOTSTRAP)
    for name, expected in theirs.differences.items():
        assert ours[name].mean == pytest.approx(expected.value, abs=1e-12)
        found = (ours[name].people_low, ours[name].people_high)
        assert found == pytest.approx((expected.low, expected.high), abs=1e-12)


def stored(result: object, seed: int) -> SeedScores:
    from xreid.evaluation.results import EvaluationResult
    from xreid.training.ablation_run import _queries

    assert isinstance(result, EvaluationResult)
    return SeedScores.of(seed, _queries(result))


def test_only_the_same_queries_and_seeds_are_paired() -> None:
    generator = np.random.default_rng(0)
    first, other = (scores(0, people=range(n), generator=generator) for n in (4, 5))
    with pytest.raises(ProtocolError, match="queries differ"):
        first.minus(other)
    with pytest.raises(ProtocolError, match="seeds or queries differ"):
        first.minus(scores(1, people=range(4), generator=generator))


def test_the_variance_over_seeds_is_neither_lost_nor_shrunk() -> None:
    """Runs that differ by a constant: the draws' variance is the unbiased one of a mean of three."""
    base = scores(0, people=range(30), generator=np.random.default_rng(0))
    levels = np.array([0.0, 0.1, 0.3])
    runs = [
        SeedScores(seed=s, queries=base.queries, identities=base.identities, values=0 * base.values + level)
        for s, level in enumerate(levels)
    ]
    found = draw_means(runs, bootstrap=Bootstrap(resamples=20_000))
    assert found is not None
    assert found[1].var(axis=0) == pytest.approx([0] * WIDTH)
    assert found[0].var(axis=0) == pytest.approx([levels.var(ddof=1) / 3] * WIDTH, rel=0.05)
