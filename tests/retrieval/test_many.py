"""Many recordings into one folder: one table, gone on with after a kill, broken ones told."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.retrieval.footage import walkers, wall, write_video
from tests.retrieval.test_ingest import _digest
from tests.waiting import PATIENCE_S
from xreid.cli.main import main
from xreid.core.errors import ConfigError, DataError
from xreid.data import open_archive
from xreid.retrieval.ingest_config import IngestConfig, SourceOptions
from xreid.retrieval.many import ManyReport, ingest_recordings, raise_for_failures
from xreid.retrieval.moments import moments
from xreid.retrieval.sources import Recording, find_sources

ROOT = Path(__file__).parents[2]
CONFIG = IngestConfig(detector="motion")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cameras: one sees two people, one of them again an hour later, and one recording shows nobody."""
    folder = tmp_path_factory.mktemp("site")
    frames = list(walkers(150))
    for name, images in (("a", frames), ("b", frames[90:])):
        write_video(folder / f"cam{name}_20261120T213000Z.mp4", images)
    (folder / "late").mkdir()
    write_video(folder / "late" / "camb_20261120T223000Z.mp4", [wall()] * 30)
    return folder


def _recordings(site: Path) -> tuple[Recording, ...]:
    return find_sources([str(site)], options=SourceOptions(), config=CONFIG).recordings


def _run(site: Path, out: Path, **options: int) -> ManyReport:
    return ingest_recordings(_recordings(site), out, config=CONFIG, **options)  # type: ignore[arg-type]


def test_one_table_of_all_recordings(site: Path, tmp_path: Path) -> None:
    report = _run(site, tmp_path / "out")
    assert (report.recordings, report.failed, report.total.frames) == (3, {}, 150 + 60 + 30)
    table = open_archive(tmp_path / "out")
    assert report.total.tracklets == len(table) == 3
    names = [row.name for row in table]
    assert names == ["cama_20261120T213000Z-0001", "cama_20261120T213000Z-0002", "camb_20261120T213000Z-0001"]
    assert [row.camera for row in table] == ["cama", "cama", "camb"]
    for row in table:
        assert all(table.frame_path(frame).is_file() for frame in row.frames)
        assert 1_795_210_200 <= row.start_s < row.end_s < 1_795_210_200 + 16
        seen = moments(tmp_path / "out", row.name)
        assert [one.file for one in seen] == list(row.frames)
        assert Path(seen[0].source).is_file()
    facts = json.loads((tmp_path / "out" / "recordings.json").read_text())["recordings"]
    assert facts["late_camb_20261120T223000Z"]["report"]["tracklets"] == 0
    assert facts["cama_20261120T213000Z"]["start_from"] == "name"


