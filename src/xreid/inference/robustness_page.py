"""The robustness card as a page: a chart for each kind, what frames look like at each level, every number."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

import xreid
from xreid.core.pages import render_template
from xreid.core.tracklets import Modality
from xreid.data.clips import ClipReader
from xreid.data.decode import UnreadableFrameError
from xreid.data.perturb import KINDS, Kind, Perturbation, sweep
from xreid.evaluation.seeds import Spread
from xreid.inference.robustness import Card
from xreid.inference.robustness_chart import Mark, level_chart
from xreid.inference.robustness_study import Curve, RunScores, Study
from xreid.inference.robustness_words import SHOWN, cautions, chosen, estimate_of, measured_over, number

_SIDES = {"queries": "queries", "gallery": "gallery", "both": "queries and gallery"}


def render_card(study: Study) -> str:
    """The page as one self-contained HTML document."""
    card = study.card
    values = {
        "version": xreid.__version__,
        "protocol": card.protocol,
        "side": _SIDES[card.config.side],
        "warnings": cautions(study),
        "confidence": f"{100 * card.config.bootstrap.confidence:g}%",
        "methods": [{"name": method.name, "series": n} for n, method in enumerate(study.methods)],
        "measured": measured_over(study),
        "runs": len(study.runs),
        "seeds": study.seeds,
        "clean": [_clean(study, n) for n in range(len(card.clean))],
        "kinds": [_section(study, name) for name, _ in map(sweep, card.config.kinds)],
        "metrics": SHOWN,
        "num_levels": len(card.points),
        "people": card.clean[0].num_identities,
        "origin": _origin(study),
    }
    return render_template("inference/robustness.html", values)


def _clean(study: Study, direction: int) -> dict[str, Any]:
    """One direction's Rank-1 without perturbation: of each method, and their difference."""
    return {
        "name": study.card.clean[direction].direction.name,
        "series": direction,
        "rank1": [number(method.curves[direction].clean["Rank-1"]) for method in study.methods],
        "ahead": [
            number(curve.clean["Rank-1"], signed=True) for curve in study.ahead[direction : direction + 1]
        ],
    }


def _section(study: Study, name: str) -> dict[str, Any]:
    card, kind = study.card, KINDS[name]
    levels = [n for n, point in enumerate(card.points) if point.perturbation.kind == name]
    directions = [r.direction.name for r in card.clean]
    shown = [d for d in range(len(directions)) if any(card.points[n].changed[d] for n in levels)]
    return {
        "title": kind.title,
        "what": kind.what,
        "charts": _charts(study, kind, levels, shown),
        "left_out": [direction for d, direction in enumerate(directions) if d not in shown],
        "pictures": _pictures(card, name),
        "axis": kind.axis,
        "tables": [_table(study, kind, levels, d) for d in shown],
    }


def _charts(study: Study, kind: Kind, levels: Sequence[int], shown: Sequence[int]) -> list[dict[str, Any]]:
    """One chart with a curve a direction; of two methods, a chart a direction with a curve a method."""
    from markupsafe import Markup

    names = [result.direction.name for result in study.card.clean]
    title = f"{kind.title}: Rank-1 by {kind.axis}"
    if len(study.methods) == 1:
        curves = study.methods[0].curves
        drawn = [("", [(names[d], d, _marks(study, kind, levels, curves[d])) for d in shown])]
    else:
        methods = list(enumerate(study.methods))
        drawn = [
            (names[d], [(m.name, n, _marks(study, kind, levels, m.curves[d])) for n, m in methods])
            for d in shown
        ]
    return [
        {
            "name": name,
            # level_chart escapes what it is given
            "svg": Markup(level_chart(curves, axis=kind.axis, title=f"{title}{name and ', '}{name}")),
        }
        for name, curves in drawn
        if curves
    ]


