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
from xreid.core.tracklets import Tracklet, TrackletTable
from xreid.evaluation.pictures import Thumbnails
from xreid.retrieval.alerts import Alert
from xreid.retrieval.columns import Filter
from xreid.retrieval.gallery import Entry, Gallery
from xreid.retrieval.meaning import Meaning
from xreid.retrieval.page_parts import plain_person, show_person, show_why
from xreid.retrieval.persons import Person
from xreid.retrieval.queries import AnyQuery
from xreid.retrieval.search import SCORE_NOTE, Hit, SearchResult
from xreid.retrieval.why import Why
from xreid.retrieval.words import (
    name_of,
    show_p,
    show_prior,
    show_probability,
    show_span,
    show_strangers,
    show_time,
)

_QUERY_FRAMES, _HIT_FRAMES = 6, 5


@dataclass(frozen=True, kw_only=True)
class PageInfo:
    """What a page says about the search itself.

    Attributes:
        rules: The filters.
        top: Most hits of a query.
        min_score: Least score, or None.
        meaning: What gave probabilities and verdicts, or None.
        rerank: How many were re-ranked; 0 for none.
        graph: Whether a camera graph judged space and time.
    """

    rules: Filter
    top: int
    min_score: float | None
    meaning: Meaning | None = None
    rerank: int = 0
    graph: bool = False


def write_results_page(
    results: Sequence[SearchResult],
    folder: Path,
    *,
    gallery: Gallery,
    info: PageInfo,
    frames_root: Path | None = None,
    people: Sequence[Sequence[Person]] = (),
    whys: Sequence[Sequence[Why]] = (),
    alerts: Sequence[Alert] = (),
) -> int:
    """Write search.html and search.json into a folder.

    Args:
        results: The answers, one per query.
        folder: Made where missing; files of that name are replaced.
        gallery: What was searched.
        info: How.
        frames_root: Where the frames are, if they have moved since the tracklets were embedded.
        people: Probable persons of each answer; empty without.
        whys: Reasons for the first hits of each answer; empty without.
        alerts: Alerts of the gallery's watch list: the hits that they are about are marked.

    Returns:
        Frames that could not be read; the page shows a placeholder for each.
    """
    pictures = _Pictures(frames_root)
    people, whys = people or [()] * len(results), whys or [()] * len(results)
    watched = _watched(alerts)
    searches = [
        _search(result, pictures, persons, reasons, watched)
        for result, persons, reasons in zip(results, people, whys, strict=True)
    ]
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
    plain = [plain_result(*each) for each in zip(results, people, whys, strict=True)]
    write_json(folder / "search.json", plain)
    return pictures.missing


def plain_result(
    result: SearchResult, people: Sequence[Person] = (), whys: Sequence[Why] = ()
) -> dict[str, Any]:
    """An answer with its probable persons and reasons as plain values."""
    plain = result.to_json()
    for hit, why in zip(plain["hits"], whys, strict=False):
        hit["why"] = why.to_json()
    return plain | ({"persons": [plain_person(person) for person in people]} if people else {})


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
    words += [f"the first {info.rerank} re-ranked by their neighbourhoods"] if info.rerank else []
    words += ["impossible transitions last"] if info.graph else []
    return words


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

    def some(self, row: Tracklet, root: Path, count: int) -> list[str | None]:
        """As `of`."""
        return self.of(row, root, count=count)


def _search(
    result: SearchResult,
    pictures: _Pictures,
    people: Sequence[Person],
    whys: Sequence[Why],
    watched: dict[str, list[str]],
) -> dict[str, Any]:
    query = result.query
    frames = [
        frame
        for example in query.examples
        for frame in pictures.of(
            example.tracklet, example.root, count=max(1, _QUERY_FRAMES // len(query.examples))
        )
    ]
    shown = _show(query.tracklet, frames) | {"name": query.name}
    if len(query.examples) > 1:
        shown["facts"] = [f"{len(query.examples)} tracklets of one person, fused by {query.fusion}"]
    missing = dict.fromkeys(text for why in whys for text in why.missing)
    return {
        "query": shown,
        "searched": result.searched,
        "best": result.best,
        "prior": None if result.prior is None else show_prior(result.prior),
        "unknown": result.unknown,
        "order_note": result.order_note
        or ("Ranked by calibrated log-odds." if result.order == "calibrated" else ""),
        "people": [show_person(person, query.examples, pictures.some) for person in people],
        "missing_reasons": list(missing),
        "hits": [
            _hit(hit, query, pictures, why=whys[i] if i < len(whys) else None, watched=watched)
            for i, hit in enumerate(result.hits)
        ],
    }


def _hit(
    hit: Hit, query: AnyQuery, pictures: _Pictures, *, why: Why | None, watched: dict[str, list[str]]
) -> dict[str, Any]:
    entry = hit.entry
    looks = None if hit.verdict is None else hit.verdict.probability
    judged = hit.transition is not None and hit.transition.factor < 1
    return {
        "rank": hit.rank,
        "score": hit.score,
        "probability": show_probability(hit),
        "strangers": show_strangers(hit),
        "looks": show_p(looks) if judged else "",
        "factor": f"{hit.transition.factor:g}" if judged and hit.transition else "",
        "accepted": None if hit.verdict is None else hit.verdict.accepted,
        "judgement": "" if hit.transition is None else hit.transition.judgement,
        "transition": "" if hit.transition is None else hit.transition.why,
        "confirmed": hit.confirmed,
        "watched": watched.get(entry.id, []),
        "why": None if why is None else show_why(why),
        "set": entry.stored.name,
        "same": _same_person(query, entry),
        **_show(entry.tracklet, pictures.of(entry.tracklet, entry.root, count=_HIT_FRAMES)),
    }


def _watched(alerts: Sequence[Alert]) -> dict[str, list[str]]:
    """What to say beside the tracklets that alerts are about, by id; those called wrong are left out."""
    found: dict[str, list[str]] = {}
    for alert in alerts:
        said = alert.acknowledged
        if said is None or said.word != "wrong":
            word = "not acknowledged" if said is None else said.word
            found.setdefault(alert.tracklet_id, []).append(f"{alert.person} ({word})")
    return found


def _same_person(query: AnyQuery, entry: Entry) -> bool | None:
    """By their labels; None where one has none or they lie under different roots, whose labels may clash."""
    labels = query.tracklet.identity, entry.tracklet.identity
    if None in labels or query.root != entry.root:
        return None
    return labels[0] == labels[1]


def _show(row: Tracklet, frames: list[str | None]) -> dict[str, Any]:
    place = f" ({row.place})" if row.place else ""
    facts = [
        f"camera {row.camera}{place}" if row.camera else "camera unknown",
        show_span(row),
        f"{len(row.frames)} {'frame' if len(row.frames) == 1 else 'frames'}",
        "" if row.quality is None else f"quality {row.quality:.2f}",
        f"person {row.identity}" if row.identity else "",
    ]
    return {
        "name": row.name,
        "modality": name_of(row.modality),
        "facts": [fact for fact in facts if fact],
        "frames": frames,
    }
