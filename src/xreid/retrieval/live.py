"""Live cameras into a growing folder: recorded in rolling files, each ingested once it is closed.

OUT/video/NAME.mkv      what was recorded (`recorder`)
OUT/gaps.csv            when a camera was not
OUT/recordings/NAME/    the ingest of each file; OUT/tracklets.parquet holds all of them (`growing`)

A recording is finished when recordings/NAME/ingest.json is there. Whatever lies in OUT/video without it, also
after a kill, is ingested; so nothing recorded is lost or ingested twice, unless the disk share is full
(`video_share`). Memory holds packets and the names of what lies there, no footage. What one file costs does
not depend on how many there were.
"""

from __future__ import annotations

import math
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from xreid.core.errors import ConfigError, XReidError
from xreid.retrieval.detect_auto import choose_detector
from xreid.retrieval.folder_lock import sole_writer
from xreid.retrieval.growing import GrowingTables
from xreid.retrieval.ingest_config import IngestConfig, IngestReport, LiveOptions
from xreid.retrieval.ingest_identity import WORK
from xreid.retrieval.many import check_folder
from xreid.retrieval.merge import RECORDINGS, finished
from xreid.retrieval.recorder import GAPS, SUFFIX, Gap, GapLog, Recorder, length_s, segments, start_of
from xreid.retrieval.retention import forget, go_on, limit_s
from xreid.retrieval.retention_plan import VIDEO
from xreid.retrieval.rolled import RolledFiles
from xreid.retrieval.sources import Stream
from xreid.retrieval.video_share import UNREADABLE, VideoShare
from xreid.retrieval.workers import Outcome, Task, pool, run_task

_POLL_S = 0.2
_TIDY_EVERY_S = 10.0  # sizes of all files are asked for so often
_STILL_WARM_S = 60.0  # a recording that ended so long before is of use to warm up on
_NO_GAP_S = 1.0  # between two files of one unbroken stream, either way
_FORGET_EVERY_S = 3600.0  # what is too old is looked for so often
_AGAIN_S = 30.0  # an ingest that could not write is tried again after so long
_TRIES = 3  # of a file whose ingest is killed, or finds what others with other options began

