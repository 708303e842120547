"""Is one model better than another? Differences over the same queries, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from xreid.core.errors import ProtocolError
from xreid.evaluation.intervals import Bootstrap, Estimate, estimate, resampled_means
from xreid.evaluation.metrics import METRICS, Floats
from xreid.evaluation.results import EvaluationResult

Results = EvaluationResult | Sequence[EvaluationResult]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """`first` minus `second`, paired by query.

    Attributes:
        differences: Estimate of the difference by metric name, as fractions; positive: `first` is better.
        share_above_zero: Share of the draws in which `first` is better, by metric name (ties count half);
            None where no interval can be drawn.
        num_queries: Valid queries of both.
        num_runs: Results averaged on each side, e.g. training seeds.
    """

    differences: Mapping[str, Estimate]
    share_above_zero: Mapping[str, float] | None
    num_queries: int
    num_runs: tuple[int, int]

    def excludes_zero(self, metric: str) -> bool:
        """Whether the interval of this metric leaves out zero."""
        e = self.differences[metric]
        return e.low is not None and e.high is not None and (e.low > 0 or e.high < 0)


def compare(first: Results, second: Results, *, bootstrap: Bootstrap | None = None) -> Comparison:
    """Difference of two results, or of two groups of results (e.g. training seeds), over the same queries.

    A query's values are averaged over the runs of its side, subtracted, and identities are drawn as in
    `intervals`, the same draw for both sides. Drawing identities does not cover the spread over training
    seeds: show the single seeds too.

    Raises:
        ProtocolError: Protocol, direction or queries differ.
    """
    left, right = _group(first), _group(second)
    reference = left[0]
    for other in (*left[1:], *right):
        _require_comparable(reference, other)
    valid = reference.valid_rows()
    identities = [reference.query_identities[i] for i in valid]
    drawn = bootstrap or Bootstrap()
    values = _mean(left)[valid] - _mean(right)[valid]
    draws = resampled_means(values, identities, bootstrap=drawn)
    above = None
    if draws is not None:
        share = (draws > 0).mean(axis=0) + (draws == 0).mean(axis=0) / 2
        above = {name: float(share[i]) for i, name in enumerate(METRICS)}
    return Comparison(
        differences=estimate(values, identities, bootstrap=drawn),
        share_above_zero=above,
        num_queries=len(valid),
        num_runs=(len(left), len(right)),
    )


def _group(results: Results) -> tuple[EvaluationResult, ...]:
    group = (results,) if isinstance(results, EvaluationResult) else tuple(results)
    if not group:
        raise ProtocolError("nothing to compare", expected="one result or more on each side")
    return group


def _mean(group: tuple[EvaluationResult, ...]) -> Floats:
    return np.mean([result.per_query for result in group], axis=0)


def _require_comparable(a: EvaluationResult, b: EvaluationResult) -> None:
    pairs = {
        "protocol": (a.protocol.label, b.protocol.label),
        "direction": (a.direction.name, b.direction.name),
        "number of queries": (a.num_queries, b.num_queries),
        "queries": (a.query_names, b.query_names),
        "valid queries": (a.valid_rows().tolist(), b.valid_rows().tolist()),
    }
    for what, (expected, got) in pairs.items():
        if expected != got:
            raise ProtocolError(
                f"results cannot be compared: their {what} differ",
                expected=str(expected)[:60],
                got=str(got)[:60],
                todo="Evaluate both on the same tracklets, protocol and direction.",
            )
