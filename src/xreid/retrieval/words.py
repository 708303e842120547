"""Words for priors, probabilities, times and transitions, on pages and terminals."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from xreid.core.tracklets import Modality, Tracklet
from xreid.retrieval.columns import UNIX_FROM_S
from xreid.retrieval.moments import Track
from xreid.retrieval.search import Hit


def show_prior(prior: float) -> str:
    """E.g. "1/200", or "0.3"."""
    odds = round(1 / prior)
    return f"1/{odds:,}" if odds >= 2 and abs(prior * odds - 1) < 1e-9 else f"{prior:g}"


def show_probability(hit: Hit) -> str:
    """E.g. "p 0.830", "p < 0.001", of looks, space and time together; "" where nothing is calibrated."""
    return "" if hit.verdict is None else show_p(hit.verdict.combined)


def show_strangers(hit: Hit) -> str:
    """How many strangers here are at least as alike, e.g. "0.5%", "50% or more"; "" where nobody looked."""
    share = None if hit.verdict is None else hit.verdict.strangers
    return "" if share is None else "50% or more" if share >= 0.5 else f"{100 * share:.2g}%"


def show_p(p: float | None) -> str:
    """A probability, e.g. "p 0.830"; "" for none."""
    if p is None:
        return ""
    if p < 0.001:
        return "p < 0.001"
    return "p > 0.999" if p > 0.999 else f"p {p:.3f}"


def name_of(modality: Modality) -> str:
    """The modality in words."""
    return "infrared" if modality is Modality.INFRARED else "visible"


def show_time(seconds: float | None) -> str:
    """A date and time (UTC), or minutes and seconds from the start of a video; "" where unknown."""
    if seconds is None:
        return ""
    if seconds >= UNIX_FROM_S:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}:{rest:04.1f}"


def show_span(row: Tracklet) -> str:
    """When a tracklet was seen, e.g. "0:12.3 to 0:20.1"."""
    start, end = show_time(row.start_s), show_time(row.end_s)
    if start and end and start != end:
        same_day = len(start) == len(end) == 19 and start[:10] == end[:10]
        return f"{start} to {end[11:] if same_day else end}"
    return start or end


def show_tracks(tracks: Sequence[Track]) -> str:
    """E.g. "joined from 2 tracks: 0:12.3 to 0:20.1, 0:21.0 to 0:30.4 (cosine 0.93)"; "" of one."""
    if len(tracks) < 2:
        return ""
    told = [
        f"{show_time(one.first.time_s)} to {show_time(one.last.time_s).rpartition(' ')[2]}"
        + ("" if one.joined is None else f" (cosine {one.joined:.2f})")
        for one in tracks
    ]
    return f"joined from {len(tracks)} tracks: {', '.join(told)}"


def show_transition(hit: Hit) -> str:
    """E.g. "impossible: 5 s for a way of 20 s at least, usually 40 s"; "-" where nothing was judged."""
    told = hit.transition
    return "-" if told is None else f"{told.judgement}: {told.why}"
