"""Finished recordings of a live camera's rolling files, made without a video."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from xreid.core.files import write_json
from xreid.retrieval.crops import Crop
from xreid.retrieval.ingest_config import IngestConfig, IngestReport
from xreid.retrieval.merge import RECORDINGS
from xreid.retrieval.recorder import stamp_of
from xreid.retrieval.records import Records

START, ROLL_S = 1_795_210_200.0, 10.0


def name_of(number: int, camera: str = "gate") -> str:
    return f"{camera}_{stamp_of(START + number * ROLL_S)}"


def make_recording(
    out: Path,
    number: int,
    people: Sequence[int],
    *,
    continues: Mapping[int, int] | None = None,
    opened: Sequence[int] = (),
    camera: str = "gate",
) -> Path:
    """A finished ingest.

    Args:
        out: Folder of all recordings.
        number: Of the file.
        people: Number of crops of each tracklet; more than six are joined of two tracks.
        continues: Places of tracklets that go on -> places in the file before.
        opened: Places of those that may go on in the next one.
        camera: The camera.
    """
    name = name_of(number, camera)
    folder = out / RECORDINGS / name
    folder.mkdir(parents=True)
    config = IngestConfig(camera=camera, start=repr(START + number * ROLL_S), min_frames=3)
    kept = {f"{name}-{place:04d}": _crops(place, count) for place, count in enumerate(people)}
    cosines = {one: {6: 0.75} for one, crops in kept.items() if len(crops) > 6}
    records = Records(folder, source=out / "video" / f"{name}.mkv", recording=name, config=config)
    report = IngestReport(frames=100, **(records.write(kept, cosines) if kept else {}))
    before = name_of(number - 1, camera)
    edge = {
        "continues": {f"{name}-{a:04d}": f"{before}-{b:04d}" for a, b in (continues or {}).items()},
        "open": [f"{name}-{place:04d}" for place in opened],
        "short": [f"{name}-{place:04d}" for place, count in enumerate(people) if count < 3],
    }
    facts = {"options": dataclasses.asdict(config), "report": dataclasses.asdict(report), "bridge": edge}
    write_json(folder / "ingest.json", facts)
    return folder


def _crops(place: int, count: int) -> list[Crop]:
    boxes = ((10.0 + 30 * place + i, 40.0 + i / 4) for i in range(count))
    return [
        Crop(frame=i + 1, x=x, y=50.0, width=w, height=100.0, score=0.9, time_s=i / 10, chroma=5.0)
        for i, (x, w) in enumerate(boxes)
    ]