def _marks(study: Study, kind: Kind, levels: Sequence[int], curve: Curve) -> list[Mark]:
    card = study.card
    longest = max(len(row.frames) for row in card.embeddings.table)

    def place(level: float) -> float:
        return math.log2(min(level, longest) if level else longest) if kind.name == "frames" else level

    def mark(level: float, score: Spread, *, sure: bool) -> Mark:
        label = kind.tick(level, card.frame_height)
        return Mark(place=place(level), label=label, score=estimate_of(score), sure=sure)

    marks = [mark(0, curve.clean["Rank-1"], sure=True)]
    for n in levels:
        sure = curve.changes[n]["Rank-1"].excludes_zero
        marks.append(mark(card.points[n].perturbation.level, curve.levels[n]["Rank-1"], sure=sure))
    return sorted(marks, key=lambda mark: mark.place)


def _table(study: Study, kind: Kind, levels: Sequence[int], direction: int) -> dict[str, Any]:
    """One direction's numbers: columns of cells for each metric, a row for clean and for each level."""
    height = study.card.frame_height
    cells = _beside if study.ahead else _alone
    rows = [{"level": kind.tick(0, height), "cells": cells(study, direction, None)}]
    for n in levels:
        level = kind.tick(study.card.points[n].perturbation.level, height)
        rows.append({"level": level, "cells": cells(study, direction, n)})
    heads = ["change"]
    if study.ahead:
        heads = [*(method.name for method in study.methods), "difference", "of it new"]
    return {
        "name": study.card.clean[direction].direction.name,
        "series": "" if study.ahead else direction,
        "heads": heads,
        "rows": rows,
    }


def _alone(study: Study, direction: int, level: int | None) -> list[dict[str, Any] | None]:
    """Score, and change from clean, of each metric."""
    curve, cells = study.methods[0].curves[direction], list[dict[str, Any] | None]()
    for metric in SHOWN:
        cells.append(_cell((curve.clean if level is None else curve.levels[level])[metric]))
        cells.append(None if level is None else _cell(curve.changes[level][metric], difference=True))
    return cells


def _beside(study: Study, direction: int, level: int | None) -> list[dict[str, Any] | None]:
    """Both scores, their difference, and what of that clean tracklets do not have, of each metric."""
    cells, ahead = list[dict[str, Any] | None](), study.ahead[direction]
    for metric in SHOWN:
        for curve in (method.curves[direction] for method in study.methods):
            cells.append(_cell((curve.clean if level is None else curve.levels[level])[metric]))
        cells.append(_cell((ahead.clean if level is None else ahead.levels[level])[metric], difference=True))
        cells.append(None if level is None else _cell(ahead.changes[level][metric], difference=True))
    return cells


def _cell(value: Spread, *, difference: bool = False) -> dict[str, Any]:
    return {**number(value, signed=difference), "sure": difference and value.excludes_zero}


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


def _origin(study: Study) -> list[tuple[str, str]]:
    card = study.card
    origin, drawn = card.embeddings.origin, card.config.bootstrap
    over = "query identities" if study.seeds == 1 else "training seeds and query identities, crossed"
    return [
        ("protocol", card.protocol.label),
        ("rule", card.protocol.summary),
        ("source", origin.source),
        ("licence", origin.licence),
        *_models(study),
        ("seeds", f"perturbations {card.config.seed}, bootstrap {drawn.seed}"),
        ("intervals", f"{drawn.resamples:,} draws of {over}"),
    ]


def _models(study: Study) -> list[tuple[str, str]]:
    """What the models are; preprocessing is said of each method."""
    if len(study.runs) == 1:
        ((_, run),) = study.runs
        return [
            ("checkpoint (SHA-256)", run.origin.checkpoint),
            ("configuration (SHA-256)", run.origin.config),
            ("epoch chosen", chosen(study)),
            ("training seed", str(run.trained.get("seed", "not recorded"))),
            *_preprocessing(run, ""),
        ]
    told = [
        (f"{name}, seed {run.seed}: checkpoint (SHA-256)", run.origin.checkpoint) for name, run in study.runs
    ]
    parts = [(m.name, m.runs[0]) for m in study.methods]
    if len({str(run.origin.preprocessing) for _, run in parts}) == 1:
        parts = [("", parts[0][1])]
    made = [row for name, run in parts for row in _preprocessing(run, f"{name}, " if name else "")]
    return [*told, ("epoch chosen", chosen(study)), *made]


def _preprocessing(run: RunScores, head: str) -> list[tuple[str, str]]:
    return [(f"{head}preprocessing: {name}", str(value)) for name, value in run.origin.preprocessing.items()]
