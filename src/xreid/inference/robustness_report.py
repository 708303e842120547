"""The robustness card as files: robustness.json for programs, robustness.html for people; and as text."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import xreid
from xreid.core.files import write_json
from xreid.core.pages import render_template, write_page
from xreid.core.tracklets import Modality
from xreid.data.clips import ClipReader
from xreid.data.decode import UnreadableFrameError
from xreid.data.perturb import KINDS, Perturbation, sweep
from xreid.evaluation.intervals import Estimate
from xreid.evaluation.metrics import METRICS
from xreid.evaluation.notes import is_simulated, warnings
from xreid.inference.checkpoint import selection_rule
from xreid.inference.robustness import Card, Point
from xreid.inference.robustness_chart import Mark, level_chart

FORMAT_VERSION = 1
_SHOWN = ("Rank-1", "mAP")


def write_card(card: Card, folder: Path) -> Path:
    """Write robustness.json and robustness.html into a folder; returns the page.

    Raises:
        XReidError: The folder cannot be written.
    """
    write_json(folder / "robustness.json", card_data(card))
    page = folder / "robustness.html"
    write_page(page, render_card(card))
    return page


def card_data(card: Card) -> dict[str, Any]:
    """JSON-serialisable: everything that was measured, and what made it."""
    simulated = is_simulated(card.embeddings)
    return {
        "format": FORMAT_VERSION,
        "xreid": xreid.__version__,
        "simulated": simulated,
        "warnings": list(_cautions(card)),
        "protocol": {"label": card.protocol.label, "rule": card.protocol.summary},
        "perturbed": card.config.side,
        "seeds": {"perturbations": card.config.seed, "bootstrap": card.config.bootstrap.seed},
        "origin": asdict(card.embeddings.origin),
        "trained": dict(card.trained),
        "tracklets": len(card.embeddings),
        "clean": [result.summary() for result in card.clean],
        "kinds": [_kind_data(card, name) for name, _ in map(sweep, card.config.kinds)],
    }


def _cautions(card: Card) -> tuple[str, ...]:
    """What must be known before a number is believed."""
    found = warnings(card.clean, simulated=is_simulated(card.embeddings))
    ends = [
        c.differences[name]
        for point in card.points
        for c, changed in zip(point.comparisons, point.changed, strict=True)
        for name in _SHOWN
        if changed
    ]
    if not any(e.low is not None and e.low == e.high for e in ends):
        return found
    return (
        *found,
        "Changes whose interval has no width: every draw gives the same value, for instance because every "
        "query was answered as before. The bootstrap sees no spread there, and that is no certainty.",
    )


def _kind_data(card: Card, name: str) -> dict[str, Any]:
    kind = KINDS[name]
    return {
        "kind": name,
        "what": kind.what,
        "axis": kind.axis,
        "levels": [
            {
                "level": point.perturbation.level,
                "written": kind.tick(point.perturbation.level, card.frame_height),
                **({} if point.same_camera is None else {"changed_same_camera": point.same_camera}),
                "directions": [_direction_data(point, i) for i in range(len(point.results))],
            }
            for point in card.of_kind(name)
        ],
    }


def _direction_data(point: Point, number: int) -> dict[str, Any]:
    result, comparison = point.results[number], point.comparisons[number]
    return {
        "direction": result.direction.name,
        "changed_tracklets": point.changed[number],
        "metrics": {name: asdict(result.metrics[name]) for name in METRICS},
        "minus_clean": {name: asdict(comparison.differences[name]) for name in METRICS},
        "share_of_draws_above_clean": comparison.share_above_zero,
    }


def format_card(card: Card) -> str:
    """A table that fits a terminal: Rank-1 of each level, and its difference to the clean score."""
    origin = card.embeddings.origin
    head = f"{card.protocol.label}   source {origin.source}   checkpoint {origin.checkpoint[:12]}"
    names = [f"{r.direction} Rank-1   minus clean" for r in card.clean]
    clean = [_number(r.metrics["Rank-1"]) for r in card.clean]
    lines = [["", *names], ["clean", *(f"{n['value']:>6}   {n['interval']}".rstrip() for n in clean)]]
    for point in card.points:
        kind, level = KINDS[point.perturbation.kind], point.perturbation.level
        cells = [
            f"{100 * r.rank1:6.1f}   {' '.join(_number(c.differences['Rank-1'], signed=True).values())}"
            if n
            else "     as clean"
            for r, c, n in zip(point.results, point.comparisons, point.changed, strict=True)
        ]
        lines.append([f"{kind.name} {kind.tick(level, card.frame_height)}", *cells])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    body = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines]
    drawn = card.config.bootstrap
    foot = (
        f"Percent. Perturbed: {card.config.side}. Differences with {100 * drawn.confidence:g}% intervals, "
        f"paired by query, {drawn.resamples:,} draws of query identities. Model: "
        f"{selection_rule(card.trained.get('selection', {}))}; training seed "
        f"{card.trained.get('seed', 'not recorded')}."
    )
    notes = _cautions(card)
    return "\n".join([head, "", *body, "", foot, *(f"! {note}" for note in notes)])


def render_card(card: Card) -> str:
    """The page as one self-contained HTML document."""
    values = {
        "version": xreid.__version__,
        "protocol": card.protocol,
        "side": {"queries": "queries", "gallery": "gallery", "both": "queries and gallery"}[card.config.side],
        "warnings": _cautions(card),
        "confidence": f"{100 * card.config.bootstrap.confidence:g}%",
        "clean": [
            {"name": r.direction.name, "series": n, "rank1": _number(r.metrics["Rank-1"])}
            for n, r in enumerate(card.clean)
        ],
        "kinds": [_section(card, name) for name, _ in map(sweep, card.config.kinds)],
        "metrics": _SHOWN,
        "num_levels": len(card.points),
        "people": card.clean[0].num_identities,
        "origin": _origin(card),
    }
    return render_template("inference/robustness.html", values)


def _section(card: Card, name: str) -> dict[str, Any]:
    from markupsafe import Markup

    kind, points = KINDS[name], card.of_kind(name)
    shown = [n for n in range(len(card.clean)) if any(point.changed[n] for point in points)]
    title = f"{kind.title}: Rank-1 by {kind.axis}"
    curves = [(card.clean[n].direction.name, n, _marks(card, points, n)) for n in shown]
    return {
        "title": kind.title,
        "what": kind.what,
        "chart": Markup(level_chart(curves, axis=kind.axis, title=title)) if curves else "",  # escaped there
        "left_out": [card.clean[n].direction.name for n in range(len(card.clean)) if n not in shown],
        "pictures": _pictures(card, name),
        "axis": kind.axis,
        "tables": [_rows(card, points, n) for n in shown],
    }


def _marks(card: Card, points: Sequence[Point], number: int) -> list[Mark]:
    kind, height = KINDS[points[0].perturbation.kind], card.frame_height
    longest = max(len(row.frames) for row in card.embeddings.table)

    def place(level: float) -> float:
        return math.log2(min(level, longest) if level else longest) if kind.name == "frames" else level

    clean = Mark(
        place=place(0), label=kind.tick(0, height), score=card.clean[number].metrics["Rank-1"], sure=True
    )
    marks = [
        Mark(
            place=place(p.perturbation.level),
            label=kind.tick(p.perturbation.level, height),
            score=p.results[number].metrics["Rank-1"],
            sure=p.comparisons[number].excludes_zero("Rank-1"),
        )
        for p in points
    ]
    return sorted([clean, *marks], key=lambda mark: mark.place)


def _rows(card: Card, points: Sequence[Point], number: int) -> dict[str, Any]:
    """One direction's numbers for the page."""
    clean, kind = card.clean[number], KINDS[points[0].perturbation.kind]
    cells: list[dict[str, Any]] = [{"score": _number(clean.metrics[m]), "change": None} for m in _SHOWN]
    rows = [{"level": kind.tick(0, card.frame_height), "cells": cells}]
    for point in points:
        metrics, comparison = point.results[number].metrics, point.comparisons[number]
        cells = [
            {
                "score": _number(metrics[m]),
                "change": _number(comparison.differences[m], signed=True),
                "sure": comparison.excludes_zero(m),
            }
            for m in _SHOWN
        ]
        rows.append({"level": kind.tick(point.perturbation.level, card.frame_height), "cells": cells})
    return {"name": clean.direction.name, "series": number, "rows": rows}


