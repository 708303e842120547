"""What it costs to take new tracklets of a live folder into a gallery, beside what is there already.

python benchmarks/live_gallery.py CHECKPOINT WORK [--there 10 2000] [--new 5]

Makes a folder as `xreid ingest` leaves it (ten crops a tracklet, of noise), and runs `xreid embed` and
`xreid gallery add` on it as cron would: all that is there, then with new ones, then with nothing new. Seconds
are those of the processor, of the whole process with its start.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from xreid.core.embeddings import write_table
from xreid.core.tracklets import Modality, Tracklet, TrackletTable

START, FRAMES = 1_795_000_000.0, 10


def make(out: Path, count: int) -> None:
    """A folder of so many tracklets; pictures that are there stay."""
    (out / "recordings").mkdir(parents=True, exist_ok=True)
    draw, rows = np.random.default_rng(0), list[Tracklet]()
    for number in range(count):
        name = f"gate-{number:06d}"
        frames = tuple(f"frames/{name}/{frame:06d}.jpg" for frame in range(FRAMES))
        (out / "frames" / name).mkdir(parents=True, exist_ok=True)
        for frame in frames:
            if not (out / frame).is_file():
                Image.fromarray(draw.integers(0, 255, (96, 48, 3), dtype=np.uint8)).save(out / frame)
        start = START + 60 * number
        modality = Modality.INFRARED if number % 2 else Modality.VISIBLE
        rows.append(
            Tracklet(
                name=name, frames=frames, modality=modality, camera="gate", start_s=start, end_s=start + 5
            )
        )
    write_table(TrackletTable(root=out, rows=tuple(rows)), out / "tracklets.parquet")


def seconds(*words: object) -> float:
    """Processor time of a command of xreid."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "xreid.cli.main", *map(str, words)], check=True, capture_output=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--there", type=int, nargs="+", default=[10, 2000])
    parser.add_argument("--new", type=int, default=5)
    options = parser.parse_args()
    print("| there | new | embed | gallery add |\n|---|---|---|---|")
    for there in options.there:
        folder = options.work / str(there)
        shutil.rmtree(folder, ignore_errors=True)
        live, out, gallery = folder / "live", folder / "embeddings", folder / "gallery"
        for held, new in ((0, there), (there, options.new), (there + options.new, 0)):
            make(live, held + new)
            embed = seconds("embed", options.checkpoint, live, out, "--threads", 1)
            add = seconds("gallery", "add", gallery, out)
            print(f"| {held:,} | {new:,} | {embed:.1f} s | {add:.1f} s |", flush=True)


if __name__ == "__main__":
    main()
