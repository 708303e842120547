"""Tables that grow: every append is there once, whatever is put together, read or killed meanwhile."""

import subprocess
import sys
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xreid.core.errors import DataError
from xreid.core.grown import GrownTable, RowWriter, more_of, parts_of, read_grown, rewritten, words_of

ROOT = Path(__file__).parents[2]


def _rows(*numbers: int) -> pa.Table:
    names = pa.array([f"n{number}" for number in numbers]).dictionary_encode()
    return pa.table({"number": pa.array(numbers, pa.int64()), "name": names})


def _numbers(path: Path) -> list[int]:
    return sorted(read_grown(path)["number"].to_pylist())


def test_what_is_appended_is_read_at_once_and_few_files_lie_there(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    table, most = GrownTable(path), 0
    for number in range(290):
        table.append(_rows(number, -number - 1))
        most = max(most, len(parts_of(path)))
        if number % 97 == 0:
            assert _numbers(path) == list(range(-number - 1, number + 1))
    assert most <= 2 * 15 + 1, "15 of one, 15 of sixteen, 1 of 256 appends"
    assert len(pq.read_table(path)) == 2, "the table itself is not written again"
    assert _numbers(path) == list(range(-290, 290))
    assert read_grown(path, columns=["name"], filters=[("number", "=", 7)])["name"].to_pylist() == ["n7"]
    table.compact({"made.of": "everything"})
    assert not more_of(path).exists()
    assert (sorted(pq.read_table(path)["number"].to_pylist()), words_of(path)["made.of"]) == (
        list(range(-290, 290)),
        "everything",
    )
    GrownTable(path).append(_rows(1000))
    assert _numbers(path)[-1] == 1000, "after a compaction the numbers of appends go on"
    assert len(read_grown(path)) == 581


def test_an_ordinary_table_and_one_without_rows(tmp_path: Path) -> None:
    pq.write_table(_rows(1, 2), tmp_path / "old.parquet")
    assert _numbers(tmp_path / "old.parquet") == [1, 2]
    GrownTable(tmp_path / "old.parquet").append(_rows(3))
    assert _numbers(tmp_path / "old.parquet") == [1, 2, 3]
    with pytest.raises(FileNotFoundError):
        read_grown(tmp_path / "none.parquet")
    GrownTable(tmp_path / "none.parquet").append(_rows())
    with rewritten(tmp_path / "none.parquet", {}) as writer:
        writer.write(_rows())
    GrownTable(tmp_path / "none.parquet").compact()
    assert {path.name for path in tmp_path.iterdir()} == {"old.parquet", "old.more"}


def test_parts_that_are_left_behind_count_once_and_a_lost_one_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.parquet"
    for number in range(1, 16):
        GrownTable(path).append(_rows(number))
    kept = {part.path: part.path.read_bytes() for part in parts_of(path)}
    GrownTable(path).append(_rows(16))
    (whole,) = parts_of(path)
    assert (whole.low, whole.high) == (2, 16), "put together"
    for file, data in kept.items():  # as if killed before they were removed
        file.write_bytes(data)
    assert _numbers(path) == list(range(1, 17))
    monkeypatch.setattr("xreid.core.grown._PAUSE_S", 0.0)
    whole.path.unlink()
    parts_of(path)[3].path.unlink()
    with pytest.raises(DataError, match="rows of .* are missing.*ingest again"):
        read_grown(path)


def test_readers_see_whole_appends_while_another_thread_appends_and_compacts(tmp_path: Path) -> None:
    path, seen = tmp_path / "t.parquet", [0]
    table = GrownTable(path)
    table.append(_rows(0))
    assert _numbers(path) == [0]
    told, stop = list[str](), threading.Event()

    def read() -> None:
        while not (stop.is_set() and len(seen) > 1):
            try:
                numbers = _numbers(path)
            except Exception as error:
                told.append(repr(error))
                raise
            if numbers != list(range(len(numbers))) or len(numbers) < seen[-1]:
                told.append(f"{len(numbers)} after {seen[-1]}")
            seen.append(len(numbers))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 130):
        table.append(_rows(number))
        if number % 40 == 0:
            table.compact()
    stop.set()
    reader.join()
    assert (told, seen[-1] > 0) == ([], True)


def test_row_groups_are_of_some_size(tmp_path: Path) -> None:
    writer = RowWriter(tmp_path / "t.parquet")
    for number in range(9):
        writer.write(_rows(*range(number * 5000, (number + 1) * 5000)))
    writer.close({})
    with pq.ParquetFile(tmp_path / "t.parquet") as file:
        assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [
            20000,
            20000,
            5000,
        ]
    assert len(set(read_grown(tmp_path / "t.parquet")["name"].to_pylist())) == 45_000


# Appends, and compacts now and then, one process forked for each kill, which comes at a step of its own.
_KILLED = """
import os, signal, sys
from pathlib import Path
import pandas
from tests.core.test_grown import _rows
from xreid.core.grown import GrownTable, read_grown

path = Path(sys.argv[1])
def until(stop):
    steps = 0
    def counted(function):
        def wrapped(*args, **kwargs):
            nonlocal steps
            for when in (0, 1):
                steps += 1
                if steps == stop:
                    os.kill(os.getpid(), signal.SIGKILL)
                result = result if when else function(*args, **kwargs)
            return result
        return wrapped
    for place, name in ((os, "fsync"), (Path, "replace"), (Path, "unlink"), (Path, "rmdir")):
        setattr(place, name, counted(getattr(place, name)))
    number = len(read_grown(path)) if path.exists() else 0
    GrownTable(path).append(_rows(number))
    if number % 21 == 20:
        GrownTable(path).compact()
for stop in range(1, int(sys.argv[2])):
    child = os.fork()
    if not child:
        until(1 + stop % 37)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) in (0, -signal.SIGKILL)
    numbers = sorted(read_grown(path)["number"].to_pylist()) if path.exists() else []
    assert numbers == list(range(len(numbers))), numbers
print(len(numbers))
"""


def test_killed_at_any_step_an_append_is_there_or_not(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _KILLED, str(tmp_path / "t.parquet"), "150"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr[-2000:]
    assert 21 < int(found.stdout) < 150


def test_what_cannot_be_put_together_was_appended_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, replace = tmp_path / "t.parquet", Path.replace

    def full(self: Path, target: Path) -> Path:
        low, _, high = target.stem.partition("-")
        if low != high and high:
            raise OSError(28, "No space left on device")
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        for number in range(1, 18):
            GrownTable(path).append(_rows(number))
    assert _numbers(path) == list(range(1, 18))
    for number in range(18, 33):
        GrownTable(path).append(_rows(number))
    assert _numbers(path) == list(range(1, 33))
