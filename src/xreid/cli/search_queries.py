"""What a search on the command line asks with: names, pictures, a box in a video."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from xreid.core.errors import ConfigError
from xreid.core.tracklets import Modality
from xreid.retrieval.gallery import Gallery
from xreid.retrieval.queries import AnyQuery, Query, queries_from_gallery, queries_from_set, together

if TYPE_CHECKING:
    from xreid.cli.search import SearchOptions
    from xreid.cli.search_case import OpenCase
    from xreid.inference.checkpoint import LoadedModel

Box = tuple[float, float, float, float]


def queries_of(
    gallery: Gallery,
    options: SearchOptions,
    *,
    model: LoadedModel | None,
    folder: Path,
    case: OpenCase | None = None,
) -> Sequence[AnyQuery]:
    """The queries that the options name, as one where they are to be put together.

    Args:
        gallery: What will be searched.
        options: Of the verb.
        model: For pictures and videos.
        folder: Where crops of a video are written.
        case: Whose own queries count where none are named: as one, for a case is about one person.
    """
    queries = [*_named(gallery, options), *_seen(gallery, options, model, folder)]
    if not queries and case is not None and (kept := case.queries()):
        return [together(kept, fusion="mean" if options.fuse == "apart" else options.fuse)]
    if not queries:
        raise ConfigError(
            "no query was named", expected=f"--tracklet NAME, of {_some(gallery, options.query)}"
        )
    return queries if options.fuse == "apart" else [together(queries, fusion=options.fuse)]


def parse_box(text: str) -> Box:
    """x,y,w,h in pixels.

    Raises:
        ConfigError: That is no box.
    """
    try:
        x, y, width, height = (float(word) for word in text.split(","))
        if not (width > 0 and height > 0 and all(abs(v) < 1e6 for v in (x, y, width, height))):
            raise ValueError
    except ValueError:
        raise ConfigError(
            "--box is no box", expected="x,y,w,h in pixels, e.g. 120,40,60,170", got=text
        ) from None
    return x, y, width, height


def _named(gallery: Gallery, options: SearchOptions) -> list[Query]:
    if not options.tracklet:
        return []
    if options.query is None:
        return queries_from_gallery(gallery, options.tracklet)
    from xreid.core.embeddings import EmbeddingSet

    return queries_from_set(gallery, EmbeddingSet.load(options.query), options.tracklet)


def _seen(gallery: Gallery, options: SearchOptions, model: LoadedModel | None, folder: Path) -> list[Query]:
    if model is None or not (options.image or options.video):
        return []
    from xreid.retrieval.footage_queries import SeenBy, query_from_pictures, query_from_video
    from xreid.retrieval.ingest_config import parse_time

    seen = SeenBy(
        camera=options.seen_by,
        start_s=None if options.seen_at is None else parse_time(options.seen_at, option="seen-at"),
        modality=None if options.seen_in == "auto" else Modality(options.seen_in),
    )
    found = [query_from_pictures(gallery, model, path, seen=seen) for path in options.image]
    if options.video is not None:
        assert options.box is not None
        assert options.at is not None
        box = parse_box(options.box)
        found.append(
            query_from_video(
                gallery, model, options.video, at_s=options.at, box=box, folder=folder, seen=seen
            )
        )
    return found


def _some(gallery: Gallery, query: Path | None) -> str:
    from xreid.core.embeddings import EmbeddingSet

    if query is None:
        rows = [entry.tracklet for entry in gallery.page(limit=9)]
    else:
        rows = list(EmbeddingSet.load(query).table)
    return ", ".join(row.name for row in rows[:8]) + (", ..." if len(rows) > 8 else "") or "an empty gallery"
