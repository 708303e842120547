"""Scores of several runs beside each other, and their differences, as values for the page's template."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xreid.evaluation.comparison import Comparison, compare
from xreid.evaluation.intervals import Bootstrap, Estimate
from xreid.evaluation.metrics import METRICS
from xreid.evaluation.results import EvaluationResult
from xreid.evaluation.sections import metric_bar
from xreid.evaluation.text import interval, percent

SHOWN = ("Rank-1", "mAP")

Results = Sequence[EvaluationResult]


def beside(names: Sequence[str], results: Sequence[Results]) -> list[dict[str, Any]]:
    """Per direction: bars of every run's Rank-1 and mAP, and a table of all metrics.

    Args:
        names: Of the runs.
        results: Per run its results, in one order of directions.
    """
    return [
        {
            "name": column[0].direction.name,
            "label": column[0].label,
            "bars": [
                {
                    "metric": metric,
                    "runs": [
                        {**metric_bar(r, metric, label=name), "apart": False, "series": i % 5}
                        for i, (name, r) in enumerate(zip(names, column, strict=True))
                    ],
                }
                for metric in SHOWN
            ],
            "rows": [
                {"metric": metric, "cells": [_cell(r.metrics[metric]) for r in column]} for metric in METRICS
            ],
        }
        for column in zip(*results, strict=True)
    ]


def differences(
    names: Sequence[str], results: Sequence[Results], *, bootstrap: Bootstrap
) -> list[dict[str, Any]]:
    """Per direction: every run minus the first, paired by query; empty for one run.

    Raises:
        ProtocolError: The runs did not answer the same queries.
    """
    if len(names) < 2:
        return []
    found = []
    for column in zip(*results, strict=True):
        compared = [
            (i, name, compare(r, column[0], bootstrap=bootstrap))
            for i, (name, r) in enumerate(zip(names, column, strict=True))
            if i
        ]
        span = max(_reach(c.differences[metric]) for _, _, c in compared for metric in SHOWN) or 1.0
        found.append(
            {
                "name": column[0].direction.name,
                "queries": compared[0][2].num_queries,
                "people": column[0].num_identities,
                "span": f"{100 * span:.1f}",
                "rows": [
                    {"run": name, "series": i % 5, **_difference(c, metric, span=span)}
                    for i, name, c in compared
                    for metric in SHOWN
                ],
            }
        )
    return found


def _difference(comparison: Comparison, metric: str, *, span: float) -> dict[str, Any]:
    e = comparison.differences[metric]
    above = comparison.share_above_zero
    return {
        "metric": metric,
        "value": f"{100 * e.value:+.2f}",
        "interval": interval(e),
        "verdict": _verdict(comparison, metric),
        "above": "" if above is None or e.low == e.high else f"{100 * above[metric]:.0f}",
        "place": _place(e.value, span),
        "low": None if e.low is None else _place(e.low, span),
        "width": None if e.low is None or e.high is None else _place(e.high, span) - _place(e.low, span),
    }


def _verdict(comparison: Comparison, metric: str) -> str:
    e = comparison.differences[metric]
    if e.low is None:
        return "no interval"
    if e.low == e.high == 0:
        return "no draw differs, which is no certainty"
    if not comparison.excludes_zero(metric):
        return "undecided: the interval holds 0"
    return "better: the interval leaves 0 out" if e.value > 0 else "worse: the interval leaves 0 out"


def _reach(e: Estimate) -> float:
    return max(abs(v) for v in (e.value, e.low, e.high) if v is not None)


def _place(value: float, span: float) -> float:
    """Percent from the left of a bar whose middle is 0."""
    return 50 + 50 * value / span


def _cell(e: Estimate) -> dict[str, str]:
    return {"value": percent(e.value), "interval": interval(e)}
