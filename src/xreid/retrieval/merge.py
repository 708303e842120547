"""The recordings of a folder as one table: OUT/recordings/NAME/... -> OUT/tracklets.parquet and the rest.

Each recording is an ingest of its own (see `ingest`); the tables beside `recordings` are made of theirs, and
can be made again at any time. Tracklets over the cuts of live files are joined (`joins`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from xreid.core.errors import DataError
from xreid.core.files import atomic_file, read_json
from xreid.data.names import natural_key
from xreid.retrieval.ingest_config import IngestReport
from xreid.retrieval.joins import Joins, find_joins
from xreid.retrieval.moments import MOMENTS
from xreid.retrieval.records import QUALITY, TRACKLETS

RECORDINGS = "recordings"


def finished(out: Path) -> list[Path]:
    """Folders of the finished recordings, in natural order of their names."""
    folder = out / RECORDINGS
    found = [p for p in folder.iterdir() if (p / "ingest.json").is_file()] if folder.is_dir() else []
    return sorted(found, key=lambda p: natural_key(p.name))


def report_of(recording: Path) -> IngestReport:
    """What the ingest of a finished recording found.

    Raises:
        DataError: Its record is damaged.
    """
    record = read_json(recording / "ingest.json", what="ingest")
    try:
        return IngestReport(**record["report"])
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{recording / 'ingest.json'} is damaged", got=str(error), todo="Remove the folder."
        ) from error


def total(reports: Sequence[IngestReport]) -> IngestReport:
    """The sums of all counts."""
    names = IngestReport.__dataclass_fields__
    return IngestReport(**{name: sum(getattr(report, name) for report in reports) for name in names})


def merge(out: Path, *, waiting: Collection[str] = ()) -> IngestReport:
    """Write the tables of all finished recordings together, each atomically; the tracklets last.

    Where nobody was seen yet, no table is written.

    Args:
        out: Folder of all of them.
        waiting: Names of live recordings whose next file is still to be ingested.

    Raises:
        DataError: A recording's table is damaged.
    """
    parts = finished(out)
    reports = [report_of(part) for part in parts]
    seen = [part for part, report in zip(parts, reports, strict=True) if report.tracklets]
    joins = find_joins(seen, waiting=waiting)
    report = joins.corrected(total(reports))
    if report.tracklets:
        for name, column in ((MOMENTS, "file"), (QUALITY, None), (TRACKLETS, "frames")):
            _concatenate(out, seen, name, column, joins)
    return report


def _concatenate(out: Path, parts: Sequence[Path], name: str, column: str | None, joins: Joins) -> None:
    key, gone = "name" if name == TRACKLETS else "tracklet", pa.array(joins.names, pa.string())
    with atomic_file(out / name) as temporary:
        writer = None
        for part in parts:
            table = _read(part / name)
            if column is not None:
                table = _below(table, column, part.relative_to(out).as_posix())
            if len(gone):
                shown = pc.invert(pc.is_in(table[key].cast(pa.string()), value_set=gone))
                rows = joins.rows(name, part, out=out)
                table = pa.concat_tables(
                    [table.filter(shown), pa.Table.from_pylist(rows, schema=table.schema)]
                )
            if writer is None:
                writer = pq.ParquetWriter(temporary, table.schema)
            writer.write_table(table.cast(writer.schema))
        assert writer is not None, "somebody was seen"
        writer.close()


def _read(path: Path) -> pa.Table:
    try:
        table = pq.read_table(path)
        if path.name == QUALITY and "moves" not in table.column_names:  # written before that was looked at
            place = table.column_names.index("quality")
            table = table.add_column(place, "moves", pa.array([1.0] * len(table)))
        return table
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            f"{path} is damaged", got=str(error)[:200], todo="Remove the recording's folder and ingest again."
        ) from error


def _below(table: pa.Table, column: str, folder: str) -> pa.Table:
    """The table with `folder/` before every path of a column of paths or of lists of paths."""
    values = table.column(column).combine_chunks()
    nested = pa.types.is_list(values.type)
    paths = values.flatten() if nested else values
    longer = pc.binary_join_element_wise(pa.scalar(folder), paths, "/")
    if nested:
        longer = pa.ListArray.from_arrays(values.offsets, longer)
    return table.set_column(table.column_names.index(column), table.schema.field(column), longer)


def summary(parts: Sequence[Path]) -> dict[str, dict[str, int]]:
    """The reports by recording."""
    return {part.name: asdict(report_of(part)) for part in parts}
