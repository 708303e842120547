"""The recordings of a folder as one table: OUT/recordings/NAME/... -> OUT/tracklets.parquet and the rest.

Each recording is an ingest of its own (see `ingest`); the tables beside `recordings` are made of theirs, and
can be made again at any time. Tracklets over the cuts between files are joined (`joins`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from xreid.core.errors import DataError
from xreid.core.files import read_json, sha256_of_value
from xreid.core.grown import GrownTable, RowWriter, read_grown, rewritten
from xreid.data.names import natural_key
from xreid.retrieval.ingest_config import IngestReport
from xreid.retrieval.joins import Chains, Tables, rows_of
from xreid.retrieval.moments import MOMENTS, with_all_columns
from xreid.retrieval.quality import LOW
from xreid.retrieval.records import QUALITY, TRACKLETS

RECORDINGS = "recordings"
HELD = "xreid.recordings"  # in the footer of tracklets.parquet: which recordings the tables were made of
ORDER = (TRACKLETS, QUALITY, MOMENTS)  # opened so, closed the other way round: tracklets come last
_PATHS = {MOMENTS: "file", QUALITY: None, TRACKLETS: "frames"}


def finished(out: Path) -> list[Path]:
    """Folders of the finished recordings, in natural order of their names."""
    folder = out / RECORDINGS
    found = [p for p in folder.iterdir() if (p / "ingest.json").is_file()] if folder.is_dir() else []
    return sorted(found, key=lambda p: natural_key(p.name))


def record_of(recording: Path) -> dict[str, Any]:
    """What the tables need of the ingest.json of a finished recording.

    Raises:
        DataError: It is damaged.
    """
    path = recording / "ingest.json"
    record = read_json(path, what="ingest")
    try:
        options = {name: record["options"].get(name) for name in ("camera", "start", "min_frames")}
        report = IngestReport(**record["report"])
    except (AttributeError, KeyError, TypeError) as error:
        raise DataError(f"{path} is damaged", got=str(error), todo="Remove the folder.") from error
    return {"options": options, "report": report, "bridge": record.get("bridge", {})}


def report_of(recording: Path) -> IngestReport:
    """What the ingest of a finished recording found.

    Raises:
        DataError: Its record is damaged.
    """
    report: IngestReport = record_of(recording)["report"]
    return report


def total(reports: Sequence[IngestReport]) -> IngestReport:
    """The sums of all counts."""
    names = IngestReport.__dataclass_fields__
    return IngestReport(**{name: sum(getattr(report, name) for report in reports) for name in names})


def merge(out: Path, *, waiting: Collection[str] = (), chains: Chains | None = None) -> IngestReport:
    """Write the tables of all finished recordings anew, each atomically; the tracklets last.

    Where nobody is to be shown, there is no table.

    Args:
        out: Folder of all of them.
        waiting: Names of recordings whose next one is still to be ingested.
        chains: Gets the tracklets that may go on there; none: nobody asks for them.

    Raises:
        DataError: A recording's table is damaged.
    """
    chains = Chains() if chains is None else chains
    records = {folder: record_of(folder) for folder in finished(out)}
    tables = {name: GrownTable(out / name) for name in ORDER}
    # Who is withheld is in no table: the next start must make them anew, and not take them for whole.
    words = {} if waiting else {HELD: digest_of(folder.name for folder in records)}
    with ExitStack() as stack:
        writers = {
            name: stack.enter_context(rewritten(out / name, tables[name].footer(words))) for name in ORDER
        }
        ordered = sorted(records, key=lambda folder: _in_time(folder, records[folder]))
        cameras = [records[folder]["options"]["camera"] for folder in ordered]
        for folder, camera, following in zip(ordered, cameras, [*cameras[1:], object()], strict=False):
            if records[folder]["report"].tracklets:
                _write(writers, chains.add(folder.name, records[folder], tables_of(folder, out)))
            held = {folder.name, *waiting} if camera == following else waiting
            for chain in chains.settled(held):
                _write(writers, rows_of(chain))
        shown = writers[TRACKLETS].rows
    for table in tables.values():
        if not shown:  # what an earlier run showed is withheld now, and would be there twice later
            table.path.unlink(missing_ok=True)
        table.forget()
    report = total([record["report"] for record in records.values()])
    return counted(out, report) if shown else replace(report, **_NOBODY)


_NOBODY = dict.fromkeys(("tracklets", "visible", "crops", "low_quality", "unmoved"), 0)


def counted(out: Path, report: IngestReport) -> IngestReport:
    """The sums of all recordings' reports, with the tables' own counts of what is joined and hidden."""
    if not (out / TRACKLETS).is_file():
        return replace(report, **_NOBODY)
    rows = read_grown(out / TRACKLETS, columns=["frames", "modality", "quality"])
    return replace(
        report,
        tracklets=len(rows),
        crops=pc.sum(pc.list_value_length(rows["frames"])).as_py(),
        visible=pc.sum(pc.equal(rows["modality"], "vis")).as_py(),
        low_quality=pc.sum(pc.less(rows["quality"], LOW)).as_py() or 0,
        unmoved=pc.sum(pc.equal(rows["quality"], 0)).as_py() or 0,
    )


def _write(writers: Mapping[str, RowWriter], tables: Tables) -> None:
    for name, table in tables.items():
        writers[name].write(table)


def _in_time(folder: Path, record: Mapping[str, Any]) -> tuple[Any, ...]:
    """Recordings of a camera in order of time; undated ones first, by name."""
    options = record["options"]
    try:
        start = float(options["start"])
    except (TypeError, ValueError):
        start = -math.inf
    return natural_key(options["camera"] or ""), start, natural_key(folder.name)


def digest_of(names: Any) -> str:
    """Of names of recordings, in any order."""
    return sha256_of_value(sorted(names))


def tables_of(recording: Path, out: Path) -> Tables:
    """The rows of a finished recording, with paths below `out`.

    Raises:
        DataError: A table is damaged.
    """
    folder = recording.relative_to(out).as_posix()
    found = {name: _read(recording / name) for name in _PATHS}
    return {
        name: table if (column := _PATHS[name]) is None else _below(table, column, folder)
        for name, table in found.items()
    }


def _read(path: Path) -> pa.Table:
    try:
        with pq.ParquetFile(path) as file:
            table = file.read(use_threads=False)  # small: handing it over takes longer
        if path.name == QUALITY and "moves" not in table.column_names:  # written before that was looked at
            place = table.column_names.index("quality")
            table = table.add_column(place, "moves", pa.array([1.0] * len(table)))
        return with_all_columns(table) if path.name == MOMENTS else table
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
