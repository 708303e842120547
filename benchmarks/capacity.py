"""What a site needs, computed from measured rates: cores, disk and search time for numbers of cameras.

    python benchmarks/capacity.py --cameras 10 1000 100000 [--ingest 100] [--embed 12.8] [...]

Nothing is measured here. The defaults were, on two cores (docs/scale.md says where); put in your own.
"""

from __future__ import annotations

import argparse

DAY = 86_400.0
GIB = 2**30


def main() -> None:
    """Print a table: cores, tracklets, GiB and seconds of a search, for each number of cameras."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    add = parser.add_argument
    add("--cameras", type=int, nargs="+", default=[10, 1000, 100_000])
    add("--fps", type=float, default=5.0, help="frames analysed a second and camera")
    add("--hours", type=float, default=24.0, help="recorded a day")
    add("--ingest", type=float, default=100.0, help="frames ingested a second of one core")
    add("--tracklets", type=float, default=60.0, help="tracklets of a camera and hour, mean over the day")
    add("--crops", type=float, default=40.0, help="pictures kept of a tracklet")
    add("--crop_bytes", type=float, default=12_000.0)
    add("--frames", type=float, default=10.0, help="frames embedded of a tracklet")
    add("--embed", type=float, default=12.8, help="frames embedded a second of one core")
    add("--width", type=int, default=2048, help="numbers of an embedding")
    add("--days", type=float, default=30.0, help="until a tracklet is deleted")
    add("--search", type=float, default=56.0, help="ms of one core for 100,000 tracklets, exact")
    asked = parser.parse_args()
    names = (
        "cores for ingest",
        "cores for embedding",
        "tracklets a day",
        "pictures kept (GiB)",
        "tracklets in the gallery",
        "vectors (GiB)",
        "exact search over all, one core (s)",
        "exact search over one day of ten cameras (ms)",
    )
    columns = [need(count, asked) for count in asked.cameras]
    print("| | " + " | ".join(f"{count:,} cameras" for count in asked.cameras) + " |")
    print("|---|" + "---|" * len(columns))
    for row, name in enumerate(names):
        print(f"| {name} | " + " | ".join(shown(column[row]) for column in columns) + " |")


def need(cameras: int, asked: argparse.Namespace) -> list[float]:
    """The rows of one column."""
    share = asked.hours / 24
    a_day = cameras * asked.tracklets * asked.hours
    kept = a_day * asked.days
    of_ten = min(cameras, 10) * asked.tracklets * asked.hours
    return [
        cameras * asked.fps * share / asked.ingest,
        a_day * asked.frames / asked.embed / DAY,
        a_day,
        kept * asked.crops * asked.crop_bytes / GIB,
        kept,
        kept * asked.width * 4 / GIB,
        kept / 100_000 * asked.search / 1000,
        of_ten / 100_000 * asked.search,
    ]


def shown(value: float) -> str:
    """A number with two or three digits that mean something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


if __name__ == "__main__":
    main()
