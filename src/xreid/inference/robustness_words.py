"""What the robustness card's page, text and record say alike: cautions, how runs were chosen, numbers."""

from __future__ import annotations

from xreid.evaluation.intervals import Estimate
from xreid.evaluation.seeds import Spread
from xreid.inference.checkpoint import selection_rule
from xreid.inference.robustness_study import Curve, Study

SHOWN = ("Rank-1", "mAP")


def cautions(study: Study) -> tuple[str, ...]:
    """What must be known before a number is believed."""
    runs = study.runs
    every = [text for text in runs[0][1].cautions if all(text in run.cautions for _, run in runs)]
    some = [
        f"{name}, seed {run.seed}: {text}" for name, run in runs for text in run.cautions if text not in every
    ]
    found = (*every, *some)
    groups = [*(method.curves for method in study.methods), study.ahead]
    if not any(_widthless(study, curve, n) for curves in groups for n, curve in enumerate(curves)):
        return found
    return (
        *found,
        "Changes whose interval has no width: every draw gives the same value, for instance because every "
        "query was answered as before. The bootstrap sees no spread there, and that is no certainty.",
    )


def _widthless(study: Study, curve: Curve, direction: int) -> bool:
    ends = [
        change[name]
        for change, point in zip(curve.changes, study.card.points, strict=True)
        for name in SHOWN
        if point.changed[direction]
    ]
    return any(e.low is not None and e.low == e.high for e in ends)


def measured_over(study: Study) -> str:
    """How many runs of what, e.g. "paper: 3 runs (seeds 0, 1, 2)"."""
    told = [
        f"{method.name}: {len(method.runs)} run{'s' * (len(method.runs) > 1)} "
        f"(seed{'s' * (len(method.runs) > 1)} {', '.join(str(_seed(run.trained)) for run in method.runs)})"
        for method in study.methods
    ]
    return " against ".join(told)


def choice_of(study: Study) -> str:
    """How the models' epochs were chosen, and their training seeds, in a sentence or more."""
    if len(study.runs) == 1:
        return f"Model: {chosen(study)}; training seed {_seed(study.card.trained)}."
    return f"Models: {measured_over(study)}; {chosen(study)}."


def chosen(study: Study) -> str:
    """How the models' epochs were chosen; rules that several share are said once."""
    rules = dict.fromkeys(selection_rule(run.trained.get("selection", {})) for _, run in study.runs)
    return " or ".join(rules)


def number(value: Spread, *, signed: bool = False) -> dict[str, str]:
    """A fraction as "71.0" and "[61.0, 80.0]"; one decimal, as the curves are about tens of points."""
    sign = "+" if signed else ""
    e = estimate_of(value)
    ends = "" if e.low is None or e.high is None else f"[{100 * e.low:{sign}.1f}, {100 * e.high:{sign}.1f}]"
    return {"value": f"{100 * e.value:{sign}.1f}", "interval": ends}


def estimate_of(value: Spread) -> Estimate:
    """The mean with its interval over seeds and people."""
    return Estimate(value=value.mean, low=value.low, high=value.high)


def _seed(trained: object) -> object:
    return trained.get("seed", "not recorded") if isinstance(trained, dict) else "not recorded"
