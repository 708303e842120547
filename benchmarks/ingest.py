"""What docs/ingest.md states of the ingest, measured.

python benchmarks/ingest.py modality SITE [NAME...]     # a simulated site: frames and changes
python benchmarks/ingest.py stills FOLDER vis|ir ...    # images of one kind each: chroma and confidence
python benchmarks/ingest.py persons RUN ARCHIVE         # constructed switches: found and false, by threshold
python benchmarks/ingest.py speed VIDEO... FOLDER...    # frames a second of CPU time; folders hold stills
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from xreid.core.tracklets import Modality
from xreid.retrieval.frames import Anchor, open_frames
from xreid.retrieval.image_folder import FolderFrames, read_image
from xreid.retrieval.spectrum import CHROMA_LIMIT, chroma, spectrum_from, switches


def modality(site: Path, names: Sequence[str]) -> None:
    """Frames told right, changes found, and how far from the true frame, over a site's videos."""
    right = frames = found_right = found = true = 0
    off: list[int] = []
    for file in sorted((site / "truth").glob("*.json")):
        if names and file.stem not in names:
            continue
        facts = json.loads(file.read_text())
        truth = np.concatenate([_run(segment) for segment in facts["segments"]])
        source = open_frames(site / "videos" / facts["video"])
        values = np.array([chroma(f.image) for f in source.read(Anchor(), count=10**9, warmup_s=0)])
        changes = switches(values, window=round(source.fps))
        edges = (np.flatnonzero(truth[1:] != truth[:-1]) + 1).tolist()
        told = _told(values, changes)
        right += int((told == truth[: len(told)]).sum())
        frames += len(told)
        near = [min((abs(change - edge) for change in changes), default=10**9) for edge in edges]
        off += [distance for distance in near if distance <= source.fps]
        found_right += sum(distance <= source.fps for distance in near)
        found, true = found + len(changes), true + len(edges)
        grey, colour = values[~truth[: len(values)]], values[truth[: len(values)]]
        spread = [
            f"{name} {v.min():.2f} to {v.max():.2f}" for name, v in (("ir", grey), ("vis", colour)) if len(v)
        ]
        print(f"{file.stem}: changes at {edges}, found at {changes}; chroma {', '.join(spread)}", flush=True)
    print(f"frames right: {right} of {frames}; changes: {true}, found {found_right}, in all {found}")
    print(f"frames between a found change and the true one: {sorted(off)}")


def _run(segment: dict[str, object]) -> np.ndarray:
    length = int(segment["last_frame"]) - int(segment["first_frame"]) + 1  # type: ignore[call-overload]
    return np.full(length, segment["modality"] == "vis")


def _told(values: np.ndarray, changes: Sequence[int]) -> np.ndarray:
    edges = [0, *changes, len(values)]
    runs = [values[a:b] for a, b in pairwise(edges)]
    return np.concatenate(
        [np.full(len(run), spectrum_from(run).modality is Modality.VISIBLE) for run in runs if len(run)]
    )


def stills(pairs: Sequence[str]) -> None:
    """Chroma and confidence of single images of known modality, plain, tinted, noisy, dark, pale."""
    rng = np.random.default_rng(0)
    ways = {
        "plain": lambda i: i,
        "green tint": lambda i: i * np.array([0.6, 1.0, 0.7]),
        "purple tint": lambda i: i * np.array([1.0, 0.7, 0.9]) + np.array([8, 0, 4]),
        "noise 15": lambda i: i + rng.normal(0, 15, i.shape),
        "brightness 0.3": lambda i: i * 0.3,
        "colour 0.3": lambda i: 0.3 * i + 0.7 * i.mean(axis=2, keepdims=True),
    }
    for folder, kind in zip(pairs[::2], pairs[1::2], strict=True):
        images = [
            image for file in FolderFrames(Path(folder)).files if (image := read_image(file)) is not None
        ]
        for name, change in ways.items():
            if kind == "vis" and "tint" in name:
                continue
            changed = [np.clip(change(image.astype(float)), 0, 255).astype(np.uint8) for image in images]
            values = [chroma(image) for image in changed]
            told = [spectrum_from([value]) for value in values]
            right = sum(one.modality.value == kind for one in told)
            low = min(one.confidence for one in told)
            print(
                f"{kind} {name}: {right} of {len(told)} right; chroma {min(values):.2f} to {max(values):.2f}"
                f" (limit {CHROMA_LIMIT}); least confidence {low:.3f}"
            )