_TABLES = ""  # among the cameras

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
        ConfigError: `out` holds something else, or another process writes it.
        XReidError: `out` cannot be written.
    """
    check_folder(out)
    with sole_writer(out / RECORDINGS):
        go_on(out)
        config = replace(config, detector=choose_detector(config.detector, device=config.device, note=note))
        live = _Live(streams, out, config=config, options=options, stop=stop or threading.Event(), note=note)
        live.run(jobs)
        live.tidy()
        return replace(live.tables.end(), dropped=live.share.dropped)


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
        self.video.mkdir(parents=True, exist_ok=True)
        self.gaps = GapLog(out / GAPS)
        self.share = VideoShare(self.video, most_gb=options.video_gb, gaps=self.gaps, note=note)
        self.recorders = [
            Recorder(s, self.video, roll_s=options.roll_s, stop=stop, gaps=self.gaps, note=note)
            for s in streams
        ]
        self.tables, self.finished = GrowingTables(out), finished(out)
        self.done = {folder.name for folder in self.finished}  # recordings that are ingested
        self.files = RolledFiles(self.video, done=self.done)
        self.new: list[Path] = []  # ingests that are not in the tables yet
        self.busy: dict[str, tuple[Task, Future[Outcome]]] = {}  # by camera
        self.not_before: dict[str, float] = {}  # by camera: after a fault that is not the file's
        self.tries: Counter[str] = Counter()
        self.tidied = self.forgot = -math.inf
        self.until = None if options.for_s is None else time.monotonic() + options.for_s

    def run(self, jobs: int) -> None:
        """Record and ingest until told to stop and all is done."""
        for recorder in self.recorders:
            recorder.start()
        try:
            self.files.look()
            self.tables.begin(
                self.finished, self._to_be_continued()
            )  # takes a while after a kill: record first
            while True:
                try:
                    with pool(jobs, None) as workers:
                        self._work(workers)
                    break
                except BrokenProcessPool:
                    self._killed()
        finally:
            self.stop.set()
        self._raise_failures()

    def _work(self, workers: ProcessPoolExecutor) -> None:
        while True:
            recording = any(recorder.is_alive() for recorder in self.recorders)
            self.files.look(surely=not recording)
            self._collect()
            self._submit(workers)
            self._tidy_up()
            if not (recording or self.busy or self.new or any(map(self.files.waiting, self.streams))):
                return
            if self.until is not None and time.monotonic() >= self.until:
                self.stop.set()
            self._raise_failures()
            time.sleep(_POLL_S)

    def _killed(self) -> None:
        """An ingest was killed, most likely for its memory: all that ran begin again, but not for ever."""
        for camera, (task, _) in self.busy.items():
            self.tries[task.name] += 1
            self.note(f"{task.name}: its ingest was killed")
            if self.tries[task.name] >= _TRIES:
                self._set_aside(camera, task.path, f"its ingest was killed {_TRIES} times")
        self.busy.clear()

    def _raise_failures(self) -> None:
        for recorder in self.recorders:
            if recorder.failure is not None:
                raise XReidError(
                    f"recording {recorder.stream.camera} failed", got=str(recorder.failure)
                ) from recorder.failure

    def _submit(self, workers: ProcessPoolExecutor) -> None:
        """Start the ingest of each camera's next file."""
        for name in self._ready():
            task = self._task(self.streams[name], self.files.waiting(name)[0])
            self.busy[name] = task, workers.submit(run_task, task)
        for name in () if self.options.keep_video else self.streams:
            if not self.files.waiting(name):
                _drop(self.files.closed(name)[:-1])  # the last one stays, to warm up on

    def _ready(self) -> list[str]:
        """Cameras whose next file can be ingested now.

        A file that was being ingested when a process was killed goes alone: the next kill is its own.
        """
        now = time.monotonic()
        ready = [
            name
            for name in self.streams
            if name not in self.busy and self.files.waiting(name) and now >= self.not_before.get(name, 0.0)
        ]
        suspects = [name for name in ready if self.tries[self.files.waiting(name)[0].stem]]
        if suspects or any(self.tries[task.name] for task, _ in self.busy.values()):
            return [] if self.busy else suspects[:1]
        return ready

    def _tidy_up(self) -> None:
        """Now and then: keep to the share of the disk, and show whom no file follows after all."""
        if time.monotonic() < self.tidied + _TIDY_EVERY_S:
            return
        self.tidied = time.monotonic()
        self.share.keep(
            {name: self.files.closed(name) for name in self.streams},
            waiting={path for name in self.streams for path in self.files.waiting(name)},
            busy={p for task, _ in self.busy.values() for p in (task.path, task.before) if p is not None},
        )
        self._tabulate()
        self._forget()

    def _forget(self) -> None:
        """Now and then: what is older than it may be kept goes."""
        if self.options.keep_days is None or time.monotonic() < self.forgot + _FORGET_EVERY_S:
            return
        self.forgot, before_s = time.monotonic(), limit_s(self.options.keep_days)
        try:
            gone = forget(self.out, before_s=before_s, spare=self._needed(), note=self.note)
        except XReidError as error:  # the next time
            self.note(str(error))
            return
        if gone:
            age = f"older than {self.options.keep_days:g} days"
            self.note(f"{gone.tracklets} tracklets and {len(gone.video)} files, {age}, are gone")

    def _needed(self) -> set[str]:
        """Recordings that are being ingested, wait for it, or are gone on from."""
        tasks = [task for task, _ in self.busy.values()]
        paths = [path for name in self.streams for path in (self.files.last(name), *self.files.waiting(name))]
        paths += [path for task in tasks for path in (task.path, task.before, task.bridge)]
        return {path.stem if path.suffix == SUFFIX else path.name for path in paths if path is not None}

    def tidy(self) -> None:
        """At the end: no footage stays that was not to be kept."""
        if not self.options.keep_video:
            for name in self.streams:
                _drop(segments(self.video, name))

    def _task(self, stream: Stream, path: Path) -> Task:
        before = self.files.before(stream.name, path)
        gap = math.inf if before is None else start_of(path) - self.files.end_of(before)
        config = replace(
            self.config,
            camera=stream.camera,
            place=stream.place,
            modality=stream.modality,
            start=repr(start_of(path)),
        )
        ready = before is not None and before.stem in self.done
        warm = before if -_NO_GAP_S <= gap <= _STILL_WARM_S else None
        return Task(
            name=path.stem,
            path=path,
            out=self._ingest_of(path),
            config=config,
            before=warm,
            bridge=self._ingest_of(before) if before and warm and ready and gap <= _NO_GAP_S else None,
            goes_on=self._next_of(stream.name, path) is not None,
        )

    def _next_of(self, camera: str, path: Path) -> Path | None:
        """The camera's file, closed or growing, that begins where this one ends."""
        later = self.files.after(camera, path)
        return later if later and abs(start_of(later) - self.files.end_of(path)) <= _NO_GAP_S else None

    def _to_be_continued(self) -> set[str]:
        """Recordings that are ingested while the file in which their people go on is not."""
        found = set[str]()
        for name in self.streams:
            todo = self.files.waiting(name)
            last = self.files.before(name, todo[0]) if todo else self.files.last(name)
            if last is not None and last.stem in self.done and self._next_of(name, last) is not None:
                found.add(last.stem)
        return found

    def _collect(self) -> None:
        """Take note of finished ingests, and make their tracklets part of the tables."""
        ready = {name: future for name, (_, future) in self.busy.items() if future.done()}
        for name, future in ready.items():
            if isinstance(future.exception(), BrokenProcessPool):
                future.result()
            task, _ = self.busy.pop(name)
            self._settle(name, task, future)
        if self.new:
            self._tabulate()

    def _tabulate(self) -> None:
        if time.monotonic() < self.not_before.get(_TABLES, 0.0):
            return
        new, self.new = self.new, []
        try:
            self.tables.add(new, self._to_be_continued())
        except XReidError as error:
            if type(error) is not XReidError:
                raise
            self._again(_TABLES, f"the tables wait: {error}")

    def _settle(self, camera: str, task: Task, future: Future[Outcome]) -> None:
        try:
            outcome = future.result()
        except ConfigError as error:  # killed with other options, or by another version
            self.tries[task.name] += 1
            if self.tries[task.name] >= _TRIES or not (task.out / WORK).is_dir():
                raise
            self.note(f"{task.name}: begun anew: {error}")
            shutil.rmtree(task.out)
            return
        except XReidError as error:
            if type(error) is not XReidError:
                raise
            self._again(camera, f"{task.name} waits: {error}")
            return
        if outcome.report is None:
            self._set_aside(camera, task.path, outcome.error)
            return
        self.done.add(task.name)
        self.files.ingested(camera, task.path)
        self.new.append(task.out)
        behind = len(self.files.waiting(camera))
        late = f"; {behind} files wait" if behind > 1 else ""
        self.note(
            f"{outcome.name}: {outcome.report.tracklets} tracklets in {outcome.report.frames} frames{late}"
        )

    def _again(self, camera: str, text: str) -> None:
        """Nothing is wrong with the footage, only with the disk: wait a while."""
        self.not_before[camera] = time.monotonic() + _AGAIN_S
        self.note(f"{text} Again in {_AGAIN_S:.0f} s")

    def _set_aside(self, camera: str, path: Path, reason: str) -> None:
        """A file that cannot be ingested is kept under another name, and its time is a gap."""
        start = start_of(path)
        self.gaps.add(Gap(camera=camera, from_s=start, to_s=start + length_s(path), reason=reason))
        with suppress(FileNotFoundError):  # somebody has removed it
            path.rename(path.with_suffix(UNREADABLE))
        self.files.ingested(camera, path)
        self.note(f"{camera}: {reason}")

    def _ingest_of(self, path: Path) -> Path:
        return self.out / RECORDINGS / path.stem


def _drop(files: Sequence[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)
