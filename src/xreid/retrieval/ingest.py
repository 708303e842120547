"""`xreid ingest`: from a video to a folder of crops and a tracklet table, resumable after a kill.

The folder, once finished:
    tracklets.parquet        one row per tracklet (core `write_table`; frames relative to the folder)
    frames/NAME/NNNNNN.jpg   the crops, named by frame number
    moments.parquet          recording, frame, time and box of every crop (`moments`)
    quality.parquet          the parts of each tracklet's quality (`quality`)
    tracks.txt               the boxes in MOT format
    short/                   the same of tracklets that are too short: a folder of tracklets of its own
    ingest.json              options, counts, SHA-256 of the source, versions
Until then `.ingest/` holds the finished stretches, and tracklets.parquet is missing. Live, background.npz is
what the detector had learnt at the end, and ingest.json says who may go on in the next file (`bridge`).
"""

from __future__ import annotations

import shutil
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from xreid.core.errors import ConfigError, DataError, XReidError
from xreid.core.files import read_json, write_json
from xreid.retrieval.bridge import (
    STATE,
    Known,
    known_from,
    known_of,
    open_at,
    open_from,
    read_state,
    write_state,
)
from xreid.retrieval.crops import FRAMES, SHORT, Crop, put_apart
from xreid.retrieval.detect_auto import choose_detector
from xreid.retrieval.detections import State
from xreid.retrieval.frames import Anchor, Continued, FrameSource, open_frames
from xreid.retrieval.ingest_config import IngestConfig, IngestReport
from xreid.retrieval.ingest_identity import WORK, finished_report, identity_of, require_same
from xreid.retrieval.mot import Tracks, read_tracks
from xreid.retrieval.motion import one_thread
from xreid.retrieval.one_person import OnePerson, Sorted
from xreid.retrieval.records import Records
from xreid.retrieval.segments import WARMUP_S, Segment, SegmentJob
from xreid.retrieval.sources import slug
from xreid.retrieval.spectrum import switches

Tell = Callable[[int, int | None], None]
Note = Callable[[str], None]


def ingest_video(
    video: Path,
    out: Path,
    *,
    config: IngestConfig | None = None,
    recording: str | None = None,
    before: Path | None = None,
    bridge: Path | None = None,
    goes_on: bool = False,
    may_be_empty: bool = False,
    tell: Tell = lambda done, total: None,
    note: Note = lambda text: None,
) -> IngestReport:
    """Cut tracklets from a video file, or from a folder of images, into the folder `out`.

    Killed and called again with the same arguments, it goes on after the last finished stretch and gives the
    same folder; finished already, it only returns the report.

    Args:
        video: The video file, or the folder of images.
        out: Folder to write; must be new, empty, or of the same ingest.
        config: Options.
        recording: Name of the recording: begins the tracklets' names and is their column "source". Without it
            they begin with the camera, or the file's name, and the source is the file's name.
        before: The recording of the same camera before this one, to warm up on.
        bridge: The ingest of that, where this one begins at its very end: people go on from there.
        goes_on: The next recording of the camera begins where this one ends.
        may_be_empty: Nobody in it is a result, not an error: then tracklets.parquet is missing.
        tell: Called with frames done and to do (None where the container does not say).
        note: Called with remarks.

    Raises:
        DataError: The video or the tracks cannot be read, or no tracklet is in them; `out` is left as it was.
        CheckpointError: A detector's or the model's weights cannot be had.
        ConfigError: `out` holds something else.
        XReidError: `out` cannot be written.
    """
    config = config or IngestConfig()
    source = open_frames(video, fps=config.fps)
    if config.tracks is None:
        config = replace(config, detector=choose_detector(config.detector, device=config.device, note=note))
    if before is not None:
        source = Continued(source, open_frames(before, fps=config.fps))
    tracks = read_tracks(config.tracks) if config.tracks else None
    identity = identity_of(source, config, recording=recording, before=before)
    if (report := finished_report(out, identity)) is not None:
        note(f"{out} already holds this ingest")
        return report
    try:
        job = _Ingest(source, out, config=config, tracks=tracks, identity=identity)
        job.bridge, job.goes_on = bridge, goes_on
        with one_thread() if tracks is None and config.detector == "motion" else nullcontext():
            return job.run(tell=tell, note=note, may_be_empty=may_be_empty)
    except OSError as error:
        raise XReidError(
            f"cannot write {out}: {error.strerror or error}",
            todo="Free some space or choose another folder; the same command then goes on where it was.",
        ) from error


