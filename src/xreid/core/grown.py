"""A Parquet table that grows beside its readers: what is appended costs the same however much is there.

    NAME.parquet               the table
    NAME.more/LO-HI.parquet    rows appended since, by the numbers of the appends

The table's footer says up to which append it holds everything. Parts are put together by sixteens, so few lie
there; `compact` makes one file of all. Every file appears whole or not at all: a kill at any point leaves
each append in the table or out of it. One process writes at a time, any number read meanwhile.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from xreid.core.errors import DataError, XReidError
from xreid.core.files import atomic_file

if TYPE_CHECKING:
    import pyarrow as pa

_HELD = b"xreid.appends"  # in the footer: the number of the last append that the file holds
_FAN = 16
_GROUP_ROWS = 20_000
_TRIES, _PAUSE_S = 100, 0.02
_SUFFIX = ".parquet"


class Part(NamedTuple):
    """A file of rows that were appended: numbers of the first and the last append, and where it is."""

    low: int
    high: int
    path: Path


class RowWriter:
    """Writes tables of one schema one after the other, in row groups of some thousands.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.rows = path, 0
        self._held: list[pa.Table] = []
        self._waiting = 0
        self._writer: Any = None

    def write(self, table: pa.Table) -> None:
        """Append rows."""
        if not len(table):
            return
        if self._held or self._writer is not None:
            schema = self._writer.schema if self._writer is not None else self._held[0].schema
            table = table.cast(schema)
        self._held.append(table)
        self.rows, self._waiting = self.rows + len(table), self._waiting + len(table)
        if self._waiting >= _GROUP_ROWS:
            self._flush()

    def close(self, footer: Mapping[str, str]) -> None:
        """Finish the file, with words for its footer."""
        self._flush()
        if self._writer is not None:
            self._writer.add_key_value_metadata(dict(footer))
            self._writer.close()

    def _flush(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not self._held:
            return
        table = pa.concat_tables(self._held).unify_dictionaries()
        if self._writer is None:
            self._writer = pq.ParquetWriter(self.path, table.schema.remove_metadata())
        self._writer.write_table(table.cast(self._writer.schema), row_group_size=_GROUP_ROWS)
        self._held, self._waiting = [], 0


class _EmptyError(Exception):
    pass


@contextmanager
def rewritten(path: Path, footer: Mapping[str, str]) -> Iterator[RowWriter]:
    """Write a Parquet file anew, atomically; without rows it stays what it was.

    Args:
        path: The file.
        footer: Words for its footer, as they are at the end of the block.
    """
    with suppress(_EmptyError), atomic_file(path) as temporary:
        writer = RowWriter(temporary)
        yield writer
        writer.close(footer)
        if not writer.rows:
            raise _EmptyError


class GrownTable:
    """A table to append to.

    Args:
        path: NAME.parquet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, table: pa.Table) -> None:
        """Append rows; they are on disk when this returns."""
        if not len(table):
            return
        number = self.last() + 1
        if not self.path.is_file():
            with rewritten(self.path, _footer(number)) as writer:
                writer.write(table)
            return
        self._write(number, number, [table])
        size = _FAN
        while number % (size * _FAN) == 0:
            size *= _FAN
        if number % size == 0:
            with suppress(XReidError, OSError):  # the rows are there: nobody is to append them again
                self._together([part for part in self._live() if part.low > number - size])

    def last(self) -> int:
        """Number of the last append, 0 before the first."""
        return max([_held(self.path), *(part.high for part in parts_of(self.path))])

    def footer(self, words: Mapping[str, str] | None = None) -> dict[str, str]:
        """For a `rewritten` table that holds all that was appended."""
        return {**_footer(self.last()), **(words or {})}

    def compact(self, words: Mapping[str, str] | None = None) -> None:
        """Make one file of all rows, with words for its footer."""
        if not self.path.is_file():
            return
        with rewritten(self.path, self.footer(words)) as writer:
            for table in _groups([self.path, *(part.path for part in self._live())]):
                writer.write(table)
        self.forget()

    def drop(self, rows: Callable[[pa.Table], Any], words: Mapping[str, str] | None = None) -> None:
        """Make one file of all rows but some; the last row takes the file with it.

        Args:
            rows: Which of some rows go, as Arrow booleans.
            words: For the footer.
        """
        import pyarrow.compute as pc

        if not self.path.is_file():
            return
        with rewritten(self.path, self.footer(words)) as writer:
            for table in _groups([self.path, *(part.path for part in self._live())]):
                writer.write(table.filter(pc.invert(rows(table))))
        if not writer.rows:
            self.path.unlink()
            shutil.rmtree(more_of(self.path), ignore_errors=True)
        self.forget()

    def forget(self) -> None:
        """Remove the parts that the table holds."""
        held = _held(self.path)
        for part in parts_of(self.path):
            if part.high <= held:
                part.path.unlink(missing_ok=True)
        folder = more_of(self.path)
        for stray in (
            folder.glob(".*") if folder.is_dir() else ()
        ):  # half-written by a process that was killed
            stray.unlink(missing_ok=True)
        with suppress(OSError):
            folder.rmdir()

    def _live(self) -> list[Part]:
        return cover(parts_of(self.path), after=_held(self.path))

    def _together(self, parts: Sequence[Part]) -> None:
        if len(parts) > 1:
            self._write(parts[0].low, parts[-1].high, _groups([part.path for part in parts]))
            for part in parts:
                part.path.unlink(missing_ok=True)

    def _write(self, low: int, high: int, tables: Any) -> None:
        with rewritten(more_of(self.path) / f"{low:08d}-{high:08d}{_SUFFIX}", {}) as writer:
            for table in tables:
                writer.write(table)


def more_of(path: Path) -> Path:
    """The folder of what was appended to a table since it was written."""
    return path.with_suffix(".more")


def parts_of(path: Path) -> list[Part]:
    """The parts beside a table, also those that others hold already, by number."""
    folder = more_of(path)
    try:
        names = [entry for entry in os.listdir(folder) if entry.endswith(_SUFFIX) and entry[0] != "."]
    except FileNotFoundError:
        return []
    found = []
    for name in names:
        low, _, high = name.removesuffix(_SUFFIX).partition("-")
        found.append(Part(int(low), int(high), folder / name))
    return sorted(found, key=lambda part: (part.low, -part.high))


def cover(parts: Sequence[Part], *, after: int) -> list[Part]:
    """Of parts in order, those that hold every append after a number once.

    Raises:
        FileNotFoundError: One is missing (it was put together with others a moment ago).
    """
    found = []
    for part in parts:
        if part.high <= after:
            continue
        if part.low != after + 1:
            raise FileNotFoundError(f"append {after + 1}, before {part.path}")
        found.append(part)
        after = part.high
    return found


def read_grown(path: Path, *, columns: Sequence[str] | None = None, filters: Any = None) -> pa.Table:
    """The rows of a table, with what was appended to it, as at one moment.

    Args:
        path: NAME.parquet; any Parquet file.
        columns: Those that are wanted; none: all.
        filters: As of `pyarrow.parquet.read_table`.

    Raises:
        DataError: Appended rows are missing.
        OSError, pyarrow.ArrowException: The table is missing or damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    missing = ""
    for _ in range(_TRIES):
        mark = _mark(path)
        try:
            beside = parts_of(path)
            parts = cover(beside, after=_held(path)) if beside else []
            files = [path, *(part.path for part in parts)]
            tables = [pq.read_table(file, columns=columns, filters=filters) for file in files]
        except FileNotFoundError as error:  # put together, or into the table, while we looked
            missing = str(error)
        else:
            if _mark(path) == mark and set(beside) <= set(parts_of(path) if beside else ()):
                whole = [table.cast(tables[0].schema) for table in tables]
                return pa.concat_tables(whole) if len(whole) > 1 else tables[0]
        if not path.is_file():
            raise FileNotFoundError(f"{path} does not exist")
        time.sleep(_PAUSE_S)
    raise DataError(
        f"rows of {path} are missing",
        got=missing,
        todo="Start the same ingest again: it makes the table anew.",
    )


def words_of(path: Path) -> dict[str, str]:
    """What a table's footer says; empty where there is no table, or a damaged one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        return {}
    try:
        found = pq.read_metadata(path).metadata or {}
    except (OSError, pa.ArrowException) as error:
        if getattr(error, "errno", None) is not None:  # nothing is known of what it says
            raise
        return {}
    return {key.decode("utf-8", "replace"): value.decode("utf-8", "replace") for key, value in found.items()}


def _groups(files: Sequence[Path]) -> Iterator[pa.Table]:
    import pyarrow.parquet as pq

    for path in files:
        with pq.ParquetFile(path) as file:
            for number in range(file.num_row_groups):
                yield file.read_row_group(number, use_threads=False)


def _footer(number: int) -> dict[str, str]:
    return {_HELD.decode(): str(number)}


def _held(path: Path) -> int:
    if not more_of(path).is_dir() and not path.is_file():
        return 0
    return int(words_of(path).get(_HELD.decode(), "0"))


def _mark(path: Path) -> tuple[int, ...]:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return ()
    return stat.st_ino, stat.st_mtime_ns, stat.st_size
