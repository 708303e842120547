"""What goes wrong when cameras run for weeks: full disks, killed ingests, lost connections, clocks."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.retrieval.footage import walkers, write_video
from tests.retrieval.rtsp import RtspCamera, encode
from tests.retrieval.test_live import _gaps, _stream
from tests.waiting import PATIENCE_S, until
from xreid.core.errors import CheckpointError, ConfigError, XReidError
from xreid.retrieval import recorder as recorder_module
from xreid.retrieval.ingest_config import IngestConfig, IngestReport, LiveOptions
from xreid.retrieval.live import _Live
from xreid.retrieval.recorder import Gap, GapLog, Recorder, length_s, segments
from xreid.retrieval.rolled import RolledFiles
from xreid.retrieval.sources import Stream
from xreid.retrieval.stream_writers import writer_for
from xreid.retrieval.video_share import UNREADABLE, VideoShare
from xreid.retrieval.workers import Outcome, Task, run_task

YARD = Stream(address="rtsp://127.0.0.1:1/none", name="yard", camera="yard")


@pytest.fixture(autouse=True)
def _slow_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that stands still for seconds is no camera whose clock has jumped."""
    monkeypatch.setattr(recorder_module, "_DRIFT_S", 1e9)


def _files(folder: Path, *names: str) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / f"{name}.mkv").write_bytes(b"")
    return [folder / f"{name}.mkv" for name in names]


def test_rolled_files_are_known_by_what_came_and_went(tmp_path: Path) -> None:
    a, b, c = _files(tmp_path, *(f"yard_20261120T2130{s}0.000Z" for s in (0, 1, 3)))
    _files(tmp_path, "yard_2_20261120T213005.000Z", "no_time")
    (growing,) = _files(tmp_path, ".yard_20261120T213040.000Z")
    files = RolledFiles(tmp_path, done={b.stem})
    files.look()
    assert (files.closed("yard"), files.waiting("yard"), files.last("yard")) == ([a, b, c], [a, c], c)
    assert [files.before("yard", path) for path in (a, b, growing)] == [None, a, c]
    assert [files.after("yard", path) for path in (a, b, c, growing)] == [b, c, growing, None]
    files.ingested("yard", a)
    a.unlink()
    closed = growing.rename(growing.with_name(growing.name[1:]))
    (between,) = _files(tmp_path, "yard_20261120T213020.000Z")
    files.look()
    assert files.closed("yard") == [b, between, c, closed]
    assert files.waiting("yard") == [between, c, closed]
    assert files.after("yard", closed) is None
    assert files.closed("yard_2") != files.closed("other") == []


def test_a_listing_takes_little_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, now, listed = RolledFiles(tmp_path, done=set()), [0.0], [0]

    def listing(folder: Path) -> list[str]:
        listed[0], now[0] = listed[0] + 1, now[0] + 0.1
        return []

    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(os, "listdir", listing)
    files.look()
    for _ in range(400):
        now[0] += 0.01
        files.look(surely=False)
    assert 2 <= listed[0] <= 4
    files.look()
    assert listed[0] <= 5


def test_gaps_wait_while_the_disk_is_full(tmp_path: Path) -> None:
    path = tmp_path / "gaps.csv"
    log = GapLog(path)
    log.add(Gap(camera="a", from_s=0, to_s=1, reason="first"))
    log.path = Path("/dev/full")
    log.add(Gap(camera="b", from_s=1, to_s=2, reason="second"))
    log.path = path
    log.add(Gap(camera="c", from_s=2, to_s=3, reason="third"))
    assert [row["reason"] for row in _gaps(path)] == ["first", "second", "third"]


def test_footage_goes_where_the_disk_is_nearly_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = _files(tmp_path / "video", "a_20261120T213000.000Z", "a_20261120T213100.000Z")
    for path in (old, new):
        path.write_bytes(b"x" * 1000)
    notes = list[str]()
    share = VideoShare(tmp_path / "video", most_gb=1.0, gaps=GapLog(tmp_path / "g"), note=notes.append)
    free = [4_500]
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(total=500_000, free=free[0]))
    share.keep({"a": [old, new]}, waiting=set(), busy=set())
    assert [path.exists() for path in (old, new)] == [False, True]
    assert "the disk of" in notes[0]
    free[0] = 5_500
    share.keep({"a": [new]}, waiting=set(), busy=set())
    assert new.exists()


