"""The share of the disk that live video may take."""

import csv
from pathlib import Path

import pytest

from xreid.core.errors import ConfigError
from xreid.retrieval.ingest_config import IngestReport, LiveOptions
from xreid.retrieval.recorder import GapLog
from xreid.retrieval.video_share import UNREADABLE, VideoShare


def _files(folder: Path, camera: str, count: int) -> list[Path]:
    folder.mkdir(exist_ok=True)
    files = [folder / f"{camera}_20261120T2130{i:02d}.000Z.mkv" for i in range(count)]
    for file in files:
        file.write_bytes(b"x" * 1000)
    return files


def test_ingested_files_go_first_then_waiting_ones_oldest_first(tmp_path: Path) -> None:
    video, notes = tmp_path / "video", list[str]()
    a, b = _files(video, "a", 4), _files(video, "b", 4)
    (video / ".b_20261120T213005.000Z.mkv").write_bytes(b"x" * 1000)  # grows
    share = VideoShare(video, most_gb=9.5e-6, gaps=GapLog(tmp_path / "gaps.csv"), note=notes.append)
    waiting, busy = {*a[1:], *b[2:]}, {a[1]}
    share.keep({"a": a, "b": b}, waiting=waiting, busy=busy)
    assert not notes, "nine files fit"

    share.most = 6500
    share.keep({"a": a, "b": b}, waiting=waiting, busy=busy)
    assert sorted(set(a + b) - {file for file in a + b if file.exists()}) == [a[0], b[0], b[1]]
    assert share.dropped == 0
    assert len(notes) == 3
    assert all("its tracklets stay" in note for note in notes)

    share.most = 4500
    left = {"a": a[1:], "b": b[2:]}
    share.keep(left, waiting=waiting, busy=busy)
    assert [file.exists() for file in a[1:] + b[2:]] == [True, False, True, False, True], (
        "the oldest, not the busy"
    )
    assert share.dropped == 2
    assert all("NOT ingested" in note and "--video_gb" in note for note in notes[3:])
    with open(tmp_path / "gaps.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["camera"] for row in rows] == ["a", "b"]
    assert all("removed before it was ingested" in row["reason"] for row in rows)


def test_files_that_cannot_be_read_count_and_go_first(tmp_path: Path) -> None:
    video, notes = tmp_path / "video", list[str]()
    files = _files(video, "a", 4)
    bad = [file.rename(file.with_suffix(UNREADABLE)) for file in files[1:3]]
    share = VideoShare(video, most_gb=3.5e-6, gaps=GapLog(tmp_path / "gaps.csv"), note=notes.append)
    share.keep({"a": [files[0], files[3]]}, waiting=[], busy=[])
    assert [file.exists() for file in (files[0], *bad, files[3])] == [True, False, True, True]
    assert len(notes) == 1
    assert not (tmp_path / "gaps.csv").exists(), "the gap was written down when it could not be read"


def test_by_default_a_share_of_what_is_free(tmp_path: Path) -> None:
    share = VideoShare(tmp_path, most_gb=None, gaps=GapLog(tmp_path / "gaps.csv"), note=lambda text: None)
    assert share.most > 1e6
    assert "--video_gb" in "".join(IngestReport(dropped=2).left_out())
    with pytest.raises(ConfigError, match="video_gb is out of range"):
        LiveOptions(video_gb=0)
