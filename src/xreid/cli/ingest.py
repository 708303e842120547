"""`xreid ingest CAMERAS... OUT`: footage or live cameras -> tracklets; killed, the same command goes on."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from xreid.cli.on_ray import RayOptions
from xreid.cli.options import parse
from xreid.core.errors import ConfigError, DataError
from xreid.core.pacing import now_and_then
from xreid.retrieval.ingest_config import IngestConfig, IngestReport, LiveOptions, SourceOptions

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from xreid.retrieval.sources import Recording, Stream

Note = Callable[[str], None]
T = TypeVar("T", bound="DataclassInstance")


@dataclass(frozen=True, kw_only=True)
class IngestOptions(IngestConfig, SourceOptions, LiveOptions, RayOptions):
    """Cut tracklets from footage or live cameras; killed and started again, the same command goes on.

    Attributes:
        cameras: Videos, folders of videos or of images, lists of cameras (.csv, .yaml), URLs (rtsp://...) and
            devices (/dev/video0).
        out: Folder to write: crops, tracklets.parquet, moments.parquet and more; default the last of CAMERAS.
        jobs: Recordings to work on at the same time.
        follow: Follow people over the cut where one recorded file of a camera begins as another ends; without
            it such files are ingested side by side.
        forget: Names of tracklets, or receipts of `xreid gallery erase` (.json): remove their pictures, rows
            and boxes from folders of tracklets, and ingest nothing.
    """

    cameras: list[str]
    out: Path | None = None
    jobs: int = 1
    follow: bool = True
    forget: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        IngestConfig.__post_init__(self)
        LiveOptions.__post_init__(self)
        if self.jobs < 1:
            raise ConfigError("jobs is out of range", expected="1 or more", got=str(self.jobs))
        RayOptions.__post_init__(self)
        if self.ray and self.jobs > 1:
            raise ConfigError("--ray and --jobs exclude each other", todo="Leave out one of them.")


def main(argv: Sequence[str]) -> int:
    """Run the verb."""
    options = parse(IngestOptions, argv, verb="ingest", positional=("cameras", "out"))
    if options.forget:
        return _forget_named(_only_folders(options), options.forget)
    if (days := options.keep_days) is not None and (folders := _only_folders(options)):
        return _forget(folders, days)
    words, out = _words(options)
    config, looking = _part(options, IngestConfig), _part(options, SourceOptions)
    from xreid.retrieval.sources import find_sources

    sources = find_sources(words, options=looking, config=config)
    start = time.perf_counter()
    if sources.streams:
        if options.ray:
            raise ConfigError("live cameras are not shared out on Ray", todo="Leave out --ray.")
        if sources.recordings:
            raise ConfigError(
                "files and live cameras in one command", todo="Ingest them one after the other."
            )
        report = _live(sources.streams, out, config, _part(options, LiveOptions), options.jobs)
    elif sources.single and not options.ray:
        report = _single(sources.recordings[0], out, config)
        if options.keep_days is not None:
            _forget([out], options.keep_days)
    else:
        report = _many(sources.recordings, out, config, options)
    _print(report, out, seconds=time.perf_counter() - start)
    return 0


def _only_folders(options: IngestOptions) -> list[Path]:
    """The folders of tracklets that were named, where nothing else was."""
    from xreid.retrieval.retention import is_ingest

    folders = [Path(word) for word in options.cameras] + ([options.out] if options.out is not None else [])
    return folders if folders and all(map(is_ingest, folders)) else []


def _forget(folders: Sequence[Path], keep_days: float) -> int:
    from xreid.retrieval.retention import forget_older, limit_s

    for folder in folders:
        gone = forget_older(folder, before_s=limit_s(keep_days), note=_say)
        what = f"{gone.tracklets} tracklets, {gone.short} too short ones, {len(gone.video)} files of video"
        print(f"{folder}: {what} older than {keep_days:g} days, removed")
    return 0


def _forget_named(folders: Sequence[Path], words: Sequence[str]) -> int:
    from xreid.retrieval.retention_named import Whom, forget_named

    if not folders:
        raise ConfigError(
            "--forget removes people from folders of tracklets",
            todo="xreid ingest tracklets --forget gate-0001",
        )
    whom, there, left = Whom.of(words), set[str](), list[str]()
    for folder in folders:
        found = forget_named(folder, whom)
        there |= found.names
        left += found.unread
        print(f"{folder}: {found.going.tracklets} tracklets, {found.going.short} too short ones, removed")
        if found.video:
            _say(f"{folder / 'video'} holds {found.video} files of video, which may show them: they stay")
    if left:
        raise DataError(
            "not everywhere could be looked", got="; ".join(left)[:1000], todo="Mend that, and forget again."
        )
    if absent := sorted(whom.names - there):
        raise DataError("there is no such tracklet, or it was forgotten before", got=", ".join(absent[:10]))
    return 0


def _words(options: IngestOptions) -> tuple[list[str], Path]:
    words = list(options.cameras)
    out = options.out
    if out is None and len(words) > 1:
        out = Path(words.pop())
    if out is None or not words:
        raise ConfigError(
            "ingest needs footage and a folder to write", todo="xreid ingest gate.mp4 tracklets"
        )
    return words, out


def _part(options: IngestOptions, kind: type[T]) -> T:
    """The options of one kind."""
    return kind(**{field.name: getattr(options, field.name) for field in fields(kind)})


def _single(recording: Recording, out: Path, config: IngestConfig) -> IngestReport:
    from xreid.retrieval.ingest import ingest_video

    with _progress("frames") as (tell, note):
        if recording.start_s is not None and recording.start_from in ("name", "container"):
            when = datetime.fromtimestamp(recording.start_s, UTC).isoformat(timespec="seconds")
            note(f"{recording.label} starts at {when}, says its {recording.start_from}")
        report = ingest_video(recording.path, out, config=recording.config(config), tell=tell, note=note)
        _tell_undated([recording], config, note)
        return report


def _many(
    recordings: Sequence[Recording], out: Path, config: IngestConfig, options: IngestOptions
) -> IngestReport:
    from xreid.distribution.ingesting import on_cluster
    from xreid.retrieval.many import ingest_recordings, raise_for_failures

    with _progress("footage") as (tell, note):
        _tell_undated(recordings, config, note)
        report = ingest_recordings(
            recordings,
            out,
            config=config,
            jobs=options.jobs,
            elsewhere=on_cluster(options.cluster()) if options.ray else None,
            follow=options.follow,
            keep_days=options.keep_days,
            tell=tell,
            note=note,
        )
    raise_for_failures(report, out)
    return report.total


def _tell_undated(recordings: Sequence[Recording], config: IngestConfig, note: Note) -> None:
    """Say once which recordings have no date, and how to give one."""
    undated = [one.label for one in recordings if one.start_s is None]
    if not undated or config.stills:
        return
    named = ", ".join(undated[:3]) + (", ..." if len(undated) > 3 else "")
    note(
        f"{len(undated)} of {len(recordings)} recordings have no date ({named}): their times count from "
        "their beginning and are never compared with dates. A date comes from the name "
        "(gate_20261120T213000Z.mp4), --name_pattern, a list of cameras, or --start"
    )


def _live(
    streams: Sequence[Stream], out: Path, config: IngestConfig, options: LiveOptions, jobs: int
) -> IngestReport:
    from xreid.retrieval.live import watch

    stop = threading.Event()
    with _stopping(stop):
        return watch(streams, out, config=config, options=options, jobs=jobs, stop=stop, note=_say)


@contextmanager
def _stopping(stop: threading.Event) -> Iterator[None]:
    """SIGTERM and Ctrl-C set `stop`; a second one ends the program, which loses nothing recorded."""

    def first(number: int, frame: object) -> None:
        _say("stopping: what was recorded is ingested; once more ends at once, the same command then goes on")
        stop.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.default_int_handler)

    before = {number: signal.signal(number, first) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(text: str) -> None:
    print(f"ingest: {text}", file=sys.stderr, flush=True)


def _print(report: IngestReport, out: Path, *, seconds: float) -> None:
    infrared = report.tracklets - report.visible
    spectra = " and ".join(
        f"{count} {name}" for count, name in ((report.visible, "visible"), (infrared, "infrared")) if count
    )
    rate = report.frames / max(seconds, 1e-9)
    print(f"{out}: {report.tracklets} tracklets{f' ({spectra})' if spectra else ''}, {report.crops} pictures")
    print(f"{report.frames} frames in {seconds:.1f} s ({rate:.0f} frames/s)")
    for text, count in report.remarks().items():
        print(f"{count} {text}")
    for text, count in report.left_out().items():
        print(f"left out or mended: {count} {text}")


@contextmanager
def _progress(what: str) -> Iterator[tuple[Callable[[float, float | None], None], Note]]:
    """A bar with the time left on a terminal, elsewhere a line every ten seconds."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(file=sys.stderr)
    columns = (TextColumn(what), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    live, first = console.is_terminal, time.perf_counter()
    with Progress(*columns, console=console, transient=True, disable=not live) as bar:
        task = bar.add_task(what, total=None)
        started: float | None = None

        def line(done: int, total: int) -> None:
            gone = done - int(started or 0)
            left = (total - done) * (time.perf_counter() - first) / gone if gone > 0 else None
            share = f"{100 * done / total:.0f}%" if total else str(done)
            rest = f", {left:.0f} s left" if total and left is not None else ""
            print(f"ingest: {what} {share}{rest}", file=sys.stderr, flush=True)

        paced = now_and_then(line)

        def tell(done: float, total: float | None) -> None:
            nonlocal started
            started = done if started is None else started  # a resumed ingest starts late
            bar.update(task, completed=done, total=total)
            if not live:
                paced(int(done), int(total or 0))

        def note(text: str) -> None:
            bar.console.print(f"ingest: {text}", highlight=False, markup=False, soft_wrap=True)

        yield tell, note