def _number(e: Estimate, *, signed: bool = False) -> dict[str, str]:
    """A fraction as "71.0" and "[61.0, 80.0]"; one decimal, as the curves are about tens of points."""
    sign = "+" if signed else ""
    ends = "" if e.low is None or e.high is None else f"[{100 * e.low:{sign}.1f}, {100 * e.high:{sign}.1f}]"
    return {"value": f"{100 * e.value:{sign}.1f}", "interval": ends}


def _pictures(card: Card, name: str) -> list[dict[str, str]]:
    """The middle frame of one tracklet at each level, for kinds that change pixels."""
    kind, table = KINDS[name], card.embeddings.table
    if kind.pixels is None:
        return []
    wanted = kind.modality or Modality.VISIBLE
    row = next(i for i, row in enumerate(table) if row.modality is wanted)
    shape = tuple(card.embeddings.origin.preprocessing["frame_size"])
    levels = sorted({0.0, *(point.perturbation.level for point in card.of_kind(name))})
    try:
        return [
            {
                "label": kind.tick(level, card.frame_height),
                "uri": _picture(
                    card, row, shape, Perturbation(kind=name, level=level, seed=card.config.seed)
                ),
            }
            for level in levels
        ]
    except UnreadableFrameError:
        return []  # a page is not the place to fail


def _picture(card: Card, row: int, size: tuple[int, int], change: Perturbation) -> str:
    from PIL import Image

    table = card.embeddings.table
    reader = ClipReader(table, size=size, transform=change)
    (frame,) = reader.read_array(row, np.array([len(table[row].frames) // 2]))
    buffer = io.BytesIO()
    Image.fromarray(frame.transpose(1, 2, 0)).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _origin(card: Card) -> list[tuple[str, str]]:
    origin, drawn = card.embeddings.origin, card.config.bootstrap
    return [
        ("protocol", card.protocol.label),
        ("rule", card.protocol.summary),
        ("source", origin.source),
        ("licence", origin.licence),
        ("checkpoint (SHA-256)", origin.checkpoint),
        ("configuration (SHA-256)", origin.config),
        ("epoch chosen", selection_rule(card.trained.get("selection", {}))),
        ("training seed", str(card.trained.get("seed", "not recorded"))),
        *((f"preprocessing: {name}", str(value)) for name, value in origin.preprocessing.items()),
        ("seeds", f"perturbations {card.config.seed}, bootstrap {drawn.seed}"),
        ("intervals", f"{drawn.resamples:,} draws of query identities"),
    ]
