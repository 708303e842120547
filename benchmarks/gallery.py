"""A gallery at scale: filtered exact top-50, opening, appending, memory and disk; in a folder or on a server.

    python benchmarks/gallery.py --rows 100000 --width 2048 --out /tmp/gallery
    python benchmarks/gallery.py --rows 100000 --width 2048 --out http://127.0.0.1:19530/bench
    python benchmarks/gallery.py --rows 100000 --set_rows 20 --out /tmp/small   # 5,000 small sets
    python benchmarks/gallery.py --plan 1000000              # from what was measured at smaller sizes

Random people: each tracklet is its person's centre and noise, 12 cameras, both modalities, 30 days. Each
query is a tracklet of its own; times are of one call of `Gallery.nearest` in the process that serves, after
one call that reads the vectors from the disk. "modality" lets half through, "camera" a twelfth, "day" a
thirtieth. Memory is the process's own; memory-mapped vectors, which the system may take back, are apart.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from xreid.core.embeddings import EmbeddingOrigin, EmbeddingSet
from xreid.core.tracklets import Modality, Tracklet, TrackletTable
from xreid.retrieval.columns import Filter
from xreid.retrieval.gallery import Gallery

_START, _DAY = 1_767_225_600.0, 86_400.0  # 2026-01-01
_CAMERAS, _DAYS, _FRAMES, _PER_PERSON = 12, 30, 20, 10
_SET = 10_000


def people(rows: int, width: int, most: int) -> Iterator[EmbeddingSet]:
    """Sets of at most that many tracklets."""
    origin = EmbeddingOrigin(checkpoint="b" * 64, config="e" * 64, layout=(("cls", width),))
    for start in range(0, rows, most):
        count = min(most, rows - start)
        rng = np.random.default_rng(start)
        persons = rng.integers(0, max(1, rows // _PER_PERSON), count)
        vectors = rng.standard_normal((count, width), dtype=np.float32)
        vectors += np.stack([_centre(int(person), width) for person in persons])
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        table = TrackletTable(
            root=Path("/footage"),
            rows=tuple(_row(start + i, int(persons[i]), rng) for i in range(count)),
        )
        yield EmbeddingSet(vectors=vectors, table=table, origin=origin)


def _centre(person: int, width: int) -> np.ndarray:
    return np.random.default_rng(10**9 + person).standard_normal(width, dtype=np.float32)


def _row(number: int, person: int, rng: np.random.Generator) -> Tracklet:
    start, camera = _START + float(rng.uniform(0, _DAYS * _DAY)), int(rng.integers(_CAMERAS))
    name = f"cam{camera}-{number:07d}"
    return Tracklet(
        name=name,
        frames=tuple(f"frames/{name}/{frame:06d}.jpg" for frame in range(1, _FRAMES + 1)),
        modality=Modality.INFRARED if rng.random() < 0.5 else Modality.VISIBLE,
        identity=f"{person:06d}" if rng.random() < 0.2 else None,
        camera=f"cam{camera}",
        place=f"gate {camera // 3}",
        source=f"film{camera}.mkv",
        start_s=start,
        end_s=start + 8.0,
        quality=float(rng.random()),
    )


def filters() -> dict[str, Filter]:
    """What is searched in: everything, one modality, one camera, a day, and several conditions at once."""
    return {
        "all": Filter(),
        "modality": Filter(modality=Modality.VISIBLE),
        "camera": Filter(cameras=("cam3",)),
        "day": Filter(from_s=_START + 3 * _DAY, to_s=_START + 4 * _DAY),
        "several": Filter(modality=Modality.VISIBLE, except_cameras=("cam0", "cam1"), min_quality=0.3),
    }


def memory_mib() -> dict[str, float]:
    """Resident memory: the process's own, and files that are mapped into it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    found = {
        line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith(("RssAnon", "RssFile"))
    }
    return {"own": found["RssAnon"] / 1024, "mapped": found["RssFile"] / 1024}


