"""Live cameras: recorded, lost and found again, killed and gone on with; an RTSP server of our own plays."""

import csv
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import av
import pytest

from tests.retrieval.footage import walkers, write_video
from tests.retrieval.rtsp import RtspCamera, encode
from tests.waiting import PATIENCE_S, until
from xreid.core.errors import ConfigError
from xreid.data import open_archive
from xreid.retrieval import recorder
from xreid.retrieval.ingest_config import IngestConfig, LiveOptions
from xreid.retrieval.live import watch
from xreid.retrieval.moments import moments
from xreid.retrieval.recorder import Gap, GapLog, Recorder, length_s, segments, start_of
from xreid.retrieval.sources import Stream

ROOT = Path(__file__).parents[2]
FPS = 10
# The command, on a machine that may be seconds late: see `clock`.
_PATIENT = """
import sys
from xreid.cli.main import main
from xreid.retrieval import recorder
recorder._DRIFT_S = 1e9
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def units() -> list[list[bytes]]:
    """15 seconds: two people, one after the other."""
    return encode(walkers(150), fps=FPS)


def _stream(camera: RtspCamera) -> Stream:
    return Stream(address=camera.url, name="yard", camera="yard", place="back yard")


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is seconds late is slow; no clock has jumped."""
    monkeypatch.setattr(recorder, "_DRIFT_S", 1e9)


@contextmanager
def _at_the_end(stop: threading.Event) -> Iterator[None]:
    """Set it, whatever happens: nobody waits for what will not come."""
    try:
        yield
    finally:
        stop.set()


