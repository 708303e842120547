"""Alerts on a simulated site: who is watched for from one session on, and which alerts are right.

    python benchmarks/site.py SITE --checkpoint RUN --out OUT         # first: tracklets with true people
    python benchmarks/site_alerts.py OUT --calibration CALIBRATION.json [--graph SITE/graph.json]

Day, dusk and night are appended to a gallery in turn, as footage comes in. After each, everybody who has not
been seen before is put on the watch list, with the longest of their tracklets of that session or with all of
them; the sessions that follow raise alerts, by the same code as `xreid watch check`. An alert is right if the
tracklet is that person's by the true tracks, wrong if it is somebody else's, unclear if it is of several
people or of nobody. With a camera graph, the calibration is first held against the strangers of what is in
the gallery so far (`xreid gallery strangers`), and the thresholds of the place are used.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from xreid.core.embeddings import EmbeddingSet
from xreid.core.files import write_json
from xreid.core.tracklets import Tracklet
from xreid.evaluation.calibration import Calibration, read_calibration
from xreid.evaluation.pairs import KINDS, kind_of
from xreid.retrieval.alerts import Alert
from xreid.retrieval.answers import answers_folder
from xreid.retrieval.camera_graph import CameraGraph
from xreid.retrieval.camera_graph_file import read_camera_graph
from xreid.retrieval.gallery import Gallery
from xreid.retrieval.queries import queries_from_gallery, together
from xreid.retrieval.strangers import check_gallery, keep_check
from xreid.retrieval.watch import WatchList, watched
from xreid.retrieval.watching import check_watch

_STRANGER = "stranger-"


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Somebody who is watched for: their examples, and the tracklets that came after, theirs and others'."""

    person: str
    examples: tuple[Tracklet, ...]
    later: tuple[Tracklet, ...] = ()
    others: int = 0


def sessions(rows: Sequence[Tracklet]) -> Iterator[list[int]]:
    """Indices of the tracklets by session, in order of time: an hour without anybody ends one."""
    order = sorted(range(len(rows)), key=lambda index: rows[index].start_s or 0.0)
    current: list[int] = []
    for index in order:
        if current and (rows[index].start_s or 0.0) - (rows[current[-1]].start_s or 0.0) > 3600:
            yield current
            current = []
        current.append(index)
    yield current


def newcomers(rows: Sequence[Tracklet], known: set[str]) -> dict[str, list[Tracklet]]:
    """People whom nobody watches for yet: their tracklets, longest first."""
    found: dict[str, list[Tracklet]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (-len(row.frames), row.name)):
        if row.identity and not row.identity.startswith(_STRANGER) and row.identity not in known:
            found[row.identity].append(row)
    return found


def run(
    embeddings: EmbeddingSet,
    calibration: Calibration,
    *,
    far: float,
    every: bool,
    graph: CameraGraph | None = None,
) -> tuple[list[Watch], list[Alert]]:
    """Append session after session; who was watched for, and all alerts."""
    watches: dict[str, Watch] = {}
    with tempfile.TemporaryDirectory() as folder:
        gallery = Gallery.create(folder)
        answers = answers_folder(gallery)
        alerts: list[Alert] = []
        for number, chosen in enumerate(sessions(embeddings.table.rows)):
            part = embeddings.take(chosen)
            gallery.append(part, name=f"session {number}")
            if graph is not None:
                keep_check(answers, check_gallery(gallery, calibration, graph=graph))
            alerts += check_watch(gallery, answers, calibration=calibration).new
            for person, watch in watches.items():
                later = tuple(row for row in part.table.rows if row.identity == person)
                others = watch.others + len(part) - len(later)
                watches[person] = replace(watch, later=watch.later + later, others=others)
            for person, rows in newcomers(part.table.rows, set(watches)).items():
                examples = tuple(rows if every else rows[:1])
                _watch(gallery, answers, person, examples, far=far)
                watches[person] = Watch(person=person, examples=examples)
    return list(watches.values()), alerts


def _watch(gallery: Gallery, answers: Path, person: str, rows: Sequence[Tracklet], *, far: float) -> None:
    assert gallery.origin is not None
    query = together(queries_from_gallery(gallery, [row.name for row in rows]))
    WatchList(answers).add(
        watched(
            query,
            name=person,
            reason="benchmark",
            origin=gallery.origin,
            far=far,
            before=[stored.key for stored in gallery.sets],
            now=datetime.now(UTC),
        )
    )


def judged(watches: Sequence[Watch], alerts: Sequence[Alert], who: Mapping[str, str]) -> dict[str, Any]:
    """Alerts right, wrong and unclear; what was missed; who was found at all."""
    right = {(a.person, a.tracklet) for a in alerts if who[a.tracklet] == a.person}
    unclear = sum(who[a.tracklet].startswith(_STRANGER) for a in alerts)
    expected = {(watch.person, row.name) for watch in watches for row in watch.later}
    come = {person for person, _ in expected}
    return {
        "watched": len(watches),
        "alerts": len(alerts),
        "right": len(right),
        "unclear": unclear,
        "wrong": len(alerts) - len(right) - unclear,
        "tracklets_of_others": sum(watch.others for watch in watches),
        "tracklets_to_find": len(expected),
        "missed": len(expected - right),
        "people_who_come_again": len(come),
        "people_found": len({person for person, _ in right}),
        "by_kind": by_kind(watches, right),
    }


def by_kind(watches: Sequence[Watch], right: set[tuple[str, str]]) -> dict[str, str]:
    """Found of expected by the modalities of the (first) example and of the tracklet."""
    found, all_of = dict.fromkeys(KINDS, 0), dict.fromkeys(KINDS, 0)
    for watch in watches:
        for row in watch.later:
            kind = kind_of(watch.examples[0].modality, row.modality)
            all_of[kind] += 1
            found[kind] += (watch.person, row.name) in right
    return {kind: f"{found[kind]} of {all_of[kind]}" for kind in KINDS}


def main() -> None:
    """Print and store, for each rate asked for, how many alerts are right and how many people are found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="what benchmarks/site.py wrote")
    parser.add_argument("--calibration", type=Path, required=True)
    parser.add_argument("--graph", type=Path, help="check the calibration at the place first")
    parser.add_argument("--far", type=float, nargs="+", default=[0.001, 0.01])
    options = parser.parse_args()
    calibration, report = read_calibration(options.calibration), {}
    graph = None if options.graph is None else read_camera_graph(options.graph)
    for name in ("true", "own"):
        embeddings = EmbeddingSet.load(options.out / f"embeddings-{name}")
        who = {row.name: row.identity or _STRANGER for row in embeddings.table.rows}
        for far in options.far:
            for every in (False, True):
                watches, alerts = run(embeddings, calibration, far=far, every=every, graph=graph)
                examples = "all" if every else "one"
                report[f"{name}, far {far:g}, {examples}"] = judged(watches, alerts, who)
    write_json(options.out / ("alerts.json" if graph is None else "alerts-checked.json"), report)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