@pytest.fixture
def live(tmp_path: Path) -> _Live:
    made = _Live(
        [YARD],
        tmp_path,
        config=IngestConfig(detector="motion"),
        options=LiveOptions(),
        stop=threading.Event(),
        note=lambda text: notes.append(text),
    )
    notes: list[str] = []
    made.notes = notes  # type: ignore[attr-defined]
    return made


def _ended(live: _Live, end: Outcome | BaseException) -> Task:
    """The first waiting file's ingest ends so."""
    live.files.look()
    task = live._task(YARD, live.files.waiting("yard")[0])
    future: Future[Outcome] = Future()
    if isinstance(end, Outcome):
        future.set_result(end)
    else:
        future.set_exception(end)
    live.busy["yard"] = task, future
    return task


def test_an_ingest_that_cannot_write_is_tried_again(live: _Live, tmp_path: Path) -> None:
    (path,) = _files(tmp_path / "video", "yard_20261120T213000.000Z")
    _ended(live, XReidError("cannot write x: No space left on device"))
    live._collect()
    assert (live.files.waiting("yard"), live.busy) == ([path], {})
    assert live.not_before["yard"] > time.monotonic()
    assert "waits: cannot write x" in live.notes[-1]  # type: ignore[attr-defined]
    _ended(live, CheckpointError("the model is gone"))
    with pytest.raises(CheckpointError):
        live._collect()


def test_what_was_begun_with_other_options_begins_anew(live: _Live, tmp_path: Path) -> None:
    _files(tmp_path / "video", "yard_20261120T213000.000Z")
    task = _ended(live, ConfigError("holds an unfinished ingest"))
    (task.out / ".ingest").mkdir(parents=True)
    live._collect()
    assert not task.out.exists()
    _ended(live, ConfigError("and yet another fault"))
    with pytest.raises(ConfigError):
        live._collect()


def test_a_file_whose_ingest_is_killed_again_and_again_is_set_aside(live: _Live, tmp_path: Path) -> None:
    path, other = _files(tmp_path / "video", "yard_20261120T213000.000Z", "yard_20261120T213010.000Z")
    for _ in range(3):
        assert live.files.waiting("yard")[:1] in ([path], [])
        _ended(live, BrokenProcessPool("gone"))
        with pytest.raises(BrokenProcessPool):
            live._collect()
        live._killed()
    live.files.look()
    assert live.files.waiting("yard") == [other]
    assert path.with_suffix(UNREADABLE).is_file()
    (gap,) = _gaps(tmp_path / "gaps.csv")
    assert "killed 3 times" in gap["reason"]


def test_a_file_that_somebody_removed_is_a_gap(live: _Live, tmp_path: Path) -> None:
    (path,) = _files(tmp_path / "video", "yard_20261120T213000.000Z")
    task = _ended(live, Outcome(name=path.stem, error="video does not exist"))
    path.unlink()
    live._collect()
    live.files.look()
    assert live.files.waiting("yard") == []
    assert not task.out.exists()
    assert len(_gaps(tmp_path / "gaps.csv")) == 1


def test_an_unexpected_fault_is_the_recordings_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def odd(*args: Any, **kwargs: Any) -> IngestReport:
        raise ValueError("of a sort nobody thought of")

    monkeypatch.setattr("xreid.retrieval.workers.ingest_video", odd)
    task = Task(name="a", path=tmp_path / "a", out=tmp_path / "o", config=IngestConfig(detector="motion"))
    outcome = run_task(task)
    assert outcome.report is None
    assert "unexpected ValueError: of a sort nobody thought of (test_live_faults.py, line" in outcome.error