def test_side_by_side_gives_the_same_and_a_second_run_reads_nothing(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _run(site, tmp_path / "one")
    assert _run(site, tmp_path / "two", jobs=2) == whole
    assert _digest(tmp_path / "one") == _digest(tmp_path / "two")

    def read(*args: object) -> None:
        raise AssertionError("a recording was read again")

    monkeypatch.setattr("xreid.retrieval.many.run_task", read)
    assert _run(site, tmp_path / "one") == whole


def test_recordings_that_come_later_are_taken_up(site: Path, tmp_path: Path) -> None:
    folder = tmp_path / "footage"
    shutil.copytree(site, folder)
    late = folder / "late" / "camb_20261120T223000Z.mp4"
    late.rename(tmp_path / "kept.mp4")
    assert _run(folder, tmp_path / "out").recordings == 2
    shutil.copy(folder / "cama_20261120T213000Z.mp4", folder / "late" / "camc_20261120T213000Z.mp4")
    report = _run(folder, tmp_path / "out")
    assert (report.recordings, report.total.tracklets) == (3, 5)
    assert {row.camera for row in open_archive(tmp_path / "out")} == {"cama", "camb", "camc"}


def test_a_broken_recording_is_told_and_the_others_are_there(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "footage"
    shutil.copytree(site, folder)
    shutil.copy(folder / "cama_20261120T213000Z.mp4", folder / "camd_20261120T213000Z.mp4")
    (folder / "cama_20261120T213000Z.mp4").write_bytes(b"no video")
    options = SourceOptions(
        pattern="cam[abd]*"
    )  # names by the file name only: the broken one has no container
    recordings = find_sources([str(folder)], options=options, config=CONFIG).recordings
    report = ingest_recordings(recordings, tmp_path / "out", config=CONFIG)
    assert list(report.failed) == ["cama_20261120T213000Z"]
    assert len(open_archive(tmp_path / "out")) == 3
    with pytest.raises(DataError, match=r"1 of 3 recordings cannot be ingested.*cama.*as a video"):
        raise_for_failures(report, tmp_path / "out")
    words = ["ingest", str(folder), "--pattern", "cam[abd]*", "--out", str(tmp_path / "out")]
    assert main([*words, "--detector", "motion"]) == 2
    assert "1 of 3 recordings" in capsys.readouterr().err
    shutil.copy(site / "cama_20261120T213000Z.mp4", folder / "cama_20261120T213000Z.mp4")
    recordings = find_sources([str(folder)], options=options, config=CONFIG).recordings
    assert not ingest_recordings(recordings, tmp_path / "out", config=CONFIG).failed


def test_a_file_that_has_grown_and_one_that_says_nothing_keep_no_other_back(tmp_path: Path) -> None:
    folder = tmp_path / "footage"
    folder.mkdir()
    whole = write_video(tmp_path / "whole.mkv", [wall()] * 40).read_bytes()
    (folder / "gate.mkv").write_bytes(whole[: len(whole) * 2 // 3])
    (folder / "broken.mp4").write_bytes(b"no video, and no date in its name")
    assert list(_run(folder, tmp_path / "out").failed) == ["broken"]
    (folder / "gate.mkv").write_bytes(whole)
    shutil.copy(folder / "gate.mkv", folder / "yard.mkv")
    report = _run(folder, tmp_path / "out")
    assert list(report.failed) == ["broken", "gate"]
    assert "has changed since it was ingested" in report.failed["gate"]
    assert (tmp_path / "out" / "recordings" / "yard" / "ingest.json").is_file()


def test_nobody_anywhere_is_a_result(tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    for name in ("a", "b"):
        write_video(tmp_path / "v" / f"{name}.mp4", [wall()] * 20)
    report = _run(tmp_path / "v", tmp_path / "out")
    assert (report.total.tracklets, report.failed) == (0, {})
    assert not (tmp_path / "out" / "tracklets.parquet").exists()


# The command, which kills itself as soon as one of its processes tells of progress; these go no further.
_KILLED = """
import os, signal, sys
from tests.waiting import PATIENCE_S
from tests.retrieval import stuck
from xreid.cli.main import main
from xreid.retrieval import many
real = many._Many._show
def show(job):
    if any(job.shares.values()):
        os.kill(os.getpid(), signal.SIGKILL)
    real(job)
many._Many._show, many.run_task = show, stuck.run_task
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
"""


def test_killed_with_its_processes_and_started_again_it_gives_the_same(site: Path, tmp_path: Path) -> None:
    whole = _run(site, tmp_path / "whole")
    words = ["ingest", str(site), str(tmp_path / "killed"), "--jobs", "2", "--detector", "motion"]
    command = [sys.executable, "-c", _KILLED, *words]
    job = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, stdout=subprocess.PIPE)
    job.communicate(timeout=PATIENCE_S)  # returns when its processes, too, have let go of the pipe
    assert job.returncode == -signal.SIGKILL
    assert list((tmp_path / "killed" / "recordings").glob("*/.ingest/job.json")), "killed in the middle"
    assert not (tmp_path / "killed" / "tracklets.parquet").exists()
    assert _run(site, tmp_path / "killed") == whole
    assert _digest(tmp_path / "killed") == _digest(tmp_path / "whole")


def test_folders_that_hold_something_else(site: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds no recordings"):
        _run(site, tmp_path)
    with pytest.raises(ConfigError, match="is no folder"):
        _run(site, tmp_path / "thesis.txt")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a.mp4"], "needs footage and a folder"),
        (["a.mp4", "rtsp://h/x", "out"], "files and live cameras in one command"),
        (["a.mp4", "out", "--jobs", "0"], "jobs is out of range"),
        (["a.mp4", "out", "--switch_score", "0.5"], "switch_score needs a model"),
        (["a.mp4", "out", "--join_score", "0.5"], "join_score needs a model"),
        (["a.mp4", "out", "--checkpoint", "run", "--join_score", "2"], "join_score is no cosine"),
        (["a.mp4", "out", "--detector", "yolo"], "no detector 'yolo'"),
    ],
)
def test_words_that_are_wrong(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "a.mp4", [wall()] * 3)
    assert main(["ingest", *words]) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
