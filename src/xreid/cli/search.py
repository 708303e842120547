"""`xreid search GALLERY --tracklet NAME`: find a person in a gallery, across modalities."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from xreid.cli.gallery_options import AnswersOptions, require_cosine
from xreid.cli.options import parse
from xreid.cli.sub_verbs import long_word
from xreid.core.errors import ConfigError
from xreid.core.tracklets import Modality

if TYPE_CHECKING:
    from xreid.cli.search_case import OpenCase
    from xreid.inference.checkpoint import LoadedModel
    from xreid.retrieval.alerts import Alert
    from xreid.retrieval.camera_graph import CameraGraph
    from xreid.retrieval.columns import Filter
    from xreid.retrieval.feedback import Feedback
    from xreid.retrieval.gallery import Gallery
    from xreid.retrieval.meaning import Meaning
    from xreid.retrieval.persons import Person
    from xreid.retrieval.queries import AnyQuery
    from xreid.retrieval.search import SearchResult
    from xreid.retrieval.why import Why


@dataclass(frozen=True, kw_only=True)
class SearchOptions(AnswersOptions):
    """Search a gallery with tracklets of either modality, by cosine, calibrated where it can be.

    Attributes:
        tracklet: Names of the query tracklets; SET:NAME where several sets of the gallery hold a name.
        query: Embedding set the queries are in; default the gallery itself.
        image: Pictures of a person, cut out, or folders of pictures of one person; need --checkpoint.
        video: A video with a person in it; needs --at, --box and --checkpoint.
        at: The moment in the video, seconds since its start.
        box: The person's box at that moment: x,y,w,h in pixels.
        seen_by: Camera that the pictures or the video come from.
        seen_at: When the pictures were taken, or the video began: ISO 8601, or seconds.
        seen_in: Spectrum of the pictures or the video; auto finds it from the pixels.
        checkpoint: The checkpoint or run that embedded the gallery: for --image, --video and --why.
        fuse: Several queries each for itself (apart), or as one person: by the mean of their vectors, or by
            the greatest of their scores (max).
        modality: Find only visible or infrared tracklets.
        camera: Find only tracklets of these cameras.
        place: Find only tracklets of cameras of these places.
        from_time: Find only tracklets seen at this time or later (also --from): ISO 8601, or seconds.
        to_time: Find only tracklets seen at this time or before (also --to).
        known: Find only tracklets of known people.
        other_cameras: Find only tracklets of other cameras than the query's.
        min_quality: Find only tracklets of this quality or better, 0 to 1.
        label: Find only tracklets that carry all of these labels.
        set: Find only tracklets of these sets, by key or name.
        top: Most hits of a query.
        min_score: Leave out hits of a lower score, so that there may be no answer.
        calibration: What the scores mean: auto takes what the gallery's embeddings carry; none; or
            calibration.json, a checkpoint or a run.
        prior: Probability that a tracklet shows the query's person before both are compared; default one
            such tracklet among those searched.
        order: Hits by cosine, or by calibrated log-odds, which weigh each pair of modalities by itself; by
            cosine all the same, and said so, where the calibration is known not to hold here.
        graph: Camera graph (JSON or YAML): marks transitions that nobody can make in that time.
        rerank: Re-rank that many nearest by their neighbourhoods (k-reciprocal); 0 for none.
        group: Group query and hits into probable persons, with a timeline of each; needs a calibration.
        confirm: Tracklets that are the person: they stand first and become part of the query.
        reject: Tracklets that are somebody else: they do not come back.
        case: Go on with the case of this id or title (of the page, too), or open one: it keeps the query and
            what was confirmed and rejected. Without a query, the case's own is searched for.
        why: Say of the first hits what each part of the score contributed, and which frames match best.
        out: Folder for search.html (with frames) and search.json; default none.
        frames: Root of the frames, where they have moved since they were embedded.
        json: Print JSON instead of a table.
    """

    tracklet: list[str] = field(default_factory=list)
    query: Path | None = None
    image: list[Path] = field(default_factory=list)
    video: Path | None = None
    at: float | None = None
    box: str | None = None
    seen_by: str | None = None
    seen_at: str | None = None
    seen_in: Literal["auto", "vis", "ir"] = "auto"
    checkpoint: Path | None = None
    fuse: Literal["apart", "mean", "max"] = "apart"
    modality: Literal["vis", "ir", "any"] = "any"
    camera: list[str] = field(default_factory=list)
    place: list[str] = field(default_factory=list)
    from_time: str | None = None
    to_time: str | None = None
    known: bool = False
    other_cameras: bool = False
    min_quality: float | None = None
    label: list[str] = field(default_factory=list)
    set: list[str] = field(default_factory=list)
    top: int = 20
    min_score: float | None = None
    calibration: str = "auto"
    prior: float | None = None
    order: Literal["cosine", "calibrated"] = "cosine"
    graph: Path | None = None
    rerank: int = 0
    group: bool = False
    confirm: list[str] = field(default_factory=list)
    reject: list[str] = field(default_factory=list)
    case: str | None = None
    why: bool = False
    out: Path | None = None
    frames: Path | None = None
    json: bool = False

    def __post_init__(self) -> None:
        if self.prior is not None and not 0 < self.prior < 1:
            raise ConfigError("--prior must be a probability", expected="0 < prior < 1", got=str(self.prior))
        require_cosine(self.min_score)
        if self.rerank < 0:
            raise ConfigError("--rerank is out of range", expected="0 or more", got=str(self.rerank))
        if (self.video is None) != (self.at is None) or (self.video is None) != (self.box is None):
            raise ConfigError("--video, --at and --box belong together", todo="Name all three, or none.")
        if (self.video or self.image) and self.checkpoint is None:
            raise ConfigError(
                "pictures and videos must be embedded first",
                todo="Name the checkpoint that embedded the gallery (--checkpoint RUN).",
            )


def main(argv: Sequence[str]) -> int:
    """Run the verb."""
    options = parse(SearchOptions, [long_word(word) for word in argv], verb="search", positional=("gallery",))
    with tempfile.TemporaryDirectory(prefix="xreid-search-") as temporary:
        return _run(options, Path(temporary))


def _run(options: SearchOptions, temporary: Path) -> int:
    from xreid.cli.audited import Audited
    from xreid.cli.search_case import open_case
    from xreid.cli.search_queries import queries_of
    from xreid.cli.search_text import print_results
    from xreid.retrieval.camera_graph_file import read_camera_graph
    from xreid.retrieval.gallery import Gallery
    from xreid.retrieval.page import PageInfo, write_results_page
    from xreid.retrieval.search import search
    from xreid.retrieval.strangers import require_cameras

    gallery = Gallery.open(options.gallery)
    audit = Audited(gallery, options.state)
    rules, meaning = _rules(options), _meaning(gallery, options)
    graph = None if options.graph is None else read_camera_graph(options.graph)
    require_cameras(gallery, graph)
    model = _model(options)
    case = open_case(gallery, options.case, options.state)
    queries = queries_of(gallery, options, model=model, folder=options.out or temporary, case=case)
    results = search(
        gallery,
        queries,
        rules=rules,
        top=options.top,
        min_score=options.min_score,
        meaning=meaning,
        graph=graph,
        rerank_depth=options.rerank,
        feedback=_feedback(gallery, options, case, queries),
    )
    audit.write_search(options, rules, results, None if case is None else case.number)
    if case is not None:
        case.tell(audit.write, confirm=options.confirm, reject=options.reject)
    people = [_people(gallery, result, meaning, graph) if options.group else [] for result in results]
    whys = [_whys(gallery, result, options, model) if options.why else [] for result in results]
    if options.out is not None:
        info = PageInfo(
            rules=rules,
            top=options.top,
            min_score=options.min_score,
            meaning=meaning,
            rerank=options.rerank,
            graph=graph is not None,
        )
        missing = write_results_page(
            results,
            options.out,
            gallery=gallery,
            info=info,
            frames_root=options.frames,
            people=people,
            whys=whys,
            alerts=_alerts(gallery, options),
        )
        print(f"search: page {options.out / 'search.html'}", file=sys.stderr)
        if missing:
            print(
                f"search: {missing} frames are no longer kept, or have moved: --frames names a new root",
                file=sys.stderr,
            )
    if options.json:
        print(json.dumps(_plain(results, people, whys), indent=2))
        if meaning is not None:
            print(f"search: calibration: {meaning.here()}", file=sys.stderr)
    else:
        print_results(results, meaning, people=people, whys=whys)
    return 0


def _rules(options: SearchOptions) -> Filter:
    from xreid.retrieval.columns import Filter
    from xreid.retrieval.ingest_config import parse_time

    return Filter(
        modality=None if options.modality == "any" else Modality(options.modality),
        cameras=tuple(options.camera),
        places=tuple(options.place),
        from_s=None if options.from_time is None else parse_time(options.from_time, option="from"),
        to_s=None if options.to_time is None else parse_time(options.to_time, option="to"),
        known=options.known,
        other_cameras=options.other_cameras,
        min_quality=options.min_quality,
        labels=tuple(options.label),
        sets=tuple(options.set),
    )


def _meaning(gallery: Gallery, options: SearchOptions) -> Meaning | None:
    from dataclasses import replace

    from xreid.evaluation.calibration import read_calibration
    from xreid.retrieval.answers import answers_folder_if_any
    from xreid.retrieval.strangers import meaning_of

    found = None
    if options.calibration != "none":
        given = None if options.calibration == "auto" else read_calibration(Path(options.calibration))
        found = meaning_of(gallery, answers_folder_if_any(gallery, options.state), given)
    if found is not None:
        return replace(found, prior=options.prior, order=options.order)
    if options.prior is not None or options.order != "cosine" or options.group:
        raise ConfigError(
            "--prior, --order calibrated and --group need a calibration",
            got="--calibration none" if options.calibration == "none" else "embeddings that carry none",
            todo="Name one (--calibration RUN), or make one with `xreid calibrate`.",
        )
    return None


def _model(options: SearchOptions) -> LoadedModel | None:
    if options.checkpoint is None or not (options.image or options.video or options.why):
        return None
    from xreid.inference.checkpoint import load_checkpoint

    return load_checkpoint(options.checkpoint)


def _feedback(
    gallery: Gallery, options: SearchOptions, case: OpenCase | None, queries: Sequence[AnyQuery]
) -> Feedback:
    """What was said now and, in a case, before; written down before the search."""
    from xreid.retrieval.feedback import Feedback

    confirmed, rejected = (
        [gallery.find(name).id for name in names] for names in (options.confirm, options.reject)
    )
    said = Feedback(confirmed=tuple(confirmed), rejected=tuple(rejected))
    own = [one.id for query in queries for one in query.examples if one.id is not None]
    return said.withdraw(*own) if case is None else case.judged(queries, confirm=confirmed, reject=rejected)


def _alerts(gallery: Gallery, options: SearchOptions) -> list[Alert]:
    """Alerts of the gallery's watch list, where it has one."""
    from xreid.retrieval.alerts import AlertLog
    from xreid.retrieval.answers import answers_folder

    if options.state is None and "://" in gallery.address:
        return []
    return AlertLog(answers_folder(gallery, options.state)).alerts()


def _people(
    gallery: Gallery, result: SearchResult, meaning: Meaning | None, graph: CameraGraph | None
) -> list[Person]:
    """Probable persons among a query and its hits, the query's own first."""
    from xreid.retrieval.persons import persons_of

    assert meaning is not None
    return persons_of(gallery, result, meaning.require_groups(), graph=graph)


def _whys(
    gallery: Gallery, result: SearchResult, options: SearchOptions, model: LoadedModel | None
) -> list[Why]:
    from xreid.retrieval.footage_queries import embed_like
    from xreid.retrieval.why import explain

    embed = None if model is None else lambda rows: embed_like(gallery, model, rows, Path("/"))
    return explain(gallery, result, embed=embed, frames_root=options.frames)


def _plain(
    results: Sequence[SearchResult], people: Sequence[Sequence[Person]], whys: Sequence[Sequence[Why]]
) -> list[dict[str, object]]:
    from xreid.retrieval.page import plain_result

    return [plain_result(*each) for each in zip(results, people, whys, strict=True)]
