"""The demo's index page: the scores, beside matching without learning, and three queries to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xreid

if TYPE_CHECKING:
    from xreid.core.embeddings import EmbeddingSet
    from xreid.evaluation.results import EvaluationResult


@dataclass(frozen=True, kw_only=True)
class DemoFacts:
    """What the page tells beside the scores.

    Attributes:
        made: Preset, scale and seed, in words.
        steps: Per step its name, result (words) and seconds.
        matchers: Rank-1 as a fraction of each way to match without learning, infrared to visible.
        query: Name of the tracklet that the search asked for.
    """

    made: str
    steps: Sequence[Mapping[str, Any]]
    matchers: Mapping[str, float]
    query: str


def write_demo_page(
    page: Path, results: Sequence[EvaluationResult], embeddings: EmbeddingSet, *, facts: DemoFacts
) -> Path:
    """Write the page; the folder holds contact-sheet.jpg and the evaluation, search and run it links to.

    Args:
        page: The file.
        results: Scores of `embeddings`; the first, infrared to visible, is the one that `matchers` is beside.
        embeddings: Says where the frames are.
        facts: Everything else.

    Raises:
        XReidError: The folder cannot be written.
    """
    from xreid.core.pages import render_template, write_page
    from xreid.evaluation.pictures import Thumbnails
    from xreid.evaluation.sections import section

    thumbnails = Thumbnails(embeddings.table)
    sections = [
        section(result, embeddings, thumbnails=thumbnails, number=n, per_kind=0 if n else 1)
        for n, result in enumerate(results)
    ]
    values = {
        "version": xreid.__version__,
        "date": date.today().isoformat(),
        "made": facts.made,
        "query": facts.query,
        "confidence": f"{results[0].bootstrap.confidence:.0%}",
        "sections": sections,
        **_comparison(results[0], facts.matchers),
        "steps": [{**step, "time": show_duration(step["seconds"])} for step in facts.steps],
    }
    write_page(page, render_template("cli/demo_page.html", values))
    return page


def show_duration(seconds: float) -> str:
    """E.g. "4.2 s" or "12 min 5 s"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def _comparison(result: EvaluationResult, matchers: Mapping[str, float]) -> dict[str, Any]:
    """The model beside every matcher and beside chance, and what to say of the best matcher."""
    from xreid.evaluation.sections import metric_bar, plain_bar
    from xreid.evaluation.text import percent

    ordered = sorted(matchers.items(), key=lambda item: -item[1])
    name, best = ordered[0]
    return {
        "model_bar": metric_bar(result, "Rank-1", label="this model"),
        "matcher_bars": [plain_bar(label, share) for label, share in ordered],
        "chance_bar": plain_bar("random order", result.ranks.chance, apart=True),
        "best_name": name,
        "best": percent(best),
        "rank1": percent(result.rank1),
        "verdict": "better" if best > result.rank1 else "just as well" if best == result.rank1 else "worse",
    }
