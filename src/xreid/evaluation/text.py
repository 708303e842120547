"""Results as plain text: metrics down, directions across."""

from __future__ import annotations

from collections.abc import Sequence

from xreid.evaluation.intervals import Estimate
from xreid.evaluation.metrics import METRICS
from xreid.evaluation.results import EvaluationResult


def percent(value: float | None) -> str:
    """A fraction as a percentage with two decimals, the precision that published tables use."""
    return "-" if value is None else f"{100 * value:.2f}"


def interval(estimate: Estimate) -> str:
    """E.g. "[71.20, 75.51]", or "" where there is none."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f"[{percent(estimate.low)}, {percent(estimate.high)}]"


def format_table(results: Sequence[EvaluationResult], *, notes: Sequence[str] = ()) -> str:
    """A table for a terminal, headed by what all results share: protocol, re-ranking, checkpoint."""
    first = results[0]
    body = [["re-ranked" if first.reranking else "", *(r.direction.name for r in results)]]
    for name in METRICS:
        cells = [f"{percent(r.metrics[name].value):>6}  {interval(r.metrics[name])}" for r in results]
        body.append([name, *cells])
    body.append([""] * (len(results) + 1))
    counts: dict[str, list[int]] = {
        "queries": [r.num_queries for r in results],
        "  valid": [r.num_valid for r in results],
        "  dropped": [r.num_dropped for r in results],
        "identities": [r.num_identities for r in results],
        "gallery": [r.num_gallery for r in results],
    }
    body += [[name, *(f"{n:>6,}" for n in numbers)] for name, numbers in counts.items()]
    body.append(["chance R-1", *(f"{percent(r.ranks.chance):>6}" for r in results)])
    widths = [max(map(len, column)) for column in zip(*body, strict=True)]
    lines = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in body]
    drawn = first.bootstrap
    made = first.origin.preprocessing
    frames = f"   frames {made['sampling']}, {made['frames']} a clip" if "sampling" in made else ""
    head = f"{first.label}   source {first.origin.source}{frames}   checkpoint {first.origin.checkpoint[:12]}"
    foot = f"Percent. Intervals: {100 * drawn.confidence:g}%, {drawn.resamples:,} draws of query identities."
    return "\n".join([head, "", *lines, "", foot, *(f"! {note}" for note in notes)])