def _handles() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_stream_that_drops_often_leaves_no_file_open_and_no_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xreid.retrieval.recorder._FIRST_WAIT_S", 0.01)
    units, stop, notes = encode(walkers(10), fps=50), threading.Event(), list[str]()
    drops = int(os.environ.get("XREID_TEST_DROPS", "12"))
    counts: list[tuple[int, int]] = []
    with RtspCamera(units, fps=50, drop_after=[8] * drops) as camera:
        recorder = Recorder(
            _stream(camera),
            tmp_path,
            roll_s=60,
            stop=stop,
            gaps=GapLog(tmp_path / "g.csv"),
            note=notes.append,
        )

        def drop(test: Callable[[], bool]) -> None:
            until(lambda: test() or not recorder.is_alive())
            counts.append((_handles(), threading.active_count()))

        recorder.start()
        drop(lambda: camera.connections >= 4)
        drop(lambda: camera.connections > drops)
        stop.set()
        recorder.join(PATIENCE_S)
    assert recorder.failure is None
    (handles, threads), (later, more) = counts
    assert later <= handles + 8, "each connection would be one or more"
    assert more <= threads + 4
    assert len(segments(tmp_path, "yard")) >= drops // 2
    assert not list(tmp_path.glob(".*"))


def test_a_disk_that_stays_full_is_one_gap_and_waits_grow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_video(tmp_path / "web_20261120T213000.000Z.mkv", walkers(20))
    monkeypatch.setattr(recorder_module, "_FIRST_WAIT_S", 0.01)
    stop, waits, refused = threading.Event(), list[str](), [0]

    def refuse(*args: Any, **kwargs: Any) -> Any:
        refused[0] += 1
        if refused[0] <= 3:
            raise OSError(28, "No space left on device")
        return writer_for(*args, **kwargs)

    monkeypatch.setattr(recorder_module, "writer_for", refuse)
    stream = Stream(address="lavfi://testsrc=size=64x48:rate=10,realtime", name="web", camera="web")
    log = GapLog(tmp_path / "g.csv")
    recorder = Recorder(stream, tmp_path, roll_s=1, stop=stop, gaps=log, note=waits.append)
    recorder.start()
    until(lambda: len(segments(tmp_path, "web")) > 1 or not recorder.is_alive())
    stop.set()
    recorder.join(PATIENCE_S)
    assert recorder.failure is None
    (gap,) = _gaps(tmp_path / "g.csv")
    assert "No space left" in gap["reason"]
    assert recorder._wait_s == 0.01, "begins anew once something is written"


def _recorder(stream: Stream, folder: Path) -> Recorder:
    """One that is not started: its steps are called."""
    gaps = GapLog(folder / "g")
    return Recorder(stream, folder, roll_s=60, stop=threading.Event(), gaps=gaps, note=lambda text: None)


def test_a_clock_that_jumps_begins_a_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A packet a second; after the fourth the camera's clock is a minute ahead."""
    clock, closed = [1000.0], list[float]()
    monkeypatch.setattr(recorder_module, "_DRIFT_S", 5.0)
    monkeypatch.setattr(recorder_module, "time", SimpleNamespace(time=lambda: clock[0]))
    copied = SimpleNamespace(codec_context=SimpleNamespace(name="h264"))
    key_frames, stamps = (0, 5), (0, 1, 2, 3, 64, 65, 66)

    def demux(_: Any) -> Iterator[Any]:
        for number, stamp in enumerate(stamps):
            clock[0] = 1000.0 + number
            yield SimpleNamespace(
                pts=stamp, size=9, is_keyframe=number in key_frames, stream=copied, number=number
            )

    recorder = _recorder(YARD, tmp_path)
    monkeypatch.setattr(recorder, "_close", lambda: closed.append(clock[0]))
    video = SimpleNamespace(time_base=1)
    container = SimpleNamespace(streams=SimpleNamespace(video=[video]), demux=demux)
    timed = [(packet.number, at) for packet, at in recorder._timed(container)]
    assert timed == [(0, 1000.0), (1, 1001.0), (2, 1002.0), (3, 1003.0), (5, 1005.0), (6, 1006.0)]
    assert closed == [1004.0], "what follows is another file, from its first key frame on"


