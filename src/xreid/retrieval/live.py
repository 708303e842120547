"""Live cameras into a growing folder: recorded in rolling files, each ingested once it is closed.

OUT/video/NAME.mkv      what was recorded (`recorder`)
OUT/gaps.csv            when a camera was not
OUT/recordings/NAME/    the ingest of each file; OUT/tracklets.parquet holds all of them (`merge`)

A recording is finished when recordings/NAME/ingest.json is there. Whatever lies in OUT/video without it, also
after a kill, is ingested; so nothing recorded is lost or ingested twice, unless the disk share is full
(`video_share`). Memory holds packets, no footage.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

from xreid.core.errors import XReidError
from xreid.retrieval.detect_auto import choose_detector
from xreid.retrieval.ingest_config import IngestConfig, IngestReport, LiveOptions
from xreid.retrieval.many import check_folder
from xreid.retrieval.merge import RECORDINGS, merge
from xreid.retrieval.recorder import (
    GAPS,
    SUFFIX,
    Gap,
    GapLog,
    Recorder,
    camera_of,
    length_s,
    segments,
    start_of,
)
from xreid.retrieval.sources import Stream
from xreid.retrieval.video_share import UNREADABLE, VideoShare
from xreid.retrieval.workers import Outcome, Task, new_queue, pool, run_task

VIDEO = "video"
_POLL_S = 0.2
_STILL_WARM_S = 60.0  # a recording that ended so long before is of use to warm up on
_NO_GAP_S = 1.0  # between two files of one unbroken stream

Note = Callable[[str], None]


def watch(
    streams: Sequence[Stream],
    out: Path,
    *,
    config: IngestConfig,
    options: LiveOptions,
    jobs: int = 1,
    stop: threading.Event | None = None,
    note: Note = lambda text: None,
) -> IngestReport:
    """Record and ingest live cameras until `stop` is set; all that was seen is in the tables then.

    Args:
        streams: The cameras.
        out: Folder to write or to go on with.
        config: Options of the ingest.
        options: Of the recording.
        jobs: Processes that ingest; those of one camera's files never overlap.
        stop: Set it to stop.
        note: Called with remarks, from several threads.

    Raises:
        ConfigError: `out` holds something else.
        XReidError: `out` cannot be written, or a process was killed.
    """
    check_folder(out)
    config = replace(config, detector=choose_detector(config.detector, device=config.device, note=note))
    live = _Live(streams, out, config=config, options=options, stop=stop or threading.Event(), note=note)
    try:
        with pool(jobs, new_queue()) as workers:
            live.run(workers)
    except BrokenProcessPool as error:
        raise XReidError(
            "a process that ingests was killed", todo="Run the same command again: it goes on."
        ) from error
    live.tidy()
    return replace(merge(out), dropped=live.share.dropped)


class _Live:
    """The cameras of one `watch`."""

    def __init__(
        self,
        streams: Sequence[Stream],
        out: Path,
        *,
        config: IngestConfig,
        options: LiveOptions,
        stop: threading.Event,
        note: Note,
    ) -> None:
        self.streams = {stream.name: stream for stream in streams}
        self.out, self.config, self.options, self.stop, self.note = out, config, options, stop, note
        self.video = out / VIDEO
        for folder in (self.video, out / RECORDINGS):
            folder.mkdir(parents=True, exist_ok=True)
        self.gaps = GapLog(out / GAPS)
        self.share = VideoShare(self.video, most_gb=options.video_gb, gaps=self.gaps, note=note)
        self.recorders = [
            Recorder(s, self.video, roll_s=options.roll_s, stop=stop, gaps=self.gaps, note=note)
            for s in streams
        ]
        self.busy: dict[str, tuple[Task, Future[Outcome]]] = {}  # by camera
        self.until = None if options.for_s is None else time.monotonic() + options.for_s

    def run(self, workers: ProcessPoolExecutor) -> None:
        """Record and ingest until told to stop and all is done."""
        for recorder in self.recorders:
            recorder.start()
        try:
            while True:
                recording = any(recorder.is_alive() for recorder in self.recorders)
                self._collect()
                waiting = self._submit(workers)
                if not (recording or waiting or self.busy):
                    break
                if self.until is not None and time.monotonic() >= self.until:
                    self.stop.set()
                self._raise_failures()
                time.sleep(_POLL_S)
        finally:
            self.stop.set()
        self._raise_failures()

    def _raise_failures(self) -> None:
        for recorder in self.recorders:
            if recorder.failure is not None:
                raise XReidError(
                    f"recording {recorder.stream.camera} failed", got=str(recorder.failure)
                ) from recorder.failure

    def _submit(self, workers: ProcessPoolExecutor) -> bool:
        """Start the ingest of each camera's next file; returns whether files wait."""
        waiting = set[Path]()
        closed = dict[str, list[Path]]()
        for name, stream in self.streams.items():
            files = closed[name] = segments(self.video, name)
            todo = [
                i for i, path in enumerate(files) if not (self._ingest_of(path) / "ingest.json").is_file()
            ]
            waiting.update(files[i] for i in todo)
            if todo and name not in self.busy:
                task = self._task(stream, files, todo[0])
                self.busy[name] = task, workers.submit(run_task, task)
            elif not todo and not self.options.keep_video:
                _drop(files[:-1])  # the last one stays, to warm up on
        busy = {
            path for task, _ in self.busy.values() for path in (task.path, task.before) if path is not None
        }
        self.share.keep(closed, waiting=waiting, busy=busy)
        return bool(waiting)

    def tidy(self) -> None:
        """At the end: no footage stays that was not to be kept."""
        if not self.options.keep_video:
            for name in self.streams:
                _drop(segments(self.video, name))

    def _task(self, stream: Stream, files: Sequence[Path], place: int) -> Task:
        path = files[place]
        before = files[place - 1] if place > 0 else None
        gap = math.inf if before is None else start_of(path) - start_of(before) - length_s(before)
        config = replace(
            self.config,
            camera=stream.camera,
            place=stream.place,
            modality=stream.modality,
            start=repr(start_of(path)),
        )
        ready = before is not None and (self._ingest_of(before) / "ingest.json").is_file()
        return Task(
            name=path.stem,
            path=path,
            out=self._ingest_of(path),
            config=config,
            before=before if gap <= _STILL_WARM_S else None,
            bridge=self._ingest_of(before) if before is not None and ready and gap <= _NO_GAP_S else None,
            goes_on=self._next_of(path) is not None,
        )

    def _next_of(self, path: Path) -> Path | None:
        """The camera's file, closed or growing, that begins where this one ends."""
        end = start_of(path) + length_s(path)
        files = [one for one in self.video.glob(f"*{SUFFIX}") if camera_of(one) == camera_of(path)]
        later = sorted((one for one in files if start_of(one) > start_of(path)), key=start_of)
        return later[0] if later and start_of(later[0]) - end <= _NO_GAP_S else None

    def _waiting(self) -> set[str]:
        """Recordings that are ingested while the file in which their people go on is not."""
        found = set[str]()
        for name in self.streams:
            files = [f for f in segments(self.video, name) if (self._ingest_of(f) / "ingest.json").is_file()]
            last = self._next_of(files[-1]) if files else None
            if last is not None and not (self._ingest_of(last) / "ingest.json").is_file():
                found.add(files[-1].stem)
        return found

    def _collect(self) -> None:
        """Take note of finished ingests, and make their tracklets part of the tables."""
        done = {name: future for name, (_, future) in self.busy.items() if future.done()}
        for name, future in done.items():
            del self.busy[name]
            self._settle(name, future.result())
        if done:
            merge(self.out, waiting=self._waiting())

    def _settle(self, camera: str, outcome: Outcome) -> None:
        path = self.video / f"{outcome.name}.mkv"
        if outcome.report is None:
            start = start_of(path)
            gap = Gap(camera=camera, from_s=start, to_s=start + length_s(path), reason=outcome.error)
            self.gaps.add(gap)
            path.rename(path.with_suffix(UNREADABLE))
            self.note(f"{camera}: {outcome.error}")
            return
        files = segments(self.video, camera)
        behind = sum(not (self._ingest_of(file) / "ingest.json").is_file() for file in files)
        late = f"; {behind} files wait" if behind > 1 else ""
        self.note(
            f"{outcome.name}: {outcome.report.tracklets} tracklets in {outcome.report.frames} frames{late}"
        )

    def _ingest_of(self, path: Path) -> Path:
        return self.out / RECORDINGS / path.stem


def _drop(files: Sequence[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)
