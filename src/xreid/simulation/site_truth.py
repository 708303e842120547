"""What is true about a recording: who was where, and by what light; as MOT rows, JSON and one table."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from xreid.core.files import atomic_file, read_json, write_json
from xreid.core.tracklets import Modality
from xreid.simulation.camera import FRAME_SIZE
from xreid.simulation.site_config import SiteConfig
from xreid.simulation.site_film import FilmedFrame, TrueBox
from xreid.simulation.site_plan import Recording, plan_passages

#: Rows that show less than this of a person, or one lower than this, do not count (flag 0 in the MOT file).
LEAST_VISIBILITY, LEAST_HEIGHT = 0.1, 20.0
_PEDESTRIAN = 1
COLUMNS = ("person", "camera", "video", "track", "modality", "first_frame", "last_frame", "start_s", "end_s")


@dataclass
class Witness:
    """Collects the truth while frames pass by on their way to the encoder."""

    frames: int = 0
    rows: list[tuple[int, TrueBox]] = field(default_factory=list)
    modalities: list[Modality] = field(default_factory=list)

    def watch(self, filmed: Iterator[FilmedFrame]) -> Iterator[FilmedFrame]:
        """Pass the frames on."""
        for frame in filmed:
            self.frames += 1
            self.modalities.append(frame.modality)
            self.rows += [(self.frames, box) for box in frame.boxes]
            yield frame

    def segments(self) -> list[dict[str, Any]]:
        """Stretches of one spectrum: first and last frame (from 1) and modality."""
        found: list[dict[str, Any]] = []
        for number, modality in enumerate(self.modalities, start=1):
            if not found or found[-1]["modality"] != modality.value:
                found.append({"first_frame": number, "last_frame": number, "modality": modality.value})
            found[-1]["last_frame"] = number
        return found


def counts(box: TrueBox) -> bool:
    """Whether a detector can be expected to find it."""
    height = box.box[3] - box.box[1]
    return box.visibility >= LEAST_VISIBILITY and height >= LEAST_HEIGHT


def write_tracks(path: Path, rows: Sequence[tuple[int, TrueBox]]) -> None:
    """MOT ground truth: frame, id, left, top, width, height, flag, class 1, visibility; all from 1."""
    with atomic_file(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        for frame, box in rows:
            left, top, right, bottom = box.box
            place = f"{left + 1:.2f},{top + 1:.2f},{right - left:.2f},{bottom - top:.2f}"
            flag = int(counts(box))
            file.write(f"{frame},{box.track},{place},{flag},{_PEDESTRIAN},{box.visibility:.3f}\n")


def write_truth(path: Path, config: SiteConfig, recording: Recording, witness: Witness) -> None:
    """The JSON beside the tracks; written last, so that a recording that has it is whole."""
    people = {passage.number: passage.person for passage in plan_passages(config)}
    tracks: dict[int, list[int]] = {}
    for frame, box in witness.rows:
        if counts(box):
            tracks.setdefault(box.track, []).append(frame)
    write_json(
        path,
        {
            "video": f"{recording.name}.mp4",
            "camera": recording.camera,
            "session": recording.session,
            "start": datetime.fromtimestamp(recording.start_s, tz=UTC).isoformat(),
            "start_s": recording.start_s,
            "fps": config.fps,
            "frames": witness.frames,
            "width": FRAME_SIZE[0],
            "height": FRAME_SIZE[1],
            "segments": witness.segments(),
            "tracks": [
                {
                    "track": track,
                    "person": people[track],
                    "frames": len(frames),
                    "first_frame": frames[0],
                    "last_frame": frames[-1],
                }
                for track, frames in sorted(tracks.items())
            ],
        },
    )


def write_people(path: Path, truths: Sequence[Path]) -> None:
    """One table of who passed which camera when, a row for each person, video and spectrum (COLUMNS)."""
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    rows = [row for truth in truths for row in _rows(read_json(truth, what="truth"))]
    table.writerows(sorted(rows, key=lambda row: (row["person"], row["start_s"], row["camera"])))
    with atomic_file(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8", newline="\n")


def _rows(truth: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for track in truth["tracks"]:
        for segment in truth["segments"]:
            first = max(track["first_frame"], segment["first_frame"])
            last = min(track["last_frame"], segment["last_frame"])
            if first > last:
                continue
            yield {
                "person": track["person"],
                "camera": truth["camera"],
                "video": truth["video"],
                "track": track["track"],
                "modality": segment["modality"],
                "first_frame": first,
                "last_frame": last,
                "start_s": round(truth["start_s"] + (first - 1) / truth["fps"], 3),
                "end_s": round(truth["start_s"] + (last - 1) / truth["fps"], 3),
            }
