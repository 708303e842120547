"""One self-contained page about finished runs: curves, scores, rank lists, what the model looks at, a map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import xreid
from xreid.core.errors import ConfigError
from xreid.core.pacing import now_and_then
from xreid.core.pages import render_template, write_page
from xreid.core.tracklets import TrackletTable
from xreid.evaluation.curves import cmc_chart
from xreid.evaluation.directions import Direction
from xreid.evaluation.embedding_map import FEWEST_POINTS, MOST_POINTS, embedding_map, neighbour_shares
from xreid.evaluation.evaluator import evaluate_directions
from xreid.evaluation.intervals import Bootstrap
from xreid.evaluation.map_chart import map_panels
from xreid.evaluation.notes import is_simulated, limits, warnings
from xreid.evaluation.pictures import Thumbnails
from xreid.evaluation.protocols import DEFAULT_DIRECTIONS, protocol_named
from xreid.evaluation.results import EvaluationResult
from xreid.evaluation.sections import section
from xreid.training.report_agreement import agreement_section
from xreid.training.report_attention import attention_section
from xreid.training.report_cases import Looker, cases_of
from xreid.training.report_curves import training_charts
from xreid.training.report_material import RunPart
from xreid.training.report_runs import facts_of
from xreid.training.report_scores import beside, differences

Note = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """What a report shows.

    Attributes:
        protocol: Name of the protocol; "auto" by the embeddings' source.
        directions: Who asks whom.
        lists: Rank lists per direction of each kind (best, typical, worst).
        looks: Whether to ask the models what they look at (attention, occlusion).
        points: Most tracklets on the map.
        bootstrap: How intervals are drawn.
        seed: Of the people on the map.
    """

    protocol: str = "auto"
    directions: tuple[Direction, ...] = DEFAULT_DIRECTIONS
    lists: int = 2
    looks: bool = True
    points: int = MOST_POINTS
    bootstrap: Bootstrap = field(default_factory=Bootstrap)
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low in (("lists", 0), ("points", FEWEST_POINTS), ("seed", 0)):
            if getattr(self, name) < low:
                raise ConfigError(
                    f"{name} is out of range", expected=f"{low} or more", got=str(getattr(self, name))
                )


def write_run_report(
    parts: Sequence[RunPart], out: Path, *, config: ReportConfig, note: Note = lambda text: None
) -> Path:
    """Write the page.

    Args:
        parts: The runs, the one that all others are compared with first.
        out: The file.
        config: What it shows.
        note: Called with what is being done.

    Raises:
        ProtocolError: The embeddings cannot answer, or the runs did not answer the same queries.
        XReidError: The file cannot be written.
    """
    write_page(out, render_run_report(parts, config=config, note=note))
    return out


def render_run_report(
    parts: Sequence[RunPart], *, config: ReportConfig, note: Note = lambda text: None
) -> str:
    """The page as one self-contained HTML document."""
    from markupsafe import Markup

    results = [_results(part, config) for part in parts]
    names = [part.run.name for part in parts]
    first = results[0]
    compared = differences(names, results, bootstrap=config.bootstrap)
    people = {part.run.record["data"]["identities"] for part in parts}
    charts = training_charts(
        [part.run.metrics for part in parts], people=people.pop() if len(people) == 1 else None
    )
    simulated = any(is_simulated(part.embeddings) for part in parts)
    values = {
        "version": xreid.__version__,
        "names": names,
        "protocol": first[0].protocol,
        "label": first[0].label,
        "warnings": warnings(first, simulated=simulated),
        "limits": limits(first),
        "bootstrap": config.bootstrap,
        "beside": beside(names, results),
        "differences": compared,
        "charts": [
            {"name": chart.name, "meaning": chart.meaning, "svg": Markup(chart.svg)} for chart in charts
        ],
        "held_out": any(chart.name.startswith("held-out") for chart in charts),
        "without_curves": [part.run.name for part in parts if not part.run.metrics],
        "chapters": [
            _chapter(part, found, config=config, number=i, note=note)
            for i, (part, found) in enumerate(zip(parts, results, strict=True))
        ],
    }
    return render_template("training/report.html", values)


def _results(part: RunPart, config: ReportConfig) -> tuple[EvaluationResult, ...]:
    protocol = protocol_named(config.protocol, table=part.embeddings.table)
    return evaluate_directions(
        part.embeddings, protocol, directions=config.directions, bootstrap=config.bootstrap
    )


def _chapter(
    part: RunPart, results: Sequence[EvaluationResult], *, config: ReportConfig, number: int, note: Note
) -> dict[str, Any]:
    """What the page shows of one run."""
    from markupsafe import Markup

    thumbnails = Thumbnails(part.embeddings.table)
    sections = [
        section(result, part.embeddings, thumbnails=thumbnails, number=n, per_kind=config.lists)
        for n, result in enumerate(results)
    ]
    looks = _looks(part, results, thumbnails=thumbnails, note=note) if config.looks else {}
    note(f"{part.run.name}: map of {len(part.embeddings):,} tracklets")
    return {
        "number": number,
        "series": number % 5,
        "name": part.run.name,
        "facts": facts_of(part.run) + _embedding_facts(part),
        "sections": sections,
        "chart": Markup(cmc_chart(results)),  # escaped where it is built
        "attention": looks.get("attention"),
        "agreement": looks.get("agreement"),
        "map": _map(part, config),
        "missing": thumbnails.missing,
    }


def _looks(
    part: RunPart, results: Sequence[EvaluationResult], *, thumbnails: Thumbnails, note: Note
) -> dict[str, Any]:
    cases = cases_of(results, part.embeddings)
    total = len({row for case in cases for row in case.rows()})
    tell = now_and_then(
        lambda done, total: note(f"{part.run.name}: covered parts of {done} of {total} tracklets")
    )
    looker = Looker(part.embedder, tell=lambda done: tell(done, total))
    note(f"{part.run.name}: attention in the tracklets of {len(cases)} queries")
    attention = attention_section(cases, looker, thumbnails=thumbnails)
    note(f"{part.run.name}: covering parts of {total} tracklets")
    agreement = agreement_section(cases, looker, part.embeddings, thumbnails=thumbnails)
    return {"attention": attention, "agreement": agreement}


def _map(part: RunPart, config: ReportConfig) -> dict[str, Any]:
    from markupsafe import Markup

    if len(part.embeddings) < FEWEST_POINTS:
        return {"trouble": f"{len(part.embeddings)} tracklets are too few for a map."}
    drawn = embedding_map(part.embeddings, most=config.points, seed=config.seed)
    return {
        "trouble": "",
        "shown": len(drawn.rows),
        "all": len(part.embeddings),
        "people": _people(part.embeddings.table),
        "perplexity": f"{drawn.perplexity:.0f}",
        "trust": f"{drawn.trustworthiness:.2f}",
        "seed": config.seed,
        "panels": [
            {"title": panel.title, "svg": Markup(panel.svg), "legend": panel.legend}
            for panel in map_panels(drawn, part.embeddings)
        ],
        "shares": [
            {"name": s.name, "share": f"{100 * s.share:.0f}", "chance": f"{100 * s.chance:.0f}"}
            for s in neighbour_shares(part.embeddings)
        ],
    }


def _people(table: TrackletTable) -> int:
    return len(table.identities())


def _embedding_facts(part: RunPart) -> list[tuple[str, str]]:
    origin, table = part.embeddings.origin, part.embeddings.table
    return [
        ("tested on", f"{origin.source}: {len(table.identities()):,} people, {len(table):,} tracklets"),
        ("feature", " + ".join(f"{name} ({width})" for name, width in origin.layout)),
        *((f"preprocessing: {name}", str(value)) for name, value in origin.preprocessing.items()),
    ]
