"""The tables of live cameras: the rows of each finished file are appended, whatever lies there already.

A clean end makes one file of each table; after a kill the next start makes them anew from the recordings.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import pyarrow as pa

from xreid.core.grown import GrownTable, parts_of, words_of
from xreid.retrieval.ingest_config import IngestReport
from xreid.retrieval.joins import Chains, Tables, rows_of
from xreid.retrieval.merge import (
    HELD,
    ORDER,
    counted,
    digest_of,
    finished,
    merge,
    record_of,
    report_of,
    tables_of,
    total,
)
from xreid.retrieval.moments import MOMENTS, lacks_columns
from xreid.retrieval.records import TRACKLETS


class GrowingTables:
    """The tables of a folder that one process writes.

    Args:
        out: Folder of all recordings.
    """

    def __init__(self, out: Path) -> None:
        self.out, self._chains = out, Chains()
        self._tables = {name: GrownTable(out / name) for name in ORDER}
        self._waiting: dict[str, list[pa.Table]] = {name: [] for name in ORDER}  # rows to be appended

    def begin(self, recordings: Sequence[Path], waiting: Collection[str]) -> None:
        """Make the tables anew unless they hold just these recordings, as after a clean end of this version.

        Args:
            recordings: Folders of all finished recordings.
            waiting: Names of those whose next one is recorded, or being recorded, and not ingested.
        """
        beside = any(parts_of(table.path) for table in self._tables.values())
        held = words_of(self.out / TRACKLETS).get(HELD)
        whole = held == digest_of(folder.name for folder in recordings)
        if beside or not whole or lacks_columns(self.out / MOMENTS):
            merge(self.out, waiting=waiting, chains=self._chains)

    def add(self, recordings: Sequence[Path], waiting: Collection[str]) -> None:
        """Append the rows of recordings that were finished since, and of tracklets that are whole now.

        Raises:
            XReidError: They cannot be written; the next call writes them.
        """
        found: list[Tables] = []
        for folder in recordings:
            record = record_of(folder)
            if record["report"].tracklets:
                found.append(self._chains.add(folder.name, record, tables_of(folder, self.out)))
        self._append([*found, *map(rows_of, self._chains.settled(waiting))])

    def end(self) -> IngestReport:
        """Show whom no file follows, and make one file of each table; what all recordings found."""
        self._append(list(map(rows_of, self._chains.settled(()))))
        recordings = finished(self.out)
        words = {HELD: digest_of(folder.name for folder in recordings)}
        for name in reversed(ORDER):
            self._tables[name].compact(words)
        return counted(self.out, total([report_of(folder) for folder in recordings]))

    def _append(self, found: Sequence[Tables]) -> None:
        for name in reversed(ORDER):  # tracklets last: who is in the table has moments
            self._waiting[name] += [tables[name] for tables in found if len(tables[name])]
        for name in reversed(ORDER):
            if rows := self._waiting[name]:
                whole = pa.concat_tables([table.cast(rows[0].schema) for table in rows])
                self._tables[name].append(whole.unify_dictionaries())
                rows.clear()
