"""Results as files: evaluation.json for programs, evaluation.html for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import xreid
from xreid.core.embeddings import EmbeddingSet
from xreid.core.files import write_json
from xreid.core.pages import render_template, write_page
from xreid.evaluation.curves import cmc_chart
from xreid.evaluation.notes import is_simulated, limits, warnings
from xreid.evaluation.open_set import OpenSetReport
from xreid.evaluation.open_set_page import open_set_section
from xreid.evaluation.pictures import Thumbnails
from xreid.evaluation.results import EvaluationResult
from xreid.evaluation.sections import section

FORMAT_VERSION = 1


def report_data(
    results: Sequence[EvaluationResult],
    embeddings: EmbeddingSet,
    *,
    details: bool,
    open_set: OpenSetReport | None = None,
) -> dict[str, Any]:
    """JSON-serialisable report; with `details` also every query's first rank and average precision."""
    simulated = is_simulated(embeddings)
    return {
        "format": FORMAT_VERSION,
        "xreid": xreid.__version__,
        "simulated": simulated,
        "warnings": list(warnings(results, simulated=simulated)),
        "results": [r.summary() | ({"per_query": r.details()} if details else {}) for r in results],
        **({} if open_set is None else {"open_set": open_set.to_json()}),
    }


def write_report(
    results: Sequence[EvaluationResult],
    embeddings: EmbeddingSet,
    folder: Path,
    *,
    per_kind: int = 3,
    title: str = "Person search across visible and infrared",
    open_set: OpenSetReport | None = None,
) -> Path:
    """Write evaluation.json and evaluation.html into a folder; other files there stay.

    Args:
        results: One or more results of `embeddings`, under one protocol.
        embeddings: What was evaluated; its table says where the frames are.
        folder: Made where it is missing.
        per_kind: Rank lists per direction of each kind (best, typical, worst); 0 for none.
        title: Heading of the page.
        open_set: Open-set figures of the same embeddings, or None.

    Returns:
        The page. Frames that cannot be read appear as placeholders.

    Raises:
        XReidError: The folder cannot be written.
    """
    write_json(folder / "evaluation.json", report_data(results, embeddings, details=True, open_set=open_set))
    page = folder / "evaluation.html"
    write_page(page, render_page(results, embeddings, per_kind=per_kind, title=title, open_set=open_set))
    return page


def render_page(
    results: Sequence[EvaluationResult],
    embeddings: EmbeddingSet,
    *,
    per_kind: int = 3,
    title: str,
    open_set: OpenSetReport | None = None,
) -> str:
    """The page as one self-contained HTML document."""
    from markupsafe import Markup

    thumbnails = Thumbnails(embeddings.table)
    sections = [
        section(result, embeddings, thumbnails=thumbnails, number=n, per_kind=per_kind)
        for n, result in enumerate(results)
    ]
    values = {
        "title": title,
        "version": xreid.__version__,
        "protocol": results[0].protocol,
        "label": results[0].label,
        "reranked": results[0].reranking is not None,
        "warnings": warnings(results, simulated=is_simulated(embeddings)),
        "limits": limits(results, open_set=open_set is not None),
        "open_set": None if open_set is None else open_set_section(open_set),
        "sections": sections,
        "chart": Markup(cmc_chart(results)),  # escaped where it is built
        "bootstrap": results[0].bootstrap,
        "missing": thumbnails.missing,
        "origin": _origin(results[0], embeddings),
    }
    return render_template("evaluation/report.html", values)


def _origin(result: EvaluationResult, embeddings: EmbeddingSet) -> list[tuple[str, str]]:
    origin = embeddings.origin
    return [
        ("protocol", result.protocol.label),
        ("rule", result.protocol.summary),
        ("re-ranking", result.reranking.label if result.reranking else "none"),
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
