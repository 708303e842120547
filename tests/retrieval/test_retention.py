"""What is too old goes from a folder of tracklets, all of it and nothing else, whenever it is killed."""

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.killing import killed_at
from tests.retrieval.footage import walkers, write_video
from tests.retrieval.rolled_records import ROLL_S, START, make_recording, name_of
from tests.retrieval.test_growing import _site
from xreid.cli.main import main
from xreid.core.errors import ConfigError, XReidError
from xreid.core.files import read_json, write_json
from xreid.core.grown import read_grown
from xreid.retrieval.folder_lock import sole_writer
from xreid.retrieval.growing import GrowingTables
from xreid.retrieval.ingest_config import IngestConfig, LiveOptions
from xreid.retrieval.live import watch
from xreid.retrieval.merge import finished, merge
from xreid.retrieval.retention import FORGOTTEN, forget, forget_older, go_on
from xreid.retrieval.retention_plan import plan
from xreid.retrieval.sources import Stream

ROOT = Path(__file__).parents[2]
Table = list[dict[str, Any]]


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda handle: None)


def _crops(folder: Path) -> None:
    """The pictures that the tables name."""
    for row in (
        pq.read_table(folder / "tracklets.parquet").to_pylist() if any(folder.glob("*.parquet")) else ()
    ):
        for frame in row["frames"]:
            (folder / frame).parent.mkdir(parents=True, exist_ok=True)
            (folder / frame).write_bytes(b"jpeg")


