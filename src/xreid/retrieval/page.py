"""The page of a search: the query's frames, and those of every tracklet found, in one self-contained file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import xreid
from xreid.core.files import write_json
from xreid.core.pages import render_template, write_page
from xreid.core.tracklets import Modality, Tracklet, TrackletTable
from xreid.evaluation.pictures import Thumbnails
from xreid.retrieval.columns import UNIX_FROM_S, Filter
from xreid.retrieval.gallery import Entry, Gallery
from xreid.retrieval.meaning import Meaning
from xreid.retrieval.search import SCORE_NOTE, Hit, Query, SearchResult

_QUERY_FRAMES, _HIT_FRAMES = 6, 5


@dataclass(frozen=True, kw_only=True)
class PageInfo:
    """What a page says about the search itself.

    Attributes:
        rules: The filters.
        top: Most hits of a query.
        min_score: Least score, or None.
        meaning: What gave probabilities and verdicts, or None.
    """

    rules: Filter
    top: int
    min_score: float | None
    meaning: Meaning | None = None


def write_results_page(
    results: Sequence[SearchResult],
    folder: Path,
    *,
    gallery: Gallery,
    info: PageInfo,
    frames_root: Path | None = None,
) -> int:
    """Write search.html and search.json into a folder.

    Args:
        results: The answers, one per query.
        folder: Made where missing; files of that name are replaced.
        gallery: What was searched.
        info: How.
        frames_root: Where the frames are, if they have moved since the tracklets were embedded.

    Returns:
        Frames that could not be read; the page shows a placeholder for each.
    """
    pictures = _Pictures(frames_root)
    searches = [_search(result, pictures) for result in results]
    values = {
        "note": info.meaning.note() if info.meaning else SCORE_NOTE,
        "searches": searches,
        "labelled": any(hit["same"] is not None for search in searches for hit in search["hits"]),
        "gallery": gallery.name,
        "tracklets": len(gallery),
        "sets": len(gallery.sets),
        "conditions": conditions(info),
        "min_score": info.min_score,
        "missing": pictures.missing,
        "version": xreid.__version__,
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }
    write_page(folder / "search.html", render_template("retrieval/search.html", values))
    write_json(folder / "search.json", [result.to_json() for result in results])
    return pictures.missing


def conditions(info: PageInfo) -> list[str]:
    """The filters of a search, in words."""
    rules, words = info.rules, list[str]()
    words += [f"{name_of(rules.modality)} only"] if rules.modality else []
    words += [f"camera {' or '.join(rules.cameras)}"] if rules.cameras else []
    words += [f"place {' or '.join(rules.places)}"] if rules.places else []
    words += [f"from {show_time(rules.from_s)}"] if rules.from_s is not None else []
    words += [f"to {show_time(rules.to_s)}"] if rules.to_s is not None else []
    words += ["known people only"] if rules.known else []
    words += [f"quality {rules.min_quality:g} and better"] if rules.min_quality is not None else []
    words += [f"labelled {' and '.join(rules.labels)}"] if rules.labels else []
    words += [f"sets {', '.join(rules.sets)}"] if rules.sets else []
    words += ["other cameras than the query's"] if rules.other_cameras else []
    words += [f"scores of {info.min_score:g} and more"] if info.min_score is not None else []
    words += ["ranked by calibrated log-odds"] if info.meaning and info.meaning.order == "calibrated" else []
    return words


def show_prior(prior: float) -> str:
    """E.g. "1/200", or "0.3"."""
    odds = round(1 / prior)
    return f"1/{odds:,}" if odds >= 2 and abs(prior * odds - 1) < 1e-9 else f"{prior:g}"


def show_probability(hit: Hit) -> str:
    """E.g. "p 0.83", "p < 0.001"; "" without a calibration of this kind of pair."""
    p = None if hit.verdict is None else hit.verdict.probability
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


class _Pictures:
    """Thumbnails of tracklets under several roots."""

    def __init__(self, frames_root: Path | None) -> None:
        self._moved = frames_root
        self._by_root: dict[Path, Thumbnails] = {}

    @property
    def missing(self) -> int:
        return sum(thumbnails.missing for thumbnails in self._by_root.values())

    def of(self, row: Tracklet, root: Path, *, count: int) -> list[str | None]:
        root = self._moved or root
        if root not in self._by_root:
            self._by_root[root] = Thumbnails(TrackletTable(root=root, rows=(row,)))
        return self._by_root[root].of(row, count=count)


def _search(result: SearchResult, pictures: _Pictures) -> dict[str, Any]:
    query = result.query
    return {
        "query": _show(query.tracklet, pictures.of(query.tracklet, query.root, count=_QUERY_FRAMES)),
        "searched": result.searched,
        "best": result.best,
        "prior": None if result.prior is None else show_prior(result.prior),
        "unknown": result.unknown,
        "hits": [
            {
                "rank": hit.rank,
                "score": hit.score,
                "probability": show_probability(hit),
                "accepted": None if hit.verdict is None else hit.verdict.accepted,
                "set": hit.entry.stored.name,
                "same": _same_person(query, hit.entry),
                **_show(
                    hit.entry.tracklet,
                    pictures.of(hit.entry.tracklet, hit.entry.root, count=_HIT_FRAMES),
                ),
            }
            for hit in result.hits
        ],
    }


def _same_person(query: Query, entry: Entry) -> bool | None:
    """By their labels; None where one has none or they lie under different roots, whose labels may clash."""
    labels = query.tracklet.identity, entry.tracklet.identity
    if None in labels or query.root != entry.root:
        return None
    return labels[0] == labels[1]


def _show(row: Tracklet, frames: list[str | None]) -> dict[str, Any]:
    facts = [
        f"camera {row.camera}" if row.camera else "camera unknown",
        show_span(row),
        f"{len(row.frames)} {'frame' if len(row.frames) == 1 else 'frames'}",
        f"person {row.identity}" if row.identity else "",
    ]
    return {
        "name": row.name,
        "modality": name_of(row.modality),
        "facts": [fact for fact in facts if fact],
        "frames": frames,
    }
