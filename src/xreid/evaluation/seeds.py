"""Scores over training seeds, and differences between methods, with intervals that cover seeds and people.

Two things make a score of a row uncertain: which people are searched for, and how the training runs fell out.
Both are drawn anew here, crossed (Owen, "The pigeonhole bootstrap", 2007): a draw takes I people with
replacement, the same for every run, and S runs with replacement. The mean of S drawn runs varies only
(S - 1) / S as much as it should, which matters with three; so its distance from the mean of all runs is
stretched by sqrt(S / (S - 1)). With one run only people are drawn, and the interval says nothing about seeds.

A difference is taken within each seed first, query by query: two methods of the same seed share the held-out
people, the initial weights where their parts are the same, and the test. What the interval covers is measured
in docs/ablations.md.

Shapes: S runs, I people, V valid queries of a run, M metrics, R draws.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from xreid.core.errors import ProtocolError
from xreid.core.seeding import numpy_generator
from xreid.evaluation.intervals import Bootstrap
from xreid.evaluation.metrics import METRICS, Floats
from xreid.evaluation.results import EvaluationResult


@dataclass(frozen=True, kw_only=True)
class SeedScores:
    """What one run scored, in one direction.

    Attributes:
        seed: Its training seed.
        queries: V names.
        identities: V people.
        values: float64 [V, M], each query's contribution to each metric.
    """

    seed: int
    queries: tuple[str, ...]
    identities: tuple[str, ...]
    values: Floats

    @classmethod
    def of(cls, seed: int, stored: Mapping[str, object]) -> SeedScores:
        """From a direction of evaluation.json."""
        values = stored["values"]
        queries, identities = stored["queries"], stored["identities"]
        assert isinstance(values, dict)
        assert isinstance(queries, list)
        assert isinstance(identities, list)
        columns = [values[name] for name in METRICS]
        return cls(
            seed=seed,
            queries=tuple(queries),
            identities=tuple(identities),
            values=np.array(columns, dtype=np.float64).T,
        )

    @classmethod
    def of_result(cls, seed: int, result: EvaluationResult) -> SeedScores:
        """From a result; queries that no score counts are left out."""
        valid = result.valid_rows()
        return cls(
            seed=seed,
            queries=tuple(result.query_names[i] for i in valid),
            identities=tuple(result.query_identities[i] for i in valid),
            values=result.per_query[valid],
        )

    def minus(self, other: SeedScores) -> SeedScores:
        """The difference, query by query.

        Raises:
            ProtocolError: The queries differ.
        """
        if (self.seed, self.queries) != (other.seed, other.queries):
            raise ProtocolError(
                "runs cannot be compared: their seeds or queries differ",
                expected=f"seed {other.seed}, {len(other.queries)} queries",
                got=f"seed {self.seed}, {len(self.queries)} queries",
            )
        return SeedScores(
            seed=self.seed,
            queries=self.queries,
            identities=self.identities,
            values=self.values - other.values,
        )


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A mean over runs and how sure it is, as fractions.

    Attributes:
        mean: Over the runs, of the mean over each run's queries.
        low: Lower end of the interval over seeds and people; None with fewer than two people.
        high: Upper end.
        people_low: Lower end of the interval over people alone, the runs as they are.
        people_high: Upper end.
        above_zero: Share of the draws over seeds and people above 0 (ties count half); None as `low`.
        seed_sd: Standard deviation over the runs (S - 1 in the denominator); None with one run.
        per_seed: Mean of each run, by seed.
    """

    mean: float
    low: float | None
    high: float | None
    people_low: float | None
    people_high: float | None
    above_zero: float | None
    seed_sd: float | None
    per_seed: Mapping[int, float]

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval over seeds and people leaves out zero."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)

    def within(self, low: float, high: float) -> Spread:
        """The interval cut off at what can be; the stretched draws of a score may pass 0 or 1."""
        ends = [None if end is None else min(max(end, low), high) for end in (self.low, self.high)]
        return replace(self, low=ends[0], high=ends[1])


def spread(runs: Sequence[SeedScores], *, bootstrap: Bootstrap) -> dict[str, Spread]:
    """Mean and intervals of each metric over one run or more."""
    means = np.array([run.values.mean(axis=0) for run in runs])
    draws = draw_means(runs, bootstrap=bootstrap)
    tail = (1 - bootstrap.confidence) / 2
    found = {}
    for m, name in enumerate(METRICS):
        ends: list[float | None] = [None] * 4
        above = None
        if draws is not None:
            over_both, over_people = (each[:, m] for each in draws)
            ends = [
                float(q) for each in (over_both, over_people) for q in np.quantile(each, [tail, 1 - tail])
            ]
            above = float((over_both > 0).mean() + (over_both == 0).mean() / 2)
        found[name] = Spread(
            mean=float(means[:, m].mean()),
            low=ends[0],
            high=ends[1],
            people_low=ends[2],
            people_high=ends[3],
            above_zero=above,
            seed_sd=float(means[:, m].std(ddof=1)) if len(runs) > 1 else None,
            per_seed={run.seed: float(means[s, m]) for s, run in enumerate(runs)},
        )
    return found


def draw_means(runs: Sequence[SeedScores], *, bootstrap: Bootstrap) -> tuple[Floats, Floats] | None:
    """Means of each draw: over seeds and people, and over people alone.

    Runs may have been asked about different people (held out by each seed anew): people are drawn from all of
    them, and a draw that leaves a run without any is left out.

    Returns:
        Two float64 [R, M], or None with fewer than two people or without draws.
    """
    people = sorted({name for run in runs for name in run.identities})
    if len(people) < 2 or not bootstrap.resamples:
        return None
    sums, sizes = _per_person(runs, people)
    generator = numpy_generator(bootstrap.seed, "bootstrap")  # the same people as evaluation.intervals draws
    count = len(people)
    people_drawn = generator.multinomial(count, np.full(count, 1 / count), size=bootstrap.resamples)
    runs_drawn = generator.multinomial(len(runs), np.full(len(runs), 1 / len(runs)), size=bootstrap.resamples)
    asked = people_drawn @ sizes.T
    usable = (asked > 0).all(axis=1)
    means = np.einsum("ri,sim->rsm", people_drawn[usable], sums, optimize=True) / asked[usable][:, :, None]
    centre = means.mean(axis=1)
    if len(runs) == 1:
        return centre, centre
    picked = np.einsum("rs,rsm->rm", runs_drawn[usable] / len(runs), means)
    return centre + math.sqrt(len(runs) / (len(runs) - 1)) * (picked - centre), centre


def _per_person(runs: Sequence[SeedScores], people: Sequence[str]) -> tuple[Floats, Floats]:
    """Sums [S, I, M] and numbers [S, I] of each run's queries by person."""
    place = {name: i for i, name in enumerate(people)}
    sums = np.zeros((len(runs), len(people), len(METRICS)))
    sizes = np.zeros((len(runs), len(people)))
    for s, run in enumerate(runs):
        rows = [place[name] for name in run.identities]
        np.add.at(sums[s], rows, run.values)
        np.add.at(sizes[s], rows, 1)
    return sums, sizes
