"""From video to tracklets: given tracks, own tracks, stills; resumed after a kill; bad input."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.retrieval.footage import draw_person, walkers, wall, write_images, write_mot, write_video
from xreid.core.errors import ConfigError, DataError, XReidError
from xreid.core.tracklets import Modality
from xreid.data import open_archive
from xreid.retrieval.crops import Cutter
from xreid.retrieval.ingest import ingest_video
from xreid.retrieval.ingest_config import IngestConfig, parse_time
from xreid.retrieval.moments import moments
from xreid.retrieval.mot import read_tracks

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "walk.mp4", walkers(150))


def _tracks(path: Path, *, frames: range = range(1, 151), ids: tuple[int, ...] = (4, 9)) -> Path:
    rows = [(f, i, 21 + 30 * n, 41, 30, 80, 0.9, -1, -1, -1) for f in frames for n, i in enumerate(ids)]
    return write_mot(path, rows)


def _digest(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_given_tracks_are_cut_out(video: Path, tmp_path: Path) -> None:
    tracks = _tracks(tmp_path / "mot.txt")
    start = "2026-11-20T10:00:00+01:00"
    config = IngestConfig(tracks=tracks, camera="gate 1", place="north gate", start=start, margin=0.1)
    report = ingest_video(video, tmp_path / "out", config=config)
    assert (report.tracklets, report.visible, report.crops, report.frames) == (2, 2, 300, 150)
    assert report.left_out() == {}
    table = open_archive(tmp_path / "out")
    assert table.source == "table"
    assert [row.name for row in table] == ["gate_1-0004", "gate_1-0009"]
    assert table[0].camera == "gate 1"
    assert table[0].identity is None
    assert (table[0].place, table[0].source) == ("north gate", "walk.mp4")
    assert table[0].start_s == 1_795_165_200
    assert table[0].end_s == pytest.approx(1_795_165_200 + 14.9)
    assert table[0].frames[:2] == ("frames/gate_1-0004/000001.jpg", "frames/gate_1-0004/000002.jpg")
    crop = cv2.imread(str(table.frame_path(table[0].frames[99])))
    assert crop.shape == (96, 36, 3), "box and margin"
    original = list(walkers(100))[99][32:128, 17:53]
    assert np.abs(crop.astype(int) - original).mean() < 6, "the right place of the right frame"
    assert all(row.modality_confidence > 0.99 and 0 < row.quality < 1 for row in table)
    written = read_tracks(tmp_path / "out" / "tracks.txt")
    assert written.by_frame == read_tracks(tracks).by_frame
    facts = json.loads((tmp_path / "out" / "ingest.json").read_text())
    assert facts["report"]["tracklets"] == 2
    assert facts["source_sha256"] == hashlib.sha256(video.read_bytes()).hexdigest()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "frames",
        "ingest.json",
        "moments.parquet",
        "quality.parquet",
        "tracklets.parquet",
        "tracks.txt",
    }


def test_people_are_found_without_tracks(video: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    report = ingest_video(video, tmp_path / "out", tell=lambda *args: told.append(args))
    assert report.tracklets == 2, "one red, one green"
    table = open_archive(tmp_path / "out")
    first = cv2.imread(str(table.frame_path(table[0].frames[len(table[0].frames) // 2])))
    second = cv2.imread(str(table.frame_path(table[1].frames[len(table[1].frames) // 2])))
    for crop, channel in ((first, 2), (second, 1)):
        body = crop[crop.shape[0] // 3, crop.shape[1] // 2].astype(int)
        assert body.argmax() == channel
    assert len(table[0].frames) > 60, "it stands for two seconds and is followed on"
    assert table[0].end_s < table[1].start_s
    assert told[-1] == (150, 150)


def test_what_is_too_short_is_kept_apart_as_a_folder_of_tracklets_of_its_own(
    video: Path, tmp_path: Path
) -> None:
    config = IngestConfig(min_frames=60, segment_frames=125, detector="motion")
    report = ingest_video(video, tmp_path / "out", config=config)
    assert report.tracklets == 1, "the red one"
    assert report.short >= 1
    assert any("short" in text for text in report.remarks())
    apart = open_archive(tmp_path / "out" / "short")
    assert not {row.name for row in apart} & {row.name for row in open_archive(tmp_path / "out")}
    longest = max(apart, key=lambda row: len(row.frames))
    assert 8 <= len(longest.frames) < 60
    crop = cv2.imread(str(apart.frame_path(longest.frames[len(longest.frames) // 2])))
    assert crop[crop.shape[0] // 3, crop.shape[1] // 2].argmax() == 1, "the green one"
    assert len(moments(tmp_path / "out" / "short", longest.name)) == len(longest.frames)
    kept = {path.parent.name for path in (tmp_path / "out" / "frames").rglob("*.jpg")}
    assert kept == {row.name for row in open_archive(tmp_path / "out")}


def test_every_nth_frame(video: Path, tmp_path: Path) -> None:
    config = IngestConfig(tracks=_tracks(tmp_path / "mot.txt"), every=4)
    report = ingest_video(video, tmp_path / "out", config=config)
    assert report.crops == 2 * 38
    names = [Path(frame).stem for frame in open_archive(tmp_path / "out")[0].frames]
    assert names[:3] == ["000001", "000005", "000009"]


def test_boxes_are_clipped_and_what_is_outside_is_counted(video: Path, tmp_path: Path) -> None:
    rows: list[tuple[float, ...]] = []
    for frame in range(1, 21):
        rows.append((frame, 1, -19, 201, 60, 100, 1, -1, -1, -1))  # cut by two borders
        rows.append((frame, 2, 400, 10, 30, 80, 1, -1, -1, -1))  # outside
        rows.append((frame, 3, 50, 50, 30, 80 if frame < 11 else 20, 1, -1, -1, -1))  # too low later
    rows += [(frame, 4, 10, 10, 30, 80, 1, -1, -1, -1) for frame in range(148, 160)]  # beyond the end
    rows += [(7, -1, 10, 10, 30, 80, 1, -1, -1, -1)]
    config = IngestConfig(tracks=write_mot(tmp_path / "mot.txt", rows), margin=0)
    report = ingest_video(video, tmp_path / "out", config=config)
    table = open_archive(tmp_path / "out")
    assert [(row.name, len(row.frames)) for row in table] == [("walk-0001", 20), ("walk-0003", 10)]
    assert cv2.imread(str(table.frame_path(table[0].frames[0]))).shape == (40, 40, 3)
    left_out = (report.too_small, report.too_short, report.beyond_end, report.unconfirmed)
    assert left_out == (20 + 10, 1, 9, 1)
    assert report.short == 1, "the one that begins three frames before the end"
    assert sorted(path.name for path in (tmp_path / "out" / "frames").iterdir()) == ["walk-0001", "walk-0003"]


def test_clipping() -> None:
    cutter, image = Cutter(margin=0.5, min_height=10), np.zeros((100, 200, 3), np.uint8)
    assert cutter.clip(image, (-10, -10, 30, 40)) == (0, 0, 20, 30)
    assert cutter.clip(image, (190, 90, 30, 40)) == (190, 90, 10, 10)
    assert cutter.clip(image, (199, 0, 30, 40)) is None
    assert cutter.clip(image, (0, 95, 30, 40)) is None
    assert cutter.cut(image, (0, 0, 200, 100)).shape == (100, 200, 3)
    assert cutter.cut(image, (100, 50, 20, 20)).shape == (40, 40, 3)


# The command, which kills itself in the middle of the second stretch.
_KILLED = """
import os, signal, sys
from pathlib import Path
from xreid.cli.main import main
real = Path.write_bytes
def write(path, data):
    if path.name == "000130.jpg":
        os.kill(os.getpid(), signal.SIGKILL)
    return real(path, data)