@dataclass(frozen=True, kw_only=True)
class _Found:
    """All tracklets of all stretches.

    Attributes:
        crops: By name, in order of frames.
        short: Those of tracklets that were too short from the start.
        counts: Sums over the stretches.
        last_frame: Number of the last frame.
        next_id: First free number for tracklets.
        numbers: Of the frames that were used.
        chromas: Of these frames.
        last_s: Seconds of the last frame.
        continues: Tracklets that go on from the file before.
    """

    crops: dict[str, list[Crop]]
    short: dict[str, list[Crop]]
    counts: Counter[str]
    last_frame: int
    next_id: int
    numbers: array[int]
    chromas: array[float]
    last_s: float
    continues: dict[str, str]


class _Ingest:
    """One ingest into one folder."""

    def __init__(
        self,
        source: FrameSource,
        out: Path,
        *,
        config: IngestConfig,
        tracks: Tracks | None,
        identity: dict[str, Any],
    ) -> None:
        self.source, self.out, self.config, self.tracks, self.identity = source, out, config, tracks, identity
        self.bridge: Path | None = None
        self.goes_on = False
        self.note: Note = lambda text: None
        self.work = out / WORK
        self.prefix = slug(identity["recording"] or config.camera or source.path.stem)

    def run(self, *, tell: Tell, note: Note, may_be_empty: bool) -> IngestReport:
        self.note = note
        self._prepare(note)
        try:
            found = self._stretches(tell)
        except XReidError:
            if not any(self.work.glob("[0-9]*.json")):  # no work is lost, and the folder is free again
                self._undo()
            raise
        sorting = OnePerson(out=self.out, work=self.work, config=self.config, prefix=self.prefix)
        whole = sorting.tracklets(
            found.crops, changes=self._changes(found), begun=found.continues, next_id=found.next_id
        )
        report, kept, short = self._judge(found, whole.crops)
        if self.goes_on and (state := read_state(self._last_state())) is not None:
            write_state(self.out / STATE, state)
        if not kept and not may_be_empty:
            self._undo()
            raise self._nothing(report)
        for name in sorted(short.keys() & whole.crops.keys()):
            put_apart(self.out, name)
        if short:
            self._records(self.out / SHORT).write(short)
        written = self._records(self.out).write(kept, whole.cosines) if kept else {}
        report = IngestReport(**{**asdict(report), **written, **whole.counts})
        write_json(
            self.out / "ingest.json",
            {**self.identity, "report": asdict(report), "bridge": self._bridged(found, kept, whole)},
        )
        shutil.rmtree(self.work)
        return report

    def _records(self, out: Path) -> Records:
        return Records(out, source=self.source.path, recording=self.identity["source"], config=self.config)

    def _changes(self, found: _Found) -> list[int]:
        """Numbers of the first frames of another modality than before."""
        if self.config.modality != "auto" or self.config.stills:
            return []
        window = round(self.source.fps / self.config.every)
        return [found.numbers[place] for place in switches(found.chromas, window=window)]

    def _prepare(self, note: Note) -> None:
        """Start, or take up, the work in `out`.

        Raises:
            ConfigError: `out` holds something else.
        """
        job = self.work / "job.json"
        if job.is_file():
            begun = read_json(job, what="unfinished ingest")
            require_same(begun, self.identity, self.out, what="an unfinished ingest")
            note(f"going on with the unfinished ingest in {self.out}")
            return
        if self.out.exists() and (not self.out.is_dir() or any(p.name != WORK for p in self.out.iterdir())):
            raise ConfigError(f"{self.out} exists and is no ingest", todo="Choose another folder.")
        write_json(job, self.identity)

    def _undo(self) -> None:
        """Remove what this ingest wrote, and `out` unless somebody else's files are in it."""
        for folder in (self.work, self.out / FRAMES, self.out / SHORT):
            shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):
            self.out.rmdir()

    def _stretches(self, tell: Tell) -> _Found:
        """Run the stretches that are not on disk; returns all of them."""
        job = self._job(tell)
        crops: dict[str, list[Crop]] = defaultdict(list)
        short = dict[str, list[Crop]]()
        counts: Counter[str] = Counter()
        numbers, chromas = array("q"), array("d")
        anchor, next_id, index, ended = Anchor(), self._first_id(), 0, False
        last_s, continues = 0.0, dict[str, str]()
        while not ended:
            file = self.work / f"{index:05d}.json"
            if file.is_file():
                segment = Segment.from_json(read_json(file, what="stretch"))
            else:
                known, state = self._before(index, crops, last_s)
                segment, state = job.run(anchor, first_id=next_id, known=known, state=state)
                if state:
                    write_state(file.with_suffix(".npz"), state)
                write_json(file, segment.to_json(), indent=None)  # as many numbers as boxes
            for name, more in segment.tracklets.items():
                crops[name] += more
            short |= segment.short
            counts.update(segment.counts)
            numbers.extend(number for number, _ in segment.chromas)
            chromas.extend(value for _, value in segment.chromas)
            last_s, continues = segment.last_s, continues | segment.continues
            anchor, next_id, ended, index = segment.next, segment.next_id, segment.ended, index + 1
        return _Found(
            crops=dict(crops),
            short=short,
            counts=counts,
            last_frame=anchor.number - 1,
            next_id=next_id,
            numbers=numbers,
            chromas=chromas,
            last_s=last_s,
            continues=continues,
        )

    def _job(self, tell: Tell) -> SegmentJob:
        return SegmentJob(
            source=self.source,
            config=self.config,
            tracks=self._long_enough(),
            out=self.out,
            prefix=self.prefix,
            tell=lambda number: tell(number, self.source.total),
            goes_on=self.goes_on,
        )

    def _before(
        self, index: int, crops: Mapping[str, Sequence[Crop]], last_s: float
    ) -> tuple[Known, State | None]:
        """Whom a stretch may take up, and what was learnt before it; from disk, so a kill changes nothing."""
        if index:
            names = open_at(crops, end_s=last_s, gap_s=self.config.max_gap_s)
            state = read_state(self.work / f"{index - 1:05d}.npz")
            return known_of(crops, names, from_s=last_s - WARMUP_S), state
        if self.bridge is None:
            return {}, None
        try:
            last = open_from(read_json(self.bridge / "ingest.json", what="ingest"))
            return known_from(self.bridge, last), read_state(self.bridge / STATE)
        except DataError as error:  # what is damaged is the file before, not this one
            self.note(f"{self.out.name}: people do not go on from the file before: {error}")
            return {}, None

    def _last_state(self) -> Path:
        return max(self.work.glob("[0-9]*.npz"), default=self.work / STATE)

    def _bridged(self, found: _Found, kept: Mapping[str, Sequence[Crop]], whole: Sorted) -> dict[str, Any]:
        """Who goes on from the file before, and who may in the next one (see `bridge.Open`)."""
        names = open_at(kept, end_s=found.last_s, gap_s=self.config.max_gap_s) if self.goes_on else []
        short = [name for name in kept if len(kept[name]) < self.config.min_frames]
        continues = {name: old for name, old in found.continues.items() if name in kept}
        since = {name: whole.since[name] for name in names if name in whole.since}
        edge = {"continues": continues, "open": names, "short": short if self._is_live() else []}
        return edge | ({"since": since} if since else {})

    def _is_live(self) -> bool:
        return self.goes_on or self.bridge is not None

    def _first_id(self) -> int:
        """Detected tracklets count from 1; pieces of given tracks follow the highest given number."""
        return 1 if self.tracks is None else 1 + max(self.tracks.lengths())

    def _long_enough(self) -> Tracks | None:
        """The given tracks without those that are too short to start with."""
        if self.tracks is None or self.config.stills:
            return self.tracks
        lengths = self.tracks.lengths(every=self.config.every)
        by_frame = {
            frame: [box for box in boxes if lengths.get(box.track, 0) >= self.config.min_frames]
            for frame, boxes in self.tracks.by_frame.items()
        }
        return Tracks(by_frame=by_frame)

    def _judge(
        self, found: _Found, pieces: dict[str, list[Crop]]
    ) -> tuple[IngestReport, dict[str, list[Crop]], dict[str, list[Crop]]]:
        """The report, the tracklets, and those that are too short."""
        least = 1 if self.config.stills else self.config.min_frames
        edge = set(found.continues)
        if self.goes_on:
            edge |= set(open_at(pieces, end_s=found.last_s, gap_s=self.config.max_gap_s))
        kept = {n: crops for n, crops in sorted(pieces.items()) if len(crops) >= least or n in edge}
        short = dict(sorted((found.short | {n: pieces[n] for n in pieces.keys() - kept.keys()}).items()))
        counts = {**found.counts, "short": len(short)}
        counts["missing"] = max(0, (self.source.stated or 0) - found.last_frame - counts["damaged"])
        if self.tracks is not None:
            counts |= {
                "too_short": len(self.tracks.lengths()) - len(found.crops),
                "beyond_end": sum(
                    len(boxes) for frame, boxes in self.tracks.by_frame.items() if frame > found.last_frame
                ),
                "unconfirmed": self.tracks.unconfirmed,
                "ignored": self.tracks.ignored,
            }
        return IngestReport(**counts), kept, short

    def _nothing(self, report: IngestReport) -> DataError:
        all_short = replace(report, too_short=report.too_short + report.short)
        left_out = ", ".join(f"{count} {text}" for text, count in all_short.left_out().items())
        if self.tracks is not None and report.beyond_end:
            todo = "Check that the tracks belong to this video."
        elif self.tracks is not None:
            todo = "Lower --min_frames or --min_height, or check that the tracks belong to this video."
        else:
            todo = "Lower --min_frames or --min_height, try another --detector, or give --tracks."
        return DataError(
            f"no tracklet in {self.source.path}",
            expected=f"persons in {report.frames} frames",
            got=left_out or "no detection",
            todo=todo,
        )
