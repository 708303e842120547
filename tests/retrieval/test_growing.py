"""The tables of live cameras: appended to file by file, they are those that are made anew of all files."""

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow.parquet as pq
import pytest

from tests.killing import killed_at
from tests.retrieval.rolled_records import make_recording, name_of
from xreid.core.errors import XReidError
from xreid.core.grown import read_grown
from xreid.data import open_archive
from xreid.retrieval.growing import GrowingTables
from xreid.retrieval.merge import ORDER, finished, merge
from xreid.retrieval.moments import MOMENTS, moments

ROOT = Path(__file__).parents[2]
Rows = dict[str, list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda handle: None)


def _tables(out: Path) -> Rows:
    found = {name: read_grown(out / name).to_pylist() for name in ORDER if (out / name).is_file()}
    for row in found.get(MOMENTS, []):
        row["source"] = Path(row["source"]).name
    return {name: sorted(rows, key=repr) for name, rows in found.items()}


def _site(out: Path, *, files: int, seed: int = 0) -> list[tuple[Path, set[str]]]:
    """Files of two cameras in a random order of ending, each with those that wait for their next one then."""
    draw, made, last = random.Random(seed), list[tuple[Path, set[str]]](), dict[str, int]()
    opened: dict[str, list[int]] = {"gate": [], "yard": []}
    while len(made) < 2 * files:
        camera = draw.choice([name for name in opened if last.get(name, -1) + 1 < files])
        number = last[camera] = last.get(camera, -1) + 1
        people = [draw.choice([2, 5, 9]) for _ in range(draw.randrange(4))]
        links = dict(zip(range(len(people)), opened[camera], strict=False)) if number else {}
        goes_on = draw.random() < 0.8
        opened[camera] = [p for p in range(len(people)) if draw.random() < 0.6] if goes_on else []
        folder = make_recording(out, number, people, continues=links, opened=opened[camera], camera=camera)
        ends = {name: number for name, number in last.items() if opened[name]}
        made.append((folder, {name_of(number, name) for name, number in ends.items()}))
    return made


@pytest.mark.parametrize("seed", range(4))
def test_file_by_file_gives_the_tables_of_all_and_what_is_shown_stays(seed: int, tmp_path: Path) -> None:
    (tmp_path / "all").mkdir()
    steps = _site(tmp_path / "all", files=9, seed=seed)
    out, shown = tmp_path / "out", dict[str, dict[str, Any]]()
    tables = GrowingTables(out)
    tables.begin([], set())
    for folder, waiting in steps:
        own = shutil.copytree(folder, out / folder.relative_to(tmp_path / "all"))
        tables.add([own], waiting)
        rows = {row["name"]: row for row in _tables(out).get("tracklets.parquet", [])}
        assert {name: rows.get(name) for name in shown} == shown, "what was shown stays as it was"
        shown = rows
    report = tables.end()
    grown = _tables(out)
    assert not list(out.glob("*.more"))
    assert report == merge(tmp_path / "all") == merge(out)
    assert grown == _tables(out) == _tables(tmp_path / "all")
    assert any(len({frame.split("/")[1] for frame in row["frames"]}) > 1 for row in shown.values()) or seed


def test_a_clean_end_is_gone_on_with_and_anything_else_is_made_anew(tmp_path: Path) -> None:
    steps = _site(tmp_path, files=4)
    for folder, _ in steps[4:]:
        folder.rename(tmp_path / folder.name)
    first = GrowingTables(tmp_path)
    first.begin(finished(tmp_path), set())
    first.end()
    with mock.patch("xreid.retrieval.growing.merge", side_effect=AssertionError("made anew")):
        GrowingTables(tmp_path).begin(finished(tmp_path), set())
    plain = pq.read_table(tmp_path / "tracklets.parquet")
    pq.write_table(plain, tmp_path / "tracklets.parquet")  # as an older version wrote it
    with mock.patch("xreid.retrieval.growing.merge") as merged:
        GrowingTables(tmp_path).begin(finished(tmp_path), {"gate"})
    assert merged.call_args.kwargs["waiting"] == {"gate"}
    for folder, _ in steps[4:]:
        (tmp_path / folder.name).rename(folder)
    GrowingTables(tmp_path).begin(finished(tmp_path), set())
    whole = _tables(tmp_path)
    merge(tmp_path)
    assert whole == _tables(tmp_path)