@contextmanager
def _ended(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _record(stream: Stream, folder: Path, *, seen: Callable[[], object], roll_s: float = 2.0) -> list[str]:
    folder.mkdir(exist_ok=True)
    stop, notes = threading.Event(), list[str]()
    gaps = GapLog(folder / "gaps.csv")
    thread = Recorder(stream, folder, roll_s=roll_s, stop=stop, gaps=gaps, note=notes.append)
    thread.start()
    until(lambda: seen() or not thread.is_alive())
    last_s = thread._last_s or 0.0  # some pictures more, for one alone makes no file
    until(lambda: (thread._last_s or 0.0) > last_s + 0.3 or not thread.is_alive())
    stop.set()
    thread.join(PATIENCE_S)
    assert thread.failure is None
    return notes


def _gaps(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_stream_is_recorded_in_rolling_files_with_the_time_of_day(
    units: list[list[bytes]], tmp_path: Path
) -> None:
    folder = tmp_path / "video"
    with RtspCamera(units, fps=FPS) as camera:
        start = time.time()
        _record(_stream(camera), folder, seen=lambda: len(segments(folder, "yard")) >= 2)
        end = time.time()
    files = segments(folder, "yard")
    assert len(files) >= 3, "the last one was closed by the stop"
    assert not list(folder.glob(".*")), "nothing half-written"
    last_s = start_of(files[-1]) + length_s(files[-1])
    assert start - 0.5 < start_of(files[0]) < start_of(files[-1]) < last_s < end + 0.5
    for one, other in pairwise(files):
        assert start_of(other) - start_of(one) - length_s(one) == pytest.approx(1 / FPS, abs=0.05), "no gap"
    for file in files:
        with av.open(str(file)) as container:
            pictures = list(container.decode(video=0))
        assert pictures[0].pts == 0
        assert not any(picture.is_corrupt for picture in pictures)
        assert len(pictures) == round(length_s(file) * FPS) + 1, "every picture of that time"
    assert all(length_s(file) >= 1.9 for file in files[:-1]), "begun anew after two seconds, not before"
    assert not (folder / "gaps.csv").exists()


def test_a_lost_connection_is_taken_up_again_and_the_gap_written_down(
    units: list[list[bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "_FIRST_WAIT_S", 3.0)  # a gap by far, whoever comes late
    folder = tmp_path / "video"
    with RtspCamera(units, fps=FPS, drop_after=[15]) as camera:
        notes = _record(
            _stream(camera),
            folder,
            seen=lambda: camera.connections > 1 and len(segments(folder, "yard")) >= 2,
        )
    files = segments(folder, "yard")
    assert len(files) >= 2
    (gap,) = _gaps(folder / "gaps.csv")
    assert gap["camera"] == "yard"
    assert float(gap["seconds"]) == pytest.approx(
        start_of(files[1]) - start_of(files[0]) - length_s(files[0]), abs=0.1
    )
    assert float(gap["seconds"]) > 1
    assert "stream ended" in gap["reason"] or "connection was lost" in gap["reason"]
    assert any("again in 3 s" in note for note in notes)
    assert not any("secret" in note for note in notes)


def test_waits_grow_while_nobody_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xreid.retrieval.recorder._FIRST_WAIT_S", 0.01)
    monkeypatch.setattr("xreid.retrieval.recorder._LONGEST_WAIT_S", 0.04)
    stop, waits = threading.Event(), list[float]()
    stream = Stream(address="rtsp://127.0.0.1:1/none", name="none", camera="none")
    thread = Recorder(
        stream, tmp_path, roll_s=2, stop=stop, gaps=GapLog(tmp_path / "gaps.csv"), note=lambda text: None
    )

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        if len(waits) == 5:
            stop.set()
        return stop.is_set()

    monkeypatch.setattr(stop, "wait", wait)
    thread.run()
    assert waits == [0.01, 0.02, 0.04, 0.04, 0.04]
    assert thread.failure is None


def test_raw_pictures_of_a_device_are_encoded(tmp_path: Path) -> None:
    """FFmpeg's own test picture stands for a device: raw pictures, in real time."""
    stream = Stream(address="lavfi://testsrc=size=160x120:rate=10,realtime", name="web", camera="web")
    _record(stream, tmp_path / "v", seen=lambda: len(segments(tmp_path / "v", "web")) >= 1, roll_s=1)
    first = segments(tmp_path / "v", "web")[0]
    with av.open(str(first)) as container:
        assert container.streams.video[0].codec_context.name in ("h264", "mpeg4")
        assert len(list(container.decode(video=0))) >= 8


def test_what_a_killed_recorder_left_is_closed_and_the_gap_written_down(
    units: list[list[bytes]], tmp_path: Path
) -> None:
    whole = write_video(tmp_path / "whole.mkv", walkers(40), keyframes=5)
    data = whole.read_bytes()
    folder = tmp_path / "video"
    folder.mkdir()
    (folder / ".yard_20261120T213000.500Z.mkv").write_bytes(data[: len(data) * 2 // 3])
    (folder / ".yard_20261120T213100.500Z.mkv").write_bytes(b"")
    (folder / ".yard_2_20261120T213000.500Z.mkv").write_bytes(data)  # of another camera
    with RtspCamera(units, fps=FPS) as camera:
        _record(_stream(camera), folder, seen=lambda: len(segments(folder, "yard")) >= 2)
    assert [path.name for path in folder.glob(".*")] == [".yard_2_20261120T213000.500Z.mkv"]
    left = folder / "yard_20261120T213000.500Z.mkv"
    assert left in segments(folder, "yard")
    assert 1 < length_s(left) < 4
    (gap,) = _gaps(folder / "gaps.csv")
    assert gap["reason"] == "the recorder was not running"
    assert gap["from"].startswith("2026-11-20T21:30:0")


def test_gaps_are_lines_of_a_table(tmp_path: Path) -> None:
    log = GapLog(tmp_path / "gaps.csv")
    for reason in ("one, with a comma", "two"):
        log.add(Gap(camera="a", from_s=0.0, to_s=1.5, reason=reason))
    rows = _gaps(tmp_path / "gaps.csv")
    assert [(row["reason"], row["seconds"]) for row in rows] == [("one, with a comma", "1.5"), ("two", "1.5")]
    assert rows[0]["to"] == "1970-01-01T00:00:01.500+00:00"


def test_a_live_camera_becomes_tracklets(units: list[list[bytes]], tmp_path: Path) -> None:
    out, stop, notes = tmp_path / "out", threading.Event(), list[str]()
    video, finished = out / "video", "recordings/yard_*/ingest.json"

    def stop_when_seen() -> None:
        with _at_the_end(stop):
            until(lambda: len(segments(video, "yard")) >= 2 or stop.is_set())
            camera.paused.set()  # or a slow machine records more than it ever ingests
            until(lambda: len(list(out.glob(finished))) >= 2 or stop.is_set())

    begun = time.time()
    with RtspCamera(units, fps=FPS) as camera:
        threading.Thread(target=stop_when_seen, daemon=True).start()
        report = watch(
            [_stream(camera)],
            out,
            config=IngestConfig(detector="motion", min_frames=5),
            options=LiveOptions(roll_s=4.0),
            stop=stop,
            note=notes.append,
        )
    files = segments(video, "yard")
    assert len(list(out.glob(finished))) == len(files) >= 2, "all that was recorded is ingested"
    table = open_archive(out)
    assert report.tracklets == len(table) >= 1
    assert len({row.name for row in table}) == len(table)
    assert all(table.frame_path(frame).is_file() for row in table for frame in row.frames)
    assert {(row.camera, row.place) for row in table} == {("yard", "back yard")}
    for row in table:
        seen = moments(out, row.name)
        assert [one.file for one in seen] == list(row.frames)
        assert abs(seen[0].time_s - start_of(Path(seen[0].source)) - seen[0].offset_s) < 0.01
        assert begun - 0.5 < row.start_s < row.end_s < time.time()
    assert not any("secret" in note for note in notes)


def test_killed_while_recording_it_goes_on_without_loss_or_repetition(
    units: list[list[bytes]], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with RtspCamera(units, fps=FPS) as camera:
        words = ["ingest", camera.url, str(out), "--camera", "yard", "--roll_s", "3", "--detector", "motion"]
        command = [sys.executable, "-c", _PATIENT, *words, "--min_frames", "5"]
        log = open(tmp_path / "log", "w")  # noqa: SIM115
        first = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        with _ended(first):
            video = out / "video"
            until(lambda: segments(video, "yard") or first.poll() is not None)
            until(lambda: any(map(length_s, video.glob(".yard*"))) or first.poll() is not None)
            os.kill(first.pid, signal.SIGKILL)
            assert first.wait() == -signal.SIGKILL
        before = [path.name for path in segments(video, "yard")]
        time.sleep(2.0)  # a gap by far, however fast it starts
        second = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        with _ended(second):
            until(
                lambda: len(segments(out / "video", "yard")) >= len(before) + 3 or second.poll() is not None
            )
            second.send_signal(signal.SIGTERM)
            code = second.wait(timeout=PATIENCE_S)
    log.close()
    text = (tmp_path / "log").read_text()
    assert code == 0, text[-3000:]
    assert "secret" not in text
    files = segments(out / "video", "yard")
    assert [path.name for path in files][: len(before)] == before
    assert {path.stem for path in files} == {
        path.parent.name for path in out.glob("recordings/*/ingest.json")
    }
    assert not list((out / "video").glob(".*"))
    spans = [(start_of(path), start_of(path) + length_s(path)) for path in files]
    holes = [b[0] - a[1] for a, b in pairwise(spans)]
    assert min(holes) > -0.05, "nothing twice"
    recorded = [float(row["seconds"]) for row in _gaps(out / "gaps.csv")]
    assert sorted(hole for hole in holes if hole > 0.5) == pytest.approx(sorted(recorded), abs=0.2)
    assert len(recorded) == 1
    rows = moments(out)
    assert len({(row.source, row.frame, row.box) for row in rows}) == len(rows)


def test_footage_is_not_kept_where_it_shall_not_be(units: list[list[bytes]], tmp_path: Path) -> None:
    out, stop = tmp_path / "out", threading.Event()

    def stop_when_done() -> None:
        with _at_the_end(stop):
            until(lambda: segments(out / "video", "yard") or stop.is_set())
            camera.paused.set()
            until(lambda: list(out.glob("recordings/*/ingest.json")) or stop.is_set())

    with RtspCamera(units, fps=FPS) as camera:
        threading.Thread(target=stop_when_done, daemon=True).start()
        watch(
            [_stream(camera)],
            out,
            config=IngestConfig(detector="motion", min_frames=5),
            options=LiveOptions(roll_s=2.0, keep_video=False),
            stop=stop,
        )
    assert not list((out / "video").iterdir())
    assert list(out.glob("recordings/*/ingest.json"))


def test_it_ends_by_itself_after_its_time(units: list[list[bytes]], tmp_path: Path) -> None:
    stop = threading.Event()
    with RtspCamera(units, fps=FPS) as camera:
        options = LiveOptions(roll_s=2.0, for_s=0.1)
        watch([_stream(camera)], tmp_path, config=IngestConfig(detector="motion"), options=options, stop=stop)
    assert stop.is_set()


@pytest.mark.parametrize("values", [{"roll_s": 0.0}, {"roll_s": 1e9}, {"for_s": 0.0}])
def test_options_out_of_range(values: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="out of range"):
        LiveOptions(**values)  # type: ignore[arg-type]