@pytest.mark.parametrize(
    "order", [range(13), (0, 2, 1, 4, 3, 6, 5, 8, 7, 9, 10, 11, 12)], ids=["in order", "with B frames"]
)
def test_on_a_busy_machine_too_the_packets_that_lay_ready_are_older_than_now(
    order: Sequence[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten pictures a second; ten lie ready and each takes 20 ms to get, the next one is waited for."""
    clock = [1000.0]
    monkeypatch.setattr(recorder_module, "time", SimpleNamespace(time=lambda: clock[0]))

    def demux(_: Any) -> Iterator[Any]:
        for place, number in enumerate(order):
            clock[0] += 0.02 if place < 10 else 0.08
            yield SimpleNamespace(pts=100 * number, size=9, is_keyframe=number == 0)

    video = SimpleNamespace(time_base=0.001)
    container = SimpleNamespace(streams=SimpleNamespace(video=[video]), demux=demux)
    timed = [at for _, at in _recorder(YARD, tmp_path)._timed(container)]
    assert timed == pytest.approx([1000.28 + 0.1 * (number - 10) for number in order])


def test_a_clock_that_was_put_back_overwrites_nothing(tmp_path: Path) -> None:
    (old,) = _files(tmp_path, "web_20261120T213000.000Z")
    old.write_bytes(b"what was recorded before")
    stream = Stream(address="lavfi://testsrc=size=64x48:rate=5", name="web", camera="web")
    recorder = _recorder(stream, tmp_path)
    from xreid.retrieval.recorder import open_stream

    with open_stream(stream.address) as container:
        recorder._roll(container, 1_795_210_200.0)
        assert recorder._writer is not None
        for number, packet in enumerate(container.demux(video=0)):
            recorder._writer.write(packet)
            if number == 3:
                break
        recorder._close()
    assert old.read_bytes() == b"what was recorded before"
    (new,) = (path for path in segments(tmp_path, "web") if path != old)
    assert new.name == "web_20261120T213000.001Z.mkv"
    assert length_s(new) > 0


def test_files_over_a_jump_of_the_clock_are_not_joined(live: _Live, tmp_path: Path) -> None:
    folder = tmp_path / "video"
    folder.mkdir(exist_ok=True)
    names = ("yard_20261120T213000.000Z", "yard_20261120T213001.000Z", "yard_20261120T213004.100Z")
    paths = [write_video(folder / f"{name}.mkv", walkers(30)) for name in names]
    live.files.look()
    tasks = [live._task(YARD, path) for path in paths]
    assert [task.before for task in tasks] == [None, None, paths[1]], (
        "the second began before the first ended"
    )
    assert [task.goes_on for task in tasks] == [False, True, False]


def test_no_ingest_waits_for_somebody_to_read_its_progress(
    live: _Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe that nobody reads is full after some minutes of footage."""
    given: list[object] = []

    @contextmanager
    def noted(jobs: int, queue: object) -> Iterator[SimpleNamespace]:
        given.append(queue)
        yield SimpleNamespace()

    monkeypatch.setattr("xreid.retrieval.live.pool", noted)
    live.stop.set()
    live.run(1)
    assert given == [None]


def _submitted(live: _Live) -> list[str]:
    """Names of the recordings whose ingests begin now."""
    begun: list[str] = []

    def submit(function: object, task: Task) -> Future[Outcome]:
        begun.append(task.name)
        return Future()

    live.files.look()
    live._submit(SimpleNamespace(submit=submit))  # type: ignore[arg-type]
    return begun


def test_who_may_have_killed_the_ingests_runs_alone_so_that_nobody_else_is_blamed(tmp_path: Path) -> None:
    streams = [Stream(address=f"rtsp://127.0.0.1:1/{name}", name=name, camera=name) for name in "abc"]
    live = _Live(
        streams,
        tmp_path,
        config=IngestConfig(detector="motion"),
        options=LiveOptions(),
        stop=threading.Event(),
        note=lambda text: None,
    )
    bad, other, third = (f"{name}_20261120T213000.000Z" for name in "abc")
    _files(tmp_path / "video", bad, other)
    assert _submitted(live) == [bad, other]
    live._killed()
    _files(tmp_path / "video", third)
    for _ in range(2):
        assert _submitted(live) == [bad], "alone, and before those who were not there"
        assert _submitted(live) == []
        live._killed()
    assert [path.stem for path in (tmp_path / "video").glob(f"*{UNREADABLE}")] == [bad]
    assert _submitted(live) == [other]
    live.busy.clear()
    live.files.ingested("b", live.files.waiting("b")[0])
    assert _submitted(live) == [third]
