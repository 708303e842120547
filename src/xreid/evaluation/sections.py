"""What pages show of a result, as plain values for their templates: bars, counts and rank lists."""

from __future__ import annotations

from typing import Any

from xreid.core.embeddings import EmbeddingSet
from xreid.core.tracklets import Modality
from xreid.evaluation.examples import KINDS, RankList, rank_lists
from xreid.evaluation.metrics import METRICS
from xreid.evaluation.pictures import Thumbnails
from xreid.evaluation.results import EvaluationResult
from xreid.evaluation.text import interval, percent

_ALWAYS_SHOWN = ("queries", "valid queries", "dropped queries (no positive left)")
_SPECTRUM = {Modality.VISIBLE: "visible", Modality.INFRARED: "infrared"}
_KIND_TITLES = {
    "best": "Best queries by average precision",
    "typical": "Typical queries (around the median)",
    "worst": "Worst queries by average precision",
}


def section(
    result: EvaluationResult, embeddings: EmbeddingSet, *, thumbnails: Thumbnails, number: int, per_kind: int
) -> dict[str, Any]:
    """One direction, for the parts `scores` and `rank_list` of parts.html.

    Args:
        result: Its scores.
        embeddings: What was evaluated.
        thumbnails: Of the embeddings' table.
        number: Place of the direction on the page, from 0; it chooses the colour.
        per_kind: Rank lists of each kind (best, typical, worst); 0 for none.
    """
    lists = rank_lists(result, embeddings, per_kind=per_kind) if per_kind else ()
    return {
        "name": result.direction.name,
        "label": result.label,
        "number": number,
        "series": number % 5,
        "asks": _who(result.direction.query),
        "answers": _who(result.direction.gallery),
        "bars": [metric_bar(result, name) for name in METRICS],
        "chance": percent(result.ranks.chance),
        "counts": [(name, n) for name, n in result.counts().items() if n or name in _ALWAYS_SHOWN],
        "kinds": [
            {
                "name": kind,
                "heading": _KIND_TITLES[kind],
                "lists": [_list(e, embeddings, thumbnails=thumbnails) for e in lists if e.kind == kind],
            }
            for kind in KINDS
            if any(entry.kind == kind for entry in lists)
        ],
    }


def metric_bar(result: EvaluationResult, name: str, *, label: str | None = None) -> dict[str, Any]:
    """A score with its interval, for the part `bar` of parts.html; called by its own name without a label."""
    e = result.metrics[name]
    return plain_bar(label or name, e.value, apart=name == "mAP") | {
        "interval": interval(e),
        "low": None if e.low is None else 100 * e.low,
        "width": None if e.low is None or e.high is None else 100 * (e.high - e.low),
    }


def plain_bar(label: str, share: float, *, apart: bool = False) -> dict[str, Any]:
    """A fraction without an interval; `apart` leaves a gap above it."""
    return {
        "name": label,
        "value": percent(share),
        "length": 100 * share,
        "interval": "",
        "low": None,
        "width": None,
        "apart": apart,
    }


def _who(modality: Modality | None) -> str:
    return "visible and infrared" if modality is None else _SPECTRUM[modality]


def _list(entry: RankList, embeddings: EmbeddingSet, *, thumbnails: Thumbnails) -> dict[str, Any]:
    table = embeddings.table
    query = table[entry.row]
    return {
        "name": query.name,
        "identity": query.identity,
        "camera": query.camera or "?",
        "modality": _SPECTRUM[query.modality],
        "strip": thumbnails.of(query, count=4),
        "precision": percent(entry.average_precision),
        "first_hit": entry.first_hit,
        "positives": entry.positives,
        "matches": [
            {
                "rank": rank,
                "name": table[m.row].name,
                "identity": table[m.row].identity,
                "camera": table[m.row].camera or "?",
                "modality": _SPECTRUM[table[m.row].modality],
                "score": f"{m.score:.3f}",
                "hit": m.hit,
                "picture": thumbnails.of(table[m.row], count=1)[0],
            }
            for rank, m in enumerate(entry.matches, start=1)
        ],
    }
