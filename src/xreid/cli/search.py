"""`xreid search GALLERY --tracklet NAME`: find a person in a gallery, across modalities."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from xreid.cli.options import parse
from xreid.core.errors import ConfigError
from xreid.core.tracklets import Modality

if TYPE_CHECKING:
    from xreid.retrieval.columns import Filter
    from xreid.retrieval.gallery import Gallery
    from xreid.retrieval.meaning import Meaning
    from xreid.retrieval.search import Query, SearchResult


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """Search a gallery with tracklets of either modality, by cosine, calibrated where it can be.

    Attributes:
        gallery: Folder made by `xreid gallery`, or the address of a Milvus server.
        tracklet: Names of the query tracklets; SET:NAME where several sets of the gallery hold a name.
        query: Embedding set the queries are in; default the gallery itself.
        modality: Find only visible or infrared tracklets.
        camera: Find only tracklets of these cameras.
        from_time: Find only tracklets seen at this time or later (also --from): ISO 8601, or seconds.
        to_time: Find only tracklets seen at this time or before (also --to).
        known: Find only tracklets of known people.
        other_cameras: Find only tracklets of other cameras than the query's.
        top: Most hits of a query.
        min_score: Leave out hits of a lower cosine, so that there may be no answer.
        calibration: What the scores mean: auto takes what the gallery's embeddings carry; none; or
            calibration.json, a checkpoint or a run.
        prior: Probability that a tracklet shows the query's person before both are compared; default one
            such tracklet among those searched.
        order: Hits by cosine, or by calibrated log-odds, which weigh each pair of modalities by itself.
        out: Folder for search.html (with frames) and search.json; default none.
        frames: Root of the frames, where they have moved since they were embedded.
        json: Print JSON instead of a table.
    """

    gallery: str
    tracklet: list[str] = field(default_factory=list)
    query: Path | None = None
    modality: Literal["vis", "ir", "any"] = "any"
    camera: list[str] = field(default_factory=list)
    from_time: str | None = None
    to_time: str | None = None
    known: bool = False
    other_cameras: bool = False
    top: int = 20
    min_score: float | None = None
    calibration: str = "auto"
    prior: float | None = None
    order: Literal["cosine", "calibrated"] = "cosine"
    out: Path | None = None
    frames: Path | None = None
    json: bool = False

    def __post_init__(self) -> None:
        if self.prior is not None and not 0 < self.prior < 1:
            raise ConfigError("--prior must be a probability", expected="0 < prior < 1", got=str(self.prior))


def main(argv: Sequence[str]) -> int:
    """Run the verb."""
    options = parse(SearchOptions, [_long(word) for word in argv], verb="search", positional=("gallery",))
    from xreid.retrieval.gallery import Gallery
    from xreid.retrieval.page import PageInfo, write_results_page
    from xreid.retrieval.search import search

    gallery = Gallery.open(options.gallery)
    rules = _rules(options)
    meaning = _meaning(gallery, options)
    results = search(
        gallery,
        _queries(gallery, options),
        rules=rules,
        top=options.top,
        min_score=options.min_score,
        meaning=meaning,
    )
    if options.out is not None:
        info = PageInfo(rules=rules, top=options.top, min_score=options.min_score, meaning=meaning)
        missing = write_results_page(
            results, options.out, gallery=gallery, info=info, frames_root=options.frames
        )
        print(f"search: page {options.out / 'search.html'}", file=sys.stderr)
        if missing:
            print(f"search: {missing} frames could not be read; --frames names a new root", file=sys.stderr)
    if options.json:
        print(json.dumps([result.to_json() for result in results], indent=2))
    else:
        _print(results, meaning)
    return 0


def _long(word: str) -> str:
    """--from and --to, which Python has no field names for."""
    name, equals, value = word.partition("=")
    return {"--from": "--from_time", "--to": "--to_time"}.get(name, name) + equals + value


def _rules(options: SearchOptions) -> Filter:
    from xreid.retrieval.columns import Filter
    from xreid.retrieval.ingest_config import parse_time

    return Filter(
        modality=None if options.modality == "any" else Modality(options.modality),
        cameras=tuple(options.camera),
        from_s=None if options.from_time is None else parse_time(options.from_time, option="from"),
        to_s=None if options.to_time is None else parse_time(options.to_time, option="to"),
        known=options.known,
        other_cameras=options.other_cameras,
    )


def _meaning(gallery: Gallery, options: SearchOptions) -> Meaning | None:
    from xreid.evaluation.calibration import read_calibration
    from xreid.retrieval.meaning import Meaning

    found = None
    if options.calibration == "auto":
        found = gallery.calibration
    elif options.calibration != "none":
        found = read_calibration(Path(options.calibration))
    if found is not None:
        return Meaning(calibration=found, prior=options.prior, order=options.order)
    if options.prior is not None or options.order != "cosine":
        raise ConfigError(
            "--prior and --order calibrated need a calibration",
            got="--calibration none" if options.calibration == "none" else "embeddings that carry none",
            todo="Name one (--calibration RUN), or make one with `xreid calibrate`.",
        )
    return None


def _queries(gallery: Gallery, options: SearchOptions) -> list[Query]:
    from xreid.core.embeddings import EmbeddingSet
    from xreid.retrieval.search import queries_from_gallery, queries_from_set

    embeddings = EmbeddingSet.load(options.query) if options.query else None
    if not options.tracklet:
        page = gallery.page(limit=9) if embeddings is None else ()
        rows = [entry.tracklet for entry in page] if embeddings is None else embeddings.table.rows
        names = ", ".join(row.name for row in rows[:8]) + (", ..." if len(rows) > 8 else "")
        raise ConfigError("no query was named", expected=f"--tracklet NAME, of {names or 'an empty gallery'}")
    if embeddings is None:
        return queries_from_gallery(gallery, options.tracklet)
    return queries_from_set(gallery, embeddings, options.tracklet)


def _print(results: Sequence[SearchResult], meaning: Meaning | None) -> None:
    from rich.console import Console
    from rich.table import Table

    from xreid.retrieval.page import name_of, show_prior, show_probability, show_span
    from xreid.retrieval.search import SCORE_NOTE

    console = Console(markup=False, highlight=False)
    console.width = max(console.width, 110)  # rows stay rows in files and pipes
    for result in results:
        row = result.query.tracklet
        camera = f"camera {row.camera}" if row.camera else "camera unknown"
        console.print(f"query {row.name}: {name_of(row.modality)}, {camera}; {result.searched} searched")
        if not result.hits:
            best = "" if result.best is None else f" (the best score is {result.best:.3f})"
            console.print(f"no answer{best}\n")
            continue
        if result.prior is not None:
            told = "unknown: no hit reaches the threshold; " if result.unknown else ""
            console.print(f"{told}probabilities at prior {show_prior(result.prior)}")
        table = Table("rank", "tracklet", "set", "camera", "modality", "time", "person", "score", box=None)
        if meaning is not None:
            table.add_column("same person")
        for hit in result.hits:
            found = hit.entry.tracklet
            when, who = show_span(found) or "-", found.identity or "-"
            source, camera = hit.entry.stored.name, found.camera or "-"
            facts = (found.name, source, camera, name_of(found.modality), when, who)
            below = hit.verdict is not None and hit.verdict.accepted is False
            meant = [f"{show_probability(hit) or '-'}{', unknown' if below else ''}"] if meaning else []
            table.add_row(str(hit.rank), *facts, f"{hit.score:.3f}", *meant)
        console.print(table)
        console.print()
    console.print(meaning.note() if meaning else SCORE_NOTE)
