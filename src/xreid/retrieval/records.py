"""What an ingest writes of its tracklets: the table, the moments of the crops, the parts of the quality."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from xreid.core.embeddings import write_table
from xreid.core.files import atomic_file
from xreid.core.tracklets import Modality, Tracklet, TrackletTable
from xreid.retrieval.crops import Crop, frame_file
from xreid.retrieval.ingest_config import IngestConfig
from xreid.retrieval.moments import MOMENTS, Moment, write_moments
from xreid.retrieval.mot import write_tracks
from xreid.retrieval.quality import LOW, Quality, quality_of
from xreid.retrieval.spectrum import modality_of, spectrum_from
from xreid.retrieval.stillness import never_moves

TRACKLETS, QUALITY, TRACKS = "tracklets.parquet", "quality.parquet", "tracks.txt"

Kept = Mapping[str, Sequence[Crop]]
Cosines = Mapping[str, Mapping[int, float]]
"""Of tracklets that were joined: frame in which a later track begins -> its cosine with the one before."""


class Records:
    """The tables of one recording.

    Args:
        out: Folder of the ingest.
        source: The recording's file or folder.
        recording: Its name.
        config: Options.
    """

    def __init__(self, out: Path, *, source: Path, recording: str, config: IngestConfig) -> None:
        self.out, self.source, self.recording, self.config = out, source, recording, config
        self.start = config.start_unix() or 0.0

    def write(self, kept: Kept, cosines: Cosines | None = None) -> dict[str, int]:
        """Write all files, the table last; returns counts for the report.

        Args:
            kept: The crops of each tracklet in order of time; one tracklet or more.
            cosines: Where tracks were joined.
        """
        qualities = {name: self._quality(name, crops) for name, crops in kept.items()}
        rows = tuple(self._row(name, crops, qualities[name]) for name, crops in kept.items())
        numbers = {name: int(name.rpartition("-")[2]) for name in kept}
        write_tracks(
            self.out / TRACKS, (crop.box(numbers[name]) for name, crops in kept.items() for crop in crops)
        )
        write_moments(self.out / MOMENTS, self._moments(kept, cosines or {}))
        write_qualities(self.out / QUALITY, qualities)
        with atomic_file(self.out / TRACKLETS) as temporary:
            write_table(TrackletTable(root=self.out, rows=rows), temporary)
        return {
            "tracklets": len(rows),
            "visible": sum(row.modality is Modality.VISIBLE for row in rows),
            "crops": sum(len(row.frames) for row in rows),
            "low_quality": sum(quality.value < LOW for quality in qualities.values()),
            "unmoved": sum(not quality.moves for quality in qualities.values()),
        }

    def _quality(self, name: str, crops: Sequence[Crop]) -> Quality:
        found = quality_of(crops, stills=self.config.stills)
        by_motion = self.config.detector == "motion" and self.config.tracks is None
        if self.config.stills or not by_motion or not never_moves(name, crops, self.out):
            return found
        return replace(found, moves=0.0)

    def _row(self, name: str, crops: Sequence[Crop], quality: Quality) -> Tracklet:
        config = self.config
        colours = [crop.chroma for crop in crops]
        return Tracklet(
            name=name,
            frames=tuple(frame_file(name, crop.frame) for crop in crops),
            modality=modality_of(colours, stated=config.modality),
            camera=config.camera,
            start_s=self._time(crops[0]),
            end_s=self._time(crops[-1]),
            place=config.place,
            source=self.recording,
            quality=quality.value,
            modality_confidence=spectrum_from(colours).confidence if config.modality == "auto" else None,
        )

    def _time(self, crop: Crop) -> float | None:
        return None if self.config.stills else round(self.start + crop.time_s, 3)

    def _moments(self, kept: Kept, cosines: Cosines) -> Iterator[Moment]:
        source = str(self.source.absolute())
        for name, crops in kept.items():
            joined = cosines.get(name, {})
            for crop in crops:
                yield Moment(
                    tracklet=name,
                    file=frame_file(name, crop.frame),
                    frame=crop.frame,
                    time_s=self._time(crop),
                    offset_s=None if self.config.stills else round(crop.time_s, 3),
                    box=(crop.x, crop.y, crop.width, crop.height),
                    score=crop.score,
                    sharpness=crop.sharpness,
                    hidden=crop.hidden,
                    source=source,
                    joined=joined.get(crop.frame),
                )


def write_qualities(path: Path, qualities: Mapping[str, Quality]) -> None:
    """Write the parts and the value of every tracklet's quality, atomically."""
    rows = [{"tracklet": name, **asdict(q), "quality": q.value} for name, q in qualities.items()]
    with atomic_file(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows), temporary)