def persons(run: Path, archive: Path, most: int) -> None:
    """Two tracklets of two people and one modality put together, against tracklets left alone."""
    from xreid.core.tracklets import Tracklet, TrackletTable
    from xreid.data import open_archive
    from xreid.inference.checkpoint import load_checkpoint
    from xreid.inference.embed import EmbedConfig, Embedder
    from xreid.retrieval.person_switches import agreement, switches_of

    model = load_checkpoint(run)
    size = model.checkpoint.preprocessing.frames
    table = open_archive(archive).test_rows()
    windows, spans = list[Tracklet](), list[tuple[int, int, Tracklet]]()
    step = max(1, len(table) // most)
    for row in list(table)[::step]:
        count = len(row.frames) // size
        if count >= 2:
            spans.append((len(windows), len(windows) + count, row))
        for i in range(count if count >= 2 else 0):
            part = row.frames[i * size : (i + 1) * size]
            windows.append(
                Tracklet(name=str(len(windows)), frames=part, modality=row.modality, camera=row.camera)
            )
    embedder = Embedder(model, TrackletTable(root=table.root, rows=tuple(windows)), config=EmbedConfig())
    vectors = embedder.embed(range(len(windows)))
    alone = [vectors[a:b] for a, b, _ in spans]
    joined = [
        (np.concatenate([one, other]), len(one))
        for (one, first), (other, second) in _pairs(list(zip(alone, (row for *_, row in spans), strict=True)))
        if first.modality is second.modality and first.identity != second.identity
    ]
    lows = [min(agreement(v, p) for p in range(2, len(v) - 1)) for v in alone if len(v) >= 4]
    print(f"{len(lows)} tracklets alone, {len(joined)} switches, windows of {size} frames")
    for limit in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8):
        false = np.mean([low < limit for low in lows]) if lows else float("nan")
        cuts = [switches_of(v, limit=limit) for v, _ in joined]
        exact = np.mean([place in found for found, (_, place) in zip(cuts, joined, strict=True)])
        near = np.mean([any(abs(c - p) <= 1 for c in f) for f, (_, p) in zip(cuts, joined, strict=True)])
        print(f"limit {limit:.1f}: alone but split {false:.3f}; found {near:.3f}, exactly {exact:.3f}")


def _pairs(rows: list) -> list:  # type: ignore[type-arg]
    """Each row with one other, by chance."""
    order = np.random.default_rng(0).permutation(len(rows))
    return [(rows[a], rows[b]) for a, b in zip(order, np.roll(order, 1), strict=True)]


def speed(videos: Sequence[str]) -> None:
    """A whole ingest by motion, in frames a second of this process's CPU time."""
    from xreid.retrieval.ingest import ingest_video
    from xreid.retrieval.ingest_config import IngestConfig

    for video in videos:
        with tempfile.TemporaryDirectory() as folder:
            start, wall = time.process_time(), time.perf_counter()
            config = IngestConfig(detector="motion", stills=Path(video).is_dir())
            report = ingest_video(Path(video), Path(folder) / "out", config=config)
            cpu, wall = time.process_time() - start, time.perf_counter() - wall
        print(
            f"{Path(video).name}: {report.frames} frames, {report.tracklets} tracklets,"
            f" {report.low_quality} low, {report.crops} crops; per CPU second {report.frames / cpu:.0f},"
            f" of time {report.frames / wall:.0f}"
        )


def main() -> None:
    """Run one of them."""
    what, *words = sys.argv[1:]
    if what == "modality":
        modality(Path(words[0]), words[1:])
    elif what == "stills":
        stills(words)
    elif what == "persons":
        persons(Path(words[0]), Path(words[1]), int(words[2]) if len(words) > 2 else 10**9)
    else:
        speed(words)


if __name__ == "__main__":
    main()
