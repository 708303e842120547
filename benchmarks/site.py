"""What raw video costs against true tracks, on a simulated site: detection, tracking, modality, search.

xreid simulate SITE --site --workers 2                      # six cameras, fifty people
python benchmarks/site.py SITE --checkpoint RUN --out OUT   # goes on where it was; OUT/site.json

Both ways run the same ingest, embedding and evaluation. "own": `xreid ingest` finds and follows people.
"true": it is given the true tracks. Tracklets are people's by overlap with the true tracks (own ones that
overlap nobody are strangers that stay in the gallery).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xreid.core.embeddings import EmbeddingSet, read_table
from xreid.core.files import read_json, write_json
from xreid.core.tracklets import Modality, Tracklet, TrackletTable
from xreid.evaluation.directions import Direction
from xreid.evaluation.evaluator import evaluate
from xreid.evaluation.intervals import Bootstrap, estimate, resampled_means
from xreid.evaluation.metrics import METRICS
from xreid.evaluation.protocols import protocol_named
from xreid.evaluation.results import EvaluationResult
from xreid.evaluation.tracking import Boxes, Owner, owners, track_scores
from xreid.retrieval.ingest import ingest_video
from xreid.retrieval.ingest_config import IngestConfig, SourceOptions
from xreid.retrieval.many import ingest_recordings
from xreid.retrieval.merge import finished, merge
from xreid.retrieval.moments import moments
from xreid.retrieval.mot import read_tracks
from xreid.retrieval.sources import find_sources
from xreid.simulation.site import TRUTH, VIDEOS, read_site

DIRECTION = Direction(query=Modality.INFRARED, gallery=Modality.VISIBLE)
SHOWN = ("Rank-1", "mAP")  # of the same questions
LEAST_SHARE = 0.5  # of a tracklet's boxes that must be its owner's


@dataclasses.dataclass(frozen=True, kw_only=True)
class Filmed:
    """The truth about one video."""

    name: str
    path: Path
    tracks: Path
    facts: dict[str, Any]

    @property
    def people(self) -> dict[int, str]:
        return {track["track"]: track["person"] for track in self.facts["tracks"]}

    def modality(self, frame: int) -> Modality:
        """What the camera saw in a frame, counted from 1; ValueError beyond the video."""
        for segment in self.facts["segments"]:
            if segment["first_frame"] <= frame <= segment["last_frame"]:
                return Modality(segment["modality"])
        raise ValueError(frame)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cut:
    """A tracklet of an ingest with its truth: the video, the frames and boxes, and whose it is."""

    row: Tracklet
    video: str
    boxes: dict[int, tuple[float, float, float, float]]
    owner: Owner | None


def filmed(site: Path) -> list[Filmed]:
    """The videos of a simulated site, each with its truth."""
    read_site(site)
    found = []
    for path in sorted((site / TRUTH).glob("*.json")):
        facts = read_json(path, what="truth")
        video = site / VIDEOS / facts["video"]
        found.append(Filmed(name=path.stem, path=video, tracks=path.with_suffix(".txt"), facts=facts))
    return found


def ingest_own(site: Path, out: Path, *, config: IngestConfig, jobs: int) -> float:
    """Ingest the videos as a user would; seconds."""
    sources = find_sources([str(site / VIDEOS)], options=SourceOptions(), config=config)
    start = time.perf_counter()
    report = ingest_recordings(sources.recordings, out, config=config, jobs=jobs, note=print)
    for name, fault in report.failed.items():
        print(f"  {name}: {fault}")
    return time.perf_counter() - start


def ingest_true(videos: Sequence[Filmed], out: Path) -> None:
    """Ingest each video with its true tracks."""
    for video in videos:
        if not video.facts["tracks"]:
            continue
        config = IngestConfig(
            tracks=video.tracks, camera=video.facts["camera"], start=repr(video.facts["start_s"])
        )
        folder = out / "recordings" / video.name
        ingest_video(video.path, folder, config=config, recording=video.name, may_be_empty=True)
    merge(out)


def true_boxes(video: Filmed) -> Boxes:
    """Frame -> true track -> x, y, width, height, in pixels."""
    if not video.facts["tracks"]:
        return {}
    frames = read_tracks(video.tracks).by_frame
    return {f: {b.track: (b.x, b.y, b.width, b.height) for b in boxes} for f, boxes in frames.items()}


def cuts_of(folder: Path, videos: Sequence[Filmed]) -> list[Cut]:
    """The tracklets of an ingest, each with its owner."""
    rows = {row.name: row for row in read_table(folder / "tracklets.parquet", root=folder, source="site")}
    pieces: dict[str, dict[str, dict[int, Any]]] = defaultdict(lambda: defaultdict(dict))
    for moment in moments(folder):
        pieces[moment.tracklet][Path(moment.source).stem][moment.frame] = moment.box
    # Who goes on in the next file is judged by the file that shows most of him.
    source = {name: max(of, key=lambda video: len(of[video])) for name, of in pieces.items()}
    boxes = {name: of[source[name]] for name, of in pieces.items()}
    cuts = []
    for video in videos:
        names = sorted(name for name in rows if source[name] == video.name)
        found: dict[int, dict[int, Any]] = defaultdict(dict)
        for number, name in enumerate(names):
            for frame, box in boxes[name].items():
                found[frame][number] = tuple(map(float, box))
        owner = owners(true_boxes(video), found)
        cuts += [
            Cut(row=rows[name], video=video.name, boxes=boxes[name], owner=owner.get(number))
            for number, name in enumerate(names)
        ]
    return cuts


def with_identities(folder: Path, cuts: Sequence[Cut], videos: Sequence[Filmed]) -> TrackletTable:
    """The table with true people; those of nobody, or of several, are strangers."""
    people = {video.name: video.people for video in videos}
    rows = []
    for cut in cuts:
        known = cut.owner is not None and cut.owner.share >= LEAST_SHARE
        who = people[cut.video][cut.owner.track] if known and cut.owner else f"stranger-{cut.row.name}"
        rows.append(dataclasses.replace(cut.row, identity=who))
    return TrackletTable(root=folder, rows=tuple(rows), source="simulated site", licence="synthetic")


def embed(checkpoint: Path, table: TrackletTable, out: Path) -> EmbeddingSet:
    """A table embedded on the CPU, as `xreid embed` does it."""
    import torch

    from xreid.inference.checkpoint import load_checkpoint
    from xreid.inference.embed import embed_tracklets

    return embed_tracklets(load_checkpoint(checkpoint, torch.device("cpu")), table, out=out)


def modality_scores(cuts: Sequence[Cut], videos: Sequence[Filmed]) -> dict[str, Any]:
    """How often the modality is right, by tracklet (majority of its frames) and by crop."""
    by_name = {video.name: video for video in videos}
    right = crops = tracklets = mixed = 0
    for cut in cuts:
        true = [by_name[cut.video].modality(frame) for frame in cut.boxes]
        hits = sum(modality is cut.row.modality for modality in true)
        right, crops = right + hits, crops + len(true)
        tracklets += hits > len(true) / 2
        mixed += 0 < hits < len(true)
    return {
        "tracklets": len(cuts),
        "tracklets_right": tracklets,
        "tracklets_over_a_switch": mixed,
        "crops": crops,
        "crops_right": right,
    }


def purity(cuts: Sequence[Cut], videos: Sequence[Filmed]) -> dict[str, Any]:
    """How whole and how pure the tracklets are; true tracks count where ingest keeps them (8 boxes)."""
    shares = [cut.owner.share if cut.owner else 0.0 for cut in cuts]
    seen = {(c.video, c.owner.track) for c in cuts if c.owner and c.owner.share >= LEAST_SHARE}
    true = {(v.name, t["track"]) for v in videos for t in v.facts["tracks"] if t["frames"] >= 8}
    return {
        "tracklets": len(cuts),
        "true_tracks": len(true),
        "true_tracks_with_a_tracklet": len(seen & true),
        "strangers": sum(share < LEAST_SHARE for share in shares),
        "pure_at_90_percent": sum(share >= 0.9 for share in shares),
    }


def search_scores(result: EvaluationResult) -> dict[str, Any]:
    """Rank-1, Rank-5 and mAP, fractions with their intervals; numbers of queries and gallery tracklets."""
    metrics = {
        name: {"value": e.value, "low": e.low, "high": e.high}
        for name, e in result.metrics.items()
        if name in ("Rank-1", "Rank-5", "mAP")
    }
    return {
        "queries": int((result.ranks.counts > 0).sum()),
        "gallery": len(result.selection.gallery),
        **metrics,
    }


def same_questions(
    result: EvaluationResult, cuts: Sequence[Cut], asked: Mapping[tuple[str, int], str]
) -> dict[str, Any]:
    """Scores per true infrared passage: its longest tracklet asks; one without a tracklet has failed.

    Args:
        result: Of an ingest.
        cuts: Its tracklets.
        asked: Video and track of each passage -> the person, of whom intervals are drawn.
    """
    scores = dict(zip(result.query_names, result.per_query, strict=True))
    longest: dict[tuple[str, int], Cut] = {}
    for cut in cuts:
        if cut.row.modality is Modality.INFRARED and cut.owner and cut.owner.share >= LEAST_SHARE:
            key = (cut.video, cut.owner.track)
            if key not in longest or len(cut.boxes) > len(longest[key].boxes):
                longest[key] = cut
    values = []
    for key in asked:
        row = scores.get(longest[key].row.name) if key in longest else None
        values.append(np.zeros(len(METRICS)) if row is None or np.isnan(row).any() else row)
    found = estimate(np.array(values), list(asked.values()), bootstrap=Bootstrap())
    places = [METRICS.index(name) for name in SHOWN]
    return {
        "questions": len(asked),
        "without_tracklet": sum(key not in longest for key in asked),
        **{name: dataclasses.asdict(found[name]) for name in SHOWN},
        "people": list(asked.values()),
        "by_question": {
            f"{key[0]} {key[1]}": [float(row[i]) for i in places]
            for key, row in zip(asked, values, strict=True)
        },
    }


def minus(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    """What changed on the same questions, paired, with intervals that draw people."""
    if ours["by_question"].keys() != theirs["by_question"].keys():
        raise SystemExit("--against is of other questions: another site")
    ahead = np.array([np.subtract(v, theirs["by_question"][k]) for k, v in ours["by_question"].items()])
    draws = resampled_means(ahead, ours["people"], bootstrap=Bootstrap())
    assert draws is not None
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    ends = zip(SHOWN, ahead.mean(axis=0), low, high, strict=True)
    return {name: {"value": float(v), "low": float(a), "high": float(b)} for name, v, a, b in ends}


def main() -> None:
    """Measure a site from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("site", type=Path)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--detector", default="motion")
    parser.add_argument("--tracker", default="ocsort")
    parser.add_argument(
        "--by_person",
        choices=("split", "join"),
        help="ingest with the checkpoint too: tracks split where the person changes, or also joined",
    )
    parser.add_argument(
        "--against", type=Path, help="OUT of another run: the differences on the same questions"
    )
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    other = None  # read before hours of work
    if options.against is not None:
        other = read_json(options.against / "site.json", what="site benchmark")
    videos = filmed(options.site)
    own, true = options.out / "own", options.out / "true"
    config = IngestConfig(
        detector=options.detector,
        tracker=options.tracker,
        checkpoint=options.checkpoint if options.by_person else None,
        join=options.by_person == "join",
    )
    seconds = ingest_own(options.site, own, config=config, jobs=options.jobs)
    ingest_true(videos, true)
    found = {folder.name: folder / "tracks.txt" for folder in finished(own)}
    found = {name: path for name, path in found.items() if path.is_file()}
    scores = track_scores({video.name: video.tracks for video in videos}, found)
    report: dict[str, Any] = {
        "site": read_site(options.site)["config"],
        "ingest_seconds": round(seconds, 1),
        "tracking": dataclasses.asdict(scores),
    }
    results: dict[str, EvaluationResult] = {}
    cuts: dict[str, list[Cut]] = {}
    for name, folder in (("own", own), ("true", true)):
        cuts[name] = cuts_of(folder, videos)
        table = with_identities(folder, cuts[name], videos)
        vectors = embed(options.checkpoint, table, options.out / f"embeddings-{name}")
        results[name] = evaluate(vectors, protocol_named("generic", table=table), direction=DIRECTION)
        report[name] = {
            "purity": purity(cuts[name], videos),
            "modality": modality_scores(cuts[name], videos),
            "search": search_scores(results[name]),
        }
    valid = dict(zip(results["true"].query_names, results["true"].ranks.counts > 0, strict=True))
    people = {(video.name, track): person for video in videos for track, person in video.people.items()}
    keys = sorted(
        {(c.video, c.owner.track) for c in cuts["true"] if c.owner and valid.get(c.row.name, False)}
    )
    asked = {key: people[key] for key in keys}
    for name in ("true", "own"):
        report[name]["same_questions"] = same_questions(results[name], cuts[name], asked)
    if other is not None:
        report["own"]["minus_against"] = minus(
            report["own"]["same_questions"], other["own"]["same_questions"]
        )
    write_json(options.out / "site.json", report)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