def measure(address: str, rows: int, width: int, *, k: int, queries: int, most: int) -> dict[str, Any]:
    """Fill a gallery and measure appending (rows/s), opening (s), searches (ms), memory and disk (MiB)."""
    result: dict[str, Any] = {"address": address.split("://")[0] if "://" in address else "folder"}
    result |= {
        "rows": rows,
        "width": width,
        "k": k,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }
    result["threads"] = os.environ.get("OMP_NUM_THREADS", "all")
    gallery = Gallery.create(address)
    times = []
    for number, embeddings in enumerate(people(rows, width, most)):
        start = time.perf_counter()
        gallery.append(embeddings, name=f"set{number}")
        times.append(time.perf_counter() - start)
    result["append"] = {
        "sets": len(times),
        "seconds": sum(times),
        "rows_a_second": rows / sum(times),
        "set_ms": {"median": 1000 * statistics.median(times), "worst": 1000 * max(times)},
        **memory_mib(),
    }
    if Path(address).is_dir():
        result["disk_mib"] = sum(p.stat().st_size for p in Path(address).rglob("*")) / 2**20
    del gallery
    asked = next(people(rows, width, 10_000)).vectors[:queries].copy()
    before = memory_mib()
    start = time.perf_counter()
    gallery = Gallery.open(address)
    opened = time.perf_counter()
    gallery.count(Filter(modality=Modality.VISIBLE))
    gallery.nearest(asked[:1], k=k)
    result["first_answer_s"] = time.perf_counter() - opened
    result["open_s"] = opened - start
    result["memory_before_mib"], result["memory_after_mib"] = before, memory_mib()
    result["search_ms"] = {name: timings(gallery, asked, rules, k=k) for name, rules in filters().items()}
    start = time.perf_counter()
    gallery.nearest(asked, k=k, rules=Filter(modality=Modality.VISIBLE))
    result["together_ms_a_query"] = 1000 * (time.perf_counter() - start) / len(asked)
    start = time.perf_counter()
    gallery.page(limit=50)
    result["page_ms"] = 1000 * (time.perf_counter() - start)
    return result


def timings(gallery: Gallery, asked: np.ndarray, rules: Filter, *, k: int) -> dict[str, float]:
    """Milliseconds of single searches, one after the other: median, best and worst."""
    times = []
    for vector in asked:
        start = time.perf_counter()
        gallery.nearest(vector[None], k=k, rules=rules)
        times.append(1000 * (time.perf_counter() - start))
    return {"median": statistics.median(times), "best": min(times), "worst": max(times)}


def plan(rows: int, width: int) -> dict[str, Any]:
    """What that many rows need, from the line through two measured sizes in a folder."""
    found = []
    for size in (rows // 100, rows // 50):
        folder = Path(f"plan-{size}")
        try:
            found.append(measure(str(folder), size, width, k=50, queries=20, most=_SET))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    low, high = found

    def at(value: Any) -> float:
        slope = (value(high) - value(low)) / (high["rows"] - low["rows"])
        return float(value(low) + slope * (rows - low["rows"]))

    return {
        "measured": found,
        "rows": rows,
        "disk_gib": at(lambda r: r["disk_mib"]) / 1024,
        "mapped_gib": rows * width * 4 / 2**30,
        "own_memory_gib": at(lambda r: r["memory_after_mib"]["own"]) / 1024,
        "append_s": at(lambda r: r["append"]["seconds"]),
        "first_answer_s": at(lambda r: r["first_answer_s"]),
        "search_ms_modality": at(lambda r: r["search_ms"]["modality"]["median"]),
        "search_ms_camera": at(lambda r: r["search_ms"]["camera"]["median"]),
    }


def main() -> int:
    """Print what was measured, or extrapolated with --plan, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--k", type=int, default=50)
    parser.add_argument("--queries", type=int, default=30)
    parser.add_argument("--set_rows", type=int, default=_SET, help="tracklets of a set")
    parser.add_argument("--out", default="bench-gallery", help="a folder to make, or the address of a server")
    parser.add_argument("--plan", type=int, default=0, help="extrapolate to that many rows")
    options = parser.parse_args()
    if options.plan:
        print(json.dumps(plan(options.plan, options.width), indent=2))
        return 0
    result = measure(
        options.out,
        options.rows,
        options.width,
        k=options.k,
        queries=options.queries,
        most=options.set_rows,
    )
    print(json.dumps(result, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
