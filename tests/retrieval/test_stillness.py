"""What stays where it is, pixel by pixel, is marked as a thing; people who stand are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from tests.retrieval.footage import draw_person, wall, write_video
from xreid.core.embeddings import read_table
from xreid.retrieval.crops import Crop, frame_file
from xreid.retrieval.frames import Image
from xreid.retrieval.ingest import ingest_video
from xreid.retrieval.ingest_config import IngestConfig
from xreid.retrieval.stillness import never_moves


def stood(tmp_path: Path, *, sway: Callable[[int], int], drift: float = 0.0, count: int = 40) -> bool:
    """The verdict about a figure before a wall, its crops cut from one place, its box drifting."""
    rng = np.random.default_rng(0)
    crops = []
    for i in range(count):
        image = wall()
        draw_person(image, x=100 + sway(i), foot=200, colour=(30, 30, 200))
        noisy = np.clip(image + rng.normal(0, 2.0, image.shape), 0, 255).astype(np.uint8)
        file = tmp_path / frame_file("a", i + 1)
        file.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(file), noisy[100:200, 80:140])
        box = {"x": 80.0 + drift * i, "y": 100.0, "width": 60.0, "height": 100.0}
        crops.append(Crop(frame=i + 1, score=1.0, time_s=i / 10, chroma=20.0, **box))
    return never_moves("a", crops, tmp_path)


def test_what_never_moves(tmp_path: Path) -> None:
    assert stood(tmp_path, sway=lambda i: 0)
    assert not stood(tmp_path, sway=lambda i: 8 * (i // 5 % 2)), "people sway"
    assert not stood(tmp_path, sway=lambda i: 0, drift=1.0), "the box goes somewhere"
    assert not stood(tmp_path, sway=lambda i: 0, count=1), "one picture says nothing"


def leaves_a_thing(count: int) -> list[Image]:
    """A figure that walks through; where it has passed, something as large as a person stays."""
    rng = np.random.default_rng(1)
    frames = []
    for i in range(count):
        image = wall()
        if i > 40:
            cv2.rectangle(image, (140, 120), (165, 200), (235, 235, 235), -1)
        draw_person(image, x=20 + 4 * (i - 10), foot=200, colour=(30, 30, 200))
        frames.append(np.clip(image + rng.normal(0, 2.0, image.shape), 0, 255).astype(np.uint8))
    return frames


def test_a_thing_that_somebody_left_is_kept_apart(tmp_path: Path) -> None:
    video = write_video(tmp_path / "gate.mp4", leaves_a_thing(110))
    report = ingest_video(video, tmp_path / "out", config=IngestConfig(detector="motion"))
    rows = read_table(tmp_path / "out" / "tracklets.parquet", root=tmp_path / "out", source="").rows
    things = [row for row in rows if row.quality == 0]
    assert report.unmoved == len(things) == 1
    assert report.tracklets > 1
    assert "most likely things" in " ".join(report.remarks())


def test_given_tracks_are_believed(tmp_path: Path) -> None:
    video = write_video(tmp_path / "gate.mp4", leaves_a_thing(110))
    tracks = tmp_path / "gate.txt"
    tracks.write_text("".join(f"{i},1,138,118,30,84,1,1,1\n" for i in range(60, 100)))
    config = IngestConfig(detector="motion", tracks=tracks)
    assert ingest_video(video, tmp_path / "out", config=config).unmoved == 0