def _footage(out: Path, *, files: int = 8, seed: int = 3) -> Path:
    """Two cameras' files with people over the cuts, pictures, short tracklets and video."""
    for number, (folder, _) in enumerate(_site(out, files=files, seed=seed)):
        _crops(folder)
        if number % 2:
            make_recording(out / "apart", number // 2, [2, 2], camera=folder.name[:4])
            shutil.move(
                str(out / "apart" / "recordings" / name_of(number // 2, folder.name[:4])), folder / "short"
            )
            (folder / "short" / "ingest.json").unlink()
            _crops(folder / "short")
        (out / "video").mkdir(exist_ok=True)
        (out / "video" / f"{folder.name}.mkv").write_bytes(b"video")
    shutil.rmtree(out / "apart", ignore_errors=True)
    merge(out)
    return out


def _table(out: Path, name: str = "tracklets.parquet") -> Table:
    return read_grown(out / name).to_pylist() if (out / name).is_file() else []


def _pictures(out: Path) -> set[str]:
    return {str(path.relative_to(out)) for path in out.rglob("*.jpg")}


def _named(out: Path) -> set[str]:
    """Pictures that any ingest's own table names."""
    tables = [
        path
        for path in out.rglob("tracklets.parquet")
        if path.parent != out or not (out / "recordings").is_dir()
    ]
    return {
        str((path.parent / frame).relative_to(out))
        for path in tables
        for row in pq.read_table(path).to_pylist()
        for frame in row["frames"]
    }


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("after_s", [-1.0, 12.05, 47.0, 5000.0])
def test_rows_crops_and_short_ones_go_by_their_end_and_nothing_else(
    seed: int, after_s: float, tmp_path: Path
) -> None:
    out, before_s = _footage(tmp_path, seed=seed), START + after_s
    rows, boxes = _table(out), _table(out, "moments.parquet")
    short = {path for path in _pictures(out) if "/short/" in path}
    going = forget_older(out, before_s=before_s)
    stay = [row for row in rows if row["end_s"] >= before_s]
    assert _table(out) == stay
    assert going.tracklets == len(rows) - len(stay)
    names = {row["name"] for row in stay}
    assert _table(out, "moments.parquet") == [row for row in boxes if row["tracklet"] in names]
    assert {row["tracklet"] for row in _table(out, "quality.parquet")} == names
    assert {frame for row in stay for frame in row["frames"]} <= _pictures(out)
    assert _pictures(out) == _named(out), "no crop without a row, no row without its crops"
    assert bool(short - _pictures(out)) == bool(going.short)
    if after_s == 5000.0:
        assert not _pictures(out)
        assert not list((out / "video").iterdir())
        assert not finished(out)
    merge(out)
    assert sorted(_table(out), key=repr) == sorted(stay, key=repr), "made anew, the tables are the same"
    assert not plan(out, before_s=before_s)


def test_what_stays_of_an_ingest_loses_the_boxes_of_who_went(tmp_path: Path) -> None:
    folder = make_recording(tmp_path, 0, [5, 9])
    _crops(folder)
    merge(tmp_path)
    forget(tmp_path, before_s=START + 0.6)
    assert [row["name"] for row in _table(tmp_path)] == [f"{name_of(0)}-0001"]
    assert {line.split(",")[1] for line in (folder / "tracks.txt").read_text().splitlines()} == {"1"}
    assert (tmp_path / FORGOTTEN).read_text().splitlines()[1].split(",")[2:] == ["1", "0", "0", "0"]


def test_a_clean_end_stays_one(tmp_path: Path) -> None:
    """The next start need not make the tables anew, but for those that were not whole."""
    out = _footage(tmp_path)
    GrowingTables(out).begin(finished(out), set())
    GrowingTables(out).end()
    forget(out, before_s=START + 47.0)
    with mock.patch("xreid.retrieval.growing.merge", side_effect=AssertionError("made anew")):
        GrowingTables(out).begin(finished(out), set())
    _crops(make_recording(out, 900, [5]))  # it is in no table yet
    assert forget(out, before_s=START + 65.0).rows
    stay = len(_table(out))
    assert stay
    GrowingTables(out).begin(finished(out), set())
    assert len(_table(out)) == stay + 1


def test_a_running_camera_goes_on_after_it(tmp_path: Path) -> None:
    """Rows are appended to tables of which rows, or all of them, were taken."""
    tables = GrowingTables(tmp_path)
    tables.begin([], set())
    for number in range(4):
        _crops(folder := make_recording(tmp_path, number, [5, 9]))
        tables.add([folder], set())
        forget(
            tmp_path, before_s=START + number * ROLL_S + 0.6, spare={name_of(number)} if number == 2 else ()
        )
        left = {0: [(0, 1)], 1: [(1, 1)], 2: [(2, 0), (2, 1)], 3: [(3, 1)]}[number]
        assert [row["name"] for row in _table(tmp_path)] == [
            f"{name_of(file)}-{one:04d}" for file, one in left
        ]
        assert _pictures(tmp_path) == _named(tmp_path)
    tables.end()
    forget(tmp_path, before_s=START + 9000)
    assert not list(tmp_path.glob("*.parquet"))
    tables.add([make_recording(tmp_path, 4, [5])], set())
    assert len(_table(tmp_path)) == 1


def test_people_without_a_date_are_as_old_as_their_ingest(tmp_path: Path) -> None:
    folder = make_recording(tmp_path, 0, [5])
    record = read_json(folder / "ingest.json")
    record["options"]["start"] = None
    write_json(folder / "ingest.json", record)
    table = pq.read_table(folder / "tracklets.parquet").to_pylist()
    import pyarrow as pa

    for row in table:
        row["start_s"], row["end_s"] = 0.0, 0.4
    schema = pq.read_schema(folder / "tracklets.parquet")
    pq.write_table(pa.Table.from_pylist(table, schema=schema), folder / "tracklets.parquet")
    _crops(folder)
    merge(tmp_path)
    os.utime(folder / "ingest.json", (START, START))
    assert not forget(tmp_path, before_s=START - 1)
    assert len(_table(tmp_path)) == 1
    assert forget(tmp_path, before_s=START + 1).tracklets == 1
    assert not _pictures(tmp_path)
    assert not _table(tmp_path)


def test_video_that_nobody_ingested_goes_with_a_line_that_says_so(tmp_path: Path) -> None:
    make_recording(tmp_path, 900, [5])
    merge(tmp_path)
    (tmp_path / "video").mkdir()
    for number, suffix in ((0, "mkv"), (1, "unreadable"), (900, "mkv")):
        (tmp_path / "video" / f"{name_of(number)}.{suffix}").write_bytes(b"video")
    (tmp_path / "video" / f".{name_of(2)}.mkv").write_bytes(b"it grows")
    forget(tmp_path, before_s=START + 7000)
    assert {path.name for path in (tmp_path / "video").iterdir()} == {
        f".{name_of(2)}.mkv",
        f"{name_of(900)}.mkv",
    }
    lines = (tmp_path / "gaps.csv").read_text().splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("gate,")
    assert "older than --keep_days" in lines[1]


def test_video_that_goes_with_its_recording_was_no_gap(tmp_path: Path) -> None:
    out = _footage(tmp_path)
    assert len(forget(out, before_s=START + 5000).video) == len(forget(out, before_s=START).video) + 16
    assert not (out / "gaps.csv").exists()


def test_an_ingest_that_was_never_finished_goes_when_nobody_touches_it_any_more(tmp_path: Path) -> None:
    """Its crops are in no table: nothing else would ever remove them."""
    out = _footage(tmp_path)
    left, worked_on, other = finished(out)[:3]
    for folder in (left, worked_on, other):
        (folder / "ingest.json").unlink()
    for folder in (left, worked_on):
        (folder / ".ingest").mkdir()
        for path in (folder, *folder.rglob("*")):
            os.utime(path, (START, START))
    (worked_on / ".ingest" / "00000.json").write_text("{}")
    forget(out, before_s=START + 5000)
    assert {path.name for path in (out / "recordings").iterdir()} == {worked_on.name, other.name}


def test_nothing_is_removed_outside_of_the_folder(tmp_path: Path) -> None:
    out, told = _footage(tmp_path / "out"), list[str]()
    moved, *_, lying = [one for one in finished(out) if (one / "tracklets.parquet").is_file()]
    shutil.move(moved, tmp_path / "elsewhere")
    moved.symlink_to(tmp_path / "elsewhere")
    rows = pq.read_table(lying / "tracklets.parquet")
    precious = tmp_path / "precious"
    precious.mkdir()
    named = [[str(precious / "a.jpg")]] + [["../../../precious/a.jpg"], ["a.jpg"]] * len(rows)
    frames = pa.array(named[: len(rows)], rows.schema.field("frames").type)
    pq.write_table(
        rows.set_column(rows.column_names.index("frames"), "frames", frames), lying / "tracklets.parquet"
    )
    before = {path for path in tmp_path.rglob("*") if out not in path.parents}
    forget(out, before_s=START + 5000, note=told.append)
    assert {path for path in tmp_path.rglob("*") if out not in path.parents} == before
    assert {path.name for path in (out / "recordings").iterdir()} == {moved.name, lying.name}
    assert any("is a link" in text for text in told)
    assert any("not its own" in text for text in told)


def test_a_damaged_ingest_is_told_and_hinders_no_other(tmp_path: Path) -> None:
    out, told = _footage(tmp_path), list[str]()
    broken = next(folder for folder in finished(out) if (folder / "tracklets.parquet").is_file())
    (broken / "tracklets.parquet").write_bytes(b"PAR1 and what a disk made of it")
    forget(out, before_s=START + 5000, note=told.append)
    assert [folder.name for folder in finished(out)] == [broken.name]
    assert str(broken) in told[0]


@pytest.mark.parametrize("name", ["moments.parquet", "quality.parquet"])
def test_a_damaged_table_of_all_is_made_anew_at_the_next_start(name: str, tmp_path: Path) -> None:
    out, whole = _footage(tmp_path / "damaged"), _footage(tmp_path / "whole")
    for folder in (out, whole):
        GrowingTables(folder).begin(finished(folder), set())
        GrowingTables(folder).end()
    content = bytearray((out / name).read_bytes())
    content[4:200] = bytes(196)
    (out / name).write_bytes(content)
    for folder in (out, whole):
        forget(folder, before_s=START + 12.0)
        GrowingTables(folder).begin(finished(folder), set())
        assert _pictures(folder) == _named(folder)
    told, expected = (
        sorted(({**row, "source": None} for row in _table(folder, name)), key=repr) for folder in (out, whole)
    )
    assert told == expected != []


def test_a_damaged_table_of_one_recording_does_not_keep_its_pictures(tmp_path: Path) -> None:
    out = _footage(tmp_path)
    damaged = next(folder for folder in finished(out) if (folder / "moments.parquet").is_file())
    (damaged / "moments.parquet").write_bytes(b"PAR1 and what a disk made of it")
    assert forget(out, before_s=START + 47.0)
    assert _pictures(out) == _named(out)
    assert not (out / "forgetting.json").exists()


def test_only_one_process_writes(tmp_path: Path) -> None:
    out = _footage(tmp_path, files=1)
    with sole_writer(out / "recordings"), pytest.raises(ConfigError, match="another process"):
        forget_older(out, before_s=START + 5000)


def _forget_and_die(out: Path, *, kill_at: int) -> None:
    killed_at(
        kill_at,
        *((Path, "replace"), (Path, "unlink"), (os, "unlink"), (os, "rmdir"), (os, "rename")),
    )
    forget(out, before_s=START + 27.0)


_KILLED = """
import os, shutil, sys
from pathlib import Path
import pandas
from tests.retrieval.test_retention import _forget_and_die, _pictures, _table

os.fsync = lambda handle: None
whole, out, kills = Path(sys.argv[1]), Path(sys.argv[2]), 0
for kill_at in range(1, 2000, 11):
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(whole, out)
    child = os.fork()
    if not child:
        _forget_and_die(out, kill_at=kill_at)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -9), code
    there = _pictures(out)
    for row in _table(out):
        assert set(row["frames"]) <= there, (kill_at, "a row shows a crop that is gone")
    if code == 0:
        break
    kills += 1
    child = os.fork()
    if not child:
        _forget_and_die(out, kill_at=-1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    files = sorted(str(p.relative_to(out)) for p in out.rglob("*") if p.is_file() and p.name != ".lock")
    print(kill_at, repr((files, _table(out), _table(out, "moments.parquet"), _table(out, "quality.parquet"))))
print(kills, file=sys.stderr)
"""


def test_killed_at_any_step_it_goes_on_and_leaves_the_same(tmp_path: Path) -> None:
    whole = _footage(tmp_path / "whole", files=4, seed=1)
    command = [sys.executable, "-c", _KILLED, str(whole), str(tmp_path / "out")]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr[-2000:]
    assert int(found.stderr.splitlines()[-1]) > 5
    forget(whole, before_s=START + 27.0)
    files = sorted(str(p.relative_to(whole)) for p in whole.rglob("*") if p.is_file() and p.name != ".lock")
    same = repr((files, _table(whole), _table(whole, "moments.parquet"), _table(whole, "quality.parquet")))
    for line in found.stdout.splitlines():
        assert line.partition(" ")[2] == same, line[:40]


def test_what_was_going_goes_before_cameras_are_watched_again(tmp_path: Path) -> None:
    out = _footage(tmp_path)
    full = mock.patch("xreid.retrieval.retention._remove", side_effect=OSError(28, "No space left on device"))
    with full, pytest.raises(XReidError, match="No space left"):
        forget(out, before_s=START + 5000)
    assert _table(out)
    go_on(out)
    assert not _table(out)
    assert not _pictures(out)


def test_cameras_that_are_watched_keep_no_more_than_they_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, told = _footage(tmp_path, files=4), list[str]()
    late = [row for row in _table(out) if row["end_s"] >= START + 27.0]
    monkeypatch.setattr("xreid.retrieval.live.limit_s", lambda days: START + 27.0)
    stream = Stream(address="rtsp://127.0.0.1:1/none", name="gate", camera="gate")
    options = LiveOptions(for_s=0.1, keep_days=30, keep_video=True)
    for path in (out / "video").glob("*.mkv"):
        path.rename(path.with_suffix(".unreadable"))  # nothing waits for being ingested
    watch([stream], out, config=IngestConfig(detector="motion"), options=options, note=told.append)
    assert sorted(_table(out), key=repr) == sorted(late, key=repr)
    assert _pictures(out) == _named(out)
    assert any("older than 30 days" in text for text in told)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    footage, out = tmp_path / "footage", tmp_path / "out"
    footage.mkdir()
    for days in (40, 2):
        at = datetime.now(UTC) - timedelta(days=days)
        write_video(footage / f"gate_{at:%Y%m%dT%H%M%SZ}.mp4", walkers(60))
    command = ["ingest", str(footage), "--detector", "motion", "--keep_days"]

    def run(*words: str) -> str:
        assert main([*words]) == 0
        told = capsys.readouterr()
        return told.out + told.err

    run(*command, "60", "--out", str(out))
    both = _pictures(out)
    assert len(_table(out)) == 2
    run(*command, "10", "--out", str(out))
    (row,) = _table(out)
    assert _pictures(out) == set(row["frames"]) < both
    assert "2 of 2 recordings are done already" in run(*command, "10", "--out", str(out))
    assert _table(out) == [row], "what was forgotten is not ingested again"
    assert "1 recordings are too old" in run(*command, "10", "--out", str(tmp_path / "new"))
    assert len(_table(tmp_path / "new")) == 1
    assert "1 tracklets, 0 too short ones, 0 files" in run("ingest", str(out), "--keep_days", "1")
    assert not _pictures(out)
    single = ["ingest", str(next(footage.glob("*.mp4"))), str(tmp_path / "one"), "--detector", "motion"]
    run(*single)
    assert _pictures(tmp_path / "one")
    run("ingest", str(tmp_path / "one"), str(out), "--keep_days", "1")
    assert not _pictures(tmp_path / "one")
    assert "already holds" in run(*single)
    assert main([*command, "0", str(out)]) == 2
