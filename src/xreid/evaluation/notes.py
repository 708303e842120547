"""What the scores do and do not prove, derived from the results."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xreid.core.embeddings import EmbeddingSet
from xreid.evaluation.results import EvaluationResult


def is_simulated(embeddings: EmbeddingSet) -> bool:
    """Whether the pictures come from the simulator: named in the source, or its record in the archive."""
    table = embeddings.table
    named = any("simul" in source.lower() for source in (embeddings.origin.source, table.source))
    return named or any((folder / "simulation.json").is_file() for folder in (table.root, table.root.parent))


def warnings(results: Sequence[EvaluationResult], *, simulated: bool) -> tuple[str, ...]:
    """What a reader must know before quoting a score; empty where there is nothing."""
    found = []
    if simulated:
        found.append(
            "Simulated data: the figures are drawn, not filmed. These scores compare methods with each "
            "other; they say nothing about real people or cameras, and must not stand beside published ones."
        )
    if results[0].reranking:
        found.append(
            f"Re-ranked, {results[0].reranking.label}: every score depends on all queries and on the whole "
            "gallery, so a single search cannot reach it; not comparable with plain scores, as nearly all "
            "published ones are."
        )
    for head, part in _WARNINGS:
        per_direction = [f"{r.direction.name} {text}" for r in results if (text := part(r))]
        if per_direction and not (simulated and part is _sizes):
            found.append(f"{head}: {', '.join(per_direction)}.")
    return tuple(found)


def _sizes(result: EvaluationResult) -> str:
    if result.published_sizes is not False:
        return ""
    sizes = result.protocol.published[result.direction.name]
    return (
        f"{result.num_valid:,} valid queries and {result.num_gallery:,} gallery tracklets "
        f"(published: {sizes.valid_queries:,} and {sizes.gallery:,})"
    )


def _dropped(result: EvaluationResult) -> str:
    return f"{result.num_dropped:,} of {result.num_queries:,}" if result.num_dropped else ""


def _unknown(result: EvaluationResult) -> str:
    queries, gallery = result.selection.unknown_queries, result.selection.unknown_gallery
    return f"{queries:,} queries and {gallery:,} of the gallery" if queries or gallery else ""


def _junk(result: EvaluationResult) -> str:
    count = result.query_identities.count("-1")
    return f"{count:,} queries" if count > 1 else ""


def _tied(result: EvaluationResult) -> str:
    return f"{result.ranks.tied:,} of {len(result.ranks.ranks):,}" if result.ranks.tied else ""


def _single(result: EvaluationResult) -> str:
    return f"person {result.query_identities[result.valid_rows()[0]]}" if result.num_identities < 2 else ""


def _saturated(result: EvaluationResult) -> str:
    names = [name for name, e in result.metrics.items() if e.low is not None and e.low == e.high]
    return " and ".join(names)


# Head of a warning, and each direction's part of it ("" where there is none).
_WARNINGS: tuple[tuple[str, Callable[[EvaluationResult], str]], ...] = (
    ("Lists of other sizes than the published protocol's, so not comparable with published scores", _sizes),
    ("Queries without a positive left are in no score, as in the published evaluators", _dropped),
    ("Tracklets of unknown identity were left out", _unknown),
    (
        "Tracklets named '-1', as some data sets mark whom nobody knows, are taken for one person here; "
        "leave their identity empty if they are not",
        _junk,
    ),
    ("Positives share their score with another tracklet (gallery order decides, which is arbitrary)", _tied),
    ("Intervals without width, where the bootstrap sees no spread; that is no certainty", _saturated),
    ("A single identity was searched for, so there are no intervals", _single),
)


_CLOSED_SET = (
    "Every scored query has its person in the gallery. Nothing here tells how well a stranger is recognised "
    "as one."
)
_OPEN_SET = (
    "Rank-k, mAP and mINP know no strangers. The open-set figures do: these people, cameras, this share of "
    "strangers. A larger gallery has more of them, and thresholds and probabilities move with the data."
)


def limits(results: Sequence[EvaluationResult], *, open_set: bool = False) -> tuple[str, ...]:
    """What such scores never prove; with `open_set`, also what such figures do not."""
    people = sorted({f"{r.num_identities:,}" for r in results})
    confidence = f"{100 * results[0].bootstrap.confidence:g}%"
    return (
        f"The {confidence} intervals come from drawing the {' or '.join(people)} searched identities anew. "
        "They cover who happens to be searched for; not another training seed, other cameras or galleries.",
        _OPEN_SET if open_set else _CLOSED_SET,
        "Rank-k counts a query as found with one right tracklet among the first k; mAP and mINP ask for all "
        "of them. A score of one direction says nothing about the other.",
        "Whether the checkpoint was chosen by looking at these queries cannot be seen from the embeddings; "
        "the run folder records how it was chosen.",
    )
