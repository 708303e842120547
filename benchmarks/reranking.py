"""k-reciprocal re-ranking: time and memory at scale, and against the dense formula where that fits.

    python benchmarks/reranking.py [--gallery 50000] [--queries 5000] [--width 2048] [--dense 4000]

The vectors are random and clustered: people around their own centre, infrared queries and visible gallery
moved apart by an offset of their modality. Each part runs in a process of its own. Time is from vectors to
metrics, by the clock and of the processor (which a busy machine changes less); memory is the process's peak,
with and without the vectors. The dense formula (whole matrices, a loop over rows, as it is usually published)
gets a tenth of `--dense` as queries and the rest as gallery; both must agree to 1e-4.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from evaluation import forget_peak, peak_mib

PER_PERSON = 10


@dataclass(frozen=True, kw_only=True)
class Size:
    """How many queries and gallery tracklets, and how many numbers a vector has."""

    queries: int
    gallery: int
    width: int


def clustered(size: Size) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors of queries and gallery, and their identities."""
    generator = np.random.default_rng(0)
    people = max(1, (size.queries + size.gallery) // PER_PERSON)
    centres = generator.standard_normal((people, size.width), dtype=np.float32)

    def side(count: int) -> tuple[np.ndarray, np.ndarray]:
        ids = generator.integers(0, people, count)
        offset = generator.standard_normal(size.width, dtype=np.float32)
        vectors = np.empty((count, size.width), np.float32)
        for start in range(0, count, 4096):  # in blocks, so that making them is not the peak
            block = slice(start, start + 4096)
            noise = generator.standard_normal((len(ids[block]), size.width), dtype=np.float32)
            vectors[block] = centres[ids[block]] + 4.0 * noise + offset
            vectors[block] /= np.linalg.norm(vectors[block], axis=1, keepdims=True)
        return vectors, ids

    (query, query_ids), (gallery, gallery_ids) = side(size.queries), side(size.gallery)
    return query, gallery, query_ids, gallery_ids


def plain(size: Size, tell: Callable[[str, object], None]) -> None:
    """Evaluation without re-ranking: seconds, by the clock and of the processor, and peak memory in MiB."""
    _evaluated(size, tell, reranked=False)


def reranked(size: Size, tell: Callable[[str, object], None]) -> None:
    """The same with k-reciprocal re-ranking."""
    _evaluated(size, tell, reranked=True)


def _evaluated(size: Size, tell: Callable[[str, object], None], *, reranked: bool) -> None:
    from xreid.evaluation.metrics import METRICS, Side, inner_products, rank_positives
    from xreid.evaluation.reranking import KReciprocal

    query, gallery, query_ids, gallery_ids = clustered(size)
    sides = Side(vectors=query, identities=query_ids), Side(vectors=gallery, identities=gallery_ids)
    before = forget_peak()
    start, cpu = time.perf_counter(), time.process_time()
    source = KReciprocal().scores(*sides, tell=progress) if reranked else inner_products
    tell("encoding_s", time.perf_counter() - start)
    tell("encoding_cpu_s", time.process_time() - cpu)
    ranks = rank_positives(*sides, scores_of=source)
    tell("total_s", time.perf_counter() - start)
    tell("total_cpu_s", time.process_time() - cpu)
    tell("peak_mib", peak_mib())
    tell("rise_mib", peak_mib() - before)
    means = np.nanmean(ranks.per_query(), axis=0)
    tell("scores", {name: round(float(100 * v), 2) for name, v in zip(METRICS, means, strict=True)})


def progress(done: int, total: int) -> None:
    """Say on standard error how many tracklets are done."""
    print(f"\r{done:,} of {total:,}", end="\n" if done == total else "", file=sys.stderr, flush=True)


def against_dense(size: Size, tell: Callable[[str, object], None]) -> None:
    """CPU seconds and MiB of the sparse and the dense formula, and how far their distances differ."""
    from xreid.evaluation.metrics import Side
    from xreid.evaluation.reranking import KReciprocal

    query, gallery, query_ids, gallery_ids = clustered(size)
    sides = Side(vectors=query, identities=query_ids), Side(vectors=gallery, identities=gallery_ids)
    seconds, rise, found = {}, {}, {}

    def sparse() -> np.ndarray:
        out = np.empty((len(query), len(gallery)), np.float32)
        KReciprocal().scores(*sides)(*sides, block=slice(0, len(query)), out=out)
        return -out

    for name, run in (("sparse", sparse), ("dense", lambda: dense(query, gallery))):
        before, start = forget_peak(), time.process_time()
        found[name] = run()
        seconds[name], rise[name] = time.process_time() - start, peak_mib() - before
    tell("cpu_s", seconds)
    tell("rise_mib", rise)
    tell("largest_difference", float(np.abs(found["sparse"] - found["dense"]).max()))


def dense(
    query: np.ndarray, gallery: np.ndarray, *, k1: int = 20, k2: int = 6, weight: float = 0.3
) -> np.ndarray:
    """float32 [Q, G], re-ranked distances by whole matrices: the formula of Zhong et al. (2017)."""
    vectors = np.concatenate([query, gallery])
    total = len(vectors)
    distance = np.maximum(2 - 2 * vectors @ vectors.T, 0)
    np.fill_diagonal(distance, 0)
    distance /= distance.max(axis=1, keepdims=True)
    order = np.argsort(distance, axis=1, kind="stable")

    def reciprocal(row: int, k: int) -> np.ndarray:
        near = order[row, : k + 1]
        return near[(order[near, : k + 1] == row).any(axis=1)]

    codes = np.zeros_like(distance)
    for row in range(total):
        near = reciprocal(row, k1)
        sets = [near]
        for other in near:
            more = reciprocal(other, round(k1 / 2))
            if len(np.intersect1d(more, near)) > 2 / 3 * len(more):
                sets.append(more)
        everybody = np.unique(np.concatenate(sets))
        near_weights = np.exp(-distance[row, everybody])
        codes[row, everybody] = near_weights / near_weights.sum()
    codes = np.stack([codes[order[row, :k2]].mean(axis=0) for row in range(total)])
    answer = np.empty((len(query), len(gallery)), np.float32)
    columns = [np.flatnonzero(codes[:, column]) for column in range(total)]
    for row in range(len(query)):
        shared = np.zeros(total, np.float32)
        for column in np.flatnonzero(codes[row]):
            rows = columns[column]
            shared[rows] += np.minimum(codes[row, column], codes[rows, column])
        answer[row] = 1 - shared[len(query) :] / (2 - shared[len(query) :])
    return (1 - weight) * answer + weight * distance[: len(query), len(query) :]


PARTS: dict[str, Callable] = {"against_dense": against_dense, "plain": plain, "reranked": reranked}


def _run(part: Callable, size: Size, answer: multiprocessing.Queue) -> None:
    told: dict[str, object] = {}
    part(size, told.__setitem__)
    answer.put(told)


def main() -> int:
    """Run every part in a process of its own and print what each tells."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--gallery", type=int, default=50_000)
    parser.add_argument("--queries", type=int, default=5_000)
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--dense", type=int, default=4_000)
    parser.add_argument("--parts", nargs="*", default=list(PARTS), choices=list(PARTS))
    options = parser.parse_args()
    large = Size(queries=options.queries, gallery=options.gallery, width=options.width)
    small = Size(
        queries=options.dense // 10, gallery=options.dense - options.dense // 10, width=options.width
    )
    context = multiprocessing.get_context("spawn")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for name in options.parts:
        part, size = PARTS[name], small if name == "against_dense" else large
        answer = context.Queue()
        process = context.Process(target=_run, args=(part, size, answer))
        process.start()
        told = answer.get()
        process.join()
        print(
            json.dumps({"part": name, "size": [size.queries, size.gallery, size.width], **told}),
            flush=True,
        )
        if told.get("largest_difference", 0) > 1e-4:  # type: ignore[operator]
            print("sparse and dense disagree", file=sys.stderr)
            return 1
    print(f"load at the end {os.getloadavg()[0]:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
