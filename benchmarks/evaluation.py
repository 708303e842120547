"""Evaluation of a HITSZ-VCM-sized problem against plain PyTorch and NumPy, as ratios of medians.

    python benchmarks/evaluation.py [--repeats 5] [--queries 4584] [--gallery 5099] [--width 2048]

Each contender scores the same problem (I2V of HITSZ-VCM: 427 identities, same identity and camera removed)
in a process of its own; rounds alternate, so that a busy machine hits all of them. Time is from vectors to
metrics, products included. Memory is the rise of the process's peak over the level before. All must agree to
1e-4: PyTorch's products differ from NumPy's in the last bit, which swaps a few near ties.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

IDENTITIES, CAMERAS = 427, 12


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Unit vectors with identities and cameras; people are near their own centre."""

    query: np.ndarray
    gallery: np.ndarray
    query_ids: np.ndarray
    gallery_ids: np.ndarray
    query_cameras: np.ndarray
    gallery_cameras: np.ndarray


def problem(queries: int, gallery: int, *, width: int) -> Problem:
    """Queries and a gallery as large as asked: unit vectors around random people, with noise and cameras."""
    generator = np.random.default_rng(0)
    centres = generator.standard_normal((IDENTITIES, width), dtype=np.float32)
    favourite = generator.integers(0, CAMERAS, (IDENTITIES, 3))  # an identity is seen by about three cameras

    def side(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        ids = generator.integers(0, IDENTITIES, count)
        vectors = centres[ids]
        vectors += 4.5 * generator.standard_normal((count, width), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors, ids, favourite[ids, generator.integers(0, 3, count)]

    (q, qi, qc), (g, gi, gc) = side(queries), side(gallery)
    return Problem(query=q, gallery=g, query_ids=qi, gallery_ids=gi, query_cameras=qc, gallery_cameras=gc)


def ours(p: Problem, *, block_mib: int = 32) -> list[float]:
    """What is measured: xreid's ranking and metrics, from vectors to the six means as fractions."""
    from xreid.evaluation.metrics import Side, rank_positives

    ranks = rank_positives(
        Side(vectors=p.query, identities=p.query_ids, cameras=p.query_cameras),
        Side(vectors=p.gallery, identities=p.gallery_ids, cameras=p.gallery_cameras),
        block_mib=block_mib,
    )
    return [float(v) for v in np.nanmean(ranks.per_query(), axis=0)]


def numpy_loop(p: Problem) -> list[float]:
    """The usual evaluator: whole distance matrix, argsort, one query after the other."""
    distance = -(p.query @ p.gallery.T)
    order = np.argsort(distance, axis=1)
    values = []
    for q in range(len(order)):
        same = p.gallery_ids[order[q]] == p.query_ids[q]
        keep = ~(same & (p.gallery_cameras[order[q]] == p.query_cameras[q]))
        places = np.flatnonzero(same[keep]) + 1
        if len(places):
            values.append(_scores(places))
    return [float(v) for v in np.mean(values, axis=0)]


def _scores(places: np.ndarray) -> list[float]:
    precision = float(np.mean(np.arange(1, len(places) + 1) / places))
    return [*(float(places[0] <= k) for k in (1, 5, 10, 20)), precision, len(places) / places[-1]]


def torch_argsort(p: Problem) -> list[float]:
    """Plain PyTorch: whole matrix, argsort, then everything as [Q, G] tensors."""
    import torch

    scores = torch.from_numpy(p.query) @ torch.from_numpy(p.gallery).T
    ids, cameras = torch.from_numpy(p.gallery_ids), torch.from_numpy(p.gallery_cameras)
    same = torch.from_numpy(p.query_ids)[:, None] == ids[None]
    removed = same & (torch.from_numpy(p.query_cameras)[:, None] == cameras[None])
    scores[removed] = -torch.inf
    order = scores.argsort(dim=1, descending=True)
    hits = (same & ~removed).gather(1, order)
    valid = hits.any(dim=1)
    hits = hits[valid].double()
    found, places = hits.cumsum(1), torch.arange(1, hits.shape[1] + 1)
    count = hits.sum(1)
    precision = (hits * found / places).sum(1) / count
    last = (hits * places).amax(1)
    cmc = [(found[:, k - 1] > 0).double().mean() for k in (1, 5, 10, 20)]
    return [float(v) for v in (*cmc, precision.mean(), (count / last).mean())]


def product_only(p: Problem) -> list[float]:
    """The matrix product alone, in the same blocks: the floor of any exact evaluation."""
    rows = 32 * 2**20 // (8 * len(p.gallery))
    out = np.empty((rows, len(p.gallery)), np.float32)
    for start in range(0, len(p.query), rows):
        block = p.query[start : start + rows]
        np.matmul(block, p.gallery.T, out=out[: len(block)])
    return []


CONTENDERS: dict[str, Callable[[Problem], list[float]]] = {
    "xreid (blocks of 32 MiB)": ours,
    "numpy argsort + loop": numpy_loop,
    "torch argsort, vectorised": torch_argsort,
    "matrix product alone": product_only,
}


def measure(name: str, shape: tuple[int, int, int], answer: multiprocessing.Queue) -> None:
    """Runs in a fresh process: one warm-up on a small problem, then the measured one."""
    run = CONTENDERS[name]
    run(problem(64, 64, width=64))
    p = problem(shape[0], shape[1], width=shape[2])
    before = forget_peak()
    start = time.perf_counter()
    values = run(p)
    seconds = time.perf_counter() - start
    answer.put((seconds, peak_mib() - before, values))


def forget_peak() -> float:
    """Set the process's peak memory back to what it uses now (Linux); returns it in MiB."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak_mib()


def peak_mib() -> float:
    """Most memory resident since `forget_peak`."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]


def main() -> int:
    """Time every contender in seconds and its memory in MiB, in turns; 1 where their metrics differ."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--queries", type=int, default=4584)
    parser.add_argument("--gallery", type=int, default=5099)
    parser.add_argument("--width", type=int, default=2048)
    options = parser.parse_args()
    shape = (options.queries, options.gallery, options.width)
    context = multiprocessing.get_context("spawn")
    seconds: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    mib: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    values: dict[str, list[float]] = {}
    for _ in range(options.repeats):
        for name in CONTENDERS:
            answer = context.Queue()
            process = context.Process(target=measure, args=(name, shape, answer))
            process.start()
            took, rise, values[name] = answer.get(timeout=600)
            process.join()
            seconds[name].append(took)
            mib[name].append(rise)
    reference = np.array(values["numpy argsort + loop"])
    for name, found in values.items():
        if found and not np.allclose(found, reference, atol=1e-4):
            print(f"{name} disagrees: {found} instead of {reference.tolist()}", file=sys.stderr)
            return 1
    report(shape, seconds, mib)
    return 0


def report(shape: tuple[int, int, int], seconds: dict[str, list[float]], mib: dict[str, list[float]]) -> None:
    """Print each contender's seconds, their ratio to xreid's, memory in MiB and GFLOP/s; JSON last."""
    own = statistics.median(seconds["xreid (blocks of 32 MiB)"])
    flops = 2.0 * shape[0] * shape[1] * shape[2]
    rows = []
    print(f"{shape[0]:,} x {shape[1]:,} x {shape[2]:,}, {os.cpu_count()} cores, median [least, most]\n")
    for name, times in seconds.items():
        median = statistics.median(times)
        rows.append(
            {"name": name, "seconds": times, "peak_rise_mib": mib[name], "times_of_xreid": median / own}
        )
        print(
            f"{name:<27}{median:7.2f} s [{min(times):.2f}, {max(times):.2f}]   x{median / own:5.2f}   "
            f"+{statistics.median(mib[name]):6.0f} MiB   {flops / median / 1e9:6.0f} GFLOP/s of products"
        )
    floor = statistics.median(seconds["matrix product alone"])
    print(f"\nthe products are {floor / own:.0%} of xreid's time")
    print(json.dumps({"shape": shape, "contenders": rows}))


if __name__ == "__main__":
    sys.exit(main())
