"""From the scores of the runs to results.json of a table: what every output is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import xreid
from xreid.core.files import sha256_of_value
from xreid.core.records import to_plain
from xreid.evaluation.metrics import METRICS
from xreid.evaluation.seeds import SeedScores, Spread, spread
from xreid.training.ablation_plan import Plan, Run
from xreid.training.ablation_rows import Row, Table
from xreid.training.ablation_run import noted_failure, stored_scores
from xreid.training.ablation_tables import printed
from xreid.training.ablation_text import SHOWN

FORMAT = 1
_FIELDS = ("low", "high", "people_low", "people_high", "above_zero", "seed_sd")
_ONE_SEED = (
    "Where one training seed is done, the intervals cover who is searched for and not the luck of training: "
    "differences look surer than they are."
)
Stored = Mapping[int, Mapping[str, Any]]


def table_results(plan: Plan, table: Table, *, failures: Mapping[str, str]) -> dict[str, Any]:
    """Everything known about a table, as JSON values; scores are fractions.

    Args:
        plan: What was asked.
        table: Of the plan.
        failures: What went wrong, by key of the run.
    """
    asked = {"protocol": plan.config.protocol, "directions": list(plan.config.directions)}
    stored = {row.name: _stored(plan, table, row, asked=asked) for row in table.rows}
    all_scores = [scores for of_row in stored.values() for scores in of_row.values()]
    rows = [_row(plan, table, row, stored=stored, failures=failures) for row in table.rows]
    fewest = [len(s) for s in (*stored.values(), *(d["seeds"] for r in rows for d in r["differences"]))]
    return {
        "format": FORMAT,
        "xreid": xreid.__version__,
        "table": table.name,
        "title": table.title,
        "axis": table.axis,
        "scale": plan.config.scale,
        "seeds": list(plan.config.seeds),
        "overrides": dict(plan.config.overrides),
        "on": plan.config.on,
        "directions": list(plan.config.directions),
        "metrics": list(METRICS),
        **_common(all_scores),
        "selection_rule": _selection_rule(plan, table),
        "intervals": asdict(plan.config.bootstrap) | {"over": "training seeds and query identities, crossed"},
        "comparisons": sum(len(row["differences"]) for row in rows),
        "notes": [*_notes(plan, table, all_scores, seeds_done=fewest), *_widthless(rows)],
        "rows": rows,
    }


def _stored(plan: Plan, table: Table, row: Row, *, asked: Mapping[str, Any]) -> dict[int, dict[str, Any]]:
    found = {}
    for seed in plan.config.seeds:
        run = plan.runs[table.name, row.name, seed]
        scores = stored_scores(run.folder, on=plan.config.on, asked=asked)
        if scores is not None:
            found[seed] = scores
    return found


def _row(
    plan: Plan, table: Table, row: Row, *, stored: Mapping[str, Stored], failures: Mapping[str, str]
) -> dict[str, Any]:
    runs = [plan.runs[table.name, row.name, seed] for seed in plan.config.seeds]
    own = stored[row.name]
    config = to_plain(runs[0].config)
    return {
        "name": row.name,
        "label": runs[0].label,
        "x": row.x,
        "preset": row.preset,
        "changes": dict(row.changes),
        "config": config,
        "config_sha256": sha256_of_value(config),
        "extends": list(row.extends),
        "runs": [_run(run, own, failures) for run in runs],
        "missing_seeds": [run.seed for run in runs if run.seed not in own],
        "parameters": next((scores["parameters"] for scores in own.values()), None),
        "scores": _spreads(own, plan=plan) if own else {},
        "differences": [
            difference
            for name in row.extends
            if (difference := _difference(own, stored[name], against=name, plan=plan))
        ],
        "paper": _paper(table, row, own),
    }


def _run(run: Run, stored: Stored, failures: Mapping[str, str]) -> dict[str, Any]:
    scores = stored.get(run.seed)
    known = ("train_seconds", "embed_seconds", "embedded", "selection", "commit", "checkpoint_sha256")
    return {
        "seed": run.seed,
        "key": run.key,
        "folder": f"{run.folder.parent.name}/{run.folder.name}",
        "done": scores is not None,
        "problem": "" if scores else failures.get(run.key) or noted_failure(run.folder) or "not run",
        **({name: scores[name] for name in known} if scores is not None else {}),
    }


def _spreads(stored: Stored, *, plan: Plan) -> dict[str, Any]:
    """Direction -> metric -> mean, intervals and single seeds."""
    return {
        direction: {
            name: _plain(s.within(0, 1))
            for name, s in spread(_runs(stored, direction), bootstrap=plan.config.bootstrap).items()
        }
        for direction in plan.config.directions
    }


def _difference(own: Stored, other: Stored, *, against: str, plan: Plan) -> dict[str, Any] | None:
    """A row minus one that it extends, over the seeds that both have."""
    both = [seed for seed in own if seed in other]
    if not both:
        return None
    found: dict[str, Any] = {"against": against, "seeds": both}
    for direction in plan.config.directions:
        left, right = (_runs({s: side[s] for s in both}, direction) for side in (own, other))
        pairs = [a.minus(b) for a, b in zip(left, right, strict=True)]
        found[direction] = {
            name: _plain(s.within(-1, 1))
            for name, s in spread(pairs, bootstrap=plan.config.bootstrap).items()
        }
    return found


def _runs(stored: Stored, direction: str) -> list[SeedScores]:
    return [SeedScores.of(seed, scores["results"][direction]) for seed, scores in stored.items()]


def _plain(s: Spread) -> dict[str, Any]:
    """As JSON values."""
    values = {name: getattr(s, name) for name in ("mean", *_FIELDS)}
    return values | {"excludes_zero": s.excludes_zero, "per_seed": {str(k): v for k, v in s.per_seed.items()}}


def _common(all_scores: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What all runs share: protocol, source, how many asked; None before the first is done."""
    if not all_scores:
        return dict.fromkeys(("protocol", "source", "licence", "simulated", "counts", "chance_rank1"))
    first = all_scores[0]
    return {
        "protocol": first["protocol"],
        "source": first["source"],
        "licence": first["licence"],
        "simulated": first["simulated"],
        "counts": {name: r["counts"] for name, r in first["results"].items()},
        "chance_rank1": {name: r["chance_rank1"] for name, r in first["results"].items()},
    }