Path.write_bytes = write
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("with_tracks", [True, False])
def test_killed_and_started_again_it_gives_the_same_folder(
    with_tracks: bool, video: Path, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"segment_frames": 100, "min_frames": 5, "camera": "walk"}
    if with_tracks:
        options["tracks"] = _tracks(tmp_path / "mot.txt")
    whole = ingest_video(video, tmp_path / "whole", config=IngestConfig(**options))
    words = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
    command = [sys.executable, "-c", _KILLED, "ingest", str(video), str(tmp_path / "killed"), *words]
    job = subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    assert job.returncode == -signal.SIGKILL
    first = tmp_path / "killed" / ".ingest" / "00000.json"
    assert first.exists()
    assert not (tmp_path / "killed" / "tracklets.parquet").exists()
    stamp = first.stat().st_mtime_ns
    notes: list[str] = []
    again = ingest_video(video, tmp_path / "killed", config=IngestConfig(**options), note=notes.append)
    assert any("going on" in text for text in notes)
    assert again == whole
    assert _digest(tmp_path / "killed") == _digest(tmp_path / "whole")
    assert not first.exists()
    assert stamp
    assert (
        ingest_video(video, tmp_path / "killed", config=IngestConfig(**options), note=notes.append) == whole
    )
    assert "already holds" in notes[-1]