def test_a_folder_from_before_joins_were_written_down_is_gone_on_with(tmp_path: Path) -> None:
    tables = GrowingTables(tmp_path)
    tables.begin([], set())
    first = make_recording(tmp_path, 0, [9], opened=[0])
    tables.add([first], {name_of(0)})
    tables.end()
    for path in (tmp_path / MOMENTS, first / MOMENTS):
        plain = pq.ParquetFile(path)
        old, footer = plain.read().drop_columns(["joined"]), plain.metadata.metadata
        pq.write_table(old.replace_schema_metadata({k: v for k, v in footer.items() if b"xreid" in k}), path)
    again = GrowingTables(tmp_path)
    again.begin(finished(tmp_path), {name_of(0)})
    second = make_recording(tmp_path, 1, [9, 8], continues={0: 0})
    again.add([second], set())
    for _ in range(2):
        joined = [(one.file.split("/")[1], one.frame) for one in moments(tmp_path) if one.joined is not None]
        assert joined == [(second.name, 6)] * 2, "of the old file nobody knows"
        assert len(moments(tmp_path)) == 9 + 9 + 8
        again.end()


def test_readers_see_what_is_appended(tmp_path: Path) -> None:
    tables = GrowingTables(tmp_path)
    tables.begin([], set())
    tables.add([make_recording(tmp_path, 0, [5, 9], opened=[1])], {name_of(0)})
    assert [row.name for row in open_archive(tmp_path)] == [f"{name_of(0)}-0000"]
    tables.add([make_recording(tmp_path, 1, [4], continues={0: 1})], set())
    table = open_archive(tmp_path)
    joined = table[1]
    assert (joined.name, len(joined.frames)) == (f"{name_of(0)}-0001", 13)
    assert [one.file for one in moments(tmp_path, joined.name)] == list(joined.frames)
    assert len(moments(tmp_path)) == 18
    assert (tmp_path / "tracklets.more").is_dir()


def test_rows_that_a_full_disk_refused_are_appended_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = GrowingTables(tmp_path)
    tables.begin([], set())
    tables.add([make_recording(tmp_path, 0, [5])], set())

    second = make_recording(tmp_path, 1, [5, 6])

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(XReidError, match="No space left"):
            tables.add([second], set())
    assert len(open_archive(tmp_path)) == 1
    tables.add([], set())
    whole = _tables(tmp_path)
    merge(tmp_path)
    assert (len(open_archive(tmp_path)), whole) == (3, _tables(tmp_path))


def _grow(out: Path, steps: list[tuple[Path, set[str]]], *, kill_at: int) -> None:
    """Ingest what is not there yet, in this process, which is killed at a step of what it does to files."""
    killed_at(kill_at, *((Path, name) for name in ("replace", "unlink", "rmdir", "rename")))
    tables, present = GrowingTables(out), finished(out)
    here = {folder.name for folder in present}
    tables.begin(
        present, max((waiting for folder, waiting in steps if folder.name in here), key=len, default=set())
    )
    for folder, waiting in steps:
        if folder.name not in here:
            folder.rename(out / "recordings" / folder.name)
            tables.add([out / "recordings" / folder.name], waiting)
    tables.end()


# Forked for each kill, from a process that has no threads.
_KILLED = """
import os, sys
from pathlib import Path
import pandas
from tests.retrieval.test_growing import _grow, _site

os.fsync = lambda handle: None
folder, killed = Path(sys.argv[1]), 0
steps = _site(folder / "in", files=10, seed=5)
for kill_at in (*range(2, 60, 7), 1 << 30):
    child = os.fork()
    if not child:
        _grow(folder / "out", steps, kill_at=kill_at)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -9)
    killed += code == -9
assert code == 0
print(killed)
"""


def test_killed_at_any_step_nothing_is_lost_or_twice(tmp_path: Path) -> None:
    (tmp_path / "out" / "recordings").mkdir(parents=True)
    command = [sys.executable, "-c", _KILLED, str(tmp_path)]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr[-2000:]
    assert int(found.stdout) >= 5
    _site(tmp_path / "whole", files=10, seed=5)
    merge(tmp_path / "whole")
    assert _tables(tmp_path / "out") == _tables(tmp_path / "whole")


def test_who_was_withheld_is_shown_though_it_was_killed_twice_at_the_same_file(tmp_path: Path) -> None:
    make_recording(tmp_path, 0, [5, 9], opened=[1])
    for _ in range(2):  # each is killed before the next file is ingested
        tables = GrowingTables(tmp_path)
        tables.begin(finished(tmp_path), {name_of(0)})
    tables.add([make_recording(tmp_path, 1, [4], continues={0: 1})], set())
    whole = _tables(tmp_path)
    merge(tmp_path)
    assert whole == _tables(tmp_path)


def test_a_damaged_table_is_made_anew(tmp_path: Path) -> None:
    make_recording(tmp_path, 0, [5])
    merge(tmp_path)
    whole = _tables(tmp_path)
    for name in ORDER:
        (tmp_path / name).write_bytes(b"PAR1 and what a disk made of it")
    GrowingTables(tmp_path).begin(finished(tmp_path), set())
    assert _tables(tmp_path) == whole