def _selection_rule(plan: Plan, table: Table) -> str:
    rules = {plan.runs[table.name, row.name, plan.config.seeds[0]].config.selection for row in table.rows}
    words = [
        "the last epoch is kept"
        if rule.keep == "last"
        else f"the epoch of best mAP on held-out training identities ({rule.held_out:.0%}) is kept"
        for rule in rules
    ]
    seen = "; test data is never looked at to choose" if plan.config.on == "test" else ""
    return " or ".join(sorted(words)) + seen


def _notes(
    plan: Plan, table: Table, all_scores: Sequence[Mapping[str, Any]], *, seeds_done: Sequence[int]
) -> list[str]:
    notes = [text for scale, text in table.notes.items() if scale in ("", plan.config.scale)]
    if any(scores["simulated"] for scores in all_scores):
        notes.append(
            "Simulated people: these scores compare configurations with each other and say nothing about "
            "HITSZ-VCM, BUPTCampus or real cameras, so the paper's numbers do not stand beside them."
        )
    configs = [plan.runs[table.name, row.name, plan.config.seeds[0]].config for row in table.rows]
    weights = sorted({str(config.network.weights or "random weights") for config in configs})
    if plan.config.scale == "tiny":
        notes.append(
            f"Scale tiny: a small network on 64 x 32 pixels that starts from {' or '.join(weights)}, "
            "not CLIP ViT-B/16; what a component adds here need not be what it adds there."
        )
    if plan.config.on == "held-out":
        notes.append(
            "Scored on training identities held out of training, anew for every seed; choices may be made by "
            "these numbers, so they are no test of what was chosen."
        )
    if any(plan.runs[table.name, row.name, plan.config.seeds[0]].label for row in table.rows):
        notes.append(
            "Textual prompts with a random text encoder, which knows no language: the two stages run as they "
            "are, but the row says nothing about CLIP's text."
        )
    commits = sorted({str(scores["commit"]) for scores in all_scores})
    if len(commits) > 1:
        notes.append(f"Runs were made by different code: commits {', '.join(c[:12] for c in commits)}.")
    if any(count == 1 for count in seeds_done):
        notes.append(_ONE_SEED)
    return notes


def _widthless(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A caution, where an interval has no width."""
    shown = [
        of_direction[metric]
        for row in rows
        for scores in (row["scores"], *row["differences"])
        for of_direction in scores.values()
        if isinstance(of_direction, dict)
        for metric in SHOWN
    ]
    if not any(value["low"] is not None and value["low"] == value["high"] for value in shown):
        return []
    return [
        "Where an interval has no width every draw gives the same value, for instance because two rows "
        "answered every query alike: the bootstrap sees no spread there, and that is no certainty."
    ]


def _paper(table: Table, row: Row, stored: Stored) -> dict[str, dict[str, float]]:
    """The authors' numbers in percent, where data and protocol are theirs and no other."""
    for scores in stored.values():
        official = all(r["published_list_sizes"] for r in scores["results"].values())
        if official and not scores["simulated"] and scores["on"] == "test":
            return printed(table.name, row.name, source=scores["source"])
    return {}
