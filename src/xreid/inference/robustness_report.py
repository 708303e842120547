"""The robustness card as files: robustness.json for programs, robustness.html for people; and as text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import xreid
from xreid.core.files import write_json
from xreid.core.pages import write_page
from xreid.data.perturb import KINDS, sweep
from xreid.evaluation.metrics import METRICS
from xreid.evaluation.notes import is_simulated
from xreid.evaluation.seeds import Spread
from xreid.inference.robustness_page import render_card
from xreid.inference.robustness_study import RunScores, Scores, Study
from xreid.inference.robustness_words import cautions, choice_of, estimate_of, measured_over, number

FORMAT_VERSION = 1


def write_card(study: Study, folder: Path) -> Path:
    """Write robustness.json and robustness.html into a folder; returns the page.

    Raises:
        XReidError: The folder cannot be written.
    """
    write_json(folder / "robustness.json", card_data(study))
    page = folder / "robustness.html"
    write_page(page, render_card(study))
    return page


def card_data(study: Study) -> dict[str, Any]:
    """JSON-serialisable: everything that was measured, and what made it.

    Scores are fractions; `metrics`, `minus_clean` and `clean` are the first method's, over all of its runs.
    """
    card = study.card
    several = len(study.runs) > 1
    return {
        "format": FORMAT_VERSION,
        "xreid": xreid.__version__,
        "simulated": is_simulated(card.embeddings),
        "warnings": list(cautions(study)),
        "protocol": {"label": card.protocol.label, "rule": card.protocol.summary},
        "perturbed": card.config.side,
        "seeds": {"perturbations": card.config.seed, "bootstrap": card.config.bootstrap.seed},
        "origin": asdict(card.embeddings.origin),
        "trained": dict(card.trained),
        "tracklets": len(card.embeddings),
        "clean": [_clean_data(study, n) for n in range(len(card.clean))],
        "kinds": [_kind_data(study, name) for name, _ in map(sweep, card.config.kinds)],
        **({"methods": [m.name for m in study.methods]} if several else {}),
        **({"runs": [_run_data(name, run) for name, run in study.runs]} if several else {}),
    }


def _run_data(method: str, run: RunScores) -> dict[str, Any]:
    return {
        "method": method,
        "seed": run.trained.get("seed"),
        "origin": asdict(run.origin),
        "trained": dict(run.trained),
    }


def _clean_data(study: Study, direction: int) -> dict[str, Any]:
    """The first run's summary, with the scores of all runs in the place of its own."""
    summary = study.card.clean[direction].summary()
    if len(study.runs) == 1:
        return summary
    over = {"over": "training seeds and query identities, crossed" if study.seeds > 1 else "query identities"}
    found = {
        **{name: value for name, value in summary.items() if name not in ("cmc", "origin")},
        "interval": {**summary["interval"], **over},
        "metrics": _plain(study.methods[0].curves[direction].clean),
    }
    if study.ahead:
        found["against"] = {"metrics": _plain(study.methods[1].curves[direction].clean)}
        found["minus_against"] = _plain(study.ahead[direction].clean)
    return found


def _kind_data(study: Study, name: str) -> dict[str, Any]:
    kind, card = KINDS[name], study.card
    return {
        "kind": name,
        "what": kind.what,
        "axis": kind.axis,
        "levels": [
            {
                "level": point.perturbation.level,
                "written": kind.tick(point.perturbation.level, card.frame_height),
                **({} if point.same_camera is None else {"changed_same_camera": point.same_camera}),
                "directions": [_direction_data(study, n, i) for i in range(len(point.results))],
            }
            for n, point in enumerate(card.points)
            if point.perturbation.kind == name
        ],
    }


