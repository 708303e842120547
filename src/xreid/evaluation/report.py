"""Results as files: evaluation.json for programs, evaluation.html for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import xreid
from xreid.core.embeddings import EmbeddingSet
from xreid.core.files import atomic_file, write_json
from xreid.core.tracklets import Modality
from xreid.evaluation.curves import cmc_chart
from xreid.evaluation.examples import KINDS, RankList, rank_lists
from xreid.evaluation.metrics import METRICS
from xreid.evaluation.notes import is_simulated, limits, warnings
from xreid.evaluation.pictures import Thumbnails
from xreid.evaluation.results import EvaluationResult
from xreid.evaluation.text import interval, percent

FORMAT_VERSION = 1
_ALWAYS_SHOWN = ("queries", "valid queries", "dropped queries (no positive left)")
_SPECTRUM = {Modality.VISIBLE: "visible", Modality.INFRARED: "infrared"}
_KIND_TITLES = {
    "best": "Best queries by average precision",
    "typical": "Typical queries (around the median)",
    "worst": "Worst queries by average precision",
}


def report_data(
    results: Sequence[EvaluationResult], embeddings: EmbeddingSet, *, details: bool
) -> dict[str, Any]:
    """JSON-serialisable report; with `details` also every query's first rank and average precision."""
    simulated = is_simulated(embeddings)
    return {
        "format": FORMAT_VERSION,
        "xreid": xreid.__version__,
        "simulated": simulated,
        "warnings": list(warnings(results, simulated=simulated)),
        "results": [r.summary() | ({"per_query": r.details()} if details else {}) for r in results],
    }


def write_report(
    results: Sequence[EvaluationResult],
    embeddings: EmbeddingSet,
    folder: Path,
    *,
    per_kind: int = 3,
    title: str = "Person search across visible and infrared",
) -> Path:
    """Write evaluation.json and evaluation.html into a folder; other files there stay.

    Args:
        results: One or more results of `embeddings`, under one protocol.
        embeddings: What was evaluated; its table says where the frames are.
        folder: Made where it is missing.
        per_kind: Rank lists per direction of each kind (best, typical, worst); 0 for none.
        title: Heading of the page.

    Returns:
        The page. Frames that cannot be read appear as placeholders.

    Raises:
        XReidError: The folder cannot be written.
    """
    write_json(folder / "evaluation.json", report_data(results, embeddings, details=True))
    page = folder / "evaluation.html"
    html = render_page(results, embeddings, per_kind=per_kind, title=title)
    with atomic_file(page) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return page


def render_page(
    results: Sequence[EvaluationResult], embeddings: EmbeddingSet, *, per_kind: int = 3, title: str
) -> str:
    """The page as one self-contained HTML document."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    thumbnails = Thumbnails(embeddings.table)
    sections = [
        _section(result, embeddings, thumbnails=thumbnails, number=n, per_kind=per_kind)
        for n, result in enumerate(results)
    ]
    simulated = is_simulated(embeddings)
    environment = Environment(
        loader=PackageLoader("xreid.evaluation", "."), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("report.html").render(
        title=title,
        version=xreid.__version__,
        protocol=results[0].protocol,
        simulated=simulated,
        warnings=warnings(results, simulated=simulated),
        limits=limits(results),
        sections=sections,
        chart=Markup(cmc_chart(results)),  # escaped where it is built
        bootstrap=results[0].bootstrap,
        missing=thumbnails.missing,
        origin=_origin(results[0], embeddings),
    )


def _section(
    result: EvaluationResult, embeddings: EmbeddingSet, *, thumbnails: Thumbnails, number: int, per_kind: int
) -> dict[str, Any]:
    lists = rank_lists(result, embeddings, per_kind=per_kind) if per_kind else ()
    shown = [_list(entry, embeddings, thumbnails=thumbnails) for entry in lists]
    kinds = [(_KIND_TITLES[k], [entry for entry in shown if entry["kind"] == k]) for k in KINDS]
    return {
        "name": result.direction.name,
        "series": number % 5,
        "asks": _who(result.direction.query),
        "answers": _who(result.direction.gallery),
        "bars": [_bar(result, name) for name in METRICS],
        "chance": percent(result.ranks.chance),
        "counts": [(name, n) for name, n in result.counts().items() if n or name in _ALWAYS_SHOWN],
        "kinds": [(heading, entries) for heading, entries in kinds if entries],
    }


def _who(modality: Modality | None) -> str:
    return "visible and infrared" if modality is None else _SPECTRUM[modality]


def _bar(result: EvaluationResult, name: str) -> dict[str, Any]:
    e = result.metrics[name]
    return {
        "name": name,
        "value": percent(e.value),
        "interval": interval(e),
        "length": 100 * e.value,
        "low": None if e.low is None else 100 * e.low,
        "width": None if e.low is None or e.high is None else 100 * (e.high - e.low),
    }


def _list(entry: RankList, embeddings: EmbeddingSet, *, thumbnails: Thumbnails) -> dict[str, Any]:
    table = embeddings.table
    query = table[entry.row]
    return {
        "kind": entry.kind,
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


def _origin(result: EvaluationResult, embeddings: EmbeddingSet) -> list[tuple[str, str]]:
    origin = embeddings.origin
    return [
        ("protocol", result.protocol.label),
        ("rule", result.protocol.summary),
        ("source", origin.source),
        ("licence", origin.licence),
        ("checkpoint (SHA-256)", origin.checkpoint),
        ("configuration (SHA-256)", origin.config),
        ("feature", " + ".join(f"{name} ({width})" for name, width in origin.layout)),
        *((f"preprocessing: {name}", str(value)) for name, value in origin.preprocessing.items()),
        ("ties", "equal scores keep gallery order, as a stable sort does"),
        (
            "intervals",
            f"{result.bootstrap.resamples:,} draws of query identities, seed {result.bootstrap.seed}",
        ),
    ]
