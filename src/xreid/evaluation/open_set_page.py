"""What the page shows of open-set figures, as plain values for open_set.html."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from xreid.evaluation.charts import PERCENT, Axis, Curve, chart
from xreid.evaluation.identification import missed
from xreid.evaluation.intervals import Estimate
from xreid.evaluation.metrics import Floats
from xreid.evaluation.mixed import MixedGallery
from xreid.evaluation.open_set import EQUAL_PRIOR, OpenSet, OpenSetReport
from xreid.evaluation.open_set_text import WORDS, by_prior, point_name
from xreid.evaluation.rates import RatePoint
from xreid.evaluation.reliability import Reliability
from xreid.evaluation.text import interval, percent

_WAYS = {
    "naive": "(cosine + 1) / 2",
    "calibrated": "calibrated",
    "constant": "the prior alone",
}


def open_set_section(report: OpenSetReport) -> dict[str, Any]:
    """Values for the macro `open_set` of open_set.html."""
    told = [entry.identification for entry in report.directions if entry.identification]
    made = report.calibration
    return {
        "names": [entry.direction.name for entry in report.directions],
        "rates": _rates(report.directions),
        "rough": any("few" in cell["word"] for row in _rates(report.directions) for cell in row["cells"]),
        "splits": told[0].splits if told else None,
        "charts": _det_charts(report.directions),
        "calibration": None if made is None else _calibration(report),
        "diagrams": [_diagram(entry) for entry in report.directions if entry.reliability],
        "thresholds": [_threshold(entry, row) for entry in report.directions for row in entry.carried],
        "mixed": [_mixed(entry) for entry in report.mixed],
        "notes": report.notes,
    }


def _cell(estimate: Estimate | None, word: str = "", *, digits: bool = False) -> dict[str, str]:
    """A number with its interval; percent, or four digits."""
    if estimate is None:
        return {"value": "-", "range": "", "word": word}
    if not digits:
        return {"value": percent(estimate.value), "range": interval(estimate), "word": word}
    ends = None not in (estimate.low, estimate.high)
    told = f"[{estimate.low:.4f}, {estimate.high:.4f}]" if ends else ""
    return {"value": f"{estimate.value:.4f}", "range": told, "word": word}


def _rates(directions: Sequence[OpenSet]) -> list[dict[str, Any]]:
    rows = []
    for number, point in enumerate(directions[0].verification.points):
        found = [entry.verification.points[number] for entry in directions]
        cells = [_cell(p.accepted, WORDS[p.resolution]) for p in found]
        rows.append({"name": point_name(point, what="TAR", rate="FAR"), "cells": cells})
    told = [entry.identification for entry in directions]
    first = next((entry for entry in told if entry), None)
    for field, answer in (("first", "first answer"), ("any", "any answer")):
        for number, point in enumerate(getattr(first, field) if first else ()):
            points: list[RatePoint | None] = [getattr(e, field)[number] if e else None for e in told]
            cells = [_cell(missed(p), WORDS[p.resolution]) if p else _cell(None) for p in points]
            rows.append({"name": f"{point_name(point, what='FNIR', rate='FPIR')}, {answer}", "cells": cells})
    return rows


def _det_charts(directions: Sequence[OpenSet]) -> list[dict[str, Any]]:
    pairs = [
        _det(entry.direction.name, entry.verification.curve, number)
        for number, entry in enumerate(directions)
    ]
    people = [
        _det(entry.direction.name, entry.identification.curve, number)
        for number, entry in enumerate(directions)
        if entry.identification
    ]
    shown = [
        ("Same person or not", pairs, "false-accept rate, FAR, percent of pairs", "1 - TAR"),
        (
            "Who, if anybody enrolled",
            people,
            "FPIR, percent of strangers' queries",
            "FNIR of the first answer",
        ),
    ]
    return [
        {"heading": heading, "missed": y, "svg": _det_chart(curves, label=x, title=f"{y} against {x}")}
        for heading, curves, x, y in shown
        if curves
    ]


def _det(name: str, curve: Floats, number: int) -> Curve:
    points = tuple((float(x), float(y)) for x, y in curve if x > 0)
    return Curve(name=name, points=points, number=number)


def _det_chart(curves: Sequence[Curve], *, label: str, title: str) -> Markup:
    least = min(x for curve in curves for x, _ in curve.points)
    low = 10.0 ** math.floor(math.log10(least))
    ticks = [10.0**power for power in range(round(math.log10(low)), 1)]
    x = Axis(
        label=label, ticks=tuple((v, f"{100 * v:g}") for v in ticks), low=low, high=1.0, logarithmic=True
    )
    return Markup(chart(curves, x=x, y=Axis(label="", ticks=PERCENT), title=title))


def _calibration(report: OpenSetReport) -> dict[str, Any]:
    made = report.calibration
    assert made is not None
    return {
        "method": made.method,
        "people": len(made.identities),
        "source": made.source,
        "protocol": made.protocol,
        "lines": [
            {
                "kind": name,
                "slope": f"{kind.slope:.3f}",
                "offset": f"{kind.offset:+.3f}",
                "positives": kind.positives,
                "negatives": kind.negatives,
            }
            for name, kind in made.kinds.items()
        ],
        "rows": [
            {
                "direction": entry.direction.name,
                "prior": f"{100 * row.prior:.3g}%",
                "way": _WAYS[row.name],
                "first": row.name == "naive",
                "cells": [_cell(e, digits=True) for e in (row.ece, row.log_loss, row.brier)],
            }
            for entry in report.directions
            for row in entry.reliability
        ],
    }


def _diagram(entry: OpenSet) -> dict[str, Any]:
    """Reliability at even odds, where all bins are filled."""
    ways = next(rows for rows in by_prior(entry.reliability) if rows["naive"].prior == EQUAL_PRIOR)
    curves = [_steps(ways["calibrated"], 0), _steps(ways["naive"], 1)]
    x = Axis(label="predicted probability, percent", ticks=PERCENT)
    title = f"{entry.direction}: share of same-person pairs against predicted probability"
    svg = chart(curves, x=x, y=Axis(label="", ticks=PERCENT), title=title, diagonal=True, legend_left=True)
    return {"heading": entry.direction.name, "svg": Markup(svg)}


def _steps(way: Reliability, number: int) -> Curve:
    dots = tuple(
        (
            b.predicted,
            b.observed,
            2 + 10 * math.sqrt(b.weight),
            f"predicted {percent(b.predicted)}, true {percent(b.observed)}; {percent(b.weight)}% of pairs",
        )
        for b in way.bins
    )
    points = tuple((b.predicted, b.observed) for b in way.bins)
    return Curve(name=_WAYS[way.name], points=points, dots=dots, number=number)


def _threshold(entry: OpenSet, row: Any) -> dict[str, Any]:
    return {
        "direction": entry.direction.name,
        "kind": row.kind,
        "threshold": f"{row.threshold:.3f}",
        "target": f"{100 * row.target_far:g}",
        "far": _cell(row.far),
        "tar_there": percent(row.tar_there),
        "tar": _cell(row.tar),
    }


def _mixed(entry: MixedGallery) -> dict[str, Any]:
    rows = []
    for name, order in entry.orders.items():
        metrics, gain = order.result.metrics, entry.gains.get(name)
        shares = {share.k: share for share in order.shares}
        rows.append(
            {
                "order": name,
                "cells": [
                    _cell(metrics["Rank-1"]),
                    _cell(metrics["mAP"]),
                    _cell(gain.differences["mAP"]) if gain else {"value": "", "range": "", "word": ""},
                ],
                "shares": [percent(v) for v in (shares[1].found, shares[10].found, shares[10].wrong_found)],
            }
        )
    first = entry.cosine.shares[0]
    return {
        "query": "infrared" if entry.query == "ir" else "visible",
        "prior": percent(first.prior),
        "wrong_prior": percent(first.wrong_prior),
        "rows": rows,
    }
