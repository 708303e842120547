"""Open-set figures as plain text, below the table of scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xreid.evaluation.identification import missed
from xreid.evaluation.intervals import Estimate
from xreid.evaluation.mixed import MixedGallery
from xreid.evaluation.open_set import OpenSet, OpenSetReport
from xreid.evaluation.rates import RatePoint
from xreid.evaluation.reliability import Reliability
from xreid.evaluation.text import interval, percent

WORDS = {"few": "few", "too few": "too few", "enough": ""}


def format_open_set(report: OpenSetReport) -> str:
    """Lines that fit a terminal: open set, calibration, stored thresholds, mixed gallery."""
    lines = ["", "Open set (percent)", *_rates(report.directions)]
    if any("few" in p.resolution for d in report.directions for p in _all_points(d)):
        lines.append("few: fewer than 30 false alarms above the threshold; -: too few to set one at all.")
    if report.calibration is not None:
        made = report.calibration
        people = f"{len(made.identities):,} people of {made.source}"
        lines += ["", f"Calibration ({made.method}, fitted on {people}, {made.protocol})"]
        lines += [line for entry in report.directions for line in _reliability(entry)]
        lines += [line for entry in report.directions for line in _carried(entry)]
    for entry in report.mixed:
        lines += ["", *_mixed(entry)]
    return "\n".join([*lines, *(f"! {note}" for note in report.notes)])


def point_name(point: RatePoint, *, what: str, rate: str) -> str:
    """E.g. "TAR at FAR 0.1%"."""
    return f"{what} at {rate} {100 * point.rate:g}%"


def with_interval(estimate: Estimate | None) -> str:
    """E.g. "82.00 [68.00, 96.00]", or "-"."""
    return "-" if estimate is None else f"{percent(estimate.value)} {interval(estimate)}".rstrip()


def plain(estimate: Estimate) -> str:
    """A number that is no percentage, with its interval."""
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.4f}"
    return f"{estimate.value:.4f} [{estimate.low:.4f}, {estimate.high:.4f}]"


def _rates(directions: Sequence[OpenSet]) -> list[str]:
    rows: list[list[str]] = [["", *(entry.direction.name for entry in directions)]]
    for number, point in enumerate(directions[0].verification.points):
        found = [entry.verification.points[number] for entry in directions]
        rows.append([point_name(point, what="TAR", rate="FAR"), *map(_accepted, found)])
    told = next((entry.identification for entry in directions if entry.identification), None)
    for number, point in enumerate(told.first if told else ()):
        named = point_name(point, what="FNIR", rate="FPIR")
        rows.append([named, *(_first_missed(entry, number) for entry in directions)])
    counts: dict[str, Callable[[OpenSet], int]] = {
        "pairs of one person": lambda entry: entry.verification.positives,
        "pairs of two people": lambda entry: entry.verification.negatives,
    }
    rows += [[name, *(f"{count(entry):,}" for entry in directions)] for name, count in counts.items()]
    if told:
        share = f"{100 * told.splits.enrolled:g}% of the people enrolled"
        rows.append([f"FNIR: {share}, {told.splits.count} splits; the first answer must be right"])
    widths = [max(len(row[i]) for row in rows if len(row) > i + (i == 0)) for i in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()
        for row in rows
    ]


def _accepted(point: RatePoint) -> str:
    return f"{with_interval(point.accepted)} {WORDS[point.resolution] if point.accepted else ''}".rstrip()


def _first_missed(entry: OpenSet, number: int) -> str:
    if entry.identification is None:
        return "-"
    point = entry.identification.first[number]
    return f"{with_interval(missed(point))} {WORDS[point.resolution] if point.accepted else ''}".rstrip()


def _all_points(entry: OpenSet) -> list[RatePoint]:
    return [*entry.verification.points, *(entry.identification.first if entry.identification else ())]


def by_prior(rows: Sequence[Reliability]) -> list[dict[str, Reliability]]:
    """The rows of each prior, by name, in order."""
    priors = list(dict.fromkeys(row.prior for row in rows))
    return [{row.name: row for row in rows if row.prior == prior} for prior in priors]


def _reliability(entry: OpenSet) -> list[str]:
    lines = []
    for ways in by_prior(entry.reliability):
        naive, calibrated, constant = (ways[name] for name in ("naive", "calibrated", "constant"))
        lines.append(
            f"{entry.direction} at prior {100 * naive.prior:.3g}%: "
            f"ECE {naive.ece.value:.4f} -> {plain(calibrated.ece)}, "
            f"log loss {naive.log_loss.value:.4f} -> {calibrated.log_loss.value:.4f} "
            f"(the prior alone {constant.log_loss.value:.4f})"
        )
    return lines


def _carried(entry: OpenSet) -> list[str]:
    return [
        f"{entry.direction}, {row.kind} threshold {row.threshold:.3f} (FAR {100 * row.target_far:g}%): "
        f"FAR {with_interval(row.far)}, TAR {with_interval(row.tar)} (there {percent(row.tar_there)})"
        for row in entry.carried
    ]


def _mixed(entry: MixedGallery) -> list[str]:
    first = entry.cosine.shares[0]
    lines = [
        f"Mixed gallery, {entry.query} queries: {percent(first.prior)}% of it is {entry.query}",
        f"{'ranked by':<12}{'Rank-1':>8}{'mAP':>8}   mAP minus cosine      {entry.query} in first 1 / 10, "
        f"of strangers' 10 (prior {percent(first.wrong_prior)})",
    ]
    for name, order in entry.orders.items():
        gain = entry.gains.get(name)
        shares = {share.k: share for share in order.shares}
        metrics = order.result.metrics
        lines.append(
            f"{name:<12}{percent(metrics['Rank-1'].value):>8}{percent(metrics['mAP'].value):>8}   "
            f"{with_interval(gain.differences['mAP']) if gain else '':<22}"
            f"{percent(shares[1].found)} / {percent(shares[10].found)}, {percent(shares[10].wrong_found)}"
        )
    return lines