def _direction_data(study: Study, level: int, direction: int) -> dict[str, Any]:
    curves = [method.curves[direction] for method in study.methods]
    both = [{"metrics": _plain(c.levels[level]), "minus_clean": _plain(c.changes[level])} for c in curves]
    above = {name: curves[0].changes[level][name].above_zero for name in METRICS}
    found = {
        "direction": study.card.clean[direction].direction.name,
        "changed_tracklets": study.card.points[level].changed[direction],
        **both[0],
        "share_of_draws_above_clean": None if None in above.values() else above,
    }
    if study.ahead:
        found["against"] = both[1]
        found["minus_against"] = _plain(study.ahead[direction].levels[level])
        found["minus_against_beyond_clean"] = _plain(study.ahead[direction].changes[level])
    return found


def _plain(scores: Scores) -> dict[str, Any]:
    return {name: _spread(scores[name]) for name in METRICS}


def _spread(value: Spread) -> dict[str, Any]:
    plain: dict[str, Any] = asdict(estimate_of(value))
    if len(value.per_seed) > 1:
        plain |= {name: getattr(value, name) for name in ("people_low", "people_high", "seed_sd")}
        plain["per_seed"] = {str(seed): mean for seed, mean in value.per_seed.items()}
    return plain


def format_card(study: Study) -> str:
    """A table that fits a terminal: Rank-1 of each level, and its difference.

    To the clean score with one method; with two, of the first to the second.
    """
    card = study.card
    origin = card.embeddings.origin
    of = f"checkpoint {origin.checkpoint[:12]}" if len(study.runs) == 1 else measured_over(study)
    lines = [_head(study), *_body(study)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    body = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines]
    drawn = card.config.bootstrap
    people = "query identities" if study.seeds == 1 else "training seeds and query identities"
    paired = "seed and query" if study.seeds > 1 else "query"
    foot = (
        f"Percent. Perturbed: {card.config.side}. Differences with {100 * drawn.confidence:g}% intervals, "
        f"paired by {paired}, {drawn.resamples:,} draws of {people}. {choice_of(study)}"
    )
    head = f"{card.protocol.label}   source {origin.source}   {of}"
    return "\n".join([head, "", *body, "", foot, *(f"! {note}" for note in cautions(study))])


def _head(study: Study) -> list[str]:
    names = [result.direction.name for result in study.card.clean]
    if not study.ahead:
        return ["", *(f"{name} Rank-1   minus clean" for name in names)]
    first, second = (method.name for method in study.methods)
    return ["", *(f"{name} Rank-1: {first}, {second}, difference" for name in names)]


def _body(study: Study) -> list[list[str]]:
    card = study.card
    directions = range(len(card.clean))
    lines = [["clean", *(_clean_cell(study, d) for d in directions)]]
    for n, point in enumerate(card.points):
        kind, level = KINDS[point.perturbation.kind], point.perturbation.level
        cells = [_cell(study, n, d) if point.changed[d] else "     as clean" for d in directions]
        lines.append([f"{kind.name} {kind.tick(level, card.frame_height)}", *cells])
    return lines


def _clean_cell(study: Study, direction: int) -> str:
    if study.ahead:
        return _beside(study, direction, None)
    clean = _rank1(study.methods[0].curves[direction].clean)
    return f"{clean['value']:>6}   {clean['interval']}".rstrip()


def _cell(study: Study, level: int, direction: int) -> str:
    if study.ahead:
        return _beside(study, direction, level)
    curve = study.methods[0].curves[direction]
    change = _rank1(curve.changes[level], signed=True)
    return f"{100 * curve.levels[level]['Rank-1'].mean:6.1f}   {' '.join(change.values())}"


def _beside(study: Study, direction: int, level: int | None) -> str:
    """Both methods' scores and their difference, clean or at a level."""

    def at(curve: Any) -> Mapping[str, Spread]:
        found: Mapping[str, Spread] = curve.clean if level is None else curve.levels[level]
        return found

    scores = [100 * at(method.curves[direction])["Rank-1"].mean for method in study.methods]
    difference = _rank1(at(study.ahead[direction]), signed=True)
    return f"{scores[0]:6.1f} {scores[1]:6.1f}   {' '.join(difference.values())}".rstrip()


def _rank1(scores: Scores, *, signed: bool = False) -> dict[str, str]:
    return number(scores["Rank-1"], signed=signed)