def test_a_finished_stretch_is_not_read_again(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xreid.retrieval import ingest as module

    config = IngestConfig(segment_frames=100, min_frames=5)
    real, runs = module.SegmentJob.run, list[int]()

    def run(self: Any, anchor: Any, **words: Any) -> Any:
        runs.append(anchor.number)
        if runs == [1, 101]:
            raise KeyboardInterrupt
        return real(self, anchor, **words)

    monkeypatch.setattr(module.SegmentJob, "run", run)
    with pytest.raises(KeyboardInterrupt):
        ingest_video(video, tmp_path / "out", config=config)
    ingest_video(video, tmp_path / "out", config=config)
    assert runs == [1, 101, 101]


def test_killed_while_short_tracklets_are_cleared_away(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xreid.retrieval import ingest as module

    rows: list[tuple[float, ...]] = []
    for frame in range(1, 31):
        rows.append((frame, 1, 50, 50, 30, 80))
        rows.append((frame, 2, 100, 50, 30, 80 if frame < 4 else 20))  # mostly too low
    config = IngestConfig(tracks=write_mot(tmp_path / "mot.txt", rows))

    def killed(self: Any, *args: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module.Records, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            ingest_video(video, tmp_path / "out", config=config)
    assert ingest_video(video, tmp_path / "out", config=config).tracklets == 1


def test_what_others_put_into_the_folder_of_a_fruitless_ingest_stays(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xreid.retrieval import ingest as module

    config = IngestConfig(tracks=write_mot(tmp_path / "mot.txt", [(f, 1, 5, 5, 30, 9) for f in range(1, 30)]))

    def killed(self: Any, *args: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module._Ingest, "_judge", killed)
        with pytest.raises(KeyboardInterrupt):
            ingest_video(video, tmp_path / "out", config=config)
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match="no tracklet"):
        ingest_video(video, tmp_path / "out", config=config)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]


def test_an_option_found_wrong_late_does_not_block_the_folder(video: Path, tmp_path: Path) -> None:
    wrong = IngestConfig(detector="torchvision:no_such_model")
    with pytest.raises(ConfigError, match="torchvision has no detector"):
        ingest_video(video, tmp_path / "out", config=wrong)
    assert not (tmp_path / "out").exists()
    config = IngestConfig(tracks=_tracks(tmp_path / "mot.txt"))
    assert ingest_video(video, tmp_path / "out", config=config).tracklets == 2


def _stills(folder: Path, *, grey: bool) -> Path:
    images = []
    for i in range(10):
        image = wall()
        draw_person(image, x=30 + 28 * i, foot=200 - 5 * i, colour=(20, 20, 220))
        images.append(image)
    return write_images(folder, images, grey=grey)


def test_stills_of_a_double_camera(tmp_path: Path) -> None:
    infrared = IngestConfig(stills=True, camera="street")
    report = ingest_video(_stills(tmp_path / "infrared", grey=True), tmp_path / "ir", config=infrared)
    assert (report.tracklets, report.visible, report.crops) == (10, 0, 10)
    visible = IngestConfig(stills=True, camera="street", tracks=tmp_path / "ir" / "tracks.txt")
    report = ingest_video(_stills(tmp_path / "visible", grey=False), tmp_path / "vis", config=visible)
    assert (report.tracklets, report.visible) == (10, 10)
    one, other = open_archive(tmp_path / "ir"), open_archive(tmp_path / "vis")
    assert [row.name for row in one] == [row.name for row in other]
    assert {row.modality for row in one} == {Modality.INFRARED}
    assert {(row.start_s, row.end_s, len(row.frames)) for row in one} == {(None, None, 1)}


def test_the_modality_is_told_from_colour_or_given(video: Path, tmp_path: Path) -> None:
    config = IngestConfig(tracks=_tracks(tmp_path / "mot.txt"), modality="ir")
    assert ingest_video(video, tmp_path / "out", config=config).visible == 0
    assert {row.modality_confidence for row in open_archive(tmp_path / "out")} == {None}


def _switching(path: Path) -> Path:
    """A camera that turns to infrared at frame 81 and back at frame 141."""
    frames = []
    for i, image in enumerate(walkers(90)):
        frames += [image] * 2  # 180 frames; the walker is there from frame 21 on
        if 40 <= i < 70:
            frames[-2:] = [cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)] * 2
    return write_video(path, frames)


def test_tracklets_end_where_the_camera_turns_to_infrared(tmp_path: Path) -> None:
    video = _switching(tmp_path / "switch.mp4")
    tracks = _tracks(tmp_path / "mot.txt", frames=range(1, 181), ids=(4,))
    report = ingest_video(video, tmp_path / "out", config=IngestConfig(tracks=tracks))
    table = open_archive(tmp_path / "out")
    assert (report.switches, report.tracklets, report.visible, report.too_short) == (2, 3, 2, 0)
    rows = [(row.name, row.modality.value, len(row.frames)) for row in table]
    assert rows == [("switch-0004", "vis", 80), ("switch-0005", "ir", 60), ("switch-0006", "vis", 40)]
    assert all(table.frame_path(frame).is_file() for row in table for frame in row.frames)
    assert sum(1 for _ in (tmp_path / "out" / "frames").rglob("*.jpg")) == 180, "moved, not copied"
    assert (table[1].start_s, table[1].end_s) == (8.0, 13.9)
    assert len(read_tracks(tmp_path / "out" / "tracks.txt").lengths()) == 3
    given = IngestConfig(tracks=tracks, modality="vis")
    assert ingest_video(video, tmp_path / "given", config=given).tracklets == 1
    few = IngestConfig(tracks=tracks, min_frames=50)
    report = ingest_video(video, tmp_path / "few", config=few)
    assert (report.tracklets, report.short, report.too_short) == (2, 1, 0)
    assert [len(row.frames) for row in open_archive(tmp_path / "few" / "short")] == [40]


def test_killed_while_pieces_are_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = _switching(tmp_path / "switch.mp4")
    config = IngestConfig(tracks=_tracks(tmp_path / "mot.txt", frames=range(1, 181), ids=(4,)))
    ingest_video(video, tmp_path / "whole", config=config)
    real, moved = Path.rename, list[Path]()

    def rename(self: Path, target: Path) -> Path:
        if self.suffix == ".jpg":
            moved.append(self)
            if len(moved) == 30:
                raise KeyboardInterrupt
        return real(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        with pytest.raises(KeyboardInterrupt):
            ingest_video(video, tmp_path / "killed", config=config)
    ingest_video(video, tmp_path / "killed", config=config)
    assert _digest(tmp_path / "killed") == _digest(tmp_path / "whole")


def test_a_truncated_video_says_what_is_missing(video: Path, tmp_path: Path) -> None:
    data = write_video(tmp_path / "a.avi", walkers(150)).read_bytes()
    (tmp_path / "cut.avi").write_bytes(data[: len(data) // 2])
    config = IngestConfig(tracks=_tracks(tmp_path / "mot.txt"))
    report = ingest_video(tmp_path / "cut.avi", tmp_path / "out", config=config)
    assert report.frames < 140
    assert report.frames + report.damaged + report.missing == 150
    assert "frames stated by the file but not there" in report.left_out()
    assert report.beyond_end == 2 * (150 - report.frames)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [(1000 + f, 1, 5, 5, 30, 80) for f in range(20)],
            "no tracklet in .*20 track rows beyond.*belong to this",
        ),
        ([(f, 1, 5000, 5, 30, 80) for f in range(1, 30)], "no tracklet in .*29 boxes too small or outside"),
        ([(f, 1, 5, 5, 30, 80) for f in range(1, 4)], "no tracklet in .*1 tracklets too short.*min_frames"),
    ],
)
def test_tracks_that_give_nothing(
    rows: list[tuple[float, ...]], message: str, video: Path, tmp_path: Path
) -> None:
    config = IngestConfig(tracks=write_mot(tmp_path / "mot.txt", rows))
    with pytest.raises(DataError, match=message):
        ingest_video(video, tmp_path / "out", config=config)
    assert not (tmp_path / "out").exists(), "nothing is left behind"


def test_nobody_there(tmp_path: Path) -> None:
    empty = write_video(tmp_path / "empty.mp4", [wall()] * 30)
    with pytest.raises(DataError, match="no tracklet in .*persons in 30 frames; got no detection.*--tracks"):
        ingest_video(empty, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_folders_that_hold_something_else(video: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match="exists and is no ingest"):
        ingest_video(video, out)
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]
    config = IngestConfig(tracks=_tracks(tmp_path / "mot.txt"))
    ingest_video(video, tmp_path / "done", config=config)
    with pytest.raises(ConfigError, match="with other options"):
        ingest_video(video, tmp_path / "done", config=IngestConfig(tracks=config.tracks, every=2))
    (tmp_path / "half" / ".ingest").mkdir(parents=True)
    (tmp_path / "half" / ".ingest" / "job.json").write_text('{"format": 1}')
    with pytest.raises(ConfigError, match="an unfinished ingest of another video and with other options"):
        ingest_video(video, tmp_path / "half", config=config)
    (tmp_path / "file").write_text("mine")
    with pytest.raises((ConfigError, XReidError)):
        ingest_video(video, tmp_path / "file", config=config)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_full_disk_is_one_message(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = IngestConfig(tracks=_tracks(tmp_path / "mot.txt"))
    real = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        if self.name == "000050.jpg":
            raise OSError(28, "No space left on device")
        return real(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(XReidError, match="No space left on device.*goes on where it was"):
        ingest_video(video, tmp_path / "out", config=config)
    monkeypatch.undo()
    assert ingest_video(video, tmp_path / "out", config=config).tracklets == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": 0}, "every is out of range"),
        ({"min_frames": 0}, "min_frames is out of range"),
        ({"margin": 2.0}, "margin is out of range"),
        ({"max_gap_s": -1}, "max_gap_s is out of range"),
        ({"max_gap_s": float("inf")}, "max_gap_s is out of range"),
        ({"fps": 0}, "fps is out of range"),
        ({"camera": " "}, "empty name"),
        ({"place": ""}, "empty name"),
        ({"batch": 0}, "batch is out of range"),
        ({"detector": "yolo"}, "no detector 'yolo'.*motion, hog"),
        ({"start": "yesterday"}, "--start is no time.*ISO 8601"),
        ({"start": "nan"}, "--start is no time.*ISO 8601"),
        ({"start": "1e300"}, "--start is no time.*ISO 8601"),
    ],
)
def test_options_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        IngestConfig(**options)


def test_times() -> None:
    assert parse_time("12.5", option="from") == 12.5
    assert parse_time("2026-11-20", option="from") == 1_795_132_800
    assert parse_time("2026-11-20T01:00:00+01:00", option="from") == 1_795_132_800
    assert os.environ.get("TZ", "") or parse_time("2026-11-20T00:00", option="from") == 1_795_132_800
