"""What one more file of a live camera costs, beside the history that lies there already.

python benchmarks/live_history.py WORK [--files 10 100 1000 5000]

Makes finished recordings of rolling files (three tracklets of six crops each, no pictures), one of them
going on over each cut, and measures the processor's time that `xreid ingest` takes for one more.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from unittest import mock

from xreid.core.files import write_json
from xreid.core.grown import read_grown
from xreid.retrieval.crops import Crop
from xreid.retrieval.growing import GrowingTables
from xreid.retrieval.ingest_config import IngestConfig, IngestReport
from xreid.retrieval.merge import RECORDINGS, finished
from xreid.retrieval.moments import moments
from xreid.retrieval.records import Records

T = TypeVar("T")
START, ROLL = 1_795_000_000, 300
TRACKLETS, CROPS = 3, 6


def name_of(number: int) -> str:
    """The name of a recording, by the time at which it begins."""
    moment = time.strftime("%Y%m%dT%H%M%S", time.gmtime(START + number * ROLL))
    return f"gate_{moment}.000Z"


@mock.patch("os.fsync")  # history is made without waiting for the disk
def make(out: Path, number: int, _: object) -> Path:
    """A finished recording: one more file of the camera."""
    name, config = name_of(number), IngestConfig(camera="gate", start=repr(float(START + number * ROLL)))
    folder = out / RECORDINGS / name
    folder.mkdir(parents=True)
    kept = {f"{name}-{place + 1:04d}": crops(place) for place in range(TRACKLETS)}
    records = Records(folder, source=out / "video" / f"{name}.mkv", recording=name, config=config)
    report = IngestReport(frames=ROLL * 25, **records.write(kept))
    last, first = f"{name}-{TRACKLETS:04d}", f"{name}-0001"
    goes_on = {first: f"{name_of(number - 1)}-{TRACKLETS:04d}"} if number % 4 else {}
    write_json(
        folder / "ingest.json",
        {
            "options": dataclasses.asdict(config),
            "report": dataclasses.asdict(report),
            "bridge": {"continues": goes_on, "open": [last], "short": []},
        },
    )
    return folder


def crops(place: int) -> list[Crop]:
    """Six crops, a second apart, of a tracklet that walks right; minute `place` of its recording."""
    begin = place * 60.0
    return [
        Crop(
            frame=round(25 * (begin + i)) + 1,
            x=10.0 + 5 * i,
            y=50.0,
            width=40.0,
            height=120.0,
            score=0.9,
            time_s=begin + i,
            chroma=5.0,
        )
        for i in range(CROPS)
    ]


def main() -> None:
    """Print, per number of files there, what one more costs in seconds of the processor."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--files", type=int, nargs="+", default=[10, 100, 1000, 5000])
    parser.add_argument("--repeat", type=int, default=40)
    options = parser.parse_args()
    out = options.work / "live"
    shutil.rmtree(out, ignore_errors=True)
    there = 0
    for files in options.files:
        for number in range(there, files):
            make(out, number)
        there = files + options.repeat
        print(f"{files} files: {measured(out, files, there)}", flush=True)


def measured(out: Path, files: int, until: int) -> str:
    """CPU seconds for one more file, after a kill, for reading, for a look-up and for the end, as a line."""
    tables, seconds = GrowingTables(out), list[float]()
    anew, _ = timed(lambda: tables.begin(finished(out), waiting={name_of(files - 1)}))
    for number in range(files, until):
        folder = make(out, number)
        took, _ = timed(lambda: tables.add([folder], waiting={name_of(number)}))  # noqa: B023
        seconds.append(took)
    read, table = timed(lambda: read_grown(out / "tracklets.parquet"))
    name = table["name"][len(table) // 2].as_py()
    look, _ = timed(lambda: moments(out, name))
    end, report = timed(tables.end)
    return (
        f"one more {statistics.median(seconds):.3f} s, at worst {max(seconds):.3f} s; after a kill "
        f"{anew:.1f} s; stopping {end:.1f} s; the table is read in {read:.3f} s, moments in {look:.3f} s; "
        f"{report.tracklets} tracklets"
    )


def timed(function: Callable[[], T]) -> tuple[float, T]:
    """Seconds of the processor that a call takes, and what it gives."""
    start = time.process_time()  # other work on the machine does not count, nor does waiting for the disk
    result = function()
    return time.process_time() - start, result


if __name__ == "__main__":
    main()
